"""HTTP connections with one deadline for connecting, head and body, also for slow servers."""

import os
import ssl
import time
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol
from urllib.parse import urlsplit

import certifi
import httpcore2

USUAL_IDLE = 5.0
"""Seconds after which an idle connection is closed."""
_KEPT = 4

_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)


@contextmanager
def within(seconds: float) -> Generator[None]:
    """Limit all requests in the block to `seconds`; raises `TimeoutException`."""
    token = _deadline.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _deadline.reset(token)


class Carrier(Protocol):
    """Sends requests: a connection pool, or a substitute."""

    def handle_request(self, request: httpcore2.Request) -> httpcore2.Response:
        """Return the response's head, with a streamed body; see httpcore2."""
        ...

    def close(self) -> None:
        """Close its connections; a second call does nothing."""
        ...


def connections(url: str, *, idle: float = USUAL_IDLE) -> Carrier:
    """Return a connection pool for `url` with one deadline for a whole response.

    It logs no URL (P4) and follows no redirect. A connection closes after `idle` seconds.
    """
    return httpcore2.ConnectionPool(
        ssl_context=_trust() if urlsplit(url).scheme == "https" else None,
        max_connections=None,
        max_keepalive_connections=_KEPT,
        keepalive_expiry=idle,
        network_backend=_Backend(),
    )


def request(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    body: bytes | None = None,
    connect: float,
    timeout: float,
) -> httpcore2.Request:
    """Return a request; `connect` and `timeout` (for each read or write) are in seconds."""
    length = () if body is None else (("content-length", str(len(body))),)
    timeouts = dict.fromkeys(("read", "write", "pool"), timeout) | {"connect": connect}
    return httpcore2.Request(
        method,
        url,
        headers=(("host", urlsplit(url).netloc), *headers.items(), *length),
        content=body,
        extensions={"timeout": timeouts},
    )


def _trust() -> ssl.SSLContext:
    """Return the usual certificate authorities, or those of OpenSSL's environment variables."""
    file, folder = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    if file or folder:
        return ssl.create_default_context(cafile=file, capath=folder)
    return ssl.create_default_context(cafile=certifi.where())


class _Backend(httpcore2.SyncBackend):
    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        """See httpcore2."""
        left = _left(timeout, httpcore2.ConnectTimeout)
        return _Stream(super().connect_tcp(host, port, left, local_address, socket_options))


class _Stream(httpcore2.NetworkStream):
    def __init__(self, stream: httpcore2.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(timeout, httpcore2.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(timeout, httpcore2.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore2.NetworkStream:
        left = _left(timeout, httpcore2.ConnectTimeout)
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, left))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(timeout: float | None, late: type[httpcore2.TimeoutException]) -> float | None:
    deadline = _deadline.get()
    if deadline is None:
        return timeout
    left = deadline - time.monotonic()
    if left <= 0:
        raise late("the deadline passed")
    return left if timeout is None else min(timeout, left)
