"""Other interfaces of the same server, each under a path of its own, with its own words."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from litestar import Request, Response, Router

from dovetail.merchant.api.problems import HANDLED, MEDIA_TYPE, Refused, refusal_of

Worded = Callable[[Refused, UUID | None], tuple[bytes, str]]
"""Takes a refusal and the id of its request; gives the body of the answer and its media type."""


@dataclass(frozen=True, slots=True)
class Mount:
    """An interface under `path`, which begins with a slash and does not end with one."""

    path: str
    router: Router
    worded: Worded

    def has(self, path: str) -> bool:
        """Whether a request's path is under this one."""
        return path == self.path or path.startswith(f"{self.path}/")


def worded_at(mounts: Iterable[Mount], path: str) -> Worded:
    """Return how a refusal is worded at a path: problem details, unless a mount has its own way."""
    return next((each.worded for each in mounts if each.has(path)), _problem)


def handlers(mounts: Sequence[Mount]) -> dict[int | type[Exception], Any]:
    """Return the exception handlers of an application with these mounts."""

    def answer_to(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
        refused = refusal_of(error)
        worded = worded_at(mounts, request.scope["path"])
        body, media_type = worded(refused, request.scope["state"].get("request_id"))
        return Response(
            body,
            status_code=int(refused.status),
            media_type=media_type,
            headers=refused.headers,
        )

    return dict.fromkeys(HANDLED, answer_to)


def _problem(refused: Refused, request_id: UUID | None) -> tuple[bytes, str]:
    return refused.body(request_id), MEDIA_TYPE
