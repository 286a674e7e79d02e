import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from tests.support.servers import serving

from dovetail import open_files
from dovetail.errors import ConfigurationError, TransportError
from dovetail.protocol.requests import Request
from dovetail.runtime import transport
from dovetail.runtime.transport import LIMIT, HttpTransport, Reply

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"


@asynccontextmanager
async def opened(patience: float = 5.0) -> AsyncIterator[HttpTransport]:
    web = HttpTransport(patience=patience)
    try:
        yield web
    finally:
        await web.aclose()


class Recorder:
    """Answers each request with the same bytes and keeps what came."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.requests: list[bytes] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            (
                int(line[15:])
                for line in head.lower().split(b"\r\n")
                if line[:15] == b"content-length:"
            ),
            0,
        )
        self.requests.append(head + await reader.readexactly(length))
        writer.write(self.answer)
        await writer.drain()


def request(url: str) -> Request:
    return Request(url, "message/ohttp-req", b"ciphertext")


async def test_a_request_leaves_as_it_is_and_its_answer_comes_back():
    record = Recorder(OK)
    async with serving(record) as url, opened() as web:
        reply = await web.post(request(url + "/path"))
    assert (reply.status, reply.body) == (200, b"hello")
    (sent,) = record.requests
    assert sent.startswith(b"POST /path HTTP/1.1\r\n")
    assert b"content-type: message/ohttp-req" in sent
    assert sent.endswith(b"\r\n\r\nciphertext")


async def test_a_request_does_not_name_our_software():
    record = Recorder(OK)
    async with serving(record) as url, opened() as web:
        await web.post(request(url))
        await web.get(url)
    for sent in record.requests:
        assert b"user-agent" not in sent.lower()
        assert b"httpx" not in sent.lower()
        assert b"accept-encoding: identity" in sent.lower()


async def test_a_redirect_is_not_followed():
    moved = b"HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n"
    record = Recorder(moved)
    async with serving(record) as url, opened() as web:
        assert (await web.post(request(url))).status == 302
    assert len(record.requests) == 1


async def test_an_answer_over_the_limit_is_not_read_to_its_end():
    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(100):
            writer.write(bytes(65_536))
            await writer.drain()

    async with serving(flood) as url, opened() as web:
        with pytest.raises(TransportError, match="more than the protocol allows"):
            await web.post(request(url), limit=10_000)


async def test_an_answer_of_just_the_limit_is_read():
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % LIMIT + bytes(LIMIT)
    async with serving(Recorder(answer)) as url, opened() as web:
        assert len((await web.post(request(url))).body) == LIMIT


async def test_a_compressed_answer_is_not_unpacked():
    answer = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 3\r\n\r\nabc"
    async with serving(Recorder(answer)) as url, opened() as web:
        assert (await web.post(request(url))).body == b"abc"


async def test_a_body_that_drips_in_is_given_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(transport, "CONNECT_PATIENCE", 0.1)

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
        for _ in range(100):
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with serving(drip) as url, opened(patience=0.2) as web:
        with pytest.raises(TransportError, match="did not answer in time"):
            await web.post(request(url))


async def test_a_server_that_says_nothing_is_given_up():
    async def wait(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serving(wait) as url, opened(patience=0.1) as web:
        with pytest.raises(TransportError, match="did not answer in time"):
            await web.get(url)


async def test_a_connection_that_breaks_off_is_not_tried_again():
    """P1: whether the ciphertext arrived is unknown, so it must not leave a second time."""
    record = Recorder(b"")
    async with serving(record) as url, opened() as web:
        with pytest.raises(TransportError, match="broke before a whole answer"):
            await web.post(request(url))
    assert len(record.requests) == 1


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://[", "x:y"])
async def test_an_address_that_leads_nowhere_is_a_transport_error(url: str):
    async with opened() as web:
        with pytest.raises(TransportError, match="There is no connection to"):
            await web.post(request(url))


async def test_a_get_goes_through_the_tunnel_of_a_proxy():
    async def tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"CONNECT directory.example:443 ")
        writer.write(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()

    async with serving(tunnel) as relay, opened() as web:
        with pytest.raises(TransportError, match="makes no tunnel to"):
            await web.get("https://directory.example/keys", proxy=relay)


async def test_a_plain_get_may_use_a_proxy_too():
    record = Recorder(OK)
    async with serving(record) as relay, opened() as web:
        reply = await web.get("http://directory.example/keys", proxy=relay)
    assert reply.body == b"hello"
    assert record.requests[0].startswith(b"GET http://directory.example/keys ")


async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"ciphertext")
    await asyncio.sleep(0.15)
    writer.write(OK)
    await writer.drain()


async def test_waiting_for_a_turn_is_no_failure(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(open_files, "raise_limit", lambda: 2)
    monkeypatch.setattr(transport, "CONNECT_PATIENCE", 0.1)
    async with serving(slow) as url, opened(patience=0.4) as web:
        assert web.most_at_once == 1
        replies = await asyncio.gather(*(web.post(request(url)) for _ in range(4)))
    assert [reply.status for reply in replies] == [200] * 4
    (told,) = caplog.messages
    assert "can have 1 connections" in told
    assert "raise the limit of open files" in told


async def test_six_hundred_requests_wait_for_their_answers_at_once():
    here, all_here = 0, asyncio.Event()

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal here
        await reader.readuntil(b"ciphertext")
        here += 1
        if here == 600:
            all_here.set()
        await all_here.wait()
        writer.write(OK)
        await writer.drain()

    async with serving(hold) as url, opened(patience=30) as web, asyncio.timeout(20):
        replies = await asyncio.gather(*(web.post(request(url)) for _ in range(600)))
    assert len(replies) == 600


async def test_a_process_without_a_limit_of_files_has_as_many_connections_as_it_likes(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(open_files, "raise_limit", lambda: None)
    async with serving(Recorder(OK)) as url, opened() as web:
        assert web.most_at_once is None
        assert (await web.post(request(url))).status == 200


@pytest.mark.parametrize(
    ("files", "connections"), [(None, None), (1, 1), (256, 192), (1_024, 896), (20_000, 17_500)]
)
def test_some_files_are_left_to_others(files: int | None, connections: int | None):
    assert transport.connections_of(files) == connections


async def test_a_system_without_files_left_is_told_as_such_and_blames_no_server():
    """A relay that was never asked is not to be spared for it."""
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with serving(Recorder(OK)) as url, opened() as web:
        with open(os.devnull) as last:  # noqa: ASYNC230, PTH123  # its number is what counts
            resource.setrlimit(resource.RLIMIT_NOFILE, (last.fileno() + 1, limits[1]))
            try:
                with pytest.raises(ConfigurationError, match="limit of open files"):
                    await web.post(request(url))
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        assert (await web.post(request(url))).status == 200


def test_a_replys_repr_shows_no_content():
    assert repr(Reply(200, b"secret")) == "<Reply 200 with a body of 6 bytes>"
