"""The table of the standards is whole, and each test that it names is there."""

import re
from importlib import import_module

import pytest
from tests.guides.pages import ROOT

PAGE = (ROOT / "docs/reference/mailroom-conformance.md").read_text()


def counted(text: str) -> dict[str, int]:
    """Read sections and their counts, such as `3.1=1 5=4`."""
    parts = (part.partition("=") for part in text.split())
    return {section: int(count) for section, _, count in parts}


SECTIONS = {
    "BIP 77": {
        "OHTTP Bootstrapping": 3,
        "Mailbox endpoint": 1,
        "Short ID": 1,
        "Client/Directory interactions": 4,
        "Relay/Directory interactions": 2,
        "Session Expiration": 1,
        "Uniform Payloads": 1,
        "Random Padding": 1,
        "Secp256k1 Hybrid Public Key Encryption": 1,
        "Directory Denial of Service": 1,
        "Network privacy": 1,
        "Backwards compatibility": 3,
    },
    "RFC 9458": counted(
        "3=1 3.1=1 3.2=1 4.3=1 4.4=1 4.5=1 5=4 5.1=1 5.2=3 5.3=1 6=2 6.2=3 6.2.1=1 6.2.3=1 6.3=3 "
        "6.4=2 6.5=2 6.5.1=1 6.5.2=1 6.6=1 7=1"
    ),
    "RFC 9292": counted("3.1=1 3.2=1 3.3=1 3.4=1 3.5=1 3.5.1=1 3.6=2 3.8=2 4=1 6=1 8=1"),
    "RFC 9540": counted("3=1 4=3 5=1 6.1=1"),
}
"""How many requirements on servers each section has; those on clients are not counted."""

ROW = re.compile(r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|([^|]*)\|$", re.MULTILINE)
TESTS = sorted(set(re.findall(r"`((?:\w+/)*test_\w+\.py::\w+)`", PAGE)))


def rows(standard: str) -> list[tuple[str, ...]]:
    """The rows of one table, without its head."""
    part = PAGE.partition(f"\n## {standard}")[2].partition("\n## ")[0]
    return [row for row in ROW.findall(part) if row[0] not in ("section", "---")]


@pytest.mark.parametrize("standard", SECTIONS)
def test_each_requirement_has_its_row(standard: str) -> None:
    told = [section for section, *_ in rows(standard)]
    assert {each: told.count(each) for each in told} == SECTIONS[standard]


@pytest.mark.parametrize("standard", SECTIONS)
def test_what_is_not_void_names_the_test_that_holds_it(standard: str) -> None:
    for section, asks, here, peer, test in rows(standard):
        void = here.startswith("**Not here.**")
        assert bool(test.strip()) != void, section
        assert asks.endswith("."), section
        assert here.endswith("."), section
        assert not peer.endswith("."), section


@pytest.mark.parametrize("name", TESTS)
def test_a_test_that_the_page_names_is_there(name: str) -> None:
    path, _, function = name.partition("::")
    module = import_module(f"tests.{path.removesuffix('.py').replace('/', '.')}")
    assert callable(getattr(module, function))


def test_every_test_of_conformance_is_named() -> None:
    """A requirement that has a test of its own has a row too."""
    module = import_module("tests.mailroom.test_conformance")
    written = {name for name in vars(module) if name.startswith("test_")}
    assert written <= {name.rpartition("::")[2] for name in TESTS}
