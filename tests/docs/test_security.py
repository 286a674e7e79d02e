"""The table of security requirements is whole, and each test that it names is there."""

import re
from importlib import import_module

import pytest
from tests.guides.pages import ROOT

PAGE = (ROOT / "docs/reference/security.md").read_text()
LEVEL_2 = {
    "2.1": range(1, 13),
    "2.2": range(1, 4),
    "2.3": range(1, 4),
    "2.4": range(1, 7),
    "2.5": range(1, 8),
    "2.6": range(1, 4),
    "2.7": range(1, 7),
    "2.8": range(1, 8),
    "2.9": range(1, 4),
    "2.10": range(1, 5),
    "3.1": (1,),
    "3.2": range(1, 5),
    "3.3": range(1, 5),
    "3.4": range(1, 6),
    "3.5": range(1, 4),
    "3.7": (1,),
    "4.1": (1, 2, 3, 5),
    "4.2": (1, 2),
    "4.3": range(1, 4),
    "5.1": range(1, 6),
    "5.2": range(1, 9),
    "5.3": range(1, 11),
    "5.4": range(1, 4),
    "5.5": range(1, 5),
    "6.1": range(1, 4),
    "6.2": range(1, 7),
    "6.3": (1, 2),
    "6.4": (1, 2),
    "7.1": range(1, 5),
    "7.2": (1, 2),
    "7.3": (1, 3, 4),
    "7.4": range(1, 4),
    "8.1": range(1, 5),
    "8.2": range(1, 4),
    "8.3": range(1, 9),
    "9.1": range(1, 4),
    "9.2": range(1, 5),
    "10.2": (1, 2),
    "10.3": range(1, 4),
    "11.1": range(1, 9),
    "12.1": range(1, 4),
    "12.2": (1,),
    "12.3": range(1, 7),
    "12.4": (1, 2),
    "12.5": (1, 2),
    "12.6": (1,),
    "13.1": (1, 3, 4, 5),
    "13.2": (1, 2, 3, 5, 6),
    "13.3": (1, 2),
    "13.4": (1, 2),
    "14.1": range(1, 5),
    "14.2": range(1, 7),
    "14.3": (2, 3),
    "14.4": range(1, 8),
    "14.5": range(1, 5),
}
"""The requirements of level 2 by section; what is missing was withdrawn or is of level 3."""

TO = "\N{EN DASH}"
ROW = re.compile(rf"^\| ([\d., {TO}]+) \| (.+) \| (.+) \|(.*)\|$", re.MULTILINE)
TESTS = sorted(set(re.findall(r"`((?:\w+/)*test_\w+\.py(?:::\w+)?)`", PAGE)))


def numbers(text: str) -> list[str]:
    """`3.4.1 to 3.4.3, 3.4.5` one by one."""
    found: list[str] = []
    for each in text.split(", "):
        first, _, last = each.partition(TO)
        section, _, start = first.rpartition(".")
        end = last.rpartition(".")[2] or start
        found += [f"{section}.{number}" for number in range(int(start), int(end) + 1)]
    return found


def test_each_requirement_has_its_row_and_only_one() -> None:
    told = [number for row in ROW.findall(PAGE) for number in numbers(row[0])]
    wanted = [f"{section}.{number}" for section, found in LEVEL_2.items() for number in found]
    assert sorted(told) == sorted(wanted)


def test_what_is_met_names_the_test_that_holds_it() -> None:
    """A row without a test says why it needs none."""
    for number, asks, here, test in ROW.findall(PAGE):
        words = ("**Argued", "**Not here", "no mail", "There are none", "They do not", "One host")
        assert test.strip() or here.startswith(words), number
        assert asks.endswith("."), number


@pytest.mark.parametrize("name", TESTS)
def test_a_test_that_the_page_names_is_there(name: str) -> None:
    path, _, function = name.partition("::")
    assert (ROOT / "tests" / path).is_file()
    if function:
        module = import_module(f"tests.{path.removesuffix('.py').replace('/', '.')}")
        assert callable(getattr(module, function))


def test_the_attacks_of_every_day_have_their_tests() -> None:
    for words in (
        "CSRF",
        "session fixation",
        "Guessing is slowed down",
        "open redirect",
        "SSRF",
        "DNS rebinding",
        "log injection",
        "mass assignment",
        "spreadsheet",
    ):
        row = next(line for line in PAGE.splitlines() if words in line)
        assert "test_" in row, words
