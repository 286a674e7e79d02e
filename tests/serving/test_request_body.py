import pytest

from dovetail.serving.request_body import Body
from dovetail.serving.request_head import FIELD_LIMIT, HEAD_LIMIT, BadRequest


def read(data: bytes, *, size: int | None = None, length: int | None = None, limit: int = 10_000):
    """The body and what follows it, from pieces of this size."""
    body, arrived, got = Body(length, limit=limit), bytearray(), b""
    size = size or len(data)
    for at in range(0, len(data), size):
        arrived += data[at : at + size]
        if not body.done:
            got += body.take(arrived)
    return got, bytes(arrived), body.done


def test_a_body_ends_where_its_length_says():
    assert read(b"abcdef", length=4) == (b"abcd", b"ef", True)
    assert read(b"ab", length=4) == (b"ab", b"", False)
    assert Body(0, limit=1).done


CHUNKED = b'3\r\nabc\r\nA;x="y";z\r\n0123456789\r\n0\r\ntrailer: x\r\n\r\n'


@pytest.mark.parametrize("size", range(1, len(CHUNKED) + 1))
def test_chunks_come_in_pieces_of_any_size(size: int):
    got, rest, done = read(CHUNKED, size=size)
    assert (got, rest, done) == (b"abc0123456789", b"", True)


def test_what_follows_the_last_chunk_is_another_request():
    assert read(CHUNKED + b"GET /")[1:] == (b"GET /", True)


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n",
        b"x\r\n",
        b"-1\r\n",
        b"0x1\r\n",
        b"+1\r\n",
        b" 1\r\na",
        b"1\n\r\n",
        b"1;\0\r\n",
        b"123456789\r\n",
        b"1\r\nab",
        b"1\r\na\n",
        b"0\r\n folded: x\r\n\r\n",
        b"0\r\nno field\r\n\r\n",
        b"0\r\na\nb: c\r\n\r\n",
        b"1;" + b"x" * 300,
        b"1;" + b"x" * 300 + b"\r\n",
        b"0\r\nx: " + b"y" * HEAD_LIMIT,
        b"0\r\n" + b"x: y\r\n" * (FIELD_LIMIT + 1) + b"\r\n",
        b"0\r\n" + b"x: y\r\n" * HEAD_LIMIT,
    ],
)
def test_chunks_that_are_malformed_or_without_end_are_refused(data: bytes):
    with pytest.raises(BadRequest):
        read(data)


def test_extensions_may_not_outweigh_the_body():
    one = b"1;" + b"x" * 200 + b"\r\na\r\n"
    assert read(one * 50)[0] == b"a" * 50
    with pytest.raises(BadRequest):
        read(one * 100)


def test_the_first_chunks_may_be_of_any_size():
    assert read(b"1\r\na\r\n" * 256 + b"0\r\n\r\n") == (b"a" * 256, b"", True)
    assert read(b"64\r\n" + b"a" * 100 + b"\r\n", limit=100)[0] == b"a" * 100


def test_chunks_after_them_may_not_be_small_on_average():
    body, arrived = Body(None, limit=10_000), bytearray(b"1\r\na\r\n" * 10_000)
    with pytest.raises(BadRequest, match="too small") as refused:
        body.take(arrived)
    assert refused.value.status == 400
    assert len(arrived) > 6 * 9_700  # the rest is not looked at


def test_a_body_in_chunks_of_the_least_size_is_taken_whole():
    assert read(b"20\r\n" + b"a" * 32 + b"\r\n", limit=32)[0] == b"a" * 32
    chunks = (b"20\r\n" + b"a" * 32 + b"\r\n") * 2_000
    assert read(chunks, limit=64_000)[0] == b"a" * 64_000


def test_a_large_chunk_pays_for_small_ones():
    large, small = b"c80\r\n" + b"b" * 3_200 + b"\r\n", b"1\r\na\r\n"
    assert len(read(large + small * 356)[0]) == 3_556
    with pytest.raises(BadRequest, match="too small"):
        read(large + small * 400)


@pytest.mark.parametrize("length", [None, 101])
def test_more_than_the_limit_is_not_taken(length: int | None):
    with pytest.raises(BadRequest) as refused:
        read(b"65\r\n" + b"a" * 101, length=length, limit=100)
    assert refused.value.status == 413
