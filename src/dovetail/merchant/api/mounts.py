"""The interfaces of the server: each has its paths, its kind of bodies, and words for refusals."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast
from uuid import UUID

from litestar import Request, Router
from litestar import Response as Answer

from dovetail.merchant.api.problems import HANDLED, MEDIA_TYPE, Refused, refusal_of
from dovetail.serving.asgi import Scope
from dovetail.serving.responses import Headers, Response

JSON = b"application/json"
FORM = b"application/x-www-form-urlencoded"

MOUNTS = "mounts"
"""Where the state of an application has its interfaces."""

Refusal = Callable[[Scope, Refused], Response]
"""The answer to a request that is refused, before any route or by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """One interface; of several that have a path the first one serves it."""

    router: Router
    """Its routes, the same for every shop."""
    state: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What its routes find in the state of the application."""
    has: Callable[[str], bool]
    """Whether a path is under it."""
    refusal: Refusal
    takes: bytes = JSON
    """The media type of its requests' bodies."""


def mount_at(mounts: Sequence[Mount], path: str) -> Mount:
    """Return the interface of a path; the last one has every path."""
    return next(each for each in mounts if each.has(path))


def answer_to(request: Request[Any, Any, Any], error: Exception) -> Answer[bytes]:
    """Return what the interface of a request says to an error."""
    scope = cast("Scope", request.scope)
    mounts: Sequence[Mount] = request.app.state[MOUNTS]
    told = mount_at(mounts, scope["path"]).refusal(scope, refusal_of(error))
    headers = {name.decode(): value.decode() for name, value in told.headers}
    return Answer(told.body, status_code=told.status, headers=headers)


HANDLERS: dict[int | type[Exception], Any] = dict.fromkeys(HANDLED, answer_to)
"""The exception handlers of an application that has `MOUNTS`."""


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
