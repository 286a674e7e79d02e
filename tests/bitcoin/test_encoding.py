import pytest

from dovetail.bitcoin.encoding import Reader, compact_size, prefixed, read_compact_size
from dovetail.errors import InvalidPsbt, InvalidTransaction, ParseError

# The borders between the four forms (Bitcoin developer reference, "CompactSize unsigned integers").
SIZES = [
    (0, "00"),
    (252, "fc"),
    (253, "fdfd00"),
    (515, "fd0302"),
    (65_535, "fdffff"),
    (65_536, "fe00000100"),
    (2**32 - 1, "feffffffff"),
    (2**32, "ff0000000001000000"),
    (2**64 - 1, "ffffffffffffffffff"),
]


@pytest.mark.parametrize(("value", "encoded"), SIZES)
def test_a_compact_size_takes_its_shortest_form(value, encoded):
    data = bytes.fromhex(encoded)
    assert compact_size(value) == data
    assert read_compact_size(b"\0" + data + b"\0", 1) == (value, 1 + len(data))


@pytest.mark.parametrize(
    "encoded", ["fdfc00", "fd0000", "feffff0000", "fe00000000", "ffffffffff00000000"]
)
def test_a_compact_size_in_a_longer_form_is_refused(encoded):
    with pytest.raises(InvalidPsbt):
        read_compact_size(bytes.fromhex(encoded), error=InvalidPsbt)


@pytest.mark.parametrize("encoded", ["", "fd", "fd00", "fe000000", "ff00000000000000"])
def test_a_cut_compact_size_is_refused(encoded):
    with pytest.raises(ParseError):
        read_compact_size(bytes.fromhex(encoded))


def test_a_reader_reads_front_to_back_and_knows_what_is_left():
    reader = Reader(bytes.fromhex("00 0201 02aabb 03010203"), ParseError, "box", offset=1)
    assert reader.uint(2) == 0x0102
    assert reader.prefixed() == b"\xaa\xbb"
    assert reader.count(1) == 3
    assert reader.remaining == 3
    assert reader.take(3) == b"\1\2\3"
    reader.finish()


def test_a_reader_never_reads_beyond_the_end():
    with pytest.raises(InvalidTransaction, match="The box ends before it is complete"):
        Reader(b"\0\0", InvalidTransaction, "box").take(3)


def test_a_reader_refuses_a_count_that_cannot_fit():
    with pytest.raises(InvalidTransaction, match="The box announces more than it holds"):
        Reader(b"\xfe\xff\xff\xff\xff" + bytes(50), InvalidTransaction, "box").count(41)


def test_a_reader_refuses_what_is_left_over():
    with pytest.raises(InvalidTransaction, match="The box goes on after its end"):
        Reader(b"\0", InvalidTransaction, "box").finish()


def test_what_is_written_behind_its_length_is_read_back():
    data = bytes(300)
    assert Reader(prefixed(data), ParseError, "box").prefixed() == data
