"""The embedded chain as a program: a node and its Esplora HTTP API.

Call one of:

- `serve(directory)` runs until it is told to stop; `on_ready` gets the server once it listens.
- `RegtestServer()` does the same in a thread, for tests and demos; its `node` can be used
  directly meanwhile.
- `remote_mine` and `remote_fund` (in `remote`) ask a running server over HTTP.

A wallet reads the chain at the URL itself, as it would any Esplora server.
"""

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import uvicorn

from dovetail.regtest.electrum_server import ElectrumServer
from dovetail.regtest.esplora import esplora_app
from dovetail.regtest.node import RegtestNode
from dovetail.serving.connection_limits import ConnectionLimiter
from dovetail.serving.logs import STDERR, logging_to
from dovetail.serving.sockets import bind
from dovetail.serving.stop_signals import stop_signals
from dovetail.serving.uvicorn_config import configuration

DEFAULT_PORT = 3002
DEFAULT_BLOCKS = 110
_POLL_SECONDS = 0.005
_GRACE_SECONDS = 2
_REQUEST_SECONDS = 30.0
_CONNECTIONS = 1_024
_BODY_LIMIT = 8_000_000
"""Bytes of a block's transactions in hexadecimal."""


class RegtestServer:
    """A node and its HTTP API in a thread; a context manager, or close it after use.

    `port` 0 takes a free one. With `electrum` an Electrum server answers at that port as well, in
    the clear, and `electrum_url` says where. The other arguments are those of `RegtestNode`.
    Raises what `RegtestNode` raises, and ConfigurationError when a port cannot be listened on.
    """

    def __init__(
        self,
        directory: Path | None = None,
        *,
        blocks: int = DEFAULT_BLOCKS,
        host: str = "127.0.0.1",
        port: int = 0,
        clock: Callable[[], float] = time.time,
        full_rbf: bool = True,
        electrum: int | None = None,
    ) -> None:
        with ExitStack() as opened:
            listener = opened.enter_context(bind(host, port))
            self.host = host
            self.port: int = listener.getsockname()[1]
            self.node = opened.enter_context(
                RegtestNode(directory, blocks=blocks, clock=clock, full_rbf=full_rbf)
            )
            self.electrum_url: str | None = None
            if electrum is not None:
                self.electrum_url = opened.enter_context(
                    ElectrumServer(self.node, host=host, port=electrum)
                ).url
            self._server = uvicorn.Server(_configuration(self.node))
            self._thread = threading.Thread(
                target=self._server.run, args=([listener],), name="dovetail-regtest", daemon=True
            )
            self._thread.start()
            opened.callback(self._stop)
            while not self._server.started and self._thread.is_alive():
                time.sleep(_POLL_SECONDS)
            self._resources = opened.pop_all()

    @property
    def url(self) -> str:
        """The base URL, without a slash at the end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def close(self) -> None:
        """Stop serving and close the node; a second call does nothing."""
        self._resources.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _stop(self) -> None:
        self._server.should_exit = True
        self._thread.join()


def serve(
    directory: Path,
    *,
    host: str = "127.0.0.1",
    port: int = DEFAULT_PORT,
    blocks: int = DEFAULT_BLOCKS,
    electrum: int | None = None,
    on_ready: Callable[[RegtestServer], None] | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM, then close everything; call it in the main thread.

    Raises what `RegtestServer` raises.
    """
    with (
        logging_to(STDERR, "dovetail", "uvicorn.error"),
        stop_signals() as stop,
        RegtestServer(directory, blocks=blocks, host=host, port=port, electrum=electrum) as server,
    ):
        if on_ready is not None:
            on_ready(server)
        stop.wait()


def _configuration(node: RegtestNode) -> uvicorn.Config:
    door = ConnectionLimiter(limit=_CONNECTIONS, seconds=_REQUEST_SECONDS, body_limit=_BODY_LIMIT)
    return configuration(esplora_app(node), door, drain=_GRACE_SECONDS, ws="none", loop="asyncio")
