"""`dovetail merchant signer`: the process that holds the keys."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.cli.in_process import Cli
from tests.merchant.signer.deals import cold_descriptor

from dovetail.errors import WalletError
from dovetail.merchant.signer.client import RemoteSigner
from dovetail.merchant.signer.place import SignerPlace


@pytest.fixture
def place() -> Iterator[Path]:
    """A short path, as sockets need one."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "signer.sock"


@pytest.fixture
def shop(cli: Cli) -> Cli:
    assert cli("wallet", "new").code == 0
    return cli


def start(shop: Cli, *words: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "dovetail.cli", "merchant", "signer", *words]
    return subprocess.Popen(
        command,
        env={**os.environ, **shop.environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_it_says_where_it_answers_and_stops_at_a_signal(shop: Cli, place: Path):
    with start(shop, "--listen", str(place), "--cold", cold_descriptor()) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == str(place)
        with closing(RemoteSigner(SignerPlace(path=place))) as remote:
            told = remote.wallet()
            assert (told.network, told.cold) == ("regtest", cold_descriptor())
            assert "prv" not in told.hot
        process.send_signal(signal.SIGTERM)
        _, talk = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "The signer has stopped." in talk
    assert not place.exists()
    log = shop.folder / "regtest" / "merchant" / "signer.db"
    assert log.stat().st_mode & 0o077 == 0
    with closing(RemoteSigner(SignerPlace(path=place))) as remote, pytest.raises(WalletError):
        remote.descriptors()


def test_what_is_wrong_is_told_before_it_listens(shop: Cli, place: Path):
    for words, why in (
        (("--cold", "nonsense"), "`cold` cannot be read"),
        (("--listen", "127.0.0.1:9"), "needs TLS"),
        (("--listen", f"/{'long/' * 40}sock"), "shorter"),
    ):
        said = shop("merchant", "signer", "--listen", str(place), *words)
        assert said.code == 2
        assert why in said.err
        assert len(said.err.splitlines()) == 1
        assert not place.exists()


def test_without_a_wallet_it_says_how_to_make_one(cli: Cli, place: Path):
    said = cli("merchant", "signer", "--listen", str(place))
    assert said.code == 2
    assert "dovetail wallet new" in said.err
