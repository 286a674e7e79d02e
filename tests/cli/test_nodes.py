"""`wallet = "core"`: what the settings have to say."""

import pytest
from tests.cli.in_process import Cli

from dovetail.cli.config import load

PASSWORD = "correct-horse-battery"


@pytest.fixture
def owner(cli: Cli) -> Cli:
    """Somebody whose node does not run."""
    cli.settings |= {
        "wallet": "core",
        "core_wallet": "payments",
        "core_url": "http://127.0.0.1:1",
        "core_user": "somebody",
        "core_password": PASSWORD,
    }
    return cli


def without(cli: Cli, *names: str) -> Cli:
    for name in names:
        del cli.settings[name]
    return cli


@pytest.mark.parametrize("command", ["balance", "address", "coins"])
def test_a_node_that_does_not_run_is_told_with_its_setting(owner: Cli, command: str) -> None:
    said = owner("wallet", command)
    assert said.code == 1
    assert "start it with `server=1`, or correct `core_url`" in said.err
    assert PASSWORD not in said.err


def test_a_wallet_of_the_node_has_to_be_named(owner: Cli) -> None:
    said = without(owner, "core_wallet")("wallet", "balance")
    assert said.code == 2
    assert "set `core_wallet`" in said.err


def test_a_login_takes_a_user_and_a_password(owner: Cli) -> None:
    said = without(owner, "core_user")("wallet", "balance")
    assert (said.code, "`core_user` is not set" in said.err) == (2, True)
    owner.settings["core_user"] = "somebody"
    said = without(owner, "core_password")("wallet", "balance")
    assert (said.code, "`core_password` is not set" in said.err) == (2, True)


def test_there_is_one_way_to_log_in(owner: Cli) -> None:
    owner.settings["core_cookie"] = "/somewhere/.cookie"
    said = owner("wallet", "balance")
    assert said.code == 2
    assert "`core_cookie` and `core_user`" in said.err


def test_without_a_login_the_cookie_is_looked_for(owner: Cli) -> None:
    said = without(owner, "core_user", "core_password")("wallet", "balance")
    assert said.code == 1
    assert "set `core_cookie`" in said.err


def test_the_network_of_a_node_has_to_be_said(owner: Cli) -> None:
    said = without(owner, "network")("wallet", "balance")
    assert said.code == 2
    assert "say which one the node is on" in said.err


@pytest.mark.parametrize("command", ["new", "import"])
def test_the_node_makes_its_own_wallet(owner: Cli, command: str) -> None:
    said = owner("wallet", command)
    assert said.code == 2
    assert "`bitcoin-cli createwallet`, and name it by `core_wallet`" in said.err


def test_what_needs_no_node_works_without_it(owner: Cli) -> None:
    assert owner("history").code == 0


def test_the_password_shows_nowhere(owner: Cli) -> None:
    variables = {f"DOVETAIL_{name.upper()}": value for name, value in owner.settings.items()}
    settings = load({}, variables)
    assert settings.core_password == PASSWORD
    assert PASSWORD not in repr(settings)
