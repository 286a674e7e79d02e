import asyncio
import threading
from collections.abc import Awaitable, Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.runtime.test_transport import OK, Recorder, request
from tests.support.certificates import make_certificate
from tests.support.onions import ONION, onions
from tests.support.servers import serving

from dovetail.errors import ConfigurationError, TransportError
from dovetail.runtime import socks
from dovetail.runtime.transport import HttpTransport
from dovetail.tor import SocksProxy

HOST = f"http://{ONION}"


def port_of(url: str) -> int:
    return urlsplit(url).port or 0


async def test_an_onion_address_is_reached_through_the_proxy_by_its_name():
    record = Recorder(OK)
    async with serving(record) as url, onions({ONION: port_of(url)}) as tor:
        web = HttpTransport(tor=tor.proxy)
        await web.require_way(HOST)
        assert (await web.post(request(f"{HOST}/pj"))).body == b"hello"
        assert (await web.get(f"{HOST}:8080/keys")).body == b"hello"
        await web.aclose()
    assert tor.asked == [(ONION, 80), (ONION, 8080)]
    assert record.requests[0].startswith(b"POST /pj HTTP/1.1\r\n")
    assert f"host: {ONION}\r\n".encode() in record.requests[0]


async def test_what_is_no_onion_address_does_not_go_through_the_proxy():
    async with serving(Recorder(OK)) as url, onions({}) as tor:
        web = HttpTransport(tor=tor.proxy)
        await web.require_way(url)
        await web.post(request(url))
        await web.aclose()
    assert tor.asked == []


class Hello(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


async def test_tls_is_checked_for_the_onion_host_inside_the_proxy(tmp_path: Path):
    certificate = make_certificate(tmp_path, [ONION])
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hello)
    server.socket = certificate.server().wrap_socket(server.socket, server_side=True)
    port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    async with onions({ONION: port, f"other{ONION}": port}) as tor:
        web = HttpTransport(tor=tor.proxy, trust=certificate.trust())
        assert (await web.post(request(f"https://{ONION}/pj"))).status == 200
        with pytest.raises(TransportError, match="There is no connection to"):
            await web.post(request(f"https://other{ONION}/pj"))  # the certificate is not for it
        await web.aclose()
    server.shutdown()
    thread.join()
    server.server_close()
    assert tor.asked == [(ONION, 443), (f"other{ONION}", 443)]


async def test_without_tor_no_onion_address_is_looked_up(monkeypatch: pytest.MonkeyPatch):
    """RFC 7686: its name would go to a resolver that has no business with it."""

    def look_up(*_: object, **__: object) -> None:
        raise AssertionError("an onion address was looked up")

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", look_up)
    web = HttpTransport()
    with pytest.raises(ConfigurationError, match="Set `tor`"):
        await web.require_way(HOST)
    with pytest.raises(TransportError, match="Set `tor`") as caught:
        await web.post(request(HOST))
    assert caught.value.at == "tor"
    await web.aclose()


async def test_when_tor_is_not_running_its_setting_is_named():
    web = HttpTransport(tor=SocksProxy("127.0.0.1", 1))
    for work in (web.require_way(HOST), web.post(request(HOST))):
        with pytest.raises(TransportError, match="start Tor, or correct `tor`") as caught:
            await work
        assert caught.value.at == "tor"
    await web.aclose()


async def test_an_onion_address_that_tor_does_not_find_is_not_blamed_on_the_setting():
    async with onions({}) as tor:
        web = HttpTransport(tor=tor.proxy)
        for host in (ONION, "x" * 250 + ".onion"):
            with pytest.raises(TransportError, match="no way to the onion address") as caught:
                await web.post(request(f"http://{host}/pj"))
            assert caught.value.at is None
        await web.aclose()


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def answering(*answers: bytes) -> Serve:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for each in answers:
            await reader.read(1024)
            writer.write(each)
            await writer.drain()

    return answer


@pytest.mark.parametrize(
    "answers",
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n",),
        (b"\x05\x02",),  # it wants a login
        (b"\x05\xff",),
        (b"\x05",),
        (b"",),
        (b"\x05\x00", b"\x04\x00\x00\x01"),
        (b"\x05\x00", b"\x05\x00\x00\x01\x00"),
    ],
)
async def test_what_is_no_proxy_is_told_from_one(answers: tuple[bytes, ...]):
    async with serving(answering(*answers)) as url:
        web = HttpTransport(tor=SocksProxy("127.0.0.1", port_of(url)))
        with pytest.raises(TransportError, match="no SOCKS5 proxy"):
            await web.post(request(HOST))
        await web.aclose()


async def test_a_proxy_that_breaks_off_is_told_too(monkeypatch: pytest.MonkeyPatch):
    async def reset(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    async with serving(reset) as url:
        web = HttpTransport(tor=SocksProxy("127.0.0.1", port_of(url)))
        with pytest.raises(TransportError, match="no SOCKS5 proxy"):
            await web.post(request(HOST))
        await web.aclose()


async def test_a_circuit_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(socks, "CIRCUIT_PATIENCE", 0.1)

    async def wait(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        while await reader.read(1024):
            pass

    async with serving(wait) as url:
        web = HttpTransport(tor=SocksProxy("127.0.0.1", port_of(url)))
        with pytest.raises(TransportError, match="no way to the onion address"):
            await web.post(request(HOST))
        await web.aclose()


async def test_a_replys_address_may_be_of_any_kind():
    for bound in (b"\x01" + bytes(4), b"\x04" + bytes(16), b"\x03\x02ab"):
        reply = b"\x05\x00\x00" + bound + b"\x00\x00"

        async def serve(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter, reply: bytes = reply
        ) -> None:
            await answering(b"\x05\x00", reply)(reader, writer)
            await Recorder(OK)(reader, writer)

        async with serving(serve) as url:
            web = HttpTransport(tor=SocksProxy("127.0.0.1", port_of(url)))
            assert (await web.post(request(HOST))).body == b"hello"
            await web.aclose()


async def test_the_tunnel_of_a_relay_on_an_onion_address_goes_through_the_proxy():
    record = Recorder(OK)
    async with serving(record) as url, onions({ONION: port_of(url)}) as tor:
        web = HttpTransport(tor=tor.proxy)
        reply = await web.get("http://directory.example/keys", proxy=HOST)
        await web.aclose()
    assert reply.body == b"hello"
    assert tor.asked == [(ONION, 80)]
    assert record.requests[0].startswith(b"GET http://directory.example/keys ")
