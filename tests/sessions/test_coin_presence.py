"""When a coin counts as gone, whatever the source and whoever asks it."""

import pytest

from dovetail.errors import InvalidEvent
from dovetail.sessions.coin_presence import Presence

KNOWN = Presence.known(100)


def test_a_source_that_is_behind_says_nothing_by_its_silence():
    assert not KNOWN.is_news(missing=True, height=99)
    assert not KNOWN.is_news(missing=True, height=100)
    assert KNOWN.is_news(missing=True, height=101)


def test_an_older_log_counts_from_where_a_coin_was_first_missed():
    assert Presence.known(None).is_news(missing=True, height=0)


def test_coins_that_are_there_are_no_news():
    assert not KNOWN.is_news(missing=False, height=200)


def test_an_absence_is_noted_once():
    missed = KNOWN.missed(101)
    assert not missed.is_news(missing=True, height=105)
    assert missed.is_news(missing=False, height=105)


@pytest.mark.parametrize(("depth", "blocks"), [(1, 6), (6, 6), (10, 10)])
def test_coins_are_gone_after_the_depth_and_never_before_six_blocks(depth: int, blocks: int):
    missed = KNOWN.missed(101)
    assert not missed.are_gone(101 + blocks - 1, depth=depth)
    assert missed.are_gone(101 + blocks, depth=depth)
    assert not KNOWN.are_gone(10_000, depth=depth)


def test_what_came_back_is_counted_anew_from_the_next_block():
    found = KNOWN.missed(101).found(104)
    assert not found.are_gone(1_000, depth=1)
    assert not found.is_news(missing=True, height=104)
    assert found.is_news(missing=True, height=105)


def test_servers_of_different_heights_fill_no_log():
    """One of two behind one name is a block behind, and has what the other has not."""
    found = KNOWN.missed(105).found(104)
    assert not found.is_news(missing=True, height=105)


def test_a_log_in_which_coins_are_missed_twice_or_found_unmissed_is_none():
    with pytest.raises(InvalidEvent, match="as missing already"):
        KNOWN.missed(101).missed(102)
    with pytest.raises(InvalidEvent, match="not recorded as missing"):
        KNOWN.found(101)
