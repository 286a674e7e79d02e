"""Read the server name from a TLS ClientHello (RFC 8446 §4.1.2, RFC 6066 §3)."""

from dovetail.errors import InvalidMessage

HELLO_LIMIT = 16_384
"""The largest ClientHello with its records; usual ones have 300 to 2,000 bytes."""

_HANDSHAKE, _CLIENT_HELLO, _SERVER_NAME, _HOST_NAME = 22, 1, 0, 0
_RECORD_HEADER, _MESSAGE_HEADER = 5, 4
_LONGEST_RECORD = 16_384


def host_of_hello(data: bytes) -> str | None:
    """Return the host that a ClientHello names, in lower case; empty if it names none.

    Return None if more bytes are needed. Raises `InvalidMessage` if the bytes cannot be one.
    """
    message = _reassembled(data)
    if message is None:
        if len(data) >= HELLO_LIMIT:
            raise _no_hello()
        return None
    return _host(_Reader(message))


def _reassembled(data: bytes) -> bytes | None:
    """Return the handshake message without record headers; records may split it anywhere."""
    message = b""
    at = 0
    while at < len(data):
        header = data[at : at + _RECORD_HEADER]
        if header[0] != _HANDSHAKE or (len(header) > 1 and header[1] != 3):
            raise _no_hello()
        if len(header) < _RECORD_HEADER:
            return None
        size = int.from_bytes(header[3:])
        if not 0 < size <= _LONGEST_RECORD:
            raise _no_hello()
        at += _RECORD_HEADER
        message += data[at : at + size]
        at += size
        if message[:1] not in (b"", bytes((_CLIENT_HELLO,))):
            raise _no_hello()
        if len(message) >= _MESSAGE_HEADER:
            wanted = int.from_bytes(message[1:_MESSAGE_HEADER])
            if wanted > HELLO_LIMIT:
                raise _no_hello()
            if len(message) >= _MESSAGE_HEADER + wanted:
                if len(message) > _MESSAGE_HEADER + wanted:
                    raise _no_hello()  # the server must answer before the client sends more
                return message[_MESSAGE_HEADER:]
    return None


class _Reader:
    """Reads a message from front to back; raises `InvalidMessage` at its end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, count: int) -> bytes:
        end = self._at + count
        if end > len(self._data):
            raise _no_hello()
        taken = self._data[self._at : end]
        self._at = end
        return taken

    def vector(self, width: int) -> bytes:
        """Read bytes after their length, which has `width` bytes."""
        return self.take(int.from_bytes(self.take(width)))

    @property
    def more(self) -> bool:
        return self._at < len(self._data)


def _host(hello: _Reader) -> str:
    hello.take(2 + 32)  # version and random
    session, suites, compressions = hello.vector(1), hello.vector(2), hello.vector(1)
    if len(session) > 32 or not suites or len(suites) % 2 or not compressions:
        raise _no_hello()
    extensions = _Reader(hello.vector(2) if hello.more else b"")
    if hello.more:
        raise _no_hello()
    names: list[str] = []
    while extensions.more:
        kind, value = int.from_bytes(extensions.take(2)), extensions.vector(2)
        if kind == _SERVER_NAME:
            names.append(_server_name(value))
    if len(names) > 1:
        raise _no_hello()
    return names[0] if names else ""


def _server_name(value: bytes) -> str:
    outer = _Reader(value)
    entries = _Reader(outer.vector(2))
    if outer.more or int.from_bytes(entries.take(1)) != _HOST_NAME:
        raise _no_hello()
    name = entries.vector(2)
    if entries.more or not name or not name.isascii() or not name.decode().isprintable():
        raise _no_hello()
    return name.decode().lower()


def _no_hello() -> InvalidMessage:
    return InvalidMessage("The client does not start TLS for the gateway's host.")
