"""Passkeys in the browser: add, sign in, remove. A script asks the device; forms do the rest."""

from http import HTTPStatus
from math import ceil
from typing import TYPE_CHECKING, Any, cast

import msgspec
from litestar import Response, post
from litestar.enums import MediaType
from litestar.params import FromPath
from litestar.response import Redirect

from dovetail.errors import UsageError
from dovetail.merchant.api.problems import Kind, Refused, not_found
from dovetail.merchant.api.routes.common import ApiRequest, in_thread, origin_of
from dovetail.merchant.dashboard.access import (
    SIGN_IN,
    Needs,
    form_of,
    own_path,
    require_form,
    visitor_of,
)
from dovetail.merchant.dashboard.account import ACCOUNT, account_page, refusal_of, stay
from dovetail.merchant.dashboard.browsers import browser_of, known_to
from dovetail.merchant.dashboard.desk import desk_of
from dovetail.merchant.dashboard.rendering import HEADERS
from dovetail.merchant.dashboard.search import uuid_of
from dovetail.merchant.dashboard.sign_in import NO_COOKIE, ask_again, enter, form_cookie
from dovetail.merchant.dashboard.speech import said, speech_of
from dovetail.merchant.pages.language import phrase
from dovetail.merchant.services.authenticators import Party

if TYPE_CHECKING:
    from dovetail.serving import asgi

WRONG = phrase("The passkey was not accepted. Try again, or sign in with your password.")
NO_NAME = phrase("Passkeys need a dashboard whose address has a name, and no digits alone.")


@post(f"{SIGN_IN}/passkey/options")
async def ask_passkey(request: ApiRequest) -> Response[bytes]:
    """Give the script what the device is to sign; nobody is named."""
    token = form_cookie(request)
    if token is None:
        return _refused(request, NO_COOKIE, HTTPStatus.FORBIDDEN)
    require_form(request, token)
    party, known = _party(request), await known_to(request)
    wait = desk_of(request).gate.wait_to_ask(request.scope["state"].get("client"), known)
    if wait:
        return _refused(
            request,
            f"There were too many tries. Wait {ceil(wait)} seconds, and try again.",
            HTTPStatus.TOO_MANY_REQUESTS,
        )
    service = desk_of(request).passkeys
    return _options(await in_thread(lambda: service.options_to_sign_in(party, token)))


@post(f"{SIGN_IN}/passkey")
async def sign_in_by_passkey(request: ApiRequest) -> Response[Any]:
    """Check what the device has signed, and begin a sign-in with a new token."""
    form, token = form_of(request), form_cookie(request)
    if token is None:
        return ask_again(request, form, error=NO_COOKIE, status=HTTPStatus.FORBIDDEN)
    require_form(request, token)
    party, service, browser = _party(request), desk_of(request).passkeys, browser_of(request)
    answer = form.one("answer")
    begun = await in_thread(lambda: service.sign_in(party, token, answer, browser))
    if begun is None:
        return ask_again(request, form, error=WRONG)
    return await enter(request, begun, own_path(form.one("next")))


@post(f"{ACCOUNT}/passkeys/options", guards=[Needs()])
async def propose_passkey(request: ApiRequest) -> Response[bytes]:
    """Give the script what a device needs to make a passkey, for who knows the password."""
    party, visitor = _party(request), visitor_of(request)
    error = await refusal_of(request, form_of(request))
    if error is not None:
        return _refused(request, error, HTTPStatus.UNPROCESSABLE_ENTITY)
    service = desk_of(request).passkeys
    return _options(
        await in_thread(lambda: service.options_to_add(visitor.user, party, visitor.token))
    )


@post(f"{ACCOUNT}/passkeys", guards=[Needs()])
async def add_passkey(request: ApiRequest) -> Response[Any]:
    """Keep the passkey that a device has made."""
    form, party, visitor = form_of(request), _party(request), visitor_of(request)
    name, answer, service = form.one("name"), form.one("answer"), desk_of(request).passkeys
    try:
        await in_thread(
            lambda: service.add(visitor.user, party, visitor.token, name=name, answer=answer)
        )
    except UsageError as refused:
        return await account_page(request, error=str(refused))
    return Redirect(f"{ACCOUNT}?done=passkey", status_code=303)


@post(f"{ACCOUNT}/passkeys/{{passkey_id:str}}/remove", guards=[Needs()])
async def remove_passkey(request: ApiRequest, passkey_id: FromPath[str]) -> Response[Any]:
    """Forget a passkey, for who knows the password: so another way in is left for sure."""
    visitor, wanted = visitor_of(request), uuid_of(passkey_id)
    error = await refusal_of(request, form_of(request))
    if error is not None:
        return await account_page(request, error=error)
    service = desk_of(request).passkeys
    if wanted is None or not await in_thread(
        lambda: service.remove(visitor.user, wanted, keep=visitor.token)
    ):
        raise not_found()
    return await stay(request, "no-passkey")


HANDLERS = (ask_passkey, sign_in_by_passkey, propose_passkey, add_passkey, remove_passkey)


def _party(request: ApiRequest) -> Party:
    found = Party.of(origin_of(request))
    if found is None:
        raise Refused(Kind.CONFLICT, NO_NAME)
    return found


def _options(options: str) -> Response[bytes]:
    return _json(options.encode(), HTTPStatus.OK)


def _refused(request: ApiRequest, words: str, status: int) -> Response[bytes]:
    """A sentence for the script to show, in the language of the request."""
    shown = said(words, speech_of(cast("asgi.Scope", request.scope))) or words
    return _json(msgspec.json.encode({"words": shown}), status)


def _json(body: bytes, status: int) -> Response[bytes]:
    return Response(body, media_type=MediaType.JSON, headers=dict(HEADERS), status_code=status)
