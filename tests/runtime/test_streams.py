import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpcore2
import pytest
from tests.support.certificates import make_certificate
from tests.support.servers import serving

from dovetail.causes import no_connection
from dovetail.runtime import streams
from dovetail.runtime.streams import AsyncioBackend

HOST = "127.0.0.1"
MUCH = 4 * 1024 * 1024


def port_of(url: str) -> int:
    return int(url.rsplit(":", 1)[1])


@asynccontextmanager
async def dialled(url: str) -> AsyncIterator[httpcore2.AsyncNetworkStream]:
    stream = await AsyncioBackend().connect_tcp(HOST, port_of(url), timeout=5)
    try:
        yield stream
    finally:
        await stream.aclose()


async def whole(stream: httpcore2.AsyncNetworkStream, *, a_time: int = 65_536) -> bytes:
    read = bytearray()
    while chunk := await stream.read(a_time, timeout=5):
        assert len(chunk) <= a_time
        read += chunk
    return bytes(read)


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(await reader.readuntil(b"\n"))
    await writer.drain()


async def hangs_up(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    pass


async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def resets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    writer.get_extra_info("socket").setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0"
    )
    writer.transport.abort()


async def test_what_is_written_arrives_and_what_is_answered_is_read_to_its_end():
    async with serving(echo) as url, dialled(url) as stream:
        await stream.write(b"hello\n", timeout=5)
        assert await whole(stream, a_time=2) == b"hello\n"
        assert await stream.read(10) == b""


async def test_much_is_read_and_written_without_being_kept_at_once():
    async def mirror(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert len(await reader.readexactly(MUCH)) == MUCH
        writer.write(bytes(MUCH))
        await writer.drain()

    async with serving(mirror) as url, dialled(url) as stream:
        await stream.write(bytes(MUCH), timeout=20)
        await asyncio.sleep(0.2)  # more has come than is kept, and the rest waits at the server
        assert len(await whole(stream)) == MUCH


async def test_a_server_that_says_nothing_and_one_that_takes_nothing_are_given_up():
    async def deaf(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(1)

    async with serving(deaf) as url, dialled(url) as stream:
        with pytest.raises(httpcore2.ReadTimeout):
            await stream.read(1, timeout=0.05)
        with pytest.raises(httpcore2.WriteTimeout):
            await stream.write(bytes(64 * 1024 * 1024), timeout=0.05)


async def test_a_connection_that_is_reset_is_an_error_to_read_and_to_write():
    async with serving(resets) as url, dialled(url) as stream:
        await stream.write(b"x")
        with pytest.raises(httpcore2.ReadError) as raised:
            await stream.read(1, timeout=5)
        assert no_connection(raised.value) == "it hung up"
        with pytest.raises(httpcore2.WriteError):
            await stream.write(b"x")


async def test_an_end_that_the_loop_has_not_seen_yet_is_seen():
    async with serving(hangs_up) as url, dialled(url) as stream:
        assert await stream.read(1, timeout=5) == b""
        assert stream.get_extra_info("is_readable")
    async with serving(silent) as url, dialled(url) as stream:
        assert not stream.get_extra_info("is_readable")
        assert stream.get_extra_info("server_addr") == (HOST, port_of(url))
        assert stream.get_extra_info("client_addr")[0] == HOST
        assert stream.get_extra_info("ssl_object") is None


async def test_options_reach_the_socket():
    async with serving(silent) as url:
        options = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
        stream = await AsyncioBackend().connect_tcp(
            HOST, port_of(url), local_address=HOST, socket_options=options
        )
        kept = stream.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        await stream.aclose()
    assert kept


@pytest.mark.parametrize("host", [HOST, "localhost"])
async def test_a_closed_port_is_told_as_such_however_many_addresses_the_host_has(host: str):
    with socket.socket() as free:
        free.bind((HOST, 0))
        port = free.getsockname()[1]
        with pytest.raises(httpcore2.ConnectError) as raised:
            await AsyncioBackend().connect_tcp(host, port, timeout=5)
    assert no_connection(raised.value) == "nothing listens at its port"


async def test_an_address_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch):
    async def waiting(*_: object, **__: object) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", waiting)
    with pytest.raises(httpcore2.ConnectTimeout):
        await AsyncioBackend().connect_tcp("localhost", 1, timeout=0.05)


async def test_tls_protects_what_passes(tmp_path: Path):
    made = make_certificate(tmp_path, ["shop.test"])
    server = await asyncio.start_server(echo, HOST, 0, ssl=made.server())
    async with server:
        port = server.sockets[0].getsockname()[1]
        plain = await AsyncioBackend().connect_tcp(HOST, port)
        stream = await plain.start_tls(made.trust(), "shop.test", timeout=5)
        assert stream.get_extra_info("ssl_object").version().startswith("TLSv1.")
        await stream.write(b"hello\n", timeout=5)
        assert await stream.read(10, timeout=5) == b"hello\n"
        await stream.aclose()


async def test_a_certificate_that_is_not_trusted_ends_the_connection(tmp_path: Path):
    made = make_certificate(tmp_path, ["shop.test"])
    server = await asyncio.start_server(echo, HOST, 0, ssl=made.server())
    async with server:
        port = server.sockets[0].getsockname()[1]
        stream = await AsyncioBackend().connect_tcp(HOST, port)
        with pytest.raises(httpcore2.ConnectError) as raised:
            await stream.start_tls(ssl.create_default_context(), "shop.test", timeout=5)
        with pytest.raises(httpcore2.WriteError):
            await stream.write(b"x")
    assert "its certificate cannot be trusted" in no_connection(raised.value)


async def test_a_server_that_hangs_up_at_the_handshake_is_no_connection():
    async with serving(hangs_up) as url, dialled(url) as stream:
        with pytest.raises(httpcore2.ConnectError):
            await stream.start_tls(ssl.create_default_context(), "shop.test", timeout=5)


def test_a_handshake_that_leaves_nothing_is_one_that_failed():
    with pytest.raises(BrokenPipeError):
        streams._still_open(None)
