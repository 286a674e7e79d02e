import pytest
from tests.cli.in_process import Cli

from dovetail.cli.hints import repeated, repeating

HINT = "Keep `dovetail resume 1` open. `dovetail run` is not running."


def told(text: str, *arguments: str) -> str:
    with repeating(arguments):
        return repeated(text)


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        (("resume",), ""),
        (("--data-dir", "shop", "resume"), "--data-dir shop "),
        (("resume", "--data-dir=my shop"), "--data-dir 'my shop' "),
        (("--network", "signet", "resume", "--network", "regtest"), "--network regtest "),
        (("--config", "a.toml", "--network", "signet"), "--config a.toml --network signet "),
        (("pay", "--", "--data-dir", "shop"), ""),
        (("--data-dir",), "--data-dir '' "),
    ],
)
def test_a_command_that_is_told_repeats_the_options_of_this_one(arguments, options):
    assert told(HINT, *arguments) == HINT.replace("dovetail resume", f"dovetail {options}resume")


def test_no_option_is_said_twice_and_a_page_of_help_needs_none():
    arguments = ("--network", "signet", "--data-dir", "shop")
    assert told("`dovetail wallet new --network regtest`", *arguments) == (
        "`dovetail --data-dir shop wallet new --network regtest`"
    )
    assert told("See `dovetail send --help`.", *arguments) == "See `dovetail send --help`."


def test_outside_of_a_command_nothing_is_repeated():
    with repeating(("--data-dir", "shop")):
        pass
    assert repeated(HINT) == HINT


def test_what_a_new_wallet_says_next_can_be_typed_as_it_is(cli: Cli):
    del cli.settings["network"]
    said = cli("--network", "signet", "wallet", "new")
    assert "Next: `dovetail --network signet wallet address`" in said.err


def test_an_error_says_the_command_for_the_same_folder(cli: Cli, tmp_path):
    said = cli("wallet", "balance", "--data-dir", str(tmp_path))
    assert f"`dovetail --data-dir {tmp_path} wallet new --network regtest`" in said.err
