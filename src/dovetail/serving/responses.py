"""HTTP responses, and problem details for errors (RFC 9457)."""

import json
from dataclasses import dataclass
from http import HTTPStatus

Headers = tuple[tuple[bytes, bytes], ...]

PROBLEM_TYPE = b"application/problem+json"
OHTTP_KEY_PROBLEM = "https://iana.org/assignments/http-problem-types#ohttp-key"
"""The gateway does not hold the key of a request (RFC 9458 §5.3)."""
RETRY_AFTER = 5
"""Seconds after which an overloaded mailroom may be asked again."""

_CLOSE = (b"connection", b"close")
_RETRY = (b"retry-after", str(RETRY_AFTER).encode())


@dataclass(frozen=True, slots=True)
class Response:
    """A whole HTTP response; names of headers are lower-case."""

    status: int
    headers: Headers = ()
    body: bytes = b""


def typed(media_type: str, body: bytes, *, status: int = 200) -> Response:
    """Return a response with a body of this media type."""
    return Response(status, ((b"content-type", media_type.encode()),), body)


def cached(answer: Response, seconds: int) -> Response:
    """Return the response, which a cache may keep for so many seconds."""
    keep = (b"cache-control", f"public, max-age={seconds}".encode())
    return Response(answer.status, (*answer.headers, keep), answer.body)


def problem(
    status: HTTPStatus, detail: str, *, kind: str = "about:blank", close: bool = False
) -> Response:
    """Return an error. `detail` is a sentence for the client's operator, without its data (P4).

    A 503 gets a Retry-After header. `close` closes the connection and leaves the rest of the
    request unread.
    """
    headers: Headers = ((b"content-type", PROBLEM_TYPE),)
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        headers += (_RETRY,)
    if close:
        headers += (_CLOSE,)
    fields = {"type": kind, "title": status.phrase, "status": status, "detail": detail}
    return Response(status, headers, json.dumps(fields).encode())


def preflight(methods: str, *headers: tuple[bytes, bytes]) -> Response:
    """Return the answer to a browser that asks what it may send here (CORS)."""
    allowed = (
        (b"access-control-allow-methods", methods.encode()),
        (b"access-control-allow-headers", b"content-type, content-length"),
    )
    return Response(HTTPStatus.NO_CONTENT, (*allowed, *headers))


def overloaded(what: str) -> Response:
    """Return 503 for a limit that was reached."""
    return problem(
        HTTPStatus.SERVICE_UNAVAILABLE, f"There are too many {what} at once; try again later."
    )


def out_of_order() -> Response:
    """Return 503 for a disk or database that fails, perhaps only for a while."""
    return problem(
        HTTPStatus.SERVICE_UNAVAILABLE, "The messages cannot be reached now; try again later."
    )


def wrong_method(*allowed: str) -> Response:
    """Return 405 with the allowed methods."""
    names = ", ".join(allowed)
    refused = problem(HTTPStatus.METHOD_NOT_ALLOWED, f"Use one of these methods here: {names}.")
    return Response(refused.status, (*refused.headers, (b"allow", names.encode())), refused.body)


def not_found() -> Response:
    """Return 404 for an unknown path."""
    return problem(HTTPStatus.NOT_FOUND, "Nothing is here; check the path.")
