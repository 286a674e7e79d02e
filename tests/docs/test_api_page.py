from itertools import pairwise
from pathlib import Path

import pytest
from tools.docs import reference

PAGE = (Path(__file__).parents[2] / reference.FOLDER / "api.md").read_text()
"""`test_reference` holds that it is what the code says."""


def entry(module: str, name: str) -> str:
    """What the page says of a name."""
    section = PAGE.split(f"\n## `{module}`\n", 1)[1].split("\n## ", 1)[0]
    return section.split(f"### `{name}", 1)[1].split("\n### ", 1)[0]


def test_signatures_are_short_and_name_no_modules():
    signature = "`receive(amount: Sats | int | None=None, *, label: str | None=None"
    assert signature in PAGE
    assert "### `FallbackBroadcasted(txid: str" in PAGE
    assert "LiveSender`: Begin to pay `uri`" in PAGE
    assert not [line for line in PAGE.split("\n") if "<" in line and "<!--" not in line]


def test_each_entry_has_words():
    lines = [line for line in PAGE.split("\n") if line]
    for line, following in pairwise(lines):
        assert not (line.startswith("### ") and following.startswith("#")), line


def test_what_is_raised_is_told():
    assert "Raises `StoreUnavailable` and `ConfigurationError`." in PAGE


@pytest.mark.parametrize(
    ("name", "member"),
    [
        ("PollingForProposal", "- `poll(relay: str | None"),
        ("PollingForProposal", "- `cancel()"),
        ("PollingForProposal", "- `contested`: The sender's inputs"),
        ("Closed", "- `outcome"),
        ("PendingFallback", "- `requested: bool = False`: Whether the fallback was decided on"),
    ],
)
def test_a_state_tells_all_that_it_offers_and_not_how_it_is_made(name, member):
    told = entry("dovetail.sessions.sender", name)
    assert member in told
    assert told.startswith("`\n")


def test_an_enumeration_tells_its_codes():
    assert "- `coins-gone`: The payment's coins are gone" in entry("dovetail", "Reason")
    assert "- `CLOSED` (`closed`)" in entry("dovetail.sessions.status", "SessionStatus")
    assert "(`confirmed`): Three deep." in entry("dovetail.testing.chain_contract", "Stage")


def test_an_alias_says_what_it_stands_for():
    assert "One of `Success`, `FallbackBroadcasted`" in entry("dovetail", "Outcome")
    assert "Writes the application's rows" in entry("dovetail.stores", "Rows")
    assert "opaque and hashable" in entry("dovetail.stores", "SessionId")
