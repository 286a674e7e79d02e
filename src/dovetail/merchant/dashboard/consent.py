"""The page on which a person lets shop software have a key (BTCPay Server's `/api-keys/authorize`).

The key goes to the software by a form, as BTCPay Server sends it: never in an address.
"""

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from uuid import UUID

from litestar import Response, get, post
from sqlalchemy import Connection

from dovetail.merchant.api.problems import Kind, Refused
from dovetail.merchant.api.routes.common import ApiRequest, parts_of
from dovetail.merchant.dashboard.access import CONSENT, Form, Needs, form_of, here, visitor_of
from dovetail.merchant.dashboard.rendering import answer, link, page
from dovetail.merchant.dashboard.search import uuid_of
from dovetail.merchant.data import api_keys, audit, stores
from dovetail.merchant.data.stores import StoreRow
from dovetail.merchant.greenfield.consent import NO_STORE, Consent, consent_of, permissions_for
from dovetail.merchant.messages import Scope
from dovetail.merchant.pages.language import phrase
from dovetail.merchant.pages.rendering import headers_of

WORDS: Mapping[Scope, str] = MappingProxyType(
    {
        Scope.STORES_READ: phrase("See your stores and their settings"),
        Scope.STORES_WRITE: phrase("Change the settings of your stores"),
        Scope.INVOICES_READ: phrase("See invoices, and what was paid"),
        Scope.INVOICES_CREATE: phrase("Make invoices"),
        Scope.INVOICES_WRITE: phrase("Change invoices, and decide whether one counts as paid"),
        Scope.REFUNDS_READ: phrase("See refunds"),
        Scope.REFUNDS_WRITE: phrase("Ask for refunds, each of which a person has to approve"),
        Scope.REFUNDS_APPROVE: phrase("Approve refunds, which the signer then asks the owner for"),
        Scope.COINS_READ: phrase("See the coins of your wallets"),
        Scope.WEBHOOKS_WRITE: phrase("Have itself told of payments, by webhooks"),
    }
)
"""What each permission means to the shopkeeper."""

ALL = "all"
NOTHING_CHOSEN = phrase("Choose at least one thing that the software may do.")
NO_CHOICE = phrase("Choose a store.")
NO_STORE_YET = phrase("There is no store yet: make one, and connect the software then.")
_BEYOND = phrase("The software needs what your role cannot give: ask an owner to connect it.")
_GUARDS = [Needs(Scope.INVOICES_CREATE)]


@get(list(CONSENT), guards=_GUARDS)
async def show_consent(request: ApiRequest) -> Response[str]:
    """Ask whether software may have a key, and for which store."""
    return await _asked(request, _consent(request))


@post(list(CONSENT), guards=_GUARDS, status_code=HTTPStatus.OK)
async def give_consent(request: ApiRequest) -> Response[str]:
    """Make the key, and send it where the software wants it, or show it this once."""
    asked, form = _consent(request), form_of(request)
    scopes = _chosen(request, asked, form)
    if not scopes:
        return await _asked(request, asked, form, error=NOTHING_CHOSEN)
    rows, wanted = await _stores(request, asked), form.one("store")
    store_id = uuid_of(wanted)
    if store_id not in {row.id for row in rows} and not (wanted == ALL and _takes_all(asked)):
        return await _asked(request, asked, form, error=NO_CHOICE)
    secret = await _made(request, asked, scopes, store_id)
    if asked.redirect is None:
        words = phrase("Give it to the software. Whoever has it may do what you allowed.")
        return page(
            request,
            "secret.html",
            title=phrase("The key was made"),
            words=words,
            secret=secret,
            back=link(""),
        )
    fields = [("apiKey", secret), ("userId", str(visitor_of(request).user.id))]
    fields += [("permissions[]", each) for each in permissions_for(scopes, store_id)]
    headers = _sending(asked.origin or "")
    return answer(request, "handover.html", headers=headers, asked=asked, fields=fields)


HANDLERS = (show_consent, give_consent)


def _consent(request: ApiRequest) -> Consent:
    """What is asked for; raises `Refused`, also where the user cannot give all that is needed."""
    asked = consent_of(request.scope["query_string"])
    if asked.strict and not all(map(visitor_of(request).may, asked.scopes)):
        raise Refused(Kind.FORBIDDEN, _BEYOND)
    return asked


def _chosen(request: ApiRequest, asked: Consent, form: Form) -> tuple[Scope, ...]:
    """What the key may do: never more than its user."""
    if asked.strict:
        return asked.scopes
    may, ticked = visitor_of(request).may, form.all("scope")
    return tuple(each for each in asked.scopes if may(each) and each.value in ticked)


def _takes_all(asked: Consent) -> bool:
    return not asked.one_store and asked.store_ids is None


async def _stores(request: ApiRequest, asked: Consent) -> list[StoreRow]:
    """The stores that can be chosen; raises `Refused` where there is none."""
    found = await parts_of(request).database.aread(stores.all_stores)
    rows = [
        row
        for row in found
        if row.archived_at is None and (asked.store_ids is None or row.id in asked.store_ids)
    ]
    if not rows:
        raise Refused(Kind.INVALID, NO_STORE if asked.store_ids else NO_STORE_YET)
    return rows


async def _asked(
    request: ApiRequest, asked: Consent, form: Form | None = None, *, error: str | None = None
) -> Response[str]:
    visitor, given = visitor_of(request), form or Form()
    return answer(
        request,
        "consent.html",
        status=HTTPStatus.OK if error is None else HTTPStatus.UNPROCESSABLE_ENTITY,
        visitor=visitor,
        asked=asked,
        words=[(each, WORDS[each], visitor.may(each)) for each in asked.scopes],
        ticked=[each.value for each in asked.scopes] if form is None else given.all("scope"),
        rows=await _stores(request, asked),
        takes_all=ALL if _takes_all(asked) else None,
        chosen=given.one("store"),
        action=here(request),
        away=asked.redirect or link(""),
        error=error,
    )


async def _made(
    request: ApiRequest, asked: Consent, scopes: tuple[Scope, ...], store_id: UUID | None
) -> str:
    """The secret of a new key."""
    who, now = visitor_of(request).who, parts_of(request).clock()

    def write(connection: Connection) -> str:
        row, secret = api_keys.add_key(
            connection,
            name=asked.application,
            scopes=scopes,
            store_ids=None if store_id is None else [store_id],
            now=now,
        )
        audit.add(
            connection,
            who=who,
            what="key.create",
            subject=str(row.id),
            now=now,
            detail={"sent_to": asked.origin},
        )
        return secret

    return await parts_of(request).database.awrite(write)


def _sending(origin: str) -> Mapping[str, str]:
    """The policy of the page whose one form sends the key: to this origin, and to no other."""
    policy = headers_of((), forms_to=origin)["Content-Security-Policy"]
    return {"Content-Security-Policy": policy}
