"""Pages that tell why there is no other page."""

from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import parse_qsl

from dovetail.merchant.api.problems import Refused
from dovetail.merchant.pages.language import Language, language_of, phrase
from dovetail.merchant.pages.rendering import html_refusal, rendered
from dovetail.serving.asgi import Scope, header
from dovetail.serving.responses import Response

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


def refusal(scope: Scope, refused: Refused, headers: Mapping[str, str]) -> Response:
    """The page for a request that is refused."""
    wanted = dict(parse_qsl(scope["query_string"].decode("latin-1"))).get("lang")
    accepted = (header(scope, b"accept-language") or b"").decode("latin-1")
    speech = language_of(wanted, accepted)
    html = rendered("error.html", speech, path=scope["path"], **_told(refused, speech))
    return html_refusal(refused, html, headers)


def _told(refused: Refused, speech: Language) -> dict[str, str]:
    return {
        "title": speech.say(_TITLES.get(refused.status, _TITLE)),
        "words": speech.say(_WORDS.get(refused.status, _OTHER)),
    }
