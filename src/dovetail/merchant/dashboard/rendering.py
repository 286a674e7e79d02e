"""HTML from the dashboard's templates, and the words and numbers in them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache, partial
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import parse_qsl, quote, urlencode

from jinja2 import Environment
from litestar import Response
from litestar.enums import MediaType

from dovetail.merchant.api.routes.common import ApiRequest
from dovetail.merchant.dashboard.access import PATH, Visitor, visitor_of
from dovetail.merchant.dashboard.speech import FIELD, remember, speech_of, told
from dovetail.merchant.messages import Scope
from dovetail.merchant.pages.language import NAMES, Language, language, phrase
from dovetail.merchant.pages.rendering import environment, headers_of
from dovetail.serving import asgi

PAGES = (
    ("", phrase("Overview"), None),
    ("/invoices", phrase("Invoices"), Scope.INVOICES_READ),
    ("/refunds", phrase("Refunds"), Scope.REFUNDS_READ),
    ("/points-of-sale", phrase("Points of sale"), Scope.STORES_READ),
    ("/coins", phrase("Coins"), Scope.COINS_READ),
    ("/webhooks", phrase("Webhooks"), Scope.WEBHOOKS_READ),
    ("/keys", phrase("API keys"), Scope.KEYS_READ),
    ("/users", phrase("Users"), Scope.KEYS_WRITE),
)
"""The pages of the menu: the rest of the path, the words, and what a user needs to see each."""

NOTICES = {
    "password": phrase("The password was changed, and you were signed out everywhere else."),
    "codes": phrase("From now on you are asked for a code. You were signed out everywhere else."),
    "no-codes": phrase("You are asked for the password alone from now on."),
    "passkey": phrase("The passkey was made. You can sign in with it."),
    "no-passkey": phrase("The passkey was removed, and you were signed out everywhere else."),
    "signed-out": phrase("You were signed out there."),
    "signed-out-others": phrase("You were signed out everywhere else."),
    "close": phrase("The invoice is closed as soon as its session has been asked once more."),
    "settled": phrase("The invoice counts as settled."),
    "invalid": phrase("The invoice counts as invalid."),
    "approve": phrase("The refund was approved. Approve its transaction at the signer, too."),
    "decline": phrase("The refund was declined."),
    "cancel": phrase("The refund was taken back."),
    "resend": phrase("The event is sent again."),
    "on": phrase("The webhook is on."),
    "off": phrase("The webhook is off: it hears nothing."),
    "point-made": phrase("The point of sale was made. Say now what it sells."),
    "point-saved": phrase("The point of sale was saved."),
    "point-closed": phrase("The point of sale is closed: its page leads nowhere."),
    "point-opened": phrase("The point of sale is open again."),
    "point-moved": phrase("The point of sale has another address. The old one leads nowhere."),
    "revoked": phrase("The key was revoked."),
    "user": phrase("The user was made."),
    "disabled": phrase("The user was locked out."),
}
"""What is told on the next page after an act, by a word in its address."""
DONE = "done"
"""The parameter with this word."""

HEADERS: Mapping[str, str] = dict(headers_of(())) | {
    "Referrer-Policy": "same-origin",
    "Vary": "Accept-Language, Cookie",
}
"""The headers of each page: nobody shows the dashboard in a frame.

With `no-referrer` browsers send forms with `Origin: null`, which every site can do (Fetch, 3.2).
"""


def page(
    request: ApiRequest,
    template: str,
    *,
    status: int = HTTPStatus.OK,
    headers: Mapping[str, str] | None = None,
    **values: Any,
) -> Response[str]:
    """A page for the user who has signed in."""
    visitor = visitor_of(request)
    return answer(
        request,
        template,
        status=status,
        headers=headers,
        visitor=visitor,
        menu=_menu(visitor, request.url.path),
        notice=notice_of(request),
        **values,
    )


def answer(
    request: ApiRequest,
    template: str,
    *,
    status: int = HTTPStatus.OK,
    headers: Mapping[str, str] | None = None,
    **values: Any,
) -> Response[str]:
    """A page for anybody, in their language."""
    made = Response(
        rendered(template, cast("asgi.Scope", request.scope), **values),
        status_code=status,
        media_type=MediaType.HTML,
        headers=dict(HEADERS) | dict(headers or {}),
    )
    remember(made, request)
    return made


def rendered(template: str, scope: asgi.Scope, **values: Any) -> str:
    """The HTML of a template for a request."""
    usual = {"visitor": None, "notice": None, "choices": _choices(scope)}
    found = _environment(speech_of(scope).code).get_template(template)
    return found.render(usual | values)


def notice_of(request: ApiRequest) -> str | None:
    """What was done before this page; no words come from the address itself."""
    return NOTICES.get(request.query_params.get(DONE, ""))


def link(path: str, **query: str | None) -> str:
    """A path of the dashboard with a query; what is empty is left out."""
    given = {name: value for name, value in query.items() if value}
    return f"{PATH}{path}?{urlencode(given)}" if given else f"{PATH}{path}"


def exact(seconds: int) -> str:
    """A time in UTC as RFC 3339 writes it."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def short(text: Any) -> str:
    """The first and the last characters of a long id or hash."""
    told = str(text)
    return told if len(told) <= 20 else f"{told[:8]}…{told[-8:]}"


def _menu(visitor: Visitor, path: str) -> list[tuple[str, str, bool]]:
    return [
        (link(rest), words, path == PATH + rest or (bool(rest) and path.startswith(PATH + rest)))
        for rest, words, scope in PAGES
        if scope is None or visitor.may(scope)
    ]


def _choices(scope: asgi.Scope) -> list[tuple[str, str, str]]:
    """The languages, each with its name and the address of the page in it.

    There are none where the page answers a form: it cannot be asked for again.
    """
    if scope["method"] not in ("GET", "HEAD"):
        return []
    query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
    query.pop(DONE, None)
    return [
        (code, name, f"{quote(scope['path'])}?{urlencode(query | {FIELD: code})}")
        for code, name in NAMES.items()
    ]


@cache
def _environment(code: str) -> Environment:
    speech = language(code)
    shared = {"link": link, "Scope": Scope, "language": speech}
    made = environment("dovetail.merchant.dashboard", speech, shared)
    filters: Any = made.filters
    filters.update(_filters(speech))
    return made


def _filters(speech: Language) -> dict[str, Any]:
    return {
        "said": speech.say,
        "told": partial(told, speech=speech),
        "number": speech.number,
        "decimal": speech.decimal,
        "sats": speech.sats,
        "day": speech.day,
        "moment": speech.moment,
        "exact": exact,
        "short": short,
    }
