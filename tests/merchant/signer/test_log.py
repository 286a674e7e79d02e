"""What the signer remembers, and who else may read it."""

import sqlite3
from pathlib import Path

import pytest
from tests.merchant.signer.deals import SignersHouse

from dovetail.errors import StoreUnavailable
from dovetail.merchant.signer import messages
from dovetail.merchant.signer.log import SignerLog
from dovetail.merchant.signer.policy import SignerRefused


@pytest.fixture
def log(tmp_path: Path):
    opened = SignerLog.open(tmp_path / "signer" / "signer.db")
    yield opened
    opened.close()


def test_the_file_is_for_its_user_alone(log: SignerLog, tmp_path: Path):
    log.open_session("a", 1)
    files = list((tmp_path / "signer").iterdir())
    assert [each.stat().st_mode & 0o077 for each in files] == [0] * len(files)
    assert (tmp_path / "signer").stat().st_mode & 0o077 == 0


def test_each_write_is_synced_to_the_disk(log: SignerLog):
    assert log._connection.execute("PRAGMA synchronous").fetchone() == (2,)


def test_the_first_demand_counts(log: SignerLog):
    log.open_session("a", 1000)
    log.open_session("a", 1000)
    with pytest.raises(SignerRefused, match="first one counts"):
        log.open_session("a", 999)
    assert log.demand("a") == 1000


def test_of_several_coins_all_are_reserved_or_none(log: SignerLog):
    log.open_session("a", 1)
    log.open_session("b", 1)
    log.reserve("a", ["x:0"])
    with pytest.raises(SignerRefused, match="another session"):
        log.reserve("b", ["w:0", "x:0", "y:0"])
    assert log.holders(["w:0", "x:0", "y:0"]) == {"x:0": "a"}
    log.reserve("a", ["x:0"])
    assert log.reserved("a") == {"x:0"}


def test_nothing_is_reserved_for_a_session_that_was_not_opened(log: SignerLog):
    with pytest.raises(StoreUnavailable):
        log.reserve("nobody", ["x:0"])
    assert log.holders(["x:0"]) == {}


def test_released_coins_are_free_again(log: SignerLog):
    log.open_session("a", 1)
    log.open_session("b", 1)
    log.reserve("a", ["x:0", "y:0"])
    log.release("a")
    log.reserve("b", ["x:0"])
    assert log.holders(["x:0", "y:0"]) == {"x:0": "b"}


def test_one_transaction_has_one_purpose_and_one_answer(log: SignerLog):
    assert log.record("session a", "t1", b"first") == b"first"
    assert log.record("session a", "t1", b"second") == b"first"
    with pytest.raises(SignerRefused, match="for something else"):
        log.record("session b", "t1", b"third")
    with pytest.raises(SignerRefused, match="signed for this before"):
        log.record("session a", "t2", b"fourth")
    assert log.signed("session a") == ("t1", b"first")
    assert log.signed("session b") is None


def test_all_of_it_survives(tmp_path: Path):
    first = SignerLog.open(tmp_path / "signer.db")
    first.open_session("a", 5)
    first.reserve("a", ["x:0"])
    first.record("session a", "t1", b"answer")
    second = SignerLog.open(tmp_path / "signer.db")
    assert second.demand("a") == 5
    assert second.reserved("a") == {"x:0"}
    assert second.signed("session a") == ("t1", b"answer")
    first.close()
    second.close()


def test_a_newer_file_is_left_alone(tmp_path: Path):
    with sqlite3.connect(tmp_path / "signer.db") as other:
        other.execute("PRAGMA user_version = 99")
    other.close()
    with pytest.raises(StoreUnavailable, match="newer Dovetail"):
        SignerLog.open(tmp_path / "signer.db")


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnavailable, match="cannot be opened"):
        SignerLog.open(tmp_path / "file" / "signer.db")


def test_a_log_that_cannot_be_written_signs_nothing(house: SignersHouse):
    house.log._connection.execute("PRAGMA query_only = 1")
    answer = house.service.answer(house.deal.request())
    assert isinstance(answer, messages.Failure)
    assert house.log.signed("session invoice-1") is None
