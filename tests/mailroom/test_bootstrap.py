import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from tests.mailroom.client import quick
from tests.mailroom.client_hellos import hello
from tests.mailroom.fake_gateway import FakeGateway, fake_gateway, respond
from tests.support.certificates import Certificate, make_certificate
from tests.support.waiting import until
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from dovetail.mailroom import Mailroom, MailroomServer


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
async def gateway(certificate: Certificate) -> AsyncIterator[FakeGateway]:
    async with fake_gateway(certificate.server()) as gateway:
        yield gateway


@pytest.fixture
def trusted(certificate: Certificate) -> ssl.SSLContext:
    return certificate.trust()


@pytest.fixture
def relay(tmp_path: Path, certificate: Certificate) -> Iterator[MailroomServer]:
    with MailroomServer(quick(tmp_path, directory=False, ca_file=certificate.cert)) as relay:
        yield relay


def tunnels_of(relay: MailroomServer) -> int:
    tunnels = relay.mailroom.tunnels
    assert tunnels is not None
    return tunnels.count


async def ask(relay: MailroomServer, data: bytes) -> bytes:
    """Send these bytes and read until the relay hangs up."""
    async with connection(relay) as (reader, writer):
        writer.write(data)
        return await asyncio.wait_for(reader.read(), 5)


@asynccontextmanager
async def connection(
    relay: MailroomServer,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
    yield reader, writer
    writer.close()


async def opened(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, gateway: FakeGateway
) -> None:
    """Ask for a tunnel to this gateway and get it."""
    writer.write(f"CONNECT 127.0.0.1:{gateway.port} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
    assert await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5) == b"HTTP/1.1 200 OK\r\n\r\n"


async def test_keys_come_through_connect_with_tls_inside(
    relay: MailroomServer, gateway: FakeGateway, trusted: ssl.SSLContext
) -> None:
    async with httpx.AsyncClient(proxy=relay.url, verify=trusted) as http:
        answer = await http.get(f"{gateway.url}/.well-known/ohttp-gateway")
    assert answer.status_code == 200
    assert gateway.requests[-1].startswith(b"GET /.well-known/ohttp-gateway HTTP/1.1")
    await until(lambda: tunnels_of(relay) == 0)


async def test_connect_goes_to_gateways_that_opted_in_only(
    relay: MailroomServer, gateway: FakeGateway
) -> None:
    gateway.get = respond(404)
    target = f"127.0.0.1:{gateway.port}"
    answer = await ask(relay, f"CONNECT {target} HTTP/1.1\r\nhost: {target}\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 403 Forbidden\r\n")
    answer = await ask(relay, b"CONNECT 127.0.0.1:1 HTTP/1.1\r\nhost: x\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 502 Bad Gateway\r\n")


@pytest.mark.parametrize(
    "request_",
    [
        b"CONNECT \r\nhost: x\r\n\r\n",
        b"CONNECT gateway.test:443 HTTP/1.1\r\n\r\n",
        b"CONNECT  HTTP/1.1\r\nhost: x\r\n\r\n",
        b"CONNECT https://gateway.test HTTP/1.1\r\nhost: x\r\n\r\n",
        b"CONNECT gateway.test:99999 HTTP/1.1\r\nhost: x\r\n\r\n",
        b"CONNECT \xff\xff HTTP/1.1\r\nhost: x\r\n\r\n",
    ],
)
async def test_a_malformed_connect_is_400(relay: MailroomServer, request_: bytes) -> None:
    async with connection(relay) as (reader, writer):
        writer.write(request_)
        assert (await asyncio.wait_for(reader.readline(), 5)) == b"HTTP/1.1 400 Bad Request\r\n"


async def test_a_connect_that_never_ends_is_given_up(tmp_path: Path) -> None:
    settings = quick(tmp_path, directory=False, read_timeout=0.05)
    with MailroomServer(settings) as relay:
        assert (await ask(relay, b"CONN")) == b""
        assert (await ask(relay, b"CONNECT gateway.test:443 HTTP/1.1\r\n")) == b""


async def test_connect_may_arrive_byte_by_byte(relay: MailroomServer, gateway: FakeGateway) -> None:
    async with connection(relay) as (reader, writer):
        for byte in f"CONNECT 127.0.0.1:{gateway.port} HTTP/1.1\r\nhost: x\r\n\r\n".encode():
            writer.write(bytes((byte,)))
            await writer.drain()
        assert (await reader.readuntil(b"\r\n\r\n")) == b"HTTP/1.1 200 OK\r\n\r\n"


async def test_tunnels_have_a_limit_and_a_life(
    tmp_path: Path, gateway: FakeGateway, certificate: Certificate
) -> None:
    settings = quick(
        tmp_path, directory=False, ca_file=certificate.cert, max_tunnels=1, tunnel_timeout=0.4
    )
    request = f"CONNECT 127.0.0.1:{gateway.port} HTTP/1.1\r\nhost: x\r\n\r\n".encode()
    with MailroomServer(settings) as relay:
        async with connection(relay) as (reader, writer):
            writer.write(request)
            assert await reader.readuntil(b"\r\n\r\n")
            refused = await ask(relay, request)
            assert refused.startswith(b"HTTP/1.1 503 ")
            assert b"retry-after: 5\r\n" in refused
            assert await asyncio.wait_for(reader.read(), 5) == b""


async def test_a_tunnel_carries_only_so_much(
    relay: MailroomServer, gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dovetail.mailroom.bootstrap.TUNNEL_LIMIT", 1000)
    async with connection(relay) as (reader, writer):
        writer.write(f"CONNECT 127.0.0.1:{gateway.port} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        assert await reader.readuntil(b"\r\n\r\n")
        writer.write(hello(""))
        await writer.drain()
        assert await reader.read(10)
        writer.write(bytes(2000))
        await asyncio.wait_for(reader.read(), 5)


async def test_stopping_ends_tunnels_at_once(tmp_path: Path, certificate: Certificate) -> None:
    async with fake_gateway(certificate.server()) as gateway:
        relay = MailroomServer(quick(tmp_path, directory=False, ca_file=certificate.cert))
        async with connection(relay) as (reader, writer):
            writer.write(f"CONNECT 127.0.0.1:{gateway.port} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
            assert await reader.readuntil(b"\r\n\r\n")
            await asyncio.to_thread(relay.close)
            assert await reader.read() == b""


async def test_a_gateway_that_closes_its_port_after_opting_in_is_502(
    relay: MailroomServer, certificate: Certificate, trusted: ssl.SSLContext
) -> None:
    async with fake_gateway(certificate.server()) as gateway:
        async with httpx.AsyncClient(proxy=relay.url, verify=trusted) as http:
            assert (await http.get(gateway.url)).status_code == 200
        port = gateway.port
    async with connect(f"ws://127.0.0.1:{relay.port}/https://127.0.0.1:{port}/") as socket:
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1013
    answer = await ask(relay, f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 502 ")


async def test_keys_come_through_a_websocket_with_tls_inside(
    relay: MailroomServer, gateway: FakeGateway, trusted: ssl.SSLContext
) -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = trusted.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
    url = f"ws://127.0.0.1:{relay.port}/https://127.0.0.1:{gateway.port}/"
    async with connect(url, proxy=None) as socket:

        async def step(action: Any) -> Any:
            while True:
                try:
                    return action()
                except ssl.SSLWantReadError:
                    await socket.send(outgoing.read())
                    incoming.write(await asyncio.wait_for(socket.recv(decode=False), 5))

        await step(tls.do_handshake)
        await socket.send(b"")
        tls.write(b"GET /keys HTTP/1.1\r\nhost: x\r\n\r\n")
        assert (await step(lambda: tls.read(1000))).startswith(b"HTTP/1.1 200")
    assert gateway.requests[-1].startswith(b"GET /keys")
    await until(lambda: tunnels_of(relay) == 0)


async def test_a_websocket_ends_when_the_gateway_hangs_up(
    relay: MailroomServer, gateway: FakeGateway
) -> None:
    url = f"ws://127.0.0.1:{relay.port}/https:/127.0.0.1:{gateway.port}"
    async with connect(url, proxy=None) as socket:
        await socket.send(hello(""))
        await socket.send(b"and no TLS any more")
        async for _alert in socket:
            pass
        assert socket.close_code == 1000


NO_TLS = [
    b"this is no TLS",
    b"SSH-2.0-OpenSSH_9.6\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"\x16\x03\x01\x00\x04\x02\x00\x00\x00",
    b"",
]


@pytest.mark.parametrize("words", NO_TLS)
async def test_what_is_no_tls_reaches_no_gateway(
    relay: MailroomServer, gateway: FakeGateway, words: bytes
) -> None:
    async with connection(relay) as (reader, writer):
        await opened(reader, writer, gateway)
        writer.write(words)
        writer.write_eof()
        assert await asyncio.wait_for(reader.read(), 5) == b""
    url = f"ws://127.0.0.1:{relay.port}/https://127.0.0.1:{gateway.port}/"
    async with connect(url, proxy=None) as socket:
        await socket.send(words or b"x")
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        assert socket.close_code == 1008
    assert len(gateway.requests) == 1  # whether it opted in


async def test_a_hello_for_another_host_reaches_no_gateway(
    relay: MailroomServer, gateway: FakeGateway
) -> None:
    async with connection(relay) as (reader, writer):
        await opened(reader, writer, gateway)
        writer.write(hello("intranet.test"))
        assert await asyncio.wait_for(reader.read(), 5) == b""


async def test_a_hello_may_come_in_pieces_but_must_come_in_time(
    tmp_path: Path, gateway: FakeGateway, certificate: Certificate
) -> None:
    settings = quick(tmp_path, directory=False, ca_file=certificate.cert, read_timeout=2.0)
    with MailroomServer(settings) as relay:
        async with connection(relay) as (reader, writer):
            await opened(reader, writer, gateway)
            for byte in hello(""):
                writer.write(bytes((byte,)))
                await writer.drain()
            assert await reader.read(1) == b"\x16"
        async with connection(relay) as (reader, writer):
            await opened(reader, writer, gateway)
            writer.write(hello("")[:-1])
            assert await asyncio.wait_for(reader.read(), 20) == b""


async def test_a_tunnel_goes_where_the_opt_in_came_from_whatever_the_name_means_now(
    tmp_path: Path, certificate: Certificate
) -> None:
    victim: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        victim.append(await reader.read(1))
        writer.close()

    async with fake_gateway(certificate.server()) as gateway:
        server = await asyncio.start_server(listen, "127.0.0.2", gateway.port)
        answers = iter(["127.0.0.1"])

        async def rebind(_host: str, _port: int) -> list[str]:
            return [next(answers, "127.0.0.2")]

        settings = quick(tmp_path, directory=False, ca_file=certificate.cert)
        mailroom = Mailroom(settings, resolve=rebind)
        with MailroomServer(mailroom=mailroom) as relay:
            for _ in range(2):
                async with connection(relay) as (reader, writer):
                    await opened(reader, writer, gateway)
                    writer.write(hello(""))
                    assert await reader.read(1) == b"\x16"
        server.close()
    assert victim == []


async def test_tunnels_go_to_the_https_port_unless_set(
    tmp_path: Path, gateway: FakeGateway
) -> None:
    with MailroomServer(quick(tmp_path, directory=False, local=False)) as relay:
        for port in (22, 25, 6379, gateway.port):
            request = f"CONNECT gateway.test:{port} HTTP/1.1\r\nhost: x\r\n\r\n".encode()
            assert (await ask(relay, request)).startswith(b"HTTP/1.1 403 ")
    assert gateway.requests == []


async def test_tunnels_of_one_client_leave_room_for_others(
    tmp_path: Path, gateway: FakeGateway, certificate: Certificate
) -> None:
    settings = quick(tmp_path, directory=False, ca_file=certificate.cert, max_tunnels=4, proxies=())
    request = f"CONNECT 127.0.0.1:{gateway.port} HTTP/1.1\r\nhost: x\r\n\r\n".encode()
    with MailroomServer(settings) as relay:
        async with AsyncExitStack() as held:
            for _ in range(2):
                reader, writer = await held.enter_async_context(connection(relay))
                await opened(reader, writer, gateway)
            assert (await ask(relay, request)).startswith(b"HTTP/1.1 503 ")
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", relay.port, local_addr=("127.0.9.1", 0)
            )
            await opened(reader, writer, gateway)
            writer.close()


async def test_the_client_with_the_most_tunnels_gives_way_to_another(
    tmp_path: Path, gateway: FakeGateway, certificate: Certificate
) -> None:
    settings = quick(tmp_path, directory=False, ca_file=certificate.cert, max_tunnels=4, proxies=())
    with MailroomServer(settings) as relay:
        async with AsyncExitStack() as held:
            crowd: list[asyncio.StreamReader] = []
            for address in ("127.0.9.1", "127.0.9.2", "127.0.8.1", "127.0.7.1"):
                reader, writer = await asyncio.open_connection(
                    "127.0.0.1", relay.port, local_addr=(address, 0)
                )
                held.callback(writer.close)
                await opened(reader, writer, gateway)
                crowd.append(reader)
            reader, writer = await held.enter_async_context(connection(relay))
            await opened(reader, writer, gateway)
            assert await asyncio.wait_for(crowd[0].read(), 5) == b""
            assert tunnels_of(relay) == 4
            writer.write(hello(""))
            assert await reader.read(1) == b"\x16"


async def test_half_a_head_is_no_tunnel(tmp_path: Path) -> None:
    with MailroomServer(quick(tmp_path, directory=False, max_tunnels=1)) as relay:
        async with connection(relay) as (_, writer):
            writer.write(b"CONNECT gateway.test:443 HTTP/1.1\r\nhost: ")
            await writer.drain()
            await asyncio.sleep(0.1)
            assert tunnels_of(relay) == 0


async def test_a_websocket_elsewhere_is_refused(relay: MailroomServer, tmp_path: Path) -> None:
    for path in ("/", "/https://", "/https://127.0.0.1:1/", "/https://127.0.0.1:1/path"):
        with pytest.raises(InvalidStatus, match="403"):
            await connect(f"ws://127.0.0.1:{relay.port}{path}", proxy=None)
    with (
        MailroomServer(quick(tmp_path / "other", relay=False)) as directory,
        pytest.raises(InvalidStatus, match="403"),
    ):
        await connect(f"ws://127.0.0.1:{directory.port}/https://127.0.0.1:1/", proxy=None)
