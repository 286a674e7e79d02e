import pytest

from dovetail.bitcoin.psbt import KeyMap
from dovetail.errors import InvalidPsbt

LONG = 0x1234
LONG_KEY = b"\xfd\x34\x12"


def test_a_map_keeps_the_order_of_its_entries():
    entries = ((b"\x05", b"five"), (b"\x01", b"one"))
    assert KeyMap(entries).entries == entries


@pytest.mark.parametrize("entries", [((b"\x01", b"a"), (b"\x01", b"b")), ((b"", b"a"),)])
def test_a_repeated_or_empty_key_is_refused(entries):
    with pytest.raises(InvalidPsbt, match="empty or repeated key"):
        KeyMap(entries)


def test_values_are_found_by_type_and_key_data():
    entries = KeyMap(((b"\x02a", b"1"), (b"\x02b", b"2"), (LONG_KEY + b"a", b"3")))
    assert entries.get(2, b"b") == b"2"
    assert entries.get(2) is None
    assert entries.get(LONG, b"a") == b"3"
    assert entries.all(2) == ((b"a", b"1"), (b"b", b"2"))
    assert entries.all(LONG) == ((b"a", b"3"),)


def test_a_value_is_replaced_where_it_stands():
    entries = KeyMap(((b"\x05", b"five"), (b"\x01", b"one")))
    assert entries.with_value(5, b"V").entries == ((b"\x05", b"V"), (b"\x01", b"one"))


def test_a_new_value_goes_before_the_next_larger_key():
    entries = KeyMap().with_value(5, b"five").with_value(1, b"one").with_value(5, b"!", b"x")
    assert [key for key, _ in entries.entries] == [b"\x01", b"\x05", b"\x05x"]


def test_types_are_removed_with_all_their_entries():
    entries = KeyMap(((b"\x02a", b"1"), (b"\x03", b"2"), (b"\x02b", b"3"), (LONG_KEY, b"4")))
    assert entries.without(2, LONG).entries == ((b"\x03", b"2"),)
    assert entries.without() == entries


def test_merging_keeps_the_first_maps_values_and_sorts_by_key():
    mine = KeyMap(((b"\x05", b"mine"), (b"\x01", b"one")))
    theirs = KeyMap(((b"\x05", b"theirs"), (b"\x03", b"three")))
    merged = mine.merge(theirs)
    assert merged.entries == ((b"\x01", b"one"), (b"\x03", b"three"), (b"\x05", b"mine"))


def test_a_map_is_a_value():
    one, same = KeyMap(((b"\x01", b"a"),)), KeyMap(((b"\x01", b"a"),))
    assert one == same
    assert len({one, same, KeyMap()}) == 2


def test_its_repr_shows_a_count_only():
    assert repr(KeyMap(((b"\x01", b"secret"),))) == "KeyMap(1 entries)"
