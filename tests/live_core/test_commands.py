"""The command line on a node's wallet: the settings are all that tells it from another."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.cli.in_process import Cli
from tests.live_core.bitcoind import Bitcoind
from tests.live_core.mirror import Mirror

from dovetail.bitcoin import Address, OutPoint, Sats
from dovetail.mailroom import MailroomServer
from dovetail.regtest import RegtestServer


@pytest.fixture
def owner(
    start: Callable[..., Bitcoind],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[tuple[Cli, Bitcoind]]:
    """Somebody with a node whose wallet has a coin of a million and one of half of it."""
    with ExitStack() as opened:
        regtest = opened.enter_context(RegtestServer())
        mailroom = opened.enter_context(MailroomServer())
        bitcoind = start("-rpcauth=dovetail:00$" + _HMAC)
        bitcoind.make_wallet("payments")
        for value in (1_000_000, 500_000):
            address = Address.parse(bitcoind.rpc("getnewaddress", wallet="payments"))
            regtest.node.fund(address.script_pubkey, Sats(value))
        mirror = opened.enter_context(Mirror(regtest.url, bitcoind))
        mirror.settle()
        settings = {
            "network": "regtest",
            "wallet": "core",
            "core_url": bitcoind.url,
            "core_wallet": "payments",
            "core_user": "dovetail",
            "core_password": "a password of regtest",
            "directory": mailroom.url,
            "relays": mailroom.url,
            "watch_interval": "0.2",
        }
        yield Cli(capsys, monkeypatch, tmp_path / "data", settings), bitcoind


# What the node's `rpcauth` has of the password: HMAC-SHA256 under the salt "00", in hex.
_HMAC = "f7ced0ab102a23b2bfd5338848e74eec4236d88bd230611356df07804fbab536"


def test_commands_see_pay_and_give_back_what_the_node_holds(owner: tuple[Cli, Bitcoind]) -> None:
    dovetail, bitcoind = owner
    assert dovetail("wallet", "balance", "--json").json["confirmed_sats"] == 1_500_000
    address = dovetail("wallet", "address").out.strip()
    assert bitcoind.rpc("getaddressinfo", address, wallet="payments")["ismine"]

    uri = dovetail("receive", "50000", "--no-wait", "--json").json["uri"]
    other = Cli(
        dovetail.capsys, dovetail.monkeypatch, dovetail.folder / "other", dict(dovetail.settings)
    )
    bitcoind.make_wallet("other")
    other.settings["core_wallet"] = "other"
    said = other("send", uri, "--yes", "--no-wait")
    assert said.code == 1
    assert "0 sats confirmed and free" in said.err

    said = dovetail("cancel", "1")
    assert said.code == 0
    uri = other("receive", "50000", "--no-wait", "--json").json["uri"]
    said = dovetail("send", uri, "--yes", "--no-wait")
    assert said.code in (0, 3), said.err
    [held] = [
        each for each in dovetail("wallet", "coins", "--json").json["coins"] if each["reserved"]
    ]
    assert bitcoind.locked("payments") == {OutPoint.parse(held["outpoint"])}
    assert dovetail("wallet", "balance", "--json").json["confirmed_sats"] == 1_500_000

    assert dovetail("cancel", "2", "--fallback", "now").code == 0
    assert bitcoind.locked("payments") == set()
    assert len(bitcoind.rpc("getrawmempool")) == 1


def test_a_wrong_password_is_told_and_not_shown(owner: tuple[Cli, Bitcoind]) -> None:
    dovetail, _ = owner
    dovetail.settings["core_password"] = "something else"
    said = dovetail("wallet", "balance")
    assert said.code == 2
    assert "correct `core_user` and `core_password`" in said.err
    assert "something else" not in said.err
