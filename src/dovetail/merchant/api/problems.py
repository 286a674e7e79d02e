"""Errors as problem details (RFC 9457): each refusal and each failure has a type and a sentence."""

import logging
import re
from collections.abc import Mapping
from enum import StrEnum
from http import HTTPStatus
from typing import Any
from uuid import UUID

import msgspec
from litestar.exceptions import HTTPException, ValidationException

from dovetail.errors import DovetailError, InfrastructureError, ParseError, StoreError, UsageError
from dovetail.merchant.invoices.refunds import StepRefused
from dovetail.merchant.messages import FieldError, Problem
from dovetail.serving.asgi import where

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER = 5
"""Seconds after which a request that failed for a while may be repeated."""

_AT_FIELD = re.compile(r" - at `\$\.?(.*)`$")
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`$", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(.*)`$")

_log = logging.getLogger(__name__)


class Kind(StrEnum):
    """The types of problems; the values are stable."""

    MALFORMED = "malformed"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not-found"
    METHOD_NOT_ALLOWED = "method-not-allowed"
    MISDIRECTED = "misdirected"
    TIMEOUT = "timeout"
    CONFLICT = "conflict"
    IDEMPOTENCY_CONFLICT = "idempotency-conflict"
    TOO_LARGE = "too-large"
    UNSUPPORTED_MEDIA_TYPE = "unsupported-media-type"
    INVALID = "invalid"
    RATE_LIMITED = "rate-limited"
    INTERNAL = "internal"
    UNAVAILABLE = "unavailable"

    @property
    def urn(self) -> str:
        """The `type` of the problem."""
        return f"urn:dovetail:problem:{self.value}"

    @property
    def status(self) -> HTTPStatus:
        """The HTTP status of such an answer."""
        return _STATUS[self]


_STATUS = {
    Kind.MALFORMED: HTTPStatus.BAD_REQUEST,
    Kind.UNAUTHORIZED: HTTPStatus.UNAUTHORIZED,
    Kind.FORBIDDEN: HTTPStatus.FORBIDDEN,
    Kind.NOT_FOUND: HTTPStatus.NOT_FOUND,
    Kind.METHOD_NOT_ALLOWED: HTTPStatus.METHOD_NOT_ALLOWED,
    Kind.MISDIRECTED: HTTPStatus.MISDIRECTED_REQUEST,
    Kind.TIMEOUT: HTTPStatus.REQUEST_TIMEOUT,
    Kind.CONFLICT: HTTPStatus.CONFLICT,
    Kind.IDEMPOTENCY_CONFLICT: HTTPStatus.CONFLICT,
    Kind.TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Kind.UNSUPPORTED_MEDIA_TYPE: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    Kind.INVALID: HTTPStatus.UNPROCESSABLE_ENTITY,
    Kind.RATE_LIMITED: HTTPStatus.TOO_MANY_REQUESTS,
    Kind.INTERNAL: HTTPStatus.INTERNAL_SERVER_ERROR,
    Kind.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
}
_BY_STATUS = {
    status: kind for kind, status in _STATUS.items() if kind is not Kind.IDEMPOTENCY_CONFLICT
}
_WORDS = {
    Kind.MALFORMED: "The request is malformed; correct it.",
    Kind.NOT_FOUND: "Nothing is here for this key; check the path and the id.",
    Kind.METHOD_NOT_ALLOWED: "This method is not allowed here; use one of those in `Allow`.",
    Kind.MISDIRECTED: "The server is not reached by this name: use its `public_url`.",
    Kind.INTERNAL: "The server failed at this request; tell its operator the request id.",
}


class Refused(Exception):
    """A request that is refused or failed; `detail` is a sentence without secrets (P4)."""

    def __init__(
        self,
        kind: Kind,
        detail: str | None = None,
        *,
        errors: tuple[FieldError, ...] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.kind = kind
        self.detail = detail or _WORDS.get(kind, _STATUS[kind].description)
        self.errors = errors
        self.headers = dict(headers or {})
        super().__init__(self.detail)

    @property
    def status(self) -> HTTPStatus:
        """The HTTP status."""
        return self.kind.status

    def problem(self, request_id: UUID | None) -> Problem:
        """The answer's body."""
        return Problem(
            type=self.kind.urn,
            title=self.status.phrase,
            status=int(self.status),
            detail=self.detail,
            request_id=request_id,
            errors=self.errors,
        )

    def body(self, request_id: UUID | None) -> bytes:
        """The same as JSON."""
        return msgspec.json.encode(self.problem(request_id))


def not_found() -> Refused:
    """The refusal for what does not exist, and for what a key may not see: both look alike."""
    return Refused(Kind.NOT_FOUND)


def invalid(field: str, message: str) -> Refused:
    """The refusal of one field."""
    error = FieldError(field=field, message=message)
    return Refused(Kind.INVALID, f"`{field}`: {message}", errors=(error,))


def retry_later(kind: Kind, detail: str, seconds: int = RETRY_AFTER) -> Refused:
    """The refusal of a request that may be repeated after so many seconds."""
    return Refused(kind, detail, headers={"retry-after": str(seconds)})


def of_body(error: msgspec.MsgspecError) -> Refused:
    """The refusal of a JSON body, which names the field."""
    told = str(error)
    if not isinstance(error, msgspec.ValidationError):
        return Refused(Kind.MALFORMED, "The body is not JSON (RFC 8259) in UTF-8; correct it.")
    at = _AT_FIELD.search(told)
    path = at[1] if at else ""
    message = told[: at.start()] if at else told
    for pattern, words in (
        (_UNKNOWN, "This field is unknown"),
        (_MISSING, "This field is missing"),
    ):
        named = pattern.match(message)
        if named is not None:
            path = f"{path}.{named[1]}" if path else named[1]
            message = words
    return invalid(shown(path) or "body", f"{shown(message)}; correct it.")


def shown(text: str, most: int = 120) -> str:
    """Text that a client sent, in one line and shortened."""
    plain = "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)
    return plain if len(plain) <= most else f"{plain[: most - 1]}…"


def refusal_of(error: Exception) -> Refused:
    """The refusal for an error of a route; an unknown error is logged without its text (P4)."""
    match error:
        case Refused():
            return error
        case ValidationException():
            return _of_parameters(error)
        case HTTPException():
            kind = _BY_STATUS.get(HTTPStatus(error.status_code), Kind.MALFORMED)
            return Refused(kind, headers=_passed_on(error.headers))
        case StepRefused():
            return Refused(Kind.CONFLICT, str(error))
        case UsageError() | ParseError():
            return Refused(Kind.INVALID, str(error))
        case InfrastructureError() | StoreError():
            _log.warning("A request could not be served: %s", error)
            return retry_later(Kind.UNAVAILABLE, str(error))
        case _:
            name = type(error).__name__
            _log.error("A request failed with %s at\n%s", name, where(error))
            return Refused(Kind.INTERNAL)


HANDLED: tuple[type[Exception], ...] = (Exception, HTTPException, DovetailError)
"""What the exception handler of the application is for: more than Litestar's own covers."""


def _of_parameters(error: ValidationException) -> Refused:
    """The refusal of parameters in path, query and headers, which Litestar has checked."""
    found = tuple(
        FieldError(field=shown(str(each.get("key", "query"))), message=shown(str(each["message"])))
        for each in _extras(error)
    )
    names = ", ".join(f"`{each.field}`" for each in found) or "a parameter"
    return Refused(
        Kind.INVALID, f"The request has wrong values in {names}; correct them.", errors=found
    )


def _extras(error: ValidationException) -> list[dict[str, Any]]:
    given = error.extra
    return [each for each in given if isinstance(each, dict)] if isinstance(given, list) else []


def _passed_on(headers: Mapping[str, str] | None) -> dict[str, str]:
    return {
        name.lower(): value for name, value in (headers or {}).items() if name.lower() == "allow"
    }
