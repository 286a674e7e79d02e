"""The user's own page: their password, the codes of their app, passkeys, and open sign-ins."""

import re
from http import HTTPStatus
from math import ceil
from typing import Any

import segno
from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect

from dovetail.errors import ConfigurationError, UsageError
from dovetail.merchant.api.problems import not_found
from dovetail.merchant.api.routes.common import ApiRequest, in_thread, origin_of, parts_of
from dovetail.merchant.dashboard.access import (
    PATH,
    Form,
    Needs,
    form_of,
    visitor_of,
)
from dovetail.merchant.dashboard.browsers import browser_of
from dovetail.merchant.dashboard.desk import desk_of
from dovetail.merchant.dashboard.rendering import page
from dovetail.merchant.dashboard.words import ROLE_NAMES, WAYS
from dovetail.merchant.data import sign_ins, user_codes
from dovetail.merchant.pages.language import phrase
from dovetail.merchant.services.authenticators import Party

ACCOUNT = f"{PATH}/account"
WRONG_PASSWORD = phrase("This is not your password.")
WRONG_CODE = phrase("The code is wrong. Type the one that your app shows now.")
UNEQUAL = phrase("The two new passwords differ. Type them again.")
_KEY = re.compile("[0-9a-f]{64}")


@get(ACCOUNT, guards=[Needs()])
async def show_account(request: ApiRequest) -> Response[str]:
    """Show what a user can change about their own sign-in."""
    return await account_page(request)


@post(f"{ACCOUNT}/password", guards=[Needs()])
async def change_password(request: ApiRequest) -> Response[Any]:
    """Give the user another password; their other sign-ins end."""
    form, visitor = form_of(request), visitor_of(request)
    error = await refusal_of(request, form)
    if error is None and form.raw("new") != form.raw("again"):
        error = UNEQUAL
    if error is not None:
        return await account_page(request, error=error)
    users, name, new = desk_of(request).users, visitor.user.name, form.raw("new")
    try:
        await in_thread(lambda: users.set_password(name, new, by=visitor.who, keep=visitor.token))
    except ConfigurationError as refused:
        return await account_page(request, error=str(refused))
    return await stay(request, "password")


@post(f"{ACCOUNT}/codes", guards=[Needs()])
async def propose_codes(request: ApiRequest) -> Response[Any]:
    """Show a new secret for the user's app; it is shown in this answer alone."""
    form, visitor = form_of(request), visitor_of(request)
    error = await refusal_of(request, form)
    if error is not None:
        return await account_page(request, error=error)
    try:
        made = await in_thread(lambda: desk_of(request).sign_ins.propose_codes(visitor.user))
    except UsageError as refused:
        return await account_page(request, error=str(refused))
    return page(
        request, "codes.html", secret=_grouped(made.secret), code=_drawn(made.uri), error=None
    )


@post(f"{ACCOUNT}/codes/confirm", guards=[Needs()])
async def confirm_codes(request: ApiRequest) -> Response[Any]:
    """Ask the user for codes from now on; their other sign-ins end."""
    form, visitor = form_of(request), visitor_of(request)
    wait = _wait(request)
    words = None if not wait else _too_many(wait)
    if words is None:
        signs, code, token = desk_of(request).sign_ins, form.one("code"), visitor.token
        if await in_thread(
            lambda: signs.confirm_codes(visitor.user, code, by=visitor.who, keep=token)
        ):
            return await stay(request, "codes")
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
    error = await refusal_of(request, form)
    if error is not None:
        return await account_page(request, error=error)
    signs = desk_of(request).sign_ins
    await in_thread(lambda: signs.remove_codes(visitor.user, by=visitor.who, keep=visitor.token))
    return await stay(request, "no-codes")


@post(f"{ACCOUNT}/sign-ins/{{key:str}}/end", guards=[Needs()])
async def end_sign_in(request: ApiRequest, key: FromPath[str]) -> Redirect:
    """Sign the user out somewhere."""
    row, signs = visitor_of(request).user, desk_of(request).sign_ins
    wanted = bytes.fromhex(key) if _KEY.fullmatch(key) else b""
    if not await in_thread(lambda: signs.end_one(row, wanted)):
        raise not_found()
    return Redirect(f"{ACCOUNT}?done=signed-out", status_code=303)


@post(f"{ACCOUNT}/sign-ins/end-others", guards=[Needs()])
async def end_others(request: ApiRequest) -> Redirect:
    """Sign the user out everywhere else."""
    return await stay(request, "signed-out-others")


HANDLERS = (
    show_account,
    change_password,
    propose_codes,
    confirm_codes,
    remove_codes,
    end_sign_in,
    end_others,
)


async def account_page(request: ApiRequest, *, error: str | None = None) -> Response[str]:
    """The page, perhaps with a sentence that says why something was not done."""
    visitor, desk = visitor_of(request), desk_of(request)
    user_id = visitor.user.id
    codes = await parts_of(request).database.aread(lambda c: user_codes.codes_of(c, user_id))
    return page(
        request,
        "account.html",
        status=HTTPStatus.OK if error is None else HTTPStatus.UNPROCESSABLE_ENTITY,
        role=ROLE_NAMES[visitor_of(request).user.role],
        has_codes=codes is not None and codes.since is not None,
        passkeys=await in_thread(lambda: desk.passkeys.of(visitor.user)),
        takes_passkeys=Party.of(origin_of(request)) is not None,
        sign_ins=await in_thread(lambda: desk.sign_ins.open_of(visitor.user)),
        here=sign_ins.hash_of(visitor.token),
        ways=WAYS,
        error=error,
    )


async def stay(request: ApiRequest, done: str) -> Redirect:
    """Sign the user out everywhere else, and lead to the page, which tells what was done."""
    visitor, browser = visitor_of(request), browser_of(request)
    signs = desk_of(request).sign_ins
    await in_thread(lambda: signs.end_others(visitor.user, browser, but=visitor.token))
    return Redirect(f"{ACCOUNT}?done={done}", status_code=303)


async def refusal_of(request: ApiRequest, form: Form) -> str | None:
    """Why the user's present password does not let them go on; None: it does."""
    wait = _wait(request)
    if wait:
        return _too_many(wait)
    desk, name = desk_of(request), visitor_of(request).user.name
    async with desk.gate.hashing:
        known = await in_thread(lambda: desk.users.authenticate(name, form.raw("password")))
    return WRONG_PASSWORD if known is None else None


def _wait(request: ApiRequest) -> float:
    client, user = request.scope["state"].get("client"), visitor_of(request).user
    return desk_of(request).gate.wait(client, user.name, user.id)


def _too_many(wait: float) -> str:
    return f"There were too many tries. Wait {max(1, ceil(wait))} seconds, and try again."


def _grouped(secret: str) -> str:
    """A secret in groups of four, which are easy to type."""
    return " ".join(secret[at : at + 4] for at in range(0, len(secret), 4))


def _drawn(uri: str) -> str:
    drawn = segno.make(uri, micro=False)
    return drawn.svg_inline(border=4, omitsize=True, svgclass=None, lineclass=None)
