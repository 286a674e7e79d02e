"""A mailroom behind the proxies of `deploy/mailroom/`, each of them the real program."""

import asyncio
import os
import shutil
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from tests.mailroom.client import MESSAGE, Client, new_mailbox, quick, waiting
from tests.support.certificates import make_certificate
from tests.support.waiting import wait_for
from websockets.asyncio.client import connect

from dovetail.crypto.ohttp import KeyConfig
from dovetail.mailroom import MailroomServer

DEPLOY = Path(__file__).parents[2] / "deploy" / "mailroom"
STREAM_MODULE = Path("/usr/lib/nginx/modules/ngx_stream_module.so")


def needs(program: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not installed")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@dataclass(frozen=True)
class Proxied:
    """A mailroom behind a proxy that speaks https."""

    server: MailroomServer
    host: str
    port: int
    trust: ssl.SSLContext

    @property
    def url(self) -> str:
        return f"https://{self.host}:{self.port}"


Started = tuple[list[str], dict[str, str], Callable[[], Path]]


def caddy(folder: Path, port: int, backend: int) -> Started:
    environment = {
        "MAILROOM_ADDRESS": f"https://localhost:{port}",
        "MAILROOM_HTTP_PORT": str(free_port()),
        "MAILROOM_BACKEND": f"127.0.0.1:{backend}",
        **dict.fromkeys(("XDG_DATA_HOME", "XDG_CONFIG_HOME", "HOME"), str(folder)),
    }
    words = ["caddy", "run", "--config", str(DEPLOY / "Caddyfile"), "--adapter", "caddyfile"]
    authority = folder / "caddy/pki/authorities/local/root.crt"
    return words, environment, lambda: authority


def changed(folder: Path, name: str, changes: dict[str, str]) -> Path:
    """The example with other places; each of them is in it."""
    text = (DEPLOY / name).read_text()
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    (folder / name).write_text(text)
    return folder / name


def haproxy(folder: Path, port: int, backend: int, *, example: str = "haproxy.cfg") -> Started:
    made = make_certificate(folder)
    both = folder / "mailroom.pem"
    both.write_bytes(made.cert.read_bytes() + made.key.read_bytes())
    changes = {
        "maxconn 20000": "maxconn 1000",  # for which any machine has files enough
        "bind :443 ": f"bind 127.0.0.1:{port} ",
        "/etc/haproxy/mailroom.pem": str(both),
        "127.0.0.1:8080": f"127.0.0.1:{backend}",
    }
    file = changed(folder, example, changes)
    return ["haproxy", "-db", "-f", str(file)], {}, lambda: made.cert


def haproxy_in_http_mode(folder: Path, port: int, backend: int) -> Started:
    return haproxy(folder, port, backend, example="haproxy-http.cfg")


def nginx(folder: Path, port: int, backend: int) -> Started:
    made = make_certificate(folder)
    changes = {
        "listen 443 ": f"listen 127.0.0.1:{port} ",
        "/etc/nginx/mailroom.crt": str(made.cert),
        "/etc/nginx/mailroom.key": str(made.key),
        "/run/nginx.pid": str(folder / "nginx.pid"),
        "/var/log/nginx/mailroom-error.log": str(folder / "error.log"),
        "127.0.0.1:8080": f"127.0.0.1:{backend}",
    }
    file = changed(folder, "nginx.conf", changes)
    words = ["nginx", "-c", str(file), "-p", str(folder), "-g", "daemon off;"]
    return words, {}, lambda: made.cert


@contextmanager
def running(words: list[str], environment: dict[str, str], folder: Path) -> Iterator[None]:
    with (folder / "log").open("wb") as log:
        child = subprocess.Popen(words, env=os.environ | environment, stdout=log, stderr=log)
    try:
        yield
        assert child.poll() is None, (folder / "log").read_text()
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait(20)


@asynccontextmanager
async def behind(
    start: Callable[[Path, int, int], Started], folder: Path, **changes: Any
) -> AsyncIterator[Proxied]:
    """A mailroom behind a proxy, which also is the gateway that its own relay reaches."""
    port, backend = free_port(), free_port()
    words, environment, authority = start(folder, port, backend)
    with running(words, environment, folder):
        await asyncio.to_thread(wait_for, lambda: authority().exists() and answers(port))
        settings = quick(folder / "data", wait=20, ca_file=authority(), **changes)
        with MailroomServer(settings, port=backend) as server:
            host = "localhost" if start is caddy else "127.0.0.1"
            trust = ssl.create_default_context(cafile=str(authority()))
            found = Proxied(server, host, port, trust)
            async with httpx.AsyncClient(verify=trust, timeout=5) as http:
                deadline = time.monotonic() + 30
                while not await healthy(http, found.url):
                    assert time.monotonic() < deadline, (folder / "log").read_text()
                    await asyncio.sleep(0.1)
            yield found


async def healthy(http: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await http.get(f"{url}/health")).status_code == 200
    except httpx.HTTPError:
        return False


async def a_message_crosses(found: Proxied) -> KeyConfig:
    """Post to a poll that waits, also through the relay; returns the keys."""
    async with httpx.AsyncClient(verify=found.trust, timeout=30) as http:
        keys = KeyConfig.parse((await http.get(f"{found.url}/ohttp-keys")).content)
        for relay, directory in ((None, found.url), (found.url, found.server.url)):
            client = Client(http, keys, directory, relay)
            mailbox = new_mailbox()
            poll = asyncio.create_task(client.poll(mailbox))
            await waiting(found.server.mailroom, 1)
            (await client.post(mailbox)).confirm_posted()
            assert (await poll).message() == MESSAGE
    return keys


@asynccontextmanager
async def asked_to_connect(
    found: Proxied,
) -> AsyncIterator[tuple[bytes, asyncio.StreamReader, asyncio.StreamWriter]]:
    """The first line of the answer to CONNECT, and the connection."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", found.port, ssl=found.trust, server_hostname=found.host
    )
    there = f"{found.host}:{found.port}"
    writer.write(f"CONNECT {there} HTTP/1.1\r\nhost: {there}\r\n\r\n".encode())
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    yield head.partition(b"\r\n")[0], reader, writer
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


async def keys_by_connect(found: Proxied) -> KeyConfig:
    async with asked_to_connect(found) as (line, reader, writer):
        assert line == b"HTTP/1.1 200 OK"
        await writer.start_tls(found.trust, server_hostname=found.host)
        writer.write(b"GET /ohttp-keys HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        answer = await asyncio.wait_for(reader.read(), 10)
    return KeyConfig.parse(answer.partition(b"\r\n\r\n")[2])


async def keys_by_websocket(found: Proxied) -> KeyConfig:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = found.trust.wrap_bio(incoming, outgoing, server_hostname=found.host)
    url = f"wss://{found.host}:{found.port}/https://{found.host}:{found.port}/"
    async with connect(url, proxy=None, ssl=found.trust) as tunnel:

        async def step(action: Callable[[], Any]) -> Any:
            while True:
                try:
                    return action()
                except ssl.SSLWantReadError:
                    if sent := outgoing.read():
                        await tunnel.send(sent)
                    incoming.write(await asyncio.wait_for(tunnel.recv(decode=False), 10))

        await step(tls.do_handshake)
        asked = f"GET /ohttp-keys HTTP/1.1\r\nhost: {found.host}\r\n\r\n"
        tls.write(asked.encode())
        answer = bytes(await step(lambda: tls.read(16_384)))
        while len(answer.partition(b"\r\n\r\n")[2]) < 74:
            answer += await step(lambda: tls.read(16_384))
    return KeyConfig.parse(answer.partition(b"\r\n\r\n")[2])


TCP = [
    pytest.param(haproxy, marks=needs("haproxy"), id="haproxy"),
    pytest.param(
        nginx,
        marks=[
            needs("nginx"),
            pytest.mark.skipif(not STREAM_MODULE.exists(), reason="nginx has no stream module"),
        ],
        id="nginx",
    ),
]


@pytest.mark.parametrize("start", TCP)
async def test_behind_a_proxy_in_tcp_mode_all_of_a_mailroom_works(
    start: Callable[[Path, int, int], Started], tmp_path: Path
) -> None:
    async with behind(start, tmp_path) as found:
        keys = await a_message_crosses(found)
        assert await keys_by_connect(found) == keys
        assert await keys_by_websocket(found) == keys


@pytest.mark.parametrize(
    "start",
    [
        pytest.param(haproxy_in_http_mode, marks=needs("haproxy"), id="haproxy"),
        pytest.param(caddy, marks=needs("caddy"), id="caddy"),
    ],
)
async def test_behind_a_proxy_in_http_mode_each_client_has_its_own_share(
    start: Callable[[Path, int, int], Started], tmp_path: Path
) -> None:
    limits = {"client_header": "x-forwarded-for", "max_waits_per_client": 1}
    async with behind(start, tmp_path, **limits) as found:
        keys = await a_message_crosses(found)
        async with polling_from("127.0.0.2", found, keys) as one:
            first = asyncio.create_task(one.poll(new_mailbox()))
            await waiting(found.server.mailroom, 1)
            assert (await one.poll(new_mailbox())).status == 503
            async with polling_from("127.9.9.9", found, keys) as other:
                second = asyncio.create_task(other.poll(new_mailbox()))
                await waiting(found.server.mailroom, 2)
                found.server.mailroom.drain()
                assert [(await each).status for each in (first, second)] == [202, 202]


@asynccontextmanager
async def polling_from(address: str, found: Proxied, keys: KeyConfig) -> AsyncIterator[Client]:
    transport = httpx.AsyncHTTPTransport(verify=found.trust, local_address=address)
    async with httpx.AsyncClient(transport=transport, timeout=30) as http:
        yield Client(http, keys, f"https://{found.host}:{found.port}")


@needs("haproxy")
async def test_behind_haproxy_in_http_mode_all_works(tmp_path: Path) -> None:
    async with behind(haproxy_in_http_mode, tmp_path) as found:
        keys = await a_message_crosses(found)
        assert await keys_by_connect(found) == keys
        assert await keys_by_websocket(found) == keys


@needs("caddy")
async def test_behind_caddy_all_works_but_connect(tmp_path: Path) -> None:
    async with behind(caddy, tmp_path, client_header="x-forwarded-for") as found:
        assert await keys_by_websocket(found) == await a_message_crosses(found)
        async with asked_to_connect(found) as (line, _, _):
            assert line == b"HTTP/1.1 405 Method Not Allowed"
        async with httpx.AsyncClient(verify=found.trust) as http:
            page = await http.get(f"{found.url}/")
        assert page.headers["strict-transport-security"] == "max-age=31536000"
        assert page.headers["referrer-policy"] == "no-referrer"
