"""Pages that tell why there is no other page, and the ways that lead to the sign-in."""

from http import HTTPStatus
from typing import Any

from litestar import Request, Response
from litestar.exceptions import HTTPException

from dovetail.errors import DovetailError
from dovetail.merchant.api.problems import Refused, refusal_of
from dovetail.merchant.dashboard.access import (
    FromElsewhereError,
    NotSignedInError,
    to_sign_in,
)
from dovetail.merchant.dashboard.rendering import HEADERS, answer, rendered
from dovetail.merchant.dashboard.sign_in import come_again
from dovetail.serving import responses

_TITLES = {
    HTTPStatus.NOT_FOUND: "There is no such page",
    HTTPStatus.FORBIDDEN: "This is not allowed",
    HTTPStatus.TOO_MANY_REQUESTS: "Too many requests",
    HTTPStatus.SERVICE_UNAVAILABLE: "The shop cannot answer now",
}
_TITLE = "That did not work"


def answer_to(_: Request[Any, Any, Any], error: Exception) -> Response[str]:
    """The page for an error of a route: Litestar's exception handler."""
    refused = refusal_of(error)
    told = _told(refused)
    return answer("error.html", status=refused.status, headers=refused.headers, **told)


HANDLERS: dict[int | type[Exception], Any] = {
    NotSignedInError: to_sign_in,
    FromElsewhereError: come_again,
    Exception: answer_to,
    HTTPException: answer_to,
    DovetailError: answer_to,
}
"""The exception handlers of the dashboard."""


def at_the_door(refused: Refused) -> responses.Response:
    """The page for a request that meets no route."""
    html = rendered("error.html", **_told(refused))
    given = dict(HEADERS) | refused.headers | {"Content-Type": "text/html; charset=utf-8"}
    headers = tuple((name.lower().encode(), value.encode()) for name, value in given.items())
    return responses.Response(int(refused.status), headers, html.encode())


def _told(refused: Refused) -> dict[str, str]:
    return {"title": _TITLES.get(refused.status, _TITLE), "words": refused.detail}
