"""Runs an endpoint in the agent's event loop, with plain HTTP or TLS."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import uvicorn

from dovetail.bip78.app import V1Server
from dovetail.errors import ConfigurationError
from dovetail.serving.connection_limits import ConnectionLimiter
from dovetail.serving.sockets import bind, url_of
from dovetail.serving.uvicorn_config import configuration, started

_BACKLOG = 128


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave the signals to the program."""
        yield


@asynccontextmanager
async def serving(
    endpoint: V1Server, host: str, port: int, *, tls: ssl.SSLContext | None = None
) -> AsyncGenerator[str]:
    """Serve `endpoint` and yield its URL; port 0 takes a free one.

    At the exit new requests are refused and waiting senders are answered, so leave this block
    before you close the agent. Raises `ConfigurationError` if it cannot listen.
    """
    settings = endpoint.settings
    limiter = ConnectionLimiter(
        limit=settings.max_connections,
        per_client=settings.max_connections_per_client,
        clients=endpoint.clients,
        seconds=settings.read_timeout,
        keep_alive=settings.keep_alive,
        body_limit=settings.body_limit,
        tls=tls,
    )
    with bind(host, port) as listener:
        drain = settings.drain_timeout
        server = _Server(configuration(endpoint, limiter, drain=drain, backlog=_BACKLOG, ws="none"))
        running = asyncio.create_task(server.serve([listener]))
        try:
            await started(server, running)
            scheme = "http" if tls is None else "https"
            yield url_of(host, listener.getsockname()[1], scheme=scheme)
        finally:
            endpoint.drain()
            limiter.close()
            server.should_exit = True
            await running


def load_tls(certificate: Path, key: Path) -> ssl.SSLContext:
    """Load a TLS context from PEM files; `certificate` holds the whole chain.

    Raises `ConfigurationError`, which names the parameter.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except ssl.SSLError as error:
        raise ConfigurationError(
            "The certificate and its key do not fit or are no PEM: check `certificate` and `key`."
        ) from error
    except OSError as error:
        raise ConfigurationError(
            "The certificate or its key cannot be read: check `certificate` and `key`."
        ) from error
    return context


def _no_password() -> str:
    raise ConfigurationError(
        "The TLS key is encrypted, and nobody is asked for its password: name as `key` one that is"
        " not, readable by you alone."
    )
