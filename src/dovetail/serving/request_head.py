"""The head of an HTTP/1.1 request, read strictly (RFC 9112 §2.2 to §6, RFC 9110 §10.1.1)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeAlias

from dovetail.errors import InvalidMessage

HEAD_LIMIT = 16_384
"""Bytes of a head with its request line; the limit of trailers, too."""
FIELD_LIMIT = 100

Fields: TypeAlias = list[tuple[bytes, bytes]]

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_REQUEST_LINE = re.compile(rb"(%b) ([!\"$-~]+) HTTP/(\d)\.(\d)" % _TOKEN)
_FIELD_LINES = re.compile(rb"(?:%b:[^\x00-\x08\x0a-\x1f\x7f]*\r\n)*" % _TOKEN)
_ABSOLUTE = re.compile(rb"https?://([^/?@]+)((?:[/?].*)?)", re.IGNORECASE)
_HOST = re.compile(rb"(?:\[[0-9A-Za-z:.]+\]|[0-9A-Za-z._~!$&'()*+,;=%-]*)(?::\d{0,5})?")
_LENGTH = re.compile(rb"\d{1,15}")
_BARE_LF = re.compile(rb"(?<!\r)\n")
_BEGINNING = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]")
_END = b"\r\n\r\n"
_RELEVANT_FIELDS = frozenset(
    (b"host", b"connection", b"upgrade", b"expect", b"content-length", b"transfer-encoding")
)
_REMEMBERED, _REMEMBERED_FIELDS = 512, 16
"""Bytes and fields of the longest head that is cached; each connection caches one."""

_Values: TypeAlias = Mapping[bytes, list[bytes]]


class BadRequest(InvalidMessage):
    """A request that cannot be parsed, with its status. Nothing after it can be parsed either."""

    def __init__(self, status: HTTPStatus, detail: str) -> None:
        super().__init__(detail)
        self.status = status


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a request: all before its body. Names of fields are lower-case."""

    method: str
    path: bytes
    """Still percent-encoded; for CONNECT the authority."""
    query: bytes
    version: str
    fields: Fields
    length: int | None
    """Bytes of the body; None if it comes in chunks."""
    keep_alive: bool
    continues: bool
    """Whether the client waits for 100 before it sends the body."""
    websocket: bool


REFUSED = Head("GET", b"", b"", "1.1", [], 0, keep_alive=False, continues=False, websocket=False)
"""Stands for a head that could not be parsed."""


class HeadReader:
    """Finds the end of a head in bytes that arrive in pieces.

    The requests of a connection usually have the same head, which is then parsed only once.
    """

    def __init__(self) -> None:
        self._seen = 0
        self._fresh = True
        self._last = b""
        self.last = REFUSED
        """The cached head."""

    def take(self, arrived: bytearray) -> Head | None:
        """Remove and return a head at the front of `arrived`, or None. Raises `BadRequest`."""
        if self._last and not self._seen and arrived.startswith(self._last):
            del arrived[: len(self._last)]
            self._fresh = True
            return self.last
        if not self._seen:
            self._begin(arrived)
        end = arrived.find(_END, max(0, self._seen - len(_END) + 1))
        if end < 0:
            if _BARE_LF.search(arrived, max(0, self._seen - 1)):
                raise _bad("A line of the request ends without a carriage return.")
            self._seen = len(arrived)
        if end > HEAD_LIMIT or (end < 0 and len(arrived) > HEAD_LIMIT):
            raise BadRequest(
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
                f"The head of the request has more than {HEAD_LIMIT} bytes.",
            )
        return None if end < 0 else self._cut(arrived, end)

    def _begin(self, arrived: bytearray) -> None:
        """Check the first byte, which may follow one empty line."""
        if self._fresh and arrived.startswith(b"\r\n"):  # an extra empty line after the last body
            del arrived[:2]
            self._fresh = False
        half = self._fresh and len(arrived) == 1 and arrived.startswith(b"\r")
        if arrived and not half and not _BEGINNING.match(arrived):
            raise _bad("The request does not begin with a method.")

    def _cut(self, arrived: bytearray, end: int) -> Head:
        data = bytes(arrived[:end])
        del arrived[: end + len(_END)]
        self._seen = 0
        self._fresh = True
        head = parse_head(data)
        if end <= _REMEMBERED and len(head.fields) <= _REMEMBERED_FIELDS:
            self._last, self.last = data + _END, head
        return head


def parse_head(data: bytes) -> Head:
    """Read the lines of a head, without the empty one at its end. Raises `BadRequest`."""
    first, *lines = data.split(b"\r\n")
    line = _REQUEST_LINE.fullmatch(first)
    if line is None:
        raise _bad("The request line is malformed.")
    method, asked, major, minor = line.groups()
    if major != b"1":
        raise BadRequest(
            HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "Only HTTP/1.1 and HTTP/1.0 are supported."
        )
    old = minor == b"0"
    fields = parse_fields(lines)
    values: dict[bytes, list[bytes]] = {}
    for name, value in fields:
        if name in _RELEVANT_FIELDS:
            values.setdefault(name, []).append(value)
    host = _host(values, old=old)
    target = _target(method, asked)
    if target.authority is not None and target.authority != host:
        fields = [(b"host", target.authority), *(each for each in fields if each[0] != b"host")]
    options = _connection_options(values)
    length = _length(values, old=old)
    return Head(
        method=method.decode(),
        path=target.path,
        query=target.query,
        version="1.0" if old else "1.1",
        fields=fields,
        length=length,
        keep_alive=not old and b"close" not in options,
        continues=_continues(values, old=old) and length != 0,
        websocket=b"upgrade" in options
        and method == b"GET"
        and length == 0
        and [value.lower() for value in values.get(b"upgrade", ())] == [b"websocket"],
    )


def parse_fields(lines: list[bytes]) -> Fields:
    """Read fields, of a head or of trailers. Raises `BadRequest`."""
    if len(lines) > FIELD_LIMIT:
        raise BadRequest(
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
            f"The request has more than {FIELD_LIMIT} fields.",
        )
    if not _FIELD_LINES.fullmatch(b"".join([line + b"\r\n" for line in lines])):
        raise _bad("A field of the request is malformed.")
    halves = [line.partition(b":") for line in lines]
    return [(name.lower(), value.strip(b" \t")) for name, _, value in halves]


@dataclass(frozen=True, slots=True)
class _Target:
    path: bytes
    query: bytes = b""
    authority: bytes | None = None


def _target(method: bytes, target: bytes) -> _Target:
    """Parse one of the four forms of a target, by method and first bytes (RFC 9112 §3.2)."""
    if method == b"CONNECT":
        return _Target(target)
    if target.startswith(b"/"):
        path, _, query = target.partition(b"?")
        return _Target(path, query)
    if target == b"*" and method == b"OPTIONS":
        return _Target(target)
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None or not _HOST.fullmatch(absolute[1]):
        raise _bad("The target of the request is neither a path nor a URL.")
    path, _, query = absolute[2].partition(b"?")
    return _Target(path or b"/", query, absolute[1])


def _host(values: _Values, *, old: bool) -> bytes | None:
    """Return the only Host field, if it can be a host (RFC 9112 §3.2)."""
    hosts = values.get(b"host", [])
    if len(hosts) > 1 or not (hosts or old) or not all(map(_HOST.fullmatch, hosts)):
        raise _bad("The request must name one host.")
    return hosts[0] if hosts else None


def _length(values: _Values, *, old: bool) -> int | None:
    """Return the body's length (RFC 9112 §6.3). A request with two possible lengths is refused."""
    codings = [value.lower() for value in values.get(b"transfer-encoding", ())]
    lengths = values.get(b"content-length", [])
    if not codings:
        if not lengths:
            return 0
        if len(lengths) > 1 or not _LENGTH.fullmatch(lengths[0]):
            raise _bad("The length of the body is not one number.")
        return int(lengths[0])
    if lengths or old:
        raise _bad("The request gives the length of the body in two ways.")
    if codings != [b"chunked"]:
        raise BadRequest(
            HTTPStatus.NOT_IMPLEMENTED, "`chunked` is the only supported transfer coding."
        )
    return None


def _continues(values: _Values, *, old: bool) -> bool:
    expected = [value.lower() for value in values.get(b"expect", ())]
    if old or not expected:
        return False
    if expected != [b"100-continue"]:
        raise BadRequest(
            HTTPStatus.EXPECTATION_FAILED, "100-continue is the only supported expectation."
        )
    return True


def _connection_options(values: _Values) -> set[bytes]:
    return {
        wish.strip().lower()
        for value in values.get(b"connection", ())
        for wish in value.split(b",")
    }


def _bad(detail: str) -> BadRequest:
    return BadRequest(HTTPStatus.BAD_REQUEST, detail)
