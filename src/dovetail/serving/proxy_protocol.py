"""The PROXY protocol, version 2: a proxy tells at the start of a connection who its client is.

See the specification in HAProxy's documentation, section 2.2 (binary header format). Only TCP over
IPv4 and IPv6 is taken, and what a proxy sends for itself. Version 1, which is text, is refused.
"""

import asyncio
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, cast

from dovetail.errors import InvalidMessage
from dovetail.serving.asgi import address_of

if TYPE_CHECKING:
    from dovetail.serving.connection import Connection
    from dovetail.serving.connection_limits import ConnectionLimiter

HEADER_LIMIT = 2_048
"""The longest header in bytes, with what a proxy tells about TLS and itself."""

_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_FIXED = 16
_LOCAL, _PROXY = 0x20, 0x21
_UNSPECIFIED, _TCP4, _TCP6 = 0x00, 0x11, 0x21
_ADDRESSES = {_UNSPECIFIED: 0, _TCP4: 12, _TCP6: 36}
_TLV_HEAD = 3


@dataclass(frozen=True, slots=True)
class Introduction:
    """What a header tells."""

    client: tuple[str, int] | None
    """The client's IP address and port; None where the proxy speaks for itself, or knows none."""
    size: int
    """Bytes of the header."""


def introduction(data: bytes) -> Introduction | None:
    """Read the header at the front of `data`; None if more bytes are needed.

    Raises `InvalidMessage` as soon as the bytes cannot be a header.
    """
    if data[: len(_SIGNATURE)] != _SIGNATURE[: len(data)]:
        raise _wrong()
    if len(data) < _FIXED:
        return None
    command, family, length = data[12], data[13], int.from_bytes(data[14:16])
    if command not in (_LOCAL, _PROXY) or _FIXED + length > HEADER_LIMIT:
        raise _wrong()
    size = _FIXED + length
    if len(data) < size:
        return None
    if command == _LOCAL:
        return Introduction(None, size)
    if family not in _ADDRESSES or length < _ADDRESSES[family]:
        raise _wrong()
    block = data[_FIXED:size]
    _check_extras(block[_ADDRESSES[family] :])
    return Introduction(_client(family, block), size)


class Introduced(asyncio.Protocol):
    """A connection that becomes another one once a proxy has told who its client is.

    One that does not come from a proxy of the operator's own becomes that at once: what it sends
    is no introduction.
    """

    def __init__(self, limiter: "ConnectionLimiter", connection: "Connection") -> None:
        """The header has the time limit of a request."""
        self.peer: str | None = None
        """The IP address of the client; nothing is known of it here."""
        self._limiter = limiter
        self._connection = connection
        self._arrived = bytearray()
        self._transport: asyncio.Transport = cast("asyncio.Transport", None)
        self._alarm: asyncio.TimerHandle | None = None
        self._waits = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self._transport = cast("asyncio.Transport", transport)
        peer = address_of(transport.get_extra_info("peername"))
        if peer is None or not self._limiter.is_proxy(peer[0]):
            self._become()
        elif self._limiter.enter(self, peer[0]):
            self._waits = True
            loop = asyncio.get_running_loop()
            self._alarm = loop.call_later(self._limiter.seconds, self.evict)
        else:
            self.evict()

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        if not self._waits:
            return
        self._arrived += data
        try:
            told = introduction(bytes(self._arrived))
        except InvalidMessage:
            self._limiter.refused("proxy headers")
            self.evict()
            return
        if told is not None:
            self._leave()
            self._connection.introduced = told.client
            self._become(bytes(self._arrived[told.size :]))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's signature
        """See asyncio."""
        self._leave()

    def shutdown(self) -> None:
        """Hang up: there is no request yet."""
        self.evict()

    def evict(self) -> None:
        """Close, because another client gets this place."""
        self._transport.abort()

    def _leave(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        if self._waits:
            self._waits = False
            self._limiter.leave(self)

    def _become(self, rest: bytes = b"") -> None:
        self._transport.set_protocol(self._connection)
        self._connection.connection_made(self._transport)
        if rest:
            self._connection.data_received(rest)


def _client(family: int, block: bytes) -> tuple[str, int] | None:
    if family == _TCP4:
        return str(IPv4Address(block[:4])), int.from_bytes(block[8:10])
    if family == _TCP6:
        return str(IPv6Address(block[:16])), int.from_bytes(block[32:34])
    return None


def _check_extras(data: bytes) -> None:
    """Check that what follows the addresses is a list of types, lengths and values."""
    at = 0
    while at < len(data):
        end = at + _TLV_HEAD
        if end > len(data):
            raise _wrong()
        at = end + int.from_bytes(data[at + 1 : end])
    if at != len(data):
        raise _wrong()


def _wrong() -> InvalidMessage:
    return InvalidMessage("The connection does not begin with a header of the PROXY protocol.")
