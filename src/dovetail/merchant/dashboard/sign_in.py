"""Signing in and out: a password, then a code for those who have set one up; or a passkey."""

from http import HTTPStatus
from math import ceil
from typing import Any
from urllib.parse import quote

from litestar import Request, Response, get, post
from litestar.response import Redirect

from dovetail.merchant.api.routes.common import ApiRequest, in_thread, origin_of, parts_of
from dovetail.merchant.dashboard.access import (
    PATH,
    SIGN_IN,
    Form,
    Needs,
    cookie_of,
    drop_cookie,
    form_of,
    here,
    new_token,
    own_path,
    require_form,
    set_cookie,
    visitor_of,
)
from dovetail.merchant.dashboard.browsers import browser_of, keep_known, known_to
from dovetail.merchant.dashboard.desk import desk_of
from dovetail.merchant.dashboard.rendering import answer, notice_of
from dovetail.merchant.data import sign_ins
from dovetail.merchant.pages.language import phrase
from dovetail.merchant.services.authenticators import Party
from dovetail.merchant.services.sign_in import SignedIn, form_token

CODE = f"{SIGN_IN}/code"
SIGN_OUT = f"{PATH}/sign-out"
_FORMS = "dovetail-form"
"""The cookie whose forms a browser sends before anybody has signed in."""
_MOST_NAME = 100

WRONG = phrase("The name or the password is wrong.")
WRONG_CODE = phrase("The code is wrong or was used already. Wait for the next one.")
AGAIN = phrase("That took too long, or there were too many wrong codes. Sign in again.")
NO_COOKIE = phrase("The form is out of date. Send it again.")


@get(SIGN_IN)
async def show_sign_in(request: ApiRequest) -> Response[str]:
    """Ask for name and password."""
    return ask_again(request, status=HTTPStatus.OK)


@post(SIGN_IN)
async def sign_in(request: ApiRequest) -> Response[Any]:
    """Check name and password, and begin a sign-in with a token that nobody has seen before."""
    form = form_of(request)
    token = form_cookie(request)
    if token is None:
        return ask_again(request, form, error=NO_COOKIE, status=HTTPStatus.FORBIDDEN)
    require_form(request, token)
    name = form.one("name")[:_MOST_NAME]
    wait = await _wait(request, name)
    if wait:
        return _too_many(ask_again, request, form, wait)
    signs, password, browser = desk_of(request).sign_ins, form.raw("password"), browser_of(request)
    async with desk_of(request).gate.hashing:
        begun = await in_thread(lambda: signs.start(name, password, browser))
    if begun is None:
        return ask_again(request, form, error=WRONG)
    back = own_path(form.one("next"))
    return await enter(
        request, begun, back if begun.whole else f"{CODE}?next={quote(back, safe='')}"
    )


@get(CODE)
async def show_code(request: ApiRequest) -> Response[Any]:
    """Ask for the code of the user's app."""
    token = request.cookies.get(cookie_of(request))
    if token is None:
        return Redirect(SIGN_IN, status_code=303)
    return _asked_code(request)


@post(CODE)
async def give_code(request: ApiRequest) -> Response[Any]:
    """Check the code; the sign-in gets another token."""
    form, token = form_of(request), request.cookies.get(cookie_of(request))
    if token is None:
        return Redirect(SIGN_IN, status_code=303)
    require_form(request, token)
    database = parts_of(request).database
    half = await database.aread(lambda c: sign_ins.find(c, token, database.now()))
    if half is None or half.whole:
        return ask_again(request, form, error=AGAIN)
    wait = await _wait(request, half.user.name)
    if wait:
        return _too_many(_asked_code, request, form, wait)
    signs, code, browser = desk_of(request).sign_ins, form.one("code"), browser_of(request)
    done = await in_thread(lambda: signs.complete(token, code, browser))
    if done is not None:
        return await enter(request, done, own_path(form.one("next")))
    goes_on = await database.aread(lambda c: sign_ins.find(c, token, database.now()))
    if goes_on is None:
        return ask_again(request, form, error=AGAIN)
    return _asked_code(request, form, error=WRONG_CODE, status=HTTPStatus.UNPROCESSABLE_ENTITY)


@post(SIGN_OUT, guards=[Needs()])
async def sign_out(request: ApiRequest) -> Response[Any]:
    """End the sign-in here and in the database."""
    token = visitor_of(request).token
    await in_thread(lambda: desk_of(request).sign_ins.end(token))
    led: Response[Any] = Redirect(SIGN_IN, status_code=303)
    drop_cookie(led, request)
    led.headers["clear-site-data"] = '"cache", "storage"'
    return led


def come_again(request: Request[Any, Any, Any], _: Exception) -> Response[str]:
    """Load the page once more from here: then the browser sends its cookie."""
    return answer(request, "again.html", path=here(request))


HANDLERS = (show_sign_in, sign_in, show_code, give_code, sign_out)


def ask_again(
    request: ApiRequest,
    form: Form | None = None,
    *,
    error: str | None = None,
    status: int = HTTPStatus.UNPROCESSABLE_ENTITY,
) -> Response[str]:
    """The page for the sign-in, with a token of its own where the browser has none."""
    known = form_cookie(request)
    token = known or new_token()
    back = request.query_params.get("next") if form is None else form.one("next")
    shown = answer(
        request,
        "sign-in.html",
        status=status,
        form=form_token(token),
        back=own_path(back),
        name="" if form is None else form.one("name")[:_MOST_NAME],
        error=error,
        notice=notice_of(request),
        takes_passkeys=Party.of(origin_of(request)) is not None,
    )
    if known is None:
        set_cookie(shown, request, token, _FORMS)
    return shown


def _asked_code(
    request: ApiRequest,
    form: Form | None = None,
    *,
    error: str | None = None,
    status: int = HTTPStatus.OK,
) -> Response[str]:
    token = request.cookies.get(cookie_of(request)) or ""
    back = request.query_params.get("next") if form is None else form.one("next")
    return answer(
        request,
        "code.html",
        status=status,
        form=form_token(token),
        back=own_path(back),
        error=error,
    )


def _too_many(ask: Any, request: ApiRequest, form: Form, wait: float) -> Response[str]:
    seconds = max(1, ceil(wait))
    words = f"There were too many tries. Wait {seconds} seconds, and try again."
    shown: Response[str] = ask(request, form, error=words, status=HTTPStatus.TOO_MANY_REQUESTS)
    shown.headers["retry-after"] = str(seconds)
    return shown


async def enter(request: ApiRequest, begun: SignedIn, path: str) -> Response[Any]:
    """Lead to a page as a user who has signed in; the sign-in that the browser had ends."""
    token = request.cookies.get(cookie_of(request))
    if token is not None:
        await in_thread(lambda: desk_of(request).sign_ins.end(token))
    led: Response[Any] = Redirect(path, status_code=303)
    set_cookie(led, request, begun.token)
    if begun.known is not None:
        keep_known(led, request, begun.known)
    drop_cookie(led, request, _FORMS)
    return led


def form_cookie(request: ApiRequest) -> str | None:
    """The token of the forms that the browser sends before anybody has signed in."""
    return request.cookies.get(cookie_of(request, _FORMS))


async def _wait(request: ApiRequest, name: str) -> float:
    known = await known_to(request, name)
    return desk_of(request).gate.wait(request.scope["state"].get("client"), name, known)
