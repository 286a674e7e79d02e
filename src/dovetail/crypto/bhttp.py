"""Binary HTTP messages (RFC 9292): written in known length (§3.1), read in either form (§3.2).

Bytes after a message are padding: the writer makes them random and the reader ignores them, as in
other Payjoin implementations (RFC 9292 §3.8 allows to ignore them).
"""

import re
from dataclasses import dataclass

from dovetail.crypto.entropy import Entropy, system
from dovetail.errors import InvalidBhttp, PayloadTooLarge

Headers = tuple[tuple[str, str], ...]

# The framing indicators (§3.3), and whether lengths are known before the parts.
_REQUEST = {0: True, 2: False}
_RESPONSE = {1: True, 3: False}
_INFORMATIONAL = range(100, 200)
_FINAL = range(200, 600)

# RFC 9110 §5.6.2, §5.5 and RFC 9113 §8.2.1: lower-case names; values without controls, not
# surrounded by white space.
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+")
_VALUE = re.compile(r"(?:[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)?")
_VISIBLE = re.compile(r"[!-~]*")


@dataclass(frozen=True, slots=True, repr=False)
class BhttpRequest:
    """A request; a part that it does not use, such as the authority, is empty.

    Header names are lower-case; values are text of one byte per character (ISO 8859-1). Raises
    InvalidBhttp where HTTP does not allow a part (RFC 9292 §3.4, §3.6).
    """

    method: str
    scheme: str
    authority: str
    path: str
    headers: Headers = ()
    body: bytes = b""

    def __post_init__(self) -> None:
        if not _TOKEN.fullmatch(self.method):
            raise InvalidBhttp("A Binary HTTP request has no valid method; send a valid request.")
        for part in (self.scheme, self.authority, self.path):
            if not _VISIBLE.fullmatch(part):
                raise InvalidBhttp("A Binary HTTP request has no valid target; encode the URL.")
        _check_headers(self.headers)

    @classmethod
    def parse(cls, data: bytes) -> "BhttpRequest":
        """Read a request and ignore what follows it; raises InvalidBhttp.

        Header names are read in either case (RFC 9110 §5.1).
        """
        reader = _Reader(data)
        known = _REQUEST.get(reader.integer())
        if known is None:
            raise InvalidBhttp("These bytes are not a Binary HTTP request; send one.")
        method, scheme, authority, path = (reader.text() for _ in range(4))
        headers, body = _read_rest(reader, known=known)
        return cls(method, scheme, authority, path, headers, body)

    def serialize(self, pad_to: int | None = None, *, entropy: Entropy = system) -> bytes:
        """Write the message, then random bytes up to `pad_to`.

        Raises PayloadTooLarge if the message alone is longer.
        """
        target = (self.method, self.scheme, self.authority, self.path)
        control = b"".join(_prefixed(part.encode("latin-1")) for part in target)
        message = b"\x00" + control + _write_rest(self.headers, self.body)
        return _padded(message, pad_to, entropy)

    def __repr__(self) -> str:
        return f"BhttpRequest(redacted, body of {len(self.body)} bytes)"


@dataclass(frozen=True, slots=True, repr=False)
class BhttpResponse:
    """A final response, with a status from 200 to 599.

    Header names are lower-case; values are text of one byte per character (ISO 8859-1). Raises
    InvalidBhttp where HTTP does not allow a part (RFC 9292 §3.5, §3.6).
    """

    status: int
    headers: Headers = ()
    body: bytes = b""

    def __post_init__(self) -> None:
        if self.status not in _FINAL:
            raise InvalidBhttp(
                "A Binary HTTP response has a status outside 200 to 599; send a final status."
            )
        _check_headers(self.headers)

    @classmethod
    def parse(cls, data: bytes) -> "BhttpResponse":
        """Read a response, skip informational ones, ignore what follows; raises InvalidBhttp.

        Header names are read in either case (RFC 9110 §5.1).
        """
        reader = _Reader(data)
        known = _RESPONSE.get(reader.integer())
        if known is None:
            raise InvalidBhttp("These bytes are not a Binary HTTP response; send one.")
        while (status := reader.integer()) in _INFORMATIONAL:
            _check_headers(reader.fields(known=known))
        headers, body = _read_rest(reader, known=known)
        return cls(status, headers, body)

    def serialize(self, pad_to: int | None = None, *, entropy: Entropy = system) -> bytes:
        """Write the message, then random bytes up to `pad_to`.

        Raises PayloadTooLarge if the message alone is longer.
        """
        message = b"\x01" + _integer(self.status) + _write_rest(self.headers, self.body)
        return _padded(message, pad_to, entropy)

    def __repr__(self) -> str:
        return f"BhttpResponse(status={self.status}, redacted, body of {len(self.body)} bytes)"


class _Reader:
    """Reads variable-length integers (RFC 9000 §16) and the blocks they announce."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def at_end(self) -> bool:
        return self._at == len(self._data)

    def integer(self) -> int:
        first = self._take(1)[0]
        more = (1 << (first >> 6)) - 1
        if not more:
            return first
        return (first & 0x3F) << 8 * more | int.from_bytes(self._take(more))

    def block(self) -> bytes:
        return self._take(self.integer())

    def text(self) -> str:
        return self.block().decode("latin-1")

    def fields(self, *, known: bool) -> Headers:
        """A section of field lines: within its length, or up to an empty name."""
        if known:
            return _Reader(self.block()).lines()
        return self.lines(ended_by_empty_name=True)

    def content(self, *, known: bool) -> bytes:
        """The content: within its length, or in chunks up to an empty one."""
        if known:
            return self.block()
        return b"".join(iter(self.block, b""))

    def lines(self, *, ended_by_empty_name: bool = False) -> Headers:
        """Field lines up to the end, or to a line whose name is empty."""
        lines: list[tuple[str, str]] = []
        while ended_by_empty_name or not self.at_end:
            name = self.text().lower()
            if not name and ended_by_empty_name:
                break
            lines.append((name, self.text()))
        return tuple(lines)

    def _take(self, size: int) -> bytes:
        end = self._at + size
        if end > len(self._data):
            raise InvalidBhttp("A Binary HTTP message is cut short; send the whole message.")
        taken = self._data[self._at : end]
        self._at = end
        return taken


def _read_rest(reader: _Reader, *, known: bool) -> tuple[Headers, bytes]:
    """Read headers, content and trailers; sections cut off at the end are empty (§3.8)."""
    headers = () if reader.at_end else reader.fields(known=known)
    body = b"" if reader.at_end else reader.content(known=known)
    _check_headers(() if reader.at_end else reader.fields(known=known))
    return headers, body


def _check_headers(headers: Headers) -> None:
    for name, value in headers:
        if not (_NAME.fullmatch(name) and _VALUE.fullmatch(value)):
            raise InvalidBhttp(
                "A Binary HTTP message has a malformed field line; names are lower-case and "
                "values have no control characters."
            )


def _write_rest(headers: Headers, body: bytes) -> bytes:
    lines = b"".join(_prefixed(part.encode("latin-1")) for line in headers for part in line)
    return _prefixed(lines) + _prefixed(body) + b"\x00"


def _prefixed(data: bytes) -> bytes:
    return _integer(len(data)) + data


def _integer(value: int) -> bytes:
    """Write a variable-length integer in its shortest form (RFC 9000 §16)."""
    if value < 1 << 6:
        return bytes((value,))
    if value < 1 << 14:
        return (value | 1 << 14).to_bytes(2)
    if value < 1 << 30:
        return (value | 2 << 30).to_bytes(4)
    return (value | 3 << 62).to_bytes(8)


def _padded(message: bytes, pad_to: int | None, entropy: Entropy) -> bytes:
    if pad_to is None:
        return message
    if len(message) > pad_to:
        raise PayloadTooLarge(
            f"A Binary HTTP message of {len(message)} bytes does not fit {pad_to}; "
            "send a shorter body."
        )
    return message + entropy(pad_to - len(message))
