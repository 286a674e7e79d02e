"""The metrics and the health of a mailroom, over real HTTP."""

import asyncio
import logging
import re
import threading
import time
from pathlib import Path

import httpx2 as httpx
import pytest
from tests.mailroom.client import OHTTP, Client, new_mailbox, quick
from tests.support.waiting import until

from dovetail.crypto.ohttp import KeyConfig
from dovetail.errors import ConfigurationError
from dovetail.mailroom import MailroomServer, counts, watch
from dovetail.mailroom.counts import STEP
from dovetail.serving.metrics_server import metrics_serving

_LINE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$")
LOOPBACK = ("127.0.0.1", 0)


async def told(http: httpx.AsyncClient, url: str | None) -> dict[str, float]:
    """The numbers, by name and labels as they are written."""
    assert url is not None
    answer = await http.get(url)
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    found = {}
    for line in answer.text.splitlines():
        if not line.startswith("#"):
            parts = _LINE.match(line)
            assert parts is not None, line
            name = f"{parts[1]}{{{parts[2]}}}" if parts[2] else parts[1]
            found[name.removeprefix("dovetail_mailroom_")] = float(parts[3])
    return found


@pytest.fixture
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hidden numbers are told at each beat."""
    monkeypatch.setattr(counts, "TOLD_SECONDS", 0.0)
    monkeypatch.setattr(watch, "BEAT", 0.02)


@pytest.mark.usefixtures("_at_once")
async def test_what_a_mailroom_does_shows_in_its_metrics(tmp_path: Path) -> None:
    settings = quick(tmp_path, metrics=LOOPBACK, wait=20.0, max_lookups=1)
    with MailroomServer(settings) as server:
        async with httpx.AsyncClient(timeout=30) as http:
            keys = KeyConfig.parse((await http.get(f"{server.url}/ohttp-keys")).content)
            client = Client(http, keys, server.url, relay=server.url)
            for _ in range(STEP):
                (await client.post(new_mailbox())).confirm_posted()
            polls = [asyncio.create_task(client.poll(new_mailbox())) for _ in range(STEP)]
            await http.get(f"{server.url}/health")
            await http.get(f"{server.url}/nowhere?secret=abc")
            await until(lambda: server.mailroom.counts.hidden.get("polls", 0) >= STEP)
            found = await told(http, server.metrics_url)
            for poll in polls:
                poll.cancel()
            await asyncio.gather(*polls, return_exceptions=True)
    assert found['requests_total{kind="gateway",status="200"}'] == STEP
    assert found['requests_total{kind="relay",status="200"}'] == STEP
    assert found['requests_total{kind="keys",status="200"}'] >= 2  # the relay's probe too
    assert found['requests_total{kind="health",status="200"}'] == 1
    assert found['requests_total{kind="other",status="404"}'] == 1
    assert found["open_polls"] == STEP
    assert found["messages"] == STEP
    assert found["message_bytes"] >= 0
    assert found["forwards"] == STEP
    assert found["connections"] >= STEP
    assert found["tunnels"] == 0
    assert found['sync_seconds{quantile="0.5"}'] <= found['sync_seconds{quantile="0.99"}'] < 30
    assert found["loop_delay_seconds"] < 30
    assert found["purged_messages_total"] == 0
    assert found["purged_at_seconds"] == pytest.approx(time.time(), abs=60)
    assert (found["ready"], found["writable"], found["clock_sound"]) == (1, 1, 1)
    assert found["process_open_fds"] > STEP
    assert any(name.startswith("info{version=") for name in found)
    assert "abc" not in str(found)
    assert "nowhere" not in str(found)


async def test_refusals_are_told_by_reason(tmp_path: Path) -> None:
    settings = quick(tmp_path, metrics=LOOPBACK, max_forwards_per_minute=1, proxies=())
    with MailroomServer(settings) as server:
        async with httpx.AsyncClient(timeout=10) as http:
            for _ in range(3):
                await http.post(f"{server.url}/{server.url}", content=bytes(8192), headers=OHTTP)
            found = await told(http, server.metrics_url)
    assert found['refusals_total{reason="requests-of-one-client"}'] == 2
    assert found['requests_total{kind="relay",status="503"}'] == 2


async def test_a_poll_that_is_refused_is_not_told_at_once(tmp_path: Path) -> None:
    settings = quick(tmp_path, metrics=LOOPBACK, wait=5.0, max_waits=1)
    with MailroomServer(settings) as server:
        async with httpx.AsyncClient(timeout=10) as http:
            keys = KeyConfig.parse((await http.get(f"{server.url}/ohttp-keys")).content)
            client = Client(http, keys, server.url)
            first = asyncio.create_task(client.poll(new_mailbox()))
            await until(lambda: server.mailroom._waits.count == 1)
            assert (await client.poll(new_mailbox())).status == 503
            found = await told(http, server.metrics_url)
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)
    assert not [name for name in found if name.startswith("refusals_total")]
    assert found["open_polls"] == 0


def test_without_a_place_there_are_no_metrics(tmp_path: Path) -> None:
    with MailroomServer(quick(tmp_path)) as server:
        assert server.metrics_url is None


async def test_a_port_of_metrics_that_is_taken_leaves_nothing_running(tmp_path: Path) -> None:
    async with metrics_serving(lambda: b"", *LOOPBACK) as url:
        port = int(url.removesuffix("/metrics").rpartition(":")[2])
        with pytest.raises(ConfigurationError, match=f"Port {port} cannot be listened on"):
            await asyncio.to_thread(MailroomServer, quick(tmp_path, metrics=("127.0.0.1", port)))
    with MailroomServer(quick(tmp_path)) as server:  # neither folder nor port is held
        assert server.alive


def test_a_mailroom_tells_that_it_lives_and_is_ready(tmp_path: Path) -> None:
    with MailroomServer(quick(tmp_path, v1=True)) as server:
        assert httpx.get(f"{server.url}/health").json() == {"status": "ok", "versions": [1, 2]}
        assert httpx.get(f"{server.url}/health/live").json() == {"status": "live"}
        ready = httpx.get(f"{server.url}/health/ready")
        assert (ready.status_code, ready.json()) == (200, {"status": "ok"})
        assert httpx.post(f"{server.url}/health/ready").status_code == 405
        assert httpx.get(f"{server.url}/health/other").status_code == 404


def test_a_mailroom_that_drains_is_served_and_not_ready(tmp_path: Path) -> None:
    server = MailroomServer(quick(tmp_path, drain_delay=1.5))
    begun = time.monotonic()
    closing = threading.Thread(target=server.close)
    closing.start()
    try:
        while httpx.get(f"{server.url}/health/ready").status_code == 200:
            assert time.monotonic() - begun < 1
        assert httpx.get(f"{server.url}/health/live").status_code == 200
        assert httpx.get(f"{server.url}/health").json()["status"] == "draining"
        assert httpx.get(f"{server.url}/ohttp-keys").status_code == 200
    finally:
        closing.join()
    assert time.monotonic() - begun >= 1.5
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{server.url}/health")


async def test_a_heartbeat_says_that_it_runs(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "BEAT", 0.02)
    with (
        caplog.at_level(logging.INFO, "dovetail.mailroom.watch"),
        MailroomServer(quick(tmp_path, heartbeat=0.1)) as server,
    ):
        async with httpx.AsyncClient() as http:
            await http.get(f"{server.url}/health")
        await until(lambda: "1 answers" in caplog.text)
    assert "Running for 0 h 0 min: 1 answers, 0 refusals for a limit; about 0 messages" in (
        caplog.text
    )
