"""The listening socket of a server, and its URL."""

import socket
from collections.abc import Generator
from contextlib import contextmanager

from dovetail.causes import no_port
from dovetail.errors import ConfigurationError


@contextmanager
def bind(host: str, port: int) -> Generator[socket.socket]:
    """Listen at a host and port; port 0 takes a free one. Raises `ConfigurationError`."""
    if not 0 <= port <= 0xFFFF:  # the system would take it modulo 65536
        raise ConfigurationError(f"{port} is no port; choose one up to 65535.")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ConfigurationError(
            f"{host} is no address of this machine; choose another."
        ) from error
    with listener:
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
        except OSError as error:
            raise ConfigurationError(
                f"Port {port} cannot be listened on, as {no_port(error)}."
            ) from error
        yield listener


def url_of(host: str, port: int, *, scheme: str = "http") -> str:
    """Return the URL of a server, without a slash at its end."""
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"
