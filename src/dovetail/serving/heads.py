"""The head of an HTTP/1.1 request, read strictly (RFC 9112 §2.2 to §6, RFC 9110 §10.1.1)."""

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeAlias

from dovetail.errors import InvalidMessage

HEAD_LIMIT = 16_384
"""Bytes of a head, its request line included; of trailers, too."""
FIELD_LIMIT = 100

Fields: TypeAlias = list[tuple[bytes, bytes]]

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_REQUEST_LINE = re.compile(rb"(%b) ([!\"$-~]+) HTTP/(\d)\.(\d)" % _TOKEN)
_FIELD_NAME = re.compile(_TOKEN)
_NO_FIELD_VALUE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_ABSOLUTE = re.compile(rb"https?://([^/?@]+)((?:[/?].*)?)", re.IGNORECASE)
_HOST = re.compile(rb"(?:\[[0-9A-Za-z:.]+\]|[0-9A-Za-z._~!$&'()*+,;=%-]*)(?::\d{0,5})?")
_LENGTH = re.compile(rb"\d{1,15}")
_BARE_LF = re.compile(rb"(?<!\r)\n")
_BEGINNING = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]")
_END = b"\r\n\r\n"


class BadRequest(InvalidMessage):
    """A request that is not understood, and the status that says so; nothing after it can be."""

    def __init__(self, status: HTTPStatus, detail: str) -> None:
        super().__init__(detail)
        self.status = status


@dataclass(frozen=True, slots=True)
class Head:
    """What a request says before its body. Names of fields are lower-case."""

    method: str
    path: bytes
    """Still percent-encoded; of CONNECT, the authority."""
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
"""Stands for what could not be read."""


class HeadReader:
    """Finds the end of a head among bytes that arrive in pieces; each is looked at once."""

    def __init__(self) -> None:
        self._seen = 0
        self._fresh = True

    def take(self, arrived: bytearray) -> Head | None:
        """Cut a head off the front of `arrived`; None while there is none. Raises `BadRequest`."""
        if not self._seen:
            if self._fresh and arrived.startswith(b"\r\n"):  # one too many after the last body
                del arrived[:2]
                self._fresh = False
            half = self._fresh and len(arrived) == 1 and arrived.startswith(b"\r")
            if arrived and not half and not _BEGINNING.match(arrived):
                raise _bad("The request does not begin with a method.")
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
        if end < 0:
            return None
        head = bytes(arrived[:end])
        del arrived[: end + len(_END)]
        self._seen = 0
        self._fresh = True
        return parse_head(head)


def parse_head(data: bytes) -> Head:
    """Read the lines of a head, without the empty one at its end. Raises `BadRequest`."""
    first, *lines = data.split(b"\r\n")
    line = _REQUEST_LINE.fullmatch(first)
    if line is None:
        raise _bad("The request line is malformed.")
    if line[3] != b"1":
        raise BadRequest(
            HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "Only HTTP/1.1 and HTTP/1.0 are spoken here."
        )
    old = line[4] == b"0"
    fields = parse_fields(lines)
    host = _host(fields, old=old)
    target = _target(line[1], line[2])
    if target.authority is not None and target.authority != host:
        fields = [(b"host", target.authority), *(each for each in fields if each[0] != b"host")]
    wishes = _wishes(fields)
    length = _length(fields, old=old)
    return Head(
        method=line[1].decode(),
        path=target.path,
        query=target.query,
        version="1.0" if old else "1.1",
        fields=fields,
        length=length,
        keep_alive=not old and b"close" not in wishes,
        continues=_continues(fields, old=old) and length != 0,
        websocket=b"upgrade" in wishes
        and line[1] == b"GET"
        and length == 0
        and [value.lower() for name, value in fields if name == b"upgrade"] == [b"websocket"],
    )


def parse_fields(lines: list[bytes]) -> Fields:
    """Read fields, of a head or of trailers. Raises `BadRequest`."""
    if len(lines) > FIELD_LIMIT:
        raise BadRequest(
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
            f"The request has more than {FIELD_LIMIT} fields.",
        )
    fields: Fields = []
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not _FIELD_NAME.fullmatch(name) or _NO_FIELD_VALUE.search(value):
            raise _bad("A field of the request is malformed.")
        fields.append((name.lower(), value.strip(b" \t")))
    return fields


@dataclass(frozen=True, slots=True)
class _Target:
    path: bytes
    query: bytes = b""
    authority: bytes | None = None


def _target(method: bytes, target: bytes) -> _Target:
    """RFC 9112 §3.2: four forms, told by the method and the first bytes."""
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


def _host(fields: Fields, *, old: bool) -> bytes | None:
    """RFC 9112 §3.2: one of them, and one that can be a host."""
    hosts = [value for name, value in fields if name == b"host"]
    if len(hosts) > 1 or not (hosts or old) or not all(map(_HOST.fullmatch, hosts)):
        raise _bad("The request must name one host.")
    return hosts[0] if hosts else None


def _length(fields: Fields, *, old: bool) -> int | None:
    """RFC 9112 §6.3, where a request that could be read in two ways is refused."""
    codings = [value.lower() for name, value in fields if name == b"transfer-encoding"]
    lengths = [value for name, value in fields if name == b"content-length"]
    if not codings:
        if not lengths:
            return 0
        if len(lengths) > 1 or not _LENGTH.fullmatch(lengths[0]):
            raise _bad("The length of the body is not one number.")
        return int(lengths[0])
    if lengths or old:
        raise _bad("The length of the body is told in two ways.")
    if codings != [b"chunked"]:
        raise BadRequest(
            HTTPStatus.NOT_IMPLEMENTED, "Of transfer codings only `chunked` is understood."
        )
    return None


def _continues(fields: Fields, *, old: bool) -> bool:
    expected = [value.lower() for name, value in fields if name == b"expect"]
    if old or not expected:
        return False
    if expected != [b"100-continue"]:
        raise BadRequest(
            HTTPStatus.EXPECTATION_FAILED, "Only 100-continue can be expected of this server."
        )
    return True


def _wishes(fields: Fields) -> set[bytes]:
    return {
        wish.strip().lower()
        for name, value in fields
        if name == b"connection"
        for wish in value.split(b",")
    }


def _bad(detail: str) -> BadRequest:
    return BadRequest(HTTPStatus.BAD_REQUEST, detail)
