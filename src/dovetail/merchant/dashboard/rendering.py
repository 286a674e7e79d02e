"""HTML from the dashboard's templates, and the words and numbers in them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment
from litestar import Response
from litestar.enums import MediaType

from dovetail.merchant.api.routes.common import ApiRequest
from dovetail.merchant.dashboard.access import PATH, Visitor, visitor_of
from dovetail.merchant.messages import Scope
from dovetail.merchant.pages.language import USUAL, language
from dovetail.merchant.pages.rendering import environment, headers_of

PAGES = (
    ("", "Overview", None),
    ("/invoices", "Invoices", Scope.INVOICES_READ),
    ("/refunds", "Refunds", Scope.REFUNDS_READ),
    ("/coins", "Coins", Scope.COINS_READ),
    ("/webhooks", "Webhooks", Scope.WEBHOOKS_READ),
    ("/keys", "API keys", Scope.KEYS_READ),
    ("/users", "Users", Scope.KEYS_WRITE),
)
"""The pages of the menu: the rest of the path, the words, and what a user needs to see each."""

NOTICES = {
    "password": "The password was changed, and you were signed out everywhere else.",
    "codes": "From now on you are asked for a code. You were signed out everywhere else.",
    "no-codes": "You are asked for the password alone from now on.",
    "passkey": "The passkey was made. You can sign in with it.",
    "no-passkey": "The passkey was removed, and you were signed out everywhere else.",
    "signed-out": "You were signed out there.",
    "signed-out-others": "You were signed out everywhere else.",
    "close": "The invoice is closed as soon as its session has been asked once more.",
    "settled": "The invoice counts as settled.",
    "invalid": "The invoice counts as invalid.",
    "approve": "The refund was approved. Approve its transaction at the signer, too.",
    "decline": "The refund was declined.",
    "cancel": "The refund was taken back.",
    "resend": "The event is sent again.",
    "on": "The webhook is on.",
    "off": "The webhook is off: it hears nothing.",
    "revoked": "The key was revoked.",
    "user": "The user was made.",
    "disabled": "The user was locked out.",
}
"""What is told on the next page after an act, by a word in its address."""

HEADERS: Mapping[str, str] = dict(headers_of(())) | {"Referrer-Policy": "same-origin"}
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
        template,
        status=status,
        headers=headers,
        visitor=visitor,
        menu=_menu(visitor, request.url.path),
        notice=notice_of(request),
        **values,
    )


def answer(
    template: str,
    *,
    status: int = HTTPStatus.OK,
    headers: Mapping[str, str] | None = None,
    **values: Any,
) -> Response[str]:
    """A page for anybody."""
    return Response(
        rendered(template, **values),
        status_code=status,
        media_type=MediaType.HTML,
        headers=dict(HEADERS) | dict(headers or {}),
    )


def rendered(template: str, **values: Any) -> str:
    """The HTML of a template."""
    return _environment().get_template(template).render({"visitor": None, "notice": None} | values)


def notice_of(request: ApiRequest) -> str | None:
    """What was done before this page; no words come from the address itself."""
    return NOTICES.get(request.query_params.get("done", ""))


def link(path: str, **query: str | None) -> str:
    """A path of the dashboard with a query; what is empty is left out."""
    given = {name: value for name, value in query.items() if value}
    return f"{PATH}{path}?{urlencode(given)}" if given else f"{PATH}{path}"


def moment(seconds: int) -> str:
    """A time in UTC, to the minute."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%d %H:%M")


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


@cache
def _environment() -> Environment:
    speech = language(USUAL)
    made = environment("dovetail.merchant.dashboard", speech, {"link": link, "Scope": Scope})
    made.filters |= {
        "sats": lambda value: speech.sats(int(value)),
        "moment": moment,
        "exact": exact,
        "short": short,
    }
    return made
