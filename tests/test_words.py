"""What people read has one word for one thing; phrases that nobody understood are gone."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import dovetail
from dovetail.cli.app import ENTRIES

SOURCE = Path(dovetail.__file__).parent
GONE = (
    "Nothing is to be decided",
    "its next step ends it",
    "takes it on where",
    "ordinary transaction",
    "never by both",
    "that somebody asks",
    "network address",
    "Nobody is there",
    "your word",
    "came about",
    r"leave [^.]*\baway\b",
    "shall",
    r"\blink\b",
    r"\d \d{3} (sats?|sat/vB)\b",
)
"""Regular expressions of what no sentence says."""


def sentences(path: Path) -> Iterator[str]:
    """Each text of a module that has several words and is no docstring."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            node.value.value = ""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield node.value


@cache
def all_sentences() -> list[str]:
    return [text for path in sorted(SOURCE.rglob("*.py")) for text in sentences(path)]


@pytest.mark.parametrize("phrase", GONE)
def test_no_sentence_says_it(phrase: str) -> None:
    assert [text for text in all_sentences() if re.search(phrase, text)] == []


def test_sentences_are_found() -> None:
    assert "Paid by payjoin." in all_sentences()


COMMANDS = "|".join(("run", *ENTRIES))
OF_THE_COMMAND_LINE = re.compile(
    rf"`(?:{COMMANDS})[ `]|\bdovetail (?:{COMMANDS})\b|(?<![\w-])--[a-z]"
)
"""A command in backticks, a whole command, or an option."""
BELOW = [path for path in sorted(SOURCE.rglob("*.py")) if path.parts[len(SOURCE.parts)] != "cli"]


@pytest.mark.parametrize("path", BELOW, ids=lambda path: str(path.relative_to(SOURCE)))
def test_the_library_names_no_command_and_no_option(path: Path) -> None:
    """An error has `actions`, and names its parameters; the command line makes its own of them."""
    assert [text for text in sentences(path) if OF_THE_COMMAND_LINE.search(text)] == []


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("Pay with `fallback`.", True),
        ("Run `resume 3`.", True),
        ("See `dovetail show 3`.", True),
        ("Choose a higher --fee-rate.", True),
        ("Choose a higher `--fee-rate`.", True),
        ("Choose a higher `fee_rate`.", False),
        ("Broadcast `session.fallback` unchanged.", False),
        ("Correct `tor`.", False),
        ("A pause - or -- two.", False),
    ],
)
def test_what_names_a_command_or_an_option_is_known(text: str, *, named: bool) -> None:
    assert (OF_THE_COMMAND_LINE.search(text) is not None) is named
