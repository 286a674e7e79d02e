"""New settings, certificates and blocklists for a mailroom that runs."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from tests.mailroom.client import OHTTP, Client, new_mailbox, quick
from tests.mailroom.fake_gateway import fake_gateway, respond
from tests.support.certificates import make_certificate
from tests.support.waiting import until

from dovetail.crypto.ohttp import KeyConfig
from dovetail.errors import ConfigurationError
from dovetail.mailroom import MailroomServer, MailroomSettings
from dovetail.mailroom.reloading import RESTART, prepare


def test_what_needs_a_restart_keeps_its_value_and_is_named(tmp_path: Path) -> None:
    running = quick(tmp_path)
    wanted = replace(running, max_waits=7, ttl=99.0, max_forwards=9)
    fresh = prepare(running, wanted)
    assert set(fresh.later) == {"max_waits", "ttl"}
    assert fresh.settings == replace(running, max_forwards=9)
    assert {each.name for each in fields(MailroomSettings)} >= RESTART


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("ca_file", "there", "`ca_file` holds no PEM certificates"),
        ("proxies", ("nowhere",), "`proxies` must hold IP addresses"),
        ("blocklists", "there", "line 1: Give an IP address"),
    ],
)
async def test_wrong_settings_change_nothing(
    tmp_path: Path, name: str, value: Any, words: str
) -> None:
    file = tmp_path / "there"
    file.write_text("not what it should be")
    given = {"there": (file,) if name == "blocklists" else file}.get(value, value)
    before = quick(tmp_path / "data", max_forwards=5)
    wanted = replace(before, max_forwards=6, **{name: given})
    with MailroomServer(before, reload=lambda: wanted) as server:
        with pytest.raises(ConfigurationError, match=words):
            prepare(before, wanted)
        told = server.reload().result(10)
        assert told.startswith("Nothing was changed, as the new settings are wrong: ")
        assert server.mailroom.settings == before
        assert httpx.get(f"{server.url}/health").json()["status"] == "ok"


async def test_new_limits_hold_from_then_on(tmp_path: Path) -> None:
    settings = quick(tmp_path)
    wanted = [replace(settings, max_bytes=1, max_waits=5, tunnel_ports=(1,)), settings]
    with MailroomServer(settings, reload=lambda: wanted.pop(0)) as server:
        async with httpx.AsyncClient(timeout=10) as http:
            keys = KeyConfig.parse((await http.get(f"{server.url}/ohttp-keys")).content)
            client = Client(http, keys, server.url)
            (await client.post(new_mailbox())).confirm_posted()
            told = server.reload().result(10)
            assert told == (
                "The settings, certificates and blocklists were read anew. Only a restart changes"
                " `max_waits`."
            )
            assert (await client.post(new_mailbox())).status == 503
            server.reload().result(10)
            (await client.post(new_mailbox())).confirm_posted()


async def test_a_request_under_way_ends_with_the_connections_it_began_with(tmp_path: Path) -> None:
    settings = quick(tmp_path, wait=1.0, forward_timeout=60.0)
    wanted = replace(settings, max_forwards=9)
    with MailroomServer(settings, reload=lambda: wanted) as server:
        async with httpx.AsyncClient(timeout=10) as http:
            keys = KeyConfig.parse((await http.get(f"{server.url}/ohttp-keys")).content)
            client = Client(http, keys, server.url, relay=server.url)
            poll = asyncio.create_task(client.poll(new_mailbox()))
            await until(lambda: server.mailroom._waits.count == 1)
            server.reload().result(10)
            assert (await poll).status == 202
            assert (await client.post(new_mailbox())).status == 200


async def test_new_certificates_are_trusted_and_old_ones_no_more(tmp_path: Path) -> None:
    theirs, others = (make_certificate(tmp_path, name=name) for name in ("theirs", "others"))
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(theirs.cert.read_bytes())
    settings = quick(tmp_path, directory=False, ca_file=trusted)
    async with fake_gateway(theirs.server()) as gateway, httpx.AsyncClient(timeout=10) as http:
        gateway.post = respond(200, bytes(8192))
        with MailroomServer(settings) as server:
            url = f"{server.url}/https://localhost:{gateway.port}"
            assert (await http.post(url, content=bytes(8192), headers=OHTTP)).status_code == 200
            trusted.write_bytes(others.cert.read_bytes())
            server.reload().result(10)
            assert (await http.post(url, content=bytes(8192), headers=OHTTP)).status_code == 502
            trusted.write_bytes(theirs.cert.read_bytes())
            server.reload().result(10)
            assert (await http.post(url, content=bytes(8192), headers=OHTTP)).status_code == 200


def test_a_network_is_refused_once_it_is_listed(tmp_path: Path) -> None:
    settings = quick(tmp_path, proxies=())
    with (
        MailroomServer(settings) as server,
        httpx.Client() as kept,
    ):
        assert kept.get(f"{server.url}/health").status_code == 200
        settings.block_file.write_text("127.0.0.0/8\n")
        server.reload().result(10)
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{server.url}/health")
        assert server.mailroom.counts.refusals["blocked networks"] >= 1
        settings.block_file.write_text("")
        server.reload().result(10)
        assert httpx.get(f"{server.url}/health").status_code == 200


def test_a_connection_that_was_open_ends_when_its_network_is_listed(tmp_path: Path) -> None:
    settings = quick(tmp_path, proxies=())
    with (
        MailroomServer(settings) as server,
        socket.create_connection(("127.0.0.1", server.port)) as held,
    ):
        held.settimeout(5)
        held.sendall(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
        assert held.recv(65_536).startswith(b"HTTP/1.1 200 ")
        settings.block_file.write_text("127.0.0.1\n")
        server.reload().result(10)
        assert held.recv(1) == b""


def test_a_client_of_a_proxy_is_refused_by_its_own_network(tmp_path: Path) -> None:
    settings = quick(tmp_path, client_header="x-real-ip")
    settings.data_dir.mkdir(exist_ok=True)
    settings.block_file.write_text("192.0.2.0/24\n")
    with MailroomServer(settings) as server:
        url = f"{server.url}/health"
        assert httpx.get(url, headers={"x-real-ip": "192.0.2.7"}).status_code == 403
        assert httpx.get(url, headers={"x-real-ip": "192.0.3.7"}).status_code == 200
        assert httpx.get(url).status_code == 200


def test_a_wrong_blocklist_ends_the_start(tmp_path: Path) -> None:
    settings = quick(tmp_path, blocklists=(tmp_path / "missing",))
    with pytest.raises(ConfigurationError, match=r"The blocklist .*missing cannot be read"):
        MailroomServer(settings)


@contextmanager
def served(folder: Path, text: str) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """`dovetail mailroom serve` with this configuration."""
    file = folder / "config.toml"
    file.write_text(text)
    environment = {**os.environ, "DOVETAIL_CONFIG": str(file), "DOVETAIL_DATA_DIR": str(folder)}
    program = subprocess.Popen(
        [sys.executable, "-m", "dovetail.cli", "mailroom", "serve", "--listen", "127.0.0.1:0"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield program, file
    finally:
        program.kill()
        program.communicate()


def line_with(program: subprocess.Popen[str], words: str) -> str:
    assert program.stderr is not None
    for line in program.stderr:
        if words in line:
            return line
    raise AssertionError(words)


def test_sighup_reads_the_configuration_anew(tmp_path: Path) -> None:
    with served(tmp_path, "[mailroom]\nmax_forwards = 5\n") as (program, file):
        assert program.stdout is not None
        url = program.stdout.readline().strip()
        file.write_text("[mailroom]\nmax_forwards = 'five'\n")
        program.send_signal(signal.SIGHUP)
        line = line_with(program, "Nothing was changed")
        assert f"{file}, line 2: `mailroom.max_forwards` must be a whole number" in line
        assert httpx.get(f"{url}/health").json()["status"] == "ok"
        file.write_text("[mailroom]\nmax_forwards = 6\nmax_waits = 7\n")
        program.send_signal(signal.SIGHUP)
        assert "Only a restart changes `max_waits`" in line_with(program, "were read anew")
        program.send_signal(signal.SIGTERM)
        assert program.wait(15) == 0
