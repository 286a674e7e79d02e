import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from tests.mailroom.client import MESSAGE, Client, new_mailbox, quick
from tests.support.waiting import until

from dovetail.crypto.ohttp import KeyConfig
from dovetail.errors import ConfigurationError, StoreUnavailable
from dovetail.mailroom import MailroomServer, serve

PROGRAM = """
import sys
from pathlib import Path
from dovetail.mailroom import MailroomSettings, serve
serve("127.0.0.1", 0, MailroomSettings(Path(sys.argv[1]), local=True),
      ready=lambda url: print(url, flush=True))
print("stopped", flush=True)
"""


class Program:
    """A mailroom in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", PROGRAM, str(folder)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()

    def end(self, number: signal.Signals) -> tuple[int, str, str]:
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=15)
        return self.process.returncode, out, err


async def client_of(http: httpx.AsyncClient, url: str) -> Client:
    return Client(http, KeyConfig.parse((await http.get(f"{url}/ohttp-keys")).content), url)


@pytest.fixture
def server() -> Iterator[MailroomServer]:
    with MailroomServer() as server:
        yield server


async def test_sixty_four_clients_post_over_http(server: MailroomServer) -> None:
    async with httpx.AsyncClient(limits=httpx.Limits(max_connections=64)) as http:
        client = await client_of(http, server.url)
        mailboxes = [new_mailbox() for _ in range(64)]
        replies = await asyncio.gather(*map(client.post, mailboxes))
        assert {reply.status for reply in replies} == {200}
        found = await asyncio.gather(*map(client.poll, mailboxes))
        assert {reply.message() for reply in found} == {MESSAGE}


async def test_a_kill_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    program = Program(tmp_path)
    mailbox = new_mailbox()
    async with httpx.AsyncClient(timeout=10) as http:
        before = await client_of(http, program.url)
        (await before.post(mailbox)).confirm_posted()
    program.end(signal.SIGKILL)
    with MailroomServer(quick(tmp_path)) as server:
        async with httpx.AsyncClient(timeout=10) as http:
            after = await client_of(http, server.url)
            assert after.keys == before.keys
            assert (await after.poll(mailbox)).message() == MESSAGE


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_lets_long_polls_go_and_ends_the_program(
    tmp_path: Path, number: signal.Signals
) -> None:
    program = Program(tmp_path)
    async with httpx.AsyncClient(timeout=20) as http:
        client = await client_of(http, program.url)
        polls = [asyncio.create_task(client.poll(new_mailbox())) for _ in range(4)]
        await asyncio.sleep(0.5)  # until the program has them
        started = time.monotonic()
        code, out, err = await asyncio.to_thread(program.end, number)
        assert [(await poll).message() for poll in polls] == [None] * 4
    assert time.monotonic() - started < 5
    assert (code, out, err) == (0, "stopped\n", "")


async def test_a_request_in_flight_is_finished(server: MailroomServer) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"POST /.well-known/ohttp-gateway HTTP/1.1\r\nhost: x\r\n")
    writer.write(b"content-type: message/ohttp-req\r\ncontent-length: 8192\r\n\r\n")
    await writer.drain()
    await asyncio.sleep(0.1)
    closing = asyncio.create_task(asyncio.to_thread(server.close))
    await asyncio.sleep(0.2)
    writer.write(bytes(8192))
    assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
    await closing
    writer.close()
    server.close()
    assert not server.alive


async def test_connections_that_say_nothing_or_half_a_request_are_closed(tmp_path: Path) -> None:
    with MailroomServer(quick(tmp_path, read_timeout=0.1)) as server:
        for said in (b"", b"CONN", b"G", b"GET / HTTP/1.1\r\nhost: x\r\n"):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(said)
            assert await asyncio.wait_for(reader.read(), 5) == b""
            writer.close()


async def test_half_a_second_request_is_closed_too_and_a_long_poll_is_not(tmp_path: Path) -> None:
    with MailroomServer(quick(tmp_path, read_timeout=0.1, wait=0.5)) as server:
        async with httpx.AsyncClient(timeout=5) as http:
            client = await client_of(http, server.url)
            assert (await client.poll(new_mailbox())).status == 202
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\nGET /health HTTP/1.1\r\n")
        answer = await asyncio.wait_for(reader.read(), 5)
        assert answer.count(b"HTTP/1.1 200 OK") == 1
        writer.close()


async def test_connections_have_a_limit(tmp_path: Path) -> None:
    with MailroomServer(quick(tmp_path, max_connections=1)) as server:
        _, held = await asyncio.open_connection("127.0.0.1", server.port)
        await asyncio.sleep(0.1)
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        answer = await asyncio.wait_for(reader.read(), 5)
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after: 5" in answer
        held.close()
        writer.close()
        await asyncio.sleep(0.1)
        async with httpx.AsyncClient() as http:
            assert (await http.get(f"{server.url}/health")).status_code == 200


async def test_a_body_of_any_size_is_not_read_into_memory(server: MailroomServer) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"POST /.well-known/ohttp-gateway HTTP/1.1\r\nhost: x\r\n")
    writer.write(b"content-type: message/ohttp-req\r\ncontent-length: 99999999999\r\n\r\n")
    answer = await asyncio.wait_for(reader.read(), 5)
    assert answer.startswith(b"HTTP/1.1 413 ")
    writer.close()


@pytest.mark.parametrize(
    "garbage", [b"\0" * 100, b"CONNECT" * 100, b"GET\r\n\r\n", b"\x16\x03\x01\x02\x00\x01"]
)
async def test_what_is_no_http_never_disturbs_the_server(
    server: MailroomServer, garbage: bytes
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(garbage)
    writer.write_eof()
    answer = await asyncio.wait_for(reader.read(), 15)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")
    writer.close()
    async with httpx.AsyncClient() as http:
        assert (await http.get(f"{server.url}/health")).json()["status"] == "ok"


def test_a_port_in_use_is_a_wrong_setting(server: MailroomServer, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="Port"):
        MailroomServer(quick(tmp_path), port=server.port)


@pytest.mark.parametrize(("host", "port"), [("no.such.host.invalid", 0), ("127.0.0.1", 99_999)])
def test_an_address_that_is_not_ours_is_a_wrong_setting(
    tmp_path: Path, host: str, port: int
) -> None:
    with pytest.raises(ConfigurationError):
        MailroomServer(quick(tmp_path), host=host, port=port)


def test_a_folder_that_cannot_be_used_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="data folder"):
        MailroomServer(quick(tmp_path / "file" / "data"))
    (tmp_path / "mailboxes.db").mkdir()
    with pytest.raises(StoreUnavailable):
        MailroomServer(quick(tmp_path))


def test_an_ipv6_host_stands_in_brackets() -> None:
    server = object.__new__(MailroomServer)
    server.host, server.port, server._certificate = "::1", 8080, None
    assert server.url == "http://[::1]:8080"


def test_serve_runs_until_a_signal_and_restores_the_handlers(tmp_path: Path) -> None:
    former = signal.getsignal(signal.SIGTERM)
    urls: list[str] = []

    def ready(url: str) -> None:
        urls.append(httpx.get(f"{url}/health").json()["status"])
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM)).start()

    serve("127.0.0.1", 0, quick(tmp_path), ready=ready)
    assert urls == ["ok"]
    assert signal.getsignal(signal.SIGTERM) is former


def test_serve_reports_what_ended_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: Any) -> None:
        raise RuntimeError("the server broke")

    monkeypatch.setattr("uvicorn.Server.main_loop", fail)
    with pytest.raises(RuntimeError, match="the server broke"):
        serve("127.0.0.1", 0, quick(tmp_path))


async def test_a_client_that_goes_away_frees_its_wait(tmp_path: Path) -> None:
    with MailroomServer(quick(tmp_path, wait=20)) as server:
        async with httpx.AsyncClient(timeout=0.3) as http:
            client = await client_of(http, server.url)
            with pytest.raises(httpx.ReadTimeout):
                await client.poll(new_mailbox())
        await until(lambda: server.mailroom._waits.count == 0)
