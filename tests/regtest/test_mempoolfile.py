from pathlib import Path

import pytest
from tests.regtest.spending import SOME_SCRIPT, spend

from dovetail.bitcoin.transaction import OutPoint, Txid
from dovetail.bitcoin.units import Sats
from dovetail.errors import ReplayError, StoreUnavailable
from dovetail.regtest.mempool import Entry
from dovetail.regtest.mempoolfile import load_mempool, save_mempool

ENTRIES = [
    Entry(spend([OutPoint(Txid(b"\x09" * 32), vout)], [(1000, SOME_SCRIPT)]), Sats(5), 1000 + vout)
    for vout in range(3)
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mempool.txt"


def test_what_was_saved_is_loaded_in_its_order(path):
    save_mempool(path, ENTRIES)
    assert load_mempool(path) == tuple((entry.time, entry.transaction) for entry in ENTRIES)


def test_no_file_is_an_empty_mempool(path):
    assert load_mempool(path) == ()


def test_saving_again_replaces_the_whole(path):
    save_mempool(path, ENTRIES)
    save_mempool(path, ENTRIES[1:2])
    assert len(load_mempool(path)) == 1
    assert [item.name for item in path.parent.iterdir()] == ["mempool.txt"]


@pytest.mark.parametrize(
    "damage", [b"\n", b"1000\n", b"x 00\n", b"1000 zz\n", b"1000 00\n", b"\xff 00\n"]
)
def test_a_damaged_file_is_reported(path, damage):
    path.write_bytes(damage)
    with pytest.raises(ReplayError):
        load_mempool(path)


def test_a_place_that_cannot_be_written_or_read_is_reported(tmp_path):
    with pytest.raises(StoreUnavailable):
        save_mempool(tmp_path / "missing" / "mempool.txt", ENTRIES)
    with pytest.raises(StoreUnavailable):
        load_mempool(tmp_path)
