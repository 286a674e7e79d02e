"""Help, and what is said of a word that was mistyped."""

import shlex

import click
import pytest
from tests.cli.in_process import Cli
from tools.docs.commands import walk

from dovetail.cli.app import ENTRIES, SECTIONS, SYNONYMS, app
from dovetail.cli.help_layout import EVERYWHERE, OWN, Command, section_of

COMMANDS = {" ".join(path[1:]): command for path, command in walk(app, ("dovetail",))}


@pytest.mark.parametrize("name", ENTRIES)
def test_each_main_command_s_help_has_examples_that_can_be_typed(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "all.jsonl").touch()
    command = COMMANDS[name]
    assert isinstance(command, Command)
    assert command.examples
    for line in command.examples:
        words = shlex.split(line.partition("$(")[2].rstrip('")') or line.partition(" >")[0])
        assert words[:1] == ["dovetail"]
        context = app.make_context("dovetail", words[1:])
        path, target, rest = app.resolve_command(context, words[1:])
        while isinstance(target, click.Group):
            path, target, rest = target.resolve_command(context, rest)
        assert target is not None
        with target.make_context(path, list(rest), parent=context):
            pass


def test_options_of_a_command_come_first_and_those_of_all_last():
    help_ = COMMANDS["receive"].get_help(click.Context(COMMANDS["receive"]))
    titles = ("Options:", "Ways to", "With every", "Examples:")
    places = [help_.index(f"\n{each}") for each in titles]
    assert places == sorted(places)
    sections = {each.name: section_of(each) for each in COMMANDS["receive"].params}
    assert sections["label"] == OWN
    assert sections["network"] == EVERYWHERE


def test_the_commands_are_listed_by_what_one_wants_to_do(cli: Cli):
    said = cli("--help").out
    places = [said.index(f"\n{each}:\n") for each in SECTIONS]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("words", "guess"),
    [
        (("histroy",), "`history`"),
        (("wallet", "adress"), "`address`"),
        (("stop",), "`cancel`"),
        (("balance",), "`wallet balance`"),
        (("receive", "--lable", "x"), "`--label`"),
    ],
)
def test_who_mistypes_is_told_what_may_have_been_meant(cli: Cli, words, guess):
    said = cli(*words)
    assert said.code == 2
    assert f"Did you mean {guess}?" in said.err
    assert len(said.err.splitlines()) == 1


def test_the_dashes_of_an_option_are_no_likeness(cli: Cli):
    assert "Did you mean" not in cli("cancel", "1", "--later").err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("receive", "5,000"), "Invalid value for 'SATS': give the amount"),
        (("completion",), "Missing argument '{bash|zsh|fish}'. Choose from: bash, zsh, fish."),
    ],
)
def test_what_click_says_is_one_line_for_people(cli: Cli, words, told):
    said = cli(*words)
    assert said.code == 2
    assert told in said.err
    assert len(said.err.splitlines()) == 1


def test_a_word_like_no_command_gets_no_guess(cli: Cli):
    assert "Did you mean" not in cli("xyzzy").err


def test_every_synonym_is_of_a_command_that_is_there():
    assert not set(SYNONYMS) & set(ENTRIES)
    assert set(SYNONYMS.values()) - {"--help"} <= set(COMMANDS)


def test_a_command_without_its_argument_names_it(cli: Cli):
    said = cli("show")
    assert said.code == 2
    assert "Missing argument 'ID'" in said.err
