"""A connection through a SOCKS5 proxy, by name and without a login (RFC 1928, CONNECT)."""

import socket

from dovetail.errors import ChainError

_VERSION, _NO_LOGIN, _CONNECT, _BY_NAME = 5, 0, 1, 3
_LONGEST_NAME = 255
# How long the address is that follows the head of a reply, by its type.
_ADDRESS_SIZES = {1: 4, 4: 16}


def through_proxy(
    proxy: tuple[str, int], target: tuple[str, int], *, timeout: float
) -> socket.socket:
    """A connection to the target, whose name the proxy resolves. Raises `ChainError`."""
    try:
        connection = socket.create_connection(proxy, timeout)
    except OSError as error:
        raise ChainError(
            "Tor does not answer where `tor` says; start Tor, or correct `tor`."
        ) from error
    try:
        _ask(connection, *target)
    except TimeoutError as error:
        connection.close()
        raise _no_way() from error
    except OSError as error:
        connection.close()
        raise _not_socks() from error
    except BaseException:
        connection.close()
        raise
    return connection


def _ask(connection: socket.socket, host: str, port: int) -> None:
    name = host.rstrip(".").encode()
    if len(name) > _LONGEST_NAME:
        raise _no_way()
    connection.sendall(bytes([_VERSION, 1, _NO_LOGIN]))
    if _read(connection, 2) != bytes([_VERSION, _NO_LOGIN]):
        raise _not_socks()
    head = bytes([_VERSION, _CONNECT, 0, _BY_NAME, len(name)])
    connection.sendall(head + name + port.to_bytes(2))
    version, reply, _, kind = _read(connection, 4)
    if version != _VERSION:
        raise _not_socks()
    if reply != 0:
        raise _no_way()
    size = _ADDRESS_SIZES.get(kind) or _read(connection, 1)[0]
    _read(connection, size + 2)


def _read(connection: socket.socket, size: int) -> bytes:
    """Just so much: what follows belongs to the host behind the proxy."""
    read = bytearray()
    while len(read) < size:
        chunk = connection.recv(size - len(read))
        if not chunk:
            raise _not_socks()
        read += chunk
    return bytes(read)


def _not_socks() -> ChainError:
    return ChainError(
        "What answers where `tor` says is no SOCKS5 proxy without a login; correct `tor`."
    )


def _no_way() -> ChainError:
    return ChainError(
        "Tor found no way to the chain server; its onion address may be wrong or down, or Tor"
        " not ready yet."
    )
