"""An endpoint as a server in the agent's event loop, on plain HTTP or TLS."""

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
        """Leave the signals to the program that this server is a part of."""
        yield


@asynccontextmanager
async def serving(
    endpoint: V1Server, host: str, port: int, *, tls: ssl.SSLContext | None = None
) -> AsyncGenerator[str]:
    """Serve `endpoint` and give the URL; port 0 is any.

    On leaving, nobody new is let in, and who waits is answered: leave it before the agent. Raises
    `ConfigurationError` where it cannot be listened.
    """
    settings = endpoint.settings
    door = ConnectionLimiter(
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
        server = _Server(configuration(endpoint, door, drain=drain, backlog=_BACKLOG, ws="none"))
        running = asyncio.create_task(server.serve([listener]))
        try:
            await started(server, running)
            scheme = "http" if tls is None else "https"
            yield url_of(host, listener.getsockname()[1], scheme=scheme)
        finally:
            endpoint.drain()
            door.close()
            server.should_exit = True
            await running


def load_tls(certificate: Path, key: Path) -> ssl.SSLContext:
    """What TLS is served with: PEM files, the certificate with those that vouch for it.

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
