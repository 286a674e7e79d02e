"""`dovetail merchant serve` as a process: its health, its metrics, its log, and how it stops."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cli.in_process import Cli
from tests.merchant.api.raw_http import Told, ask


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def started(shop: Cli, *words: str) -> Iterator["subprocess.Popen[str]"]:
    own = [sys.executable, "-m", "dovetail.cli", "merchant", "serve", "--listen", "127.0.0.1:0"]
    with subprocess.Popen(
        [*own, *words],
        env={**os.environ, **shop.environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def get(url: str, path: str) -> Told:
    return asyncio.run(ask(url, "GET", path))


def test_a_server_tells_its_health_and_metrics_and_stops_at_a_signal(shop: Cli) -> None:
    port = free_port()
    with started(shop, "--metrics", f"127.0.0.1:{port}", "--json-log") as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert get(url, "/health/live").status == 200
        ready = get(url, "/health/ready")
        assert (ready.status, ready.json["status"]) == (200, "blind")
        assert (ready.json["workers"], ready.json["chain"]) == ("ok", "away")
        metrics = get(f"http://127.0.0.1:{port}", "/metrics").body.decode()
        assert 'dovetail_invoices{status="new"} 0.0' in metrics
        assert "dovetail_duties_here" in metrics
        process.send_signal(signal.SIGTERM)
        _, talk = process.communicate(timeout=20)
    assert process.returncode == 0, talk
    lines = talk.splitlines()
    assert "The shop has stopped." in lines
    logged = [json.loads(each) for each in lines if each.startswith("{")]
    assert all(set(each) >= {"time", "level", "log", "words"} for each in logged)


def test_a_server_drains_before_it_stops(shop: Cli, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('[merchant]\ndrain = "3s"\n')
    shop.settings["config"] = str(file)
    with started(shop) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        process.send_signal(signal.SIGTERM)
        statuses = {get(url, "/health/ready").json["status"] for _ in range(5)}
        assert "stopping" in statuses
        assert get(url, "/api/v1/openapi.json").status == 200
        process.communicate(timeout=30)
    assert process.returncode == 0


def test_a_client_behind_a_proxy_has_limits_of_its_own(shop: Cli, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('[merchant]\nclient_header = "x-forwarded-for"\n')
    shop.settings["config"] = str(file)

    async def flood(url: str) -> list[int]:
        async def status(client: str, secret: str = "") -> int:
            told = await ask(url, "GET", "/api/v1/stores", secret=secret, x_forwarded_for=client)
            return told.status

        told = [await status("192.0.2.1", "dvt_wrong") for _ in range(60)]
        return [max(told), await status("198.51.100.1")]

    with started(shop) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert asyncio.run(flood(url)) == [429, 401]


def test_a_port_for_metrics_that_is_taken_is_told(shop: Cli) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = shop(
            "merchant", "serve", "--listen", "127.0.0.1:0", "--metrics", f"127.0.0.1:{port}"
        )
    assert said.code == 2
    assert said.err.startswith(f"Error: Port {port} cannot be listened on")
    assert not (shop.folder / "regtest" / "merchant" / "shop.db").exists()
