"""Pages that tell why there is no other page."""

from http import HTTPStatus
from typing import Any

from litestar import Request, Response
from litestar.exceptions import HTTPException

from dovetail.errors import DovetailError
from dovetail.merchant.api.problems import Refused, refusal_of
from dovetail.merchant.pages.language import Language, language_of, phrase
from dovetail.merchant.pages.rendering import language_for, page, rendered
from dovetail.serving import responses
from dovetail.serving.asgi import Scope, header

_TITLES = {
    HTTPStatus.NOT_FOUND: phrase("There is no such page"),
    HTTPStatus.TOO_MANY_REQUESTS: phrase("Too many requests"),
    HTTPStatus.SERVICE_UNAVAILABLE: phrase("The shop cannot answer now"),
}
_WORDS = {
    HTTPStatus.NOT_FOUND: phrase(
        "Check the address of this page. If the shop gave it to you, ask there for a new one."
    ),
    HTTPStatus.TOO_MANY_REQUESTS: phrase("Wait a few seconds, and load the page again."),
    HTTPStatus.SERVICE_UNAVAILABLE: phrase(
        "Wait a few seconds, and load the page again. Payments that were made are not lost."
    ),
}
_TITLE = phrase("That did not work")
_OTHER = phrase("Go back, and try it again. If that does not help, tell the shop.")


def answer_to(request: Request[Any, Any, Any], error: Exception) -> Response[str]:
    """The page for an error of a route: Litestar's exception handler."""
    refused = refusal_of(error)
    speech = language_for(request)
    return page(
        request,
        "error.html",
        speech,
        status=int(refused.status),
        headers=refused.headers,
        **_told(refused, speech),
    )


HANDLERS: dict[int | type[Exception], Any] = {
    Exception: answer_to,
    HTTPException: answer_to,
    DovetailError: answer_to,
}
"""The exception handlers of pages."""


def at_the_door(scope: Scope, refused: Refused, headers: responses.Headers) -> responses.Response:
    """The page for a request that meets no route."""
    speech = language_of(None, (header(scope, b"accept-language") or b"").decode("latin-1"))
    html = rendered("error.html", speech, path=scope["path"], **_told(refused, speech))
    own = tuple((name.encode(), value.encode()) for name, value in refused.headers.items())
    kind = (b"content-type", b"text/html; charset=utf-8")
    return responses.Response(int(refused.status), (kind, *own, *headers), html.encode())


def _told(refused: Refused, speech: Language) -> dict[str, str]:
    return {
        "title": speech.say(_TITLES.get(refused.status, _TITLE)),
        "words": speech.say(_WORDS.get(refused.status, _OTHER)),
    }
