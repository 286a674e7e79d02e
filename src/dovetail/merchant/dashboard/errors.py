"""Pages that tell why there is no other page, and the ways that lead to the sign-in."""

from http import HTTPStatus
from typing import Any

from dovetail.merchant.api.problems import Refused
from dovetail.merchant.dashboard.access import (
    FromElsewhereError,
    NotSignedInError,
    to_sign_in,
)
from dovetail.merchant.dashboard.rendering import HEADERS, rendered
from dovetail.merchant.dashboard.sign_in import come_again
from dovetail.merchant.pages.language import phrase
from dovetail.merchant.pages.rendering import html_refusal
from dovetail.serving.asgi import Scope
from dovetail.serving.responses import Response

_TITLES = {
    HTTPStatus.NOT_FOUND: phrase("There is no such page"),
    HTTPStatus.FORBIDDEN: phrase("This is not allowed"),
    HTTPStatus.TOO_MANY_REQUESTS: phrase("Too many requests"),
    HTTPStatus.SERVICE_UNAVAILABLE: phrase("The shop cannot answer now"),
}
_TITLE = phrase("That did not work")


HANDLERS: dict[int | type[Exception], Any] = {
    NotSignedInError: to_sign_in,
    FromElsewhereError: come_again,
}
"""The exception handlers of the dashboard: what leads to another page."""


def refusal(scope: Scope, refused: Refused) -> Response:
    """The page for a request that is refused."""
    title = _TITLES.get(refused.status, _TITLE)
    html = rendered("error.html", scope, title=title, words=refused.detail)
    return html_refusal(refused, html, HEADERS)
