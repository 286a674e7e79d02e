"""The interfaces of the server: each has its paths, its kind of bodies, and words for refusals."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

from litestar import Request, Router
from litestar import Response as Answer

from dovetail.merchant.api.problems import HANDLED, MEDIA_TYPE, Refused, refusal_of
from dovetail.serving.asgi import Scope
from dovetail.serving.responses import Headers, Response

JSON = b"application/json"
FORM = b"application/x-www-form-urlencoded"

Refusal = Callable[[Scope, Refused], Response]
"""The answer to a request that is refused, before any route or by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """One interface; of several that have a path the first one serves it."""

    routers: tuple[Router, ...]
    has: Callable[[str], bool]
    """Whether a path is under it."""
    refusal: Refusal
    takes: bytes = JSON
    """The media type of its requests' bodies."""


def mount_at(mounts: Sequence[Mount], path: str) -> Mount:
    """Return the interface of a path; the last one has every path."""
    return next(each for each in mounts if each.has(path))


def handlers(mounts: Sequence[Mount]) -> dict[int | type[Exception], Any]:
    """Return the exception handlers of an application with these interfaces."""

    def answer_to(request: Request[Any, Any, Any], error: Exception) -> Answer[bytes]:
        scope = cast("Scope", request.scope)
        told = mount_at(mounts, scope["path"]).refusal(scope, refusal_of(error))
        headers = {name.decode(): value.decode() for name, value in told.headers}
        return Answer(told.body, status_code=told.status, headers=headers)

    return dict.fromkeys(HANDLED, answer_to)


def refused_with(refused: Refused, media_type: str, body: bytes, headers: Headers = ()) -> Response:
    """Return the answer with this body; the headers of the refusal come before the others."""
    own = tuple((name.lower().encode(), value.encode()) for name, value in refused.headers.items())
    kind = (b"content-type", media_type.encode())
    return Response(int(refused.status), (kind, *own, *headers), body)


def as_problem(scope: Scope, refused: Refused) -> Response:
    """The refusal as problem details (RFC 9457)."""
    return refused_with(refused, MEDIA_TYPE, refused.body(request_id_of(scope)))


def request_id_of(scope: Scope) -> UUID | None:
    """The id that the door has given a request."""
    found: UUID | None = scope["state"].get("request_id")
    return found
