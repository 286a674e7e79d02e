"""Reasons why a connection, port or file failed, as clauses that end a sentence."""

import errno
import socket
from collections.abc import Iterator
from typing import cast
from urllib.parse import urlsplit

_WAYS = {
    errno.ECONNREFUSED: "nothing listens at its port",
    errno.ECONNRESET: "it hung up",
    errno.EPIPE: "it hung up",
    errno.ENETUNREACH: "this machine has no way there, and may be offline",
    errno.EHOSTUNREACH: "this machine has no way there, and may be offline",
    errno.ETIMEDOUT: "it does not answer",
}
_FILES = {
    errno.ENOSPC: "the disk is full: free some space",
    errno.EDQUOT: "the disk quota is used up: free some space",
    errno.EROFS: "the disk is read-only: choose another place, or have it writable",
    errno.EACCES: "its mode does not let you: change its mode or owner",
    errno.EPERM: "its mode does not let you: change its mode or owner",
    errno.ENOTDIR: "a part of its path is a file: choose another place",
    errno.EIO: "the disk reports an error: check its health",
}
_PORTS = {
    errno.EADDRINUSE: "another program listens there: stop it, or choose another port",
    errno.EACCES: "it takes more rights than you have: choose a port from 1024 on",
    errno.EPERM: "it takes more rights than you have: choose a port from 1024 on",
    errno.EADDRNOTAVAIL: "the address is none of this machine's: choose another",
}


def chain_of(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the error and its causes."""
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            for each in cast("BaseExceptionGroup[BaseException]", error).exceptions:
                yield from chain_of(each)
        error = error.__cause__ or error.__context__


def no_connection(error: BaseException) -> str:
    """Return why a connection failed, such as "nothing listens at its port"; may be empty."""
    return next((cause for each in chain_of(error) if (cause := _no_way(each))), "")


def no_file(error: OSError) -> str:
    """Return why a file or folder cannot be used, and what to do."""
    told = f"the system refuses it ({error.strerror or type(error).__name__}): check its disk"
    return _FILES.get(error.errno or 0) or told


def no_port(error: OSError) -> str:
    """Return why a port cannot be listened on, and what to do."""
    return _PORTS.get(error.errno or 0) or "the system refuses it: choose another port or host"


def place(url: str) -> str:
    """Return only host and port of a URL, because the rest may be private (P4)."""
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname or ""
    except ValueError:
        return ""
    host = f"[{host}]" if ":" in host else host
    return host if port is None else f"{host}:{port}"


def _no_way(error: BaseException) -> str | None:
    import ssl  # noqa: PLC0415 - a program that only reads its files need not load it

    match error:
        case ssl.SSLCertVerificationError():
            return f"its certificate cannot be trusted ({error.verify_message.rstrip('.')})"
        case ssl.SSLError():
            return "it does not speak TLS as we do, and may be meant for http"
        case socket.gaierror():
            return "its name is not known: mistyped, or this machine is offline"
        case TimeoutError():
            return "it does not answer"
        case EOFError():
            return "it hung up"
        case OSError():
            return _WAYS.get(error.errno or 0)
        case _:
            return None
