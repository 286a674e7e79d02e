from http import HTTPStatus

import pytest

from dovetail.serving.request_head import (
    FIELD_LIMIT,
    HEAD_LIMIT,
    BadRequest,
    HeadReader,
    parse_head,
)


def head(*lines: str, first: str = "GET / HTTP/1.1", host: str | None = "x") -> bytes:
    hosts = [] if host is None else [f"host: {host}"]
    return "\r\n".join([first, *hosts, *lines]).encode("latin-1")


def status_of(data: bytes) -> int:
    with pytest.raises(BadRequest) as refused:
        parse_head(data)
    return refused.value.status


def test_a_head_is_read():
    read = parse_head(head("Content-Length: 12", "X-A:  b \t", first="POST /a%20b?c=d HTTP/1.1"))
    assert (read.method, read.path, read.query) == ("POST", b"/a%20b", b"c=d")
    assert read.fields == [(b"host", b"x"), (b"content-length", b"12"), (b"x-a", b"b")]
    assert (read.length, read.keep_alive, read.version) == (12, True, "1.1")


@pytest.mark.parametrize(
    "data",
    [
        head(host=None),
        head("host: y"),
        head("Host: x"),
        head(host="a b"),
        head(host="x/y"),
        head(host="user@x"),
        head(host="x, y"),
        head(host="[::1"),
    ],
)
def test_a_host_that_is_missing_doubled_or_none_is_400(data: bytes):
    assert status_of(data) == HTTPStatus.BAD_REQUEST


@pytest.mark.parametrize("host", ["", "x", "x:80", "[::1]:8080", "127.0.0.1", "x:"])
def test_a_host_may_be_any_host_and_port(host: str):
    assert parse_head(head(host=host)).path == b"/"


@pytest.mark.parametrize(
    "data",
    [
        head("x: y", " folded"),
        head("x: y", "\tfolded"),
        head("x : y"),
        head("x"),
        head(": y"),
        head("x: a\rb"),
        head("x: a\nb"),
        head("x: a\0b"),
        head("x\u00e9: y"),
        head(first="GET  / HTTP/1.1"),
        head(first="GET / HTTP/1.1 "),
        head(first="GET /a b HTTP/1.1"),
        head(first="GET /#a HTTP/1.1"),
        head(first="GET /\u00e9 HTTP/1.1"),
        head(first="GET HTTP/1.1"),
        head(first="GET x HTTP/1.1"),
        head(first="GET x:443 HTTP/1.1"),
        head(first="GET * HTTP/1.1"),
        head(first="GET ftp://x/ HTTP/1.1"),
        head(first="GET http:/// HTTP/1.1"),
        head(first="GET http://user@x/ HTTP/1.1"),
        head(first="G@T / HTTP/1.1"),
        head(first="GET / http/1.1"),
        head(first=" GET / HTTP/1.1"),
        head("content-length: 1", "content-length: 1"),
        head("content-length: 1", "content-length: 2"),
        head("content-length: 1, 1"),
        head("content-length: +1"),
        head("content-length: -1"),
        head("content-length: 0x1"),
        head("content-length:"),
        head("content-length: " + "9" * 16),
        head("transfer-encoding: chunked", "content-length: 1"),
        head("transfer-encoding: chunked", first="POST / HTTP/1.0"),
    ],
)
def test_what_could_be_read_in_two_ways_is_400(data: bytes):
    assert status_of(data) == HTTPStatus.BAD_REQUEST


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (head(first="GET / HTTP/2.0"), 505),
        (head(first="GET / HTTP/0.9"), 505),
        (head("transfer-encoding: gzip, chunked"), 501),
        (head("transfer-encoding: chunked", "transfer-encoding: chunked"), 501),
        (head("transfer-encoding: identity"), 501),
        (head("expect: something"), 417),
        (head("expect: 100-continue", "expect: 100-continue"), 417),
        (head(*["x: y"] * FIELD_LIMIT), 431),
    ],
)
def test_what_is_not_done_here_has_a_status_of_its_own(data: bytes, status: int):
    assert status_of(data) == status


def test_a_hundred_fields_are_taken():
    assert len(parse_head(head(*["x: y"] * (FIELD_LIMIT - 1))).fields) == FIELD_LIMIT


def test_an_absolute_target_takes_the_place_of_the_host():
    read = parse_head(head("x: y", first="GET HTTP://shop.example:81/a?b HTTP/1.1"))
    assert (read.path, read.query) == (b"/a", b"b")
    assert read.fields == [(b"host", b"shop.example:81"), (b"x", b"y")]
    assert parse_head(head(first="GET http://x HTTP/1.1")).path == b"/"


def test_the_asterisk_is_for_options():
    assert parse_head(head(first="OPTIONS * HTTP/1.1")).path == b"*"


def test_an_old_client_needs_no_host_and_keeps_nothing():
    read = parse_head(head("expect: 100-continue", first="POST / HTTP/1.0", host=None))
    assert (read.keep_alive, read.continues) == (False, False)


def test_a_client_may_wait_for_100_where_a_body_comes():
    assert parse_head(head("Expect: 100-Continue", "content-length: 1")).continues
    assert not parse_head(head("expect: 100-continue", "content-length: 0")).continues


@pytest.mark.parametrize(
    ("lines", "websocket"),
    [
        (("connection: keep-alive, Upgrade", "upgrade: WebSocket"), True),
        (("upgrade: websocket",), False),
        (("connection: upgrade", "upgrade: h2c"), False),
        (("connection: upgrade", "upgrade: websocket", "content-length: 1"), False),
    ],
)
def test_a_websocket_is_asked_for_by_two_fields(lines: tuple[str, ...], *, websocket: bool):
    assert parse_head(head(*lines)).websocket is websocket


def test_a_head_is_found_in_pieces_of_any_size():
    data = head("x: y") + b"\r\n\r\n"
    for size in range(1, len(data) + 1):
        reader, arrived, found = HeadReader(), bytearray(), []
        for at in range(0, 2 * len(data), size):
            arrived += (data * 2)[at : at + size]
            while (read := reader.take(arrived)) is not None:
                found.append(read)
        assert [read.fields for read in found] == [[(b"host", b"x"), (b"x", b"y")]] * 2
        assert arrived == b""


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /" + b"a" * HEAD_LIMIT, 431),
        (b"GET / HTTP/1.1\r\nx: " + b"a" * HEAD_LIMIT, 431),
        (b"GET / HTTP/1.1\r\nx: " + b"a" * HEAD_LIMIT + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\nhost: x\n\n", 400),
        (b"GET / HTTP/1.1\r\nhost: x\n", 400),
        (b"\r\n\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00", 400),
        (b"\0", 400),
    ],
)
def test_a_head_that_cannot_become_one_is_refused_at_once(data: bytes, status: int):
    with pytest.raises(BadRequest) as refused:
        HeadReader().take(bytearray(data))
    assert refused.value.status == status


def test_one_empty_line_may_come_before_a_head_and_not_one_after_another():
    reader = HeadReader()
    arrived = bytearray(b"\r\n")
    assert reader.take(arrived) is None
    arrived += b"\r\n"
    with pytest.raises(BadRequest):
        reader.take(arrived)


def test_each_byte_of_a_head_is_looked_at_once():
    class Counted(bytearray):
        looked = 0

        def find(self, what, start=0, *end):
            self.looked += len(self) - start
            return super().find(what, start, *end)

    reader, arrived = HeadReader(), Counted()
    for _ in range(HEAD_LIMIT):
        arrived += b"a"
        assert reader.take(arrived) is None
    assert arrived.looked < 6 * HEAD_LIMIT


def test_the_same_head_is_not_read_again():
    reader = HeadReader()
    data = b"GET /a HTTP/1.1\r\nhost: x\r\n\r\n"
    arrived = bytearray(data + data + b"\r\n" + data + b"rest")
    first = reader.take(arrived)
    assert first is not None
    assert reader.take(arrived) is first is reader.last
    assert reader.take(arrived) == first  # after an empty line
    assert arrived == b"rest"


def test_a_head_that_only_begins_alike_is_another():
    reader = HeadReader()
    data = b"GET /a HTTP/1.1\r\nhost: x\r\n\r\n"
    assert reader.take(bytearray(data)) is not None
    other = reader.take(bytearray(data[:-2] + b"a: b\r\n\r\n"))
    assert other is not None
    assert other.fields == [(b"host", b"x"), (b"a", b"b")]


@pytest.mark.parametrize("more", [b"a: " + b"b" * 512 + b"\r\n", b"a: b\r\n" * 16])
def test_a_long_head_is_not_remembered(more: bytes):
    reader = HeadReader()
    data = b"GET / HTTP/1.1\r\nhost: x\r\n" + more + b"\r\n"
    first = reader.take(bytearray(data))
    assert first is not None
    assert reader.take(bytearray(data)) is not first
    assert reader.last is not first
