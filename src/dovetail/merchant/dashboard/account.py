"""The user's own page: their password, and the codes of their app as the second factor."""

from http import HTTPStatus
from math import ceil
from typing import Any

import segno
from litestar import Response, get, post
from litestar.response import Redirect

from dovetail.errors import ConfigurationError, UsageError
from dovetail.merchant.api.routes.common import ApiRequest, in_thread, parts_of
from dovetail.merchant.dashboard.access import (
    PATH,
    SIGN_IN,
    Form,
    Needs,
    drop_cookie,
    form_of,
    visitor_of,
)
from dovetail.merchant.dashboard.desk import desk_of
from dovetail.merchant.dashboard.rendering import page
from dovetail.merchant.data import user_codes

ACCOUNT = f"{PATH}/account"
WRONG_PASSWORD = "This is not your password."  # noqa: S105 - no password, but words about one
WRONG_CODE = "The code is wrong. Type the one that your app shows now."
UNEQUAL = "The two new passwords differ. Type them again."


@get(ACCOUNT, guards=[Needs()])
async def show_account(request: ApiRequest) -> Response[str]:
    """Show what a user can change about their own sign-in."""
    return await _account(request)


@post(f"{ACCOUNT}/password", guards=[Needs()])
async def change_password(request: ApiRequest) -> Response[Any]:
    """Give the user another password; all their sign-ins end."""
    form, visitor = form_of(request), visitor_of(request)
    error = await _refusal(request, form)
    if error is None and form.raw("new") != form.raw("again"):
        error = UNEQUAL
    if error is not None:
        return await _account(request, error=error)
    users, name, new = desk_of(request).users, visitor.user.name, form.raw("new")
    try:
        await in_thread(lambda: users.set_password(name, new, by=visitor.who))
    except ConfigurationError as refused:
        return await _account(request, error=str(refused))
    return _out(request, "password")


@post(f"{ACCOUNT}/codes", guards=[Needs()])
async def propose_codes(request: ApiRequest) -> Response[Any]:
    """Show a new secret for the user's app; it is shown in this answer alone."""
    form, visitor = form_of(request), visitor_of(request)
    error = await _refusal(request, form)
    if error is not None:
        return await _account(request, error=error)
    try:
        made = await in_thread(lambda: desk_of(request).sign_ins.propose_codes(visitor.user))
    except UsageError as refused:
        return await _account(request, error=str(refused))
    return page(
        request, "codes.html", secret=_grouped(made.secret), code=_drawn(made.uri), error=None
    )


@post(f"{ACCOUNT}/codes/confirm", guards=[Needs()])
async def confirm_codes(request: ApiRequest) -> Response[Any]:
    """Ask the user for codes from now on; all their sign-ins end."""
    form, visitor = form_of(request), visitor_of(request)
    wait = _wait(request)
    words = None if not wait else _too_many(wait)
    if words is None:
        signs, code = desk_of(request).sign_ins, form.one("code")
        if await in_thread(lambda: signs.confirm_codes(visitor.user, code, by=visitor.who)):
            return _out(request, "codes")
        words = WRONG_CODE
    return page(
        request,
        "codes.html",
        status=HTTPStatus.UNPROCESSABLE_ENTITY,
        secret=None,
        code=None,
        error=words,
    )


@post(f"{ACCOUNT}/codes/remove", guards=[Needs()])
async def remove_codes(request: ApiRequest) -> Response[Any]:
    """Ask the user for the password alone from now on."""
    form, visitor = form_of(request), visitor_of(request)
    error = await _refusal(request, form)
    if error is not None:
        return await _account(request, error=error)
    signs = desk_of(request).sign_ins
    await in_thread(lambda: signs.remove_codes(visitor.user, by=visitor.who))
    return Redirect(f"{ACCOUNT}?done=no-codes", status_code=303)


HANDLERS = (show_account, change_password, propose_codes, confirm_codes, remove_codes)


async def _account(request: ApiRequest, *, error: str | None = None) -> Response[str]:
    user_id = visitor_of(request).user.id
    codes = await parts_of(request).database.aread(lambda c: user_codes.codes_of(c, user_id))
    return page(
        request,
        "account.html",
        status=HTTPStatus.OK if error is None else HTTPStatus.UNPROCESSABLE_ENTITY,
        has_codes=codes is not None and codes.since is not None,
        error=error,
    )


async def _refusal(request: ApiRequest, form: Form) -> str | None:
    """Why the user's present password does not let them go on; None: it does."""
    wait = _wait(request)
    if wait:
        return _too_many(wait)
    desk, name = desk_of(request), visitor_of(request).user.name
    async with desk.gate.hashing:
        known = await in_thread(lambda: desk.users.authenticate(name, form.raw("password")))
    return WRONG_PASSWORD if known is None else None


def _wait(request: ApiRequest) -> float:
    client = request.scope["state"].get("client")
    return desk_of(request).gate.wait(client, visitor_of(request).user.name)


def _too_many(wait: float) -> str:
    return f"There were too many tries. Wait {max(1, ceil(wait))} seconds, and try again."


def _out(request: ApiRequest, done: str) -> Response[Any]:
    """Lead to the sign-in, as all sign-ins of the user have ended."""
    led: Response[Any] = Redirect(f"{SIGN_IN}?done={done}", status_code=303)
    drop_cookie(led, request)
    return led


def _grouped(secret: str) -> str:
    """A secret in groups of four, which are easy to type."""
    return " ".join(secret[at : at + 4] for at in range(0, len(secret), 4))


def _drawn(uri: str) -> str:
    drawn = segno.make(uri, micro=False)
    return drawn.svg_inline(border=4, omitsize=True, svgclass=None, lineclass=None)
