"""A real ElectrumX on a real Bitcoin Core node, where `ELECTRUMX` or PATH has its program."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.live_core.bitcoind import NodeAccess
from tests.support.certificates import make_certificate
from tests.support.servers import free_port

from dovetail.wallets.server_url import ChainServer

ABSENT = "needs ElectrumX 2: set ELECTRUMX to an electrumx_server, or put one on PATH"
_PATIENCE = 60.0


def installed() -> str | None:
    return os.environ.get("ELECTRUMX") or shutil.which("electrumx_server")


@contextmanager
def electrumx(program: str, node: NodeAccess, folder: Path) -> Iterator[ChainServer]:
    """A server over TLS that signs its own certificate; it listens on loopback alone."""
    folder.mkdir()
    certificate = make_certificate(folder)
    port = free_port()
    environment = {
        **os.environ,
        "COIN": "Bitcoin",
        "NET": "regtest",
        "DAEMON_URL": f"http://{node.cookie.read_text().strip()}@127.0.0.1:{node.port}",
        "DB_DIRECTORY": str(folder),
        "DB_ENGINE": "leveldb",
        "SERVICES": f"ssl://127.0.0.1:{port}",
        "SSL_CERTFILE": str(certificate.cert),
        "SSL_KEYFILE": str(certificate.key),
        "PEER_DISCOVERY": "off",
        "ALLOW_ROOT": "1",
    }
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen([program], env=environment, stdout=log, stderr=log) as process,
    ):
        try:
            _wait_until_it_listens(process, port)
            yield ChainServer(f"ssl://127.0.0.1:{port}", certificate.cert)
        finally:
            process.terminate()


def _wait_until_it_listens(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + _PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    raise TimeoutError("ElectrumX did not start: see its log.")
