"""Who may see a page: the sign-in of a browser, what its user may do, and whose form it was."""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import parse_qsl, quote

from litestar import Request, Response
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.response import Redirect

from dovetail.merchant.api.problems import Kind, Refused
from dovetail.merchant.api.routes.common import in_thread, site_of
from dovetail.merchant.dashboard.desk import desk_of
from dovetail.merchant.data.users import UserRow
from dovetail.merchant.messages import Role, Scope
from dovetail.merchant.pages.language import phrase
from dovetail.merchant.services.sign_in import form_token, is_form_token
from dovetail.serving import asgi

PATH = "/dashboard"
SIGN_IN = f"{PATH}/sign-in"
FIELD = "form"
"""The field of each form that holds its token (CSRF)."""

ROLE = phrase("Your role does not let you do this: ask an owner.")
UNREADABLE = phrase("The form cannot be read; send it again.")
ELSEWHERE = phrase("The form was sent by another site; open the page anew.")
OUT_OF_DATE = phrase("The form is out of date; open the page anew.")

_MOST_FIELDS = 250
CONSENT = ("/greenfield/api-keys/authorize", "/api-keys/authorize")
"""Where shop software asks for a key: under the address that it was given, and without its path."""

_OWN_PATH = re.compile(
    rf"{PATH}(/[A-Za-z0-9_-]+)*(\?[A-Za-z0-9_=&%+.:-]*)?"
    rf"|(?:{'|'.join(CONSENT)})(\?[A-Za-z0-9_=&%+.:/?@,;!'()*~$-]*)?",
    re.ASCII,
)  # no dots, and no two slashes together: nothing that a browser could take for another host

AnyConnection = ASGIConnection[Any, Any, Any, Any]


class NotSignedInError(Exception):
    """Nobody has signed in with this browser, or their sign-in is over."""


class FromElsewhereError(Exception):
    """The browser came from another site, and so left its cookie away (RFC 6265bis, Strict)."""


@dataclass(frozen=True, slots=True, repr=False)
class Visitor:
    """The user of a request; its repr shows nothing (P4)."""

    user: UserRow
    token: str

    def __repr__(self) -> str:
        return f"<Visitor {self.user.id}>"

    @property
    def who(self) -> str:
        """How the audit trail names them."""
        return f"user {self.user.id}"

    @property
    def form(self) -> str:
        """The token of their forms."""
        return form_token(self.token)

    @property
    def is_owner(self) -> bool:
        """Whether they may do everything."""
        return self.user.role is Role.OWNER

    def may(self, scope: Scope) -> bool:
        """Whether their role lets them do this."""
        return scope in self.user.role.scopes


@dataclass(frozen=True, slots=True)
class Form:
    """The fields of a form; of those that come several times, all."""

    fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])

    def one(self, name: str) -> str:
        """The value of a field without blanks around it; empty if there is none."""
        return self.raw(name).strip()

    def raw(self, name: str) -> str:
        """The value of a field as it is, such as a password."""
        return self.fields.get(name, ("",))[-1]

    def all(self, name: str) -> tuple[str, ...]:
        """All values of a field."""
        return self.fields.get(name, ())


@dataclass(frozen=True, slots=True)
class Needs:
    """A guard that lets a user through whose role has the scope; None: every user.

    It leaves the user in the state. A POST needs the token of the user's own form, too.
    """

    scope: Scope | None = None
    owner: bool = False
    """Whether only an owner gets through."""

    async def __call__(self, connection: AnyConnection, _: BaseRouteHandler) -> None:
        """Raise `NotSignedInError`, `FromElsewhereError` or `Refused` for anybody else."""
        token = connection.cookies.get(cookie_of(connection))
        if token is None and _came_from_elsewhere(connection):
            raise FromElsewhereError
        signs = desk_of(connection).sign_ins
        found = None if token is None else await in_thread(lambda: signs.current(token))
        if token is None or found is None:
            raise NotSignedInError
        visitor = Visitor(found.user, token)
        connection.scope["state"]["visitor"] = visitor
        if _method(connection) == "POST":
            require_form(connection, token)
        if (self.scope is not None and not visitor.may(self.scope)) or (
            self.owner and not visitor.is_owner
        ):
            raise Refused(Kind.FORBIDDEN, ROLE)


def visitor_of(request: Request[Any, Any, Any]) -> Visitor:
    """The user whom the guard has found."""
    found = request.scope["state"].get("visitor")
    if not isinstance(found, Visitor):
        raise NotSignedInError
    return found


def form_of(connection: AnyConnection) -> Form:
    """The fields of the request's form; raises `Refused`."""
    body: bytes = connection.scope["state"]["body"]
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_MOST_FIELDS,
        )
    except ValueError:
        raise Refused(Kind.MALFORMED, UNREADABLE) from None
    found: dict[str, tuple[str, ...]] = {}
    for name, value in pairs:
        found[name] = (*found.get(name, ()), value.replace("\x00", ""))
    return Form(found)


def require_form(connection: AnyConnection, token: str) -> None:
    """Raise `Refused` unless a page of this server has sent the form, made for this token.

    Browsers tell where a request comes from (Fetch Metadata, and `Origin` of RFC 6454).
    """
    site = connection.headers.get("sec-fetch-site", "same-origin")
    origin = connection.headers.get("origin")
    is_ours = origin is None or origin == site_of(connection).origin(_scope(connection))
    if site != "same-origin" or not is_ours or (origin is None and not _tells_site(connection)):
        raise Refused(Kind.FORBIDDEN, ELSEWHERE)
    if not is_form_token(token, form_of(connection).one(FIELD)):
        raise Refused(Kind.FORBIDDEN, OUT_OF_DATE)


def is_secure(connection: AnyConnection) -> bool:
    """Whether browsers reach the dashboard by TLS."""
    return site_of(connection).is_secure(_scope(connection))


def cookie_of(connection: AnyConnection, name: str = "dovetail") -> str:
    """The name of a cookie; browsers let no other host and no plain HTTP set `__Host-`."""
    return f"__Host-{name}" if is_secure(connection) else name


def set_cookie(
    answer: Response[Any],
    connection: AnyConnection,
    value: str,
    name: str = "dovetail",
    *,
    seconds: int | None = None,
) -> None:
    """Give the browser a cookie that no script reads, and that comes from our own pages alone.

    It stays for so many seconds, or until the browser is closed.
    """
    answer.set_cookie(
        cookie_of(connection, name),
        value,
        max_age=seconds,
        path="/",
        secure=is_secure(connection),
        httponly=True,
        samesite="strict",
    )


def drop_cookie(answer: Response[Any], connection: AnyConnection, name: str = "dovetail") -> None:
    """Have the browser forget a cookie."""
    answer.set_cookie(
        cookie_of(connection, name),
        "",
        max_age=0,
        path="/",
        secure=is_secure(connection),
        httponly=True,
        samesite="strict",
    )


def new_token() -> str:
    """A random token for the forms of a browser in which nobody has signed in."""
    return secrets.token_urlsafe(32)


def own_path(text: str | None) -> str:
    """This path if it is one of the dashboard's, else its first page: never another host."""
    return text if text is not None and _OWN_PATH.fullmatch(text) else PATH


def here(request: Request[Any, Any, Any]) -> str:
    """The path of a request, with its query."""
    query = request.scope["query_string"].decode("latin-1")
    return f"{request.url.path}?{query}" if query else request.url.path


def to_sign_in(request: Request[Any, Any, Any], _: NotSignedInError) -> Response[Any]:
    """Lead to the sign-in, and back to the page afterwards; no form is sent twice."""
    back = ""
    if request.method == "GET":
        wanted = own_path(here(request))
        back = "" if wanted == PATH else f"?next={quote(wanted, safe='')}"
    return Redirect(SIGN_IN + back, status_code=303)


def _came_from_elsewhere(connection: AnyConnection) -> bool:
    site = connection.headers.get("sec-fetch-site")
    return _method(connection) == "GET" and site in ("cross-site", "same-site")


def _tells_site(connection: AnyConnection) -> bool:
    return "sec-fetch-site" in connection.headers


def _method(connection: AnyConnection) -> str:
    return str(_scope(connection)["method"])


def _scope(connection: AnyConnection) -> asgi.Scope:
    return cast("asgi.Scope", connection.scope)
