"""People with wallets, a chain and a mailroom; each person has a data directory."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.cli.in_process import PASSPHRASE, Cli

from dovetail.bitcoin import Address, Sats
from dovetail.mailroom import MailroomServer
from dovetail.regtest import RegtestServer
from dovetail.wallets import encryption
from dovetail.wallets.encryption import Cost


@pytest.fixture(scope="session")
def chain() -> Iterator[RegtestServer]:
    with RegtestServer() as server:
        yield server


@pytest.fixture(scope="session")
def mailroom() -> Iterator[MailroomServer]:
    with MailroomServer() as server:
        yield server


@pytest.fixture(autouse=True)
def _own_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test sees the configuration or the variables of who runs it."""
    for name in os.environ:
        if name.startswith("DOVETAIL_"):
            monkeypatch.delenv(name)
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))


@pytest.fixture(autouse=True)
def _cheap_sealing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a passphrase seals costs a test next to nothing."""
    monkeypatch.setattr(encryption, "COST", Cost(n=2**10))


@pytest.fixture
def file(tmp_path: Path) -> str:
    """A file with the passphrase in its first line."""
    path = tmp_path / "passphrase"
    path.write_text(f"{PASSPHRASE}\nnot this line\n")
    return str(path)


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cli:
    """A person on regtest with nothing at all, offline."""
    settings = {"network": "regtest", "chain": "http://127.0.0.1:1"}
    return Cli(capsys, monkeypatch, tmp_path / "data", settings)


@pytest.fixture
def person(
    chain: RegtestServer,
    mailroom: MailroomServer,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Callable[..., Cli]:
    """A person with a wallet that holds confirmed coins of these values."""

    def make(name: str, *values: int) -> Cli:
        settings = {
            "network": "regtest",
            "chain": chain.url,
            "directory": mailroom.url,
            "relays": mailroom.url,
            "watch_interval": "0.2",
        }
        made = Cli(capsys, monkeypatch, tmp_path / name, settings)
        assert made("wallet", "new").code == 0
        for value in values:
            address = Address.parse(made("wallet", "address").out.strip())
            chain.node.fund(address.script_pubkey, Sats(value))
        return made

    return make
