"""A mailroom behind a proxy in TCP mode, which introduces its clients."""

import socket
import subprocess
from dataclasses import replace
from pathlib import Path
from shutil import which

import httpx2 as httpx
import pytest
from tests.mailroom.client import quick
from tests.serving.small_app import one_answer, request
from tests.serving.test_connection import status, waited
from tests.serving.test_proxy_protocol import header
from tests.support.certificates import make_certificate
from tests.support.servers import free_port

from dovetail.mailroom import MailroomServer

HAPROXY = """
listen mailroom
  mode tcp
  bind 127.0.0.1:{front} ssl crt {pem}
  timeout connect 5s
  timeout client 90s
  timeout server 90s
  option httpchk GET /health/ready
  server one 127.0.0.1:{back} send-proxy-v2 check check-send-proxy inter 200ms
"""


@pytest.mark.skipif(which("haproxy") is None, reason="HAProxy is not installed")
def test_haproxy_introduces_clients_and_sees_when_a_mailroom_leaves(tmp_path: Path) -> None:
    front, certificate = free_port(), make_certificate(tmp_path)
    trust = certificate.trust()

    def answer() -> int | None:
        """The status of a page, or None where nobody answers."""
        try:
            return httpx.get(f"https://localhost:{front}/", verify=trust).status_code
        except httpx.TransportError:
            return None

    with MailroomServer(quick(tmp_path / "data", proxy_protocol=True)) as server:
        file, pem = tmp_path / "haproxy.cfg", tmp_path / "haproxy.pem"
        pem.write_bytes(certificate.cert.read_bytes() + certificate.key.read_bytes())
        file.write_text(HAPROXY.format(front=front, back=server.port, pem=pem))
        proxy = subprocess.Popen(["haproxy", "-f", str(file)], stderr=subprocess.DEVNULL)
        try:
            assert waited(lambda: answer() == 200)
            keys = httpx.get(f"https://localhost:{front}/ohttp-keys", verify=trust).content
            assert len(keys) == 74
            server.mailroom.leave()
            assert waited(lambda: answer() is None)
        finally:
            proxy.kill()
            proxy.wait()


def test_a_mailroom_takes_introductions_once_it_is_set(tmp_path: Path) -> None:
    settings = quick(tmp_path, proxy_protocol=True)
    with MailroomServer(settings, reload=lambda: replace(settings, proxy_protocol=False)) as server:
        place = ("127.0.0.1", server.port)
        with socket.create_connection(place, 10) as client:
            client.sendall(header("198.51.100.7") + request("/health"))
            assert status(one_answer(client)) == 200
        server.reload().result(10)
        with socket.create_connection(place, 10) as client:
            client.sendall(request("/health"))
            assert status(one_answer(client)) == 200
