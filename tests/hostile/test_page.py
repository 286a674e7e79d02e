"""The page of hostile peers lists what the tests play, in whole sentences."""

from collections import Counter

import pytest
from tests.hostile.links import LINKS
from tests.hostile.record import PAGE, ROWS, Peer, Row
from tests.hostile.tricks import PLAYED, PLAYS, SPOILT


def test_every_row_is_played_and_every_trick_has_a_row():
    tricks = sum(len(each) for modules in PLAYS.values() for each in modules) + len(LINKS)
    assert {*PLAYED, *SPOILT} == {*ROWS}
    assert len(PLAYED) + len(SPOILT) == len(ROWS) == tricks


def test_each_peer_has_a_section_of_its_own_with_all_its_tricks():
    text = PAGE.read_text()
    for peer in Peer:
        assert text.count(f"\n## {peer.value}\n") == 1
    assert text.count("\n| **") == len(ROWS)


def test_the_page_counts_its_tricks():
    counts = Counter(row.peer for row in ROWS)
    told = "".join(f"- {peer.value}: {count}\n" for peer, count in counts.items())
    assert f"\n{len(ROWS)} tricks:\n\n{told}\n" in PAGE.read_text()


def test_no_trick_is_listed_twice():
    names = Counter((row.peer, row.name) for row in ROWS)
    assert {name for name, count in names.items() if count > 1} == set()


@pytest.mark.parametrize("row", ROWS, ids=lambda each: f"{each.peer.name}-{each.name}")
def test_a_record_is_written_in_sentences(row: Row):
    for sentence in (row.trick, row.we):
        assert sentence[0].isupper()
        assert sentence.endswith(".")
    assert row.rule
    assert row.told.endswith((".", "?"))
