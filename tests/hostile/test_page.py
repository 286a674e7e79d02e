"""The page of hostile peers says what the records say, in whole sentences."""

from collections import Counter
from pathlib import Path

import pytest
from tests.hostile.page import page
from tests.hostile.record import Peer, Record
from tests.hostile.tricks import ALL

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "hostile-peers.md"


def test_the_page_is_current():
    assert page() == PAGE.read_text()


def test_each_peer_has_a_section_of_its_own_with_all_its_tricks():
    text = page()
    for peer in Peer:
        assert text.count(f"\n## {peer.heading}\n") == 1
    assert text.count("\n| **") == len(ALL)


def test_no_trick_is_listed_twice():
    names = Counter((record.peer, record.name) for record in ALL)
    assert {name for name, count in names.items() if count > 1} == set()


@pytest.mark.parametrize("record", ALL, ids=lambda each: f"{each.peer.name}-{each.name}")
def test_a_record_is_written_in_sentences(record: Record):
    for sentence in (record.trick, record.we):
        assert sentence[0].isupper()
        assert sentence.endswith(".")
    assert record.rule
    assert record.told.endswith((".", "?"))
