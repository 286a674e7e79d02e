import os
import signal
import socket
import subprocess
import sys
import threading

import httpx2 as httpx
import pytest

from dovetail.errors import ConfigurationError, StoreUnavailable
from dovetail.regtest.server import RegtestServer, serve


def test_a_server_answers_while_it_is_open_and_not_after():
    with RegtestServer(blocks=3) as server:
        assert server.url == f"http://127.0.0.1:{server.port}"
        assert httpx.get(f"{server.url}/blocks/tip/height").text == "3"
    server.close()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{server.url}/blocks/tip/height")


def test_a_server_keeps_its_chain_in_its_directory(tmp_path):
    with RegtestServer(tmp_path, blocks=5) as server:
        tip = server.node.tip
    with RegtestServer(tmp_path, blocks=5) as server:
        assert server.node.tip == tip


def test_a_taken_port_is_reported():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=str(port)):
            RegtestServer(port=port)
    with pytest.raises(ConfigurationError):
        RegtestServer(port=70_000)


def test_a_taken_directory_frees_the_port_again(tmp_path):
    with RegtestServer(tmp_path, blocks=0) as server:
        with pytest.raises(StoreUnavailable):
            RegtestServer(tmp_path)
        assert httpx.get(f"{server.url}/blocks/tip/height").text == "0"


def test_an_ipv6_address_is_written_in_brackets():
    with RegtestServer(blocks=0, host="::1") as server:
        assert server.url == f"http://[::1]:{server.port}"
        assert httpx.get(f"{server.url}/blocks/tip/height").text == "0"


def test_an_open_connection_does_not_hold_up_the_end():
    with RegtestServer(blocks=0) as server, httpx.Client(base_url=server.url) as client:
        client.get("/blocks/tip/height")
        server.close()


def test_no_answer_is_held_back_on_a_connection_that_stays_open():
    """Nagle's rule and a delayed acknowledgement would cost 40 ms each."""
    with RegtestServer(blocks=0) as server, httpx.Client(base_url=server.url) as client:
        client.get("/blocks/tip/height")
        took = [client.get("/blocks/tip/height").elapsed.total_seconds() for _ in range(20)]
    assert min(took) < 0.03


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serving_ends_with_a_signal_and_restores_its_handlers(tmp_path, number):
    former = signal.getsignal(number)
    heights = []

    def ready(server):
        heights.append(httpx.get(f"{server.url}/blocks/tip/height").text)
        timer.start()

    timer = threading.Timer(0.05, os.kill, (os.getpid(), number))
    serve(tmp_path, port=0, blocks=2, on_ready=ready)
    timer.join()
    assert heights == ["2"]
    assert signal.getsignal(number) is former
    with RegtestServer(tmp_path, blocks=0) as server:
        assert server.node.height == 2


def test_a_program_of_its_own_ends_cleanly_and_leaves_no_temporary_files(tmp_path):
    code = (
        "import sys; from pathlib import Path; from dovetail.regtest import serve;"
        "serve(Path(sys.argv[1]), port=0, blocks=1,"
        " on_ready=lambda server: print(server.url, flush=True))"
    )
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code, str(tmp_path / "data")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(scratch)},
        text=True,
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert httpx.get(f"{url}/blocks/tip/height").text == "1"
        process.send_signal(signal.SIGTERM)
        _, complaints = process.communicate(timeout=30)
    assert process.returncode == 0
    assert complaints == ""
    assert list(scratch.iterdir()) == []


def test_serving_needs_no_listener_for_its_start(tmp_path):
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM))
    timer.start()
    serve(tmp_path, port=0, blocks=0)
    timer.join()
