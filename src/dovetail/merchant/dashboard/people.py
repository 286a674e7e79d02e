"""The owner's pages: API keys for programs, and users for people."""

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect
from sqlalchemy import Connection

from dovetail.errors import ConfigurationError
from dovetail.merchant.api.problems import Kind, Refused, not_found
from dovetail.merchant.api.routes.common import ApiRequest, in_thread, parts_of
from dovetail.merchant.dashboard import words
from dovetail.merchant.dashboard.access import PATH, Form, Needs, form_of, visitor_of
from dovetail.merchant.dashboard.desk import desk_of
from dovetail.merchant.dashboard.rendering import link, page
from dovetail.merchant.dashboard.search import uuid_of
from dovetail.merchant.data import api_keys, audit, users
from dovetail.merchant.messages import Role, Scope
from dovetail.merchant.pages.language import phrase

KEYS, USERS = f"{PATH}/keys", f"{PATH}/users"
NO_NAME = phrase("Give the key a name of 1 to 100 characters in one line.")
NO_SCOPE = phrase("Choose what the key may do.")
NO_ROLE = phrase("Choose a role.")
OWN = phrase("You cannot lock yourself out: another owner can.")
_MOST_NAME = 100


@get(KEYS, guards=[Needs(Scope.KEYS_READ)])
async def list_keys(request: ApiRequest) -> Response[str]:
    """List the keys."""
    return await _keys(request)


@post(KEYS, guards=[Needs(Scope.KEYS_WRITE)])
async def make_key(request: ApiRequest) -> Response[str]:
    """Make a key for all stores, and show its secret in this answer alone."""
    form = form_of(request)
    name, scopes = form.one("name"), [each for each in Scope if each.value in form.all("scope")]
    if not 0 < len(name) <= _MOST_NAME or not name.isprintable():
        return await _keys(request, form, error=NO_NAME)
    if not scopes:
        return await _keys(request, form, error=NO_SCOPE)
    who, now = visitor_of(request).who, parts_of(request).clock()

    def write(connection: Connection) -> str:
        row, secret = api_keys.add_key(
            connection, name=name, scopes=scopes, store_ids=None, now=now
        )
        audit.add(connection, who=who, what="key.create", subject=str(row.id), now=now)
        return secret

    secret = await parts_of(request).database.awrite(write)
    return page(
        request,
        "secret.html",
        title=phrase("The key was made"),
        words=phrase(
            "Give it to the program that is to use it. Whoever has it may do what you chose."
        ),
        secret=secret,
        back=link("/keys"),
    )


@post(f"{KEYS}/{{key_id:str}}/revoke", guards=[Needs(Scope.KEYS_WRITE)])
async def revoke_key(request: ApiRequest, key_id: FromPath[str]) -> Redirect:
    """Revoke a key, for good."""
    wanted = uuid_of(key_id)
    who, now = visitor_of(request).who, parts_of(request).clock()

    def write(connection: Connection) -> bool:
        row = None if wanted is None else api_keys.key(connection, wanted)
        if row is None:
            return False
        api_keys.revoke(connection, row.id, now)
        audit.add(connection, who=who, what="key.revoke", subject=str(row.id), now=now)
        return True

    if not await parts_of(request).database.awrite(write):
        raise not_found()
    return Redirect(f"{KEYS}?done=revoked", status_code=303)


@get(USERS, guards=[Needs(owner=True)])
async def list_users(request: ApiRequest) -> Response[str]:
    """List the users."""
    return await _users(request)


@post(USERS, guards=[Needs(owner=True)])
async def make_user(request: ApiRequest) -> Response[str] | Redirect:
    """Make a user."""
    form, who = form_of(request), visitor_of(request).who
    name, password, role = form.one("name"), form.raw("password"), form.one("role")
    if role not in set(Role):
        return await _users(request, form, error=NO_ROLE)
    service = desk_of(request).users
    try:
        await in_thread(lambda: service.add(name, password, Role(role), by=who))
    except ConfigurationError as refused:
        return await _users(request, form, error=str(refused))
    return Redirect(f"{USERS}?done=user", status_code=303)


@post(f"{USERS}/{{user_id:str}}/disable", guards=[Needs(owner=True)])
async def disable_user(request: ApiRequest, user_id: FromPath[str]) -> Redirect:
    """Lock a user out, for good."""
    visitor, wanted = visitor_of(request), uuid_of(user_id)
    row = None
    if wanted is not None:
        row = await parts_of(request).database.aread(lambda c: users.user(c, wanted))
    if row is None:
        raise not_found()
    if row.id == visitor.user.id:
        raise Refused(Kind.CONFLICT, OWN)
    name, service = row.name, desk_of(request).users
    await in_thread(lambda: service.disable(name, by=visitor.who))
    return Redirect(f"{USERS}?done=disabled", status_code=303)


HANDLERS = (list_keys, make_key, revoke_key, list_users, make_user, disable_user)


async def _keys(
    request: ApiRequest, form: Form | None = None, *, error: str | None = None
) -> Response[str]:
    found = await parts_of(request).database.aread(api_keys.all_keys)
    return page(
        request,
        "keys.html",
        status=200 if error is None else 422,
        rows=sorted(found, key=lambda row: (row.revoked_at is not None, -row.created_at)),
        scopes=tuple(Scope),
        given=form or Form(),
        error=error,
    )


async def _users(
    request: ApiRequest, form: Form | None = None, *, error: str | None = None
) -> Response[str]:
    return page(
        request,
        "users.html",
        status=200 if error is None else 422,
        rows=await parts_of(request).database.aread(users.all_users),
        roles=words.ROLES,
        role_names=words.ROLE_NAMES,
        given=form or Form(),
        error=error,
    )
