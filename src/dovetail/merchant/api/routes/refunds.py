"""Routes about refunds, and the claims of customers, who have no key but a link."""

from typing import Any
from uuid import UUID

from litestar import Router, get, post, put
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath, FromQuery, JSONBody

from dovetail.bitcoin import Sats
from dovetail.merchant import messages
from dovetail.merchant.api import views
from dovetail.merchant.api.bodies import require_body
from dovetail.merchant.api.caller import scoped
from dovetail.merchant.api.openapi import may_refuse
from dovetail.merchant.api.parameters import require_query
from dovetail.merchant.api.problems import Kind, not_found
from dovetail.merchant.api.routes.common import (
    ApiRequest,
    Cursor,
    Limit,
    caller,
    count_guess,
    in_thread,
    origin_of,
    page_of,
    parse_cursor,
    parts_of,
    visible_invoice,
)
from dovetail.merchant.data import refunds as rows
from dovetail.merchant.data.invoices import PAGE
from dovetail.merchant.data.refunds import RefundRow
from dovetail.merchant.invoices.refunds import RefundStatus
from dovetail.merchant.messages import Scope
from dovetail.merchant.services.refunds import Claim, Refunds


@post(
    "/invoices/{invoice_id:uuid}/refunds",
    guards=[scoped(Scope.REFUNDS_WRITE)],
    responses=may_refuse(Kind.CONFLICT),
)
async def create_refund(
    request: ApiRequest, invoice_id: FromPath[UUID], data: JSONBody[messages.NewRefund]
) -> messages.Refund:
    """Make a refund; send the customer its claim link, whose secret is in this answer alone.

    It is at most what is confirmed of the invoice's payments, without what other refunds take.
    """
    await visible_invoice(request, invoice_id)
    row, token = await _refunds(request).create(
        invoice_id,
        by=caller(request).who,
        amount=None if data.amount_sats is None else Sats(data.amount_sats),
        reason=data.reason or None,
        expires_in=data.expires_in,
    )
    return views.refund(row, token=token, origin=origin_of(request))


@get("/refunds", guards=[scoped(Scope.REFUNDS_READ)])
async def list_refunds(
    request: ApiRequest,
    store_id: FromQuery[UUID | None] = None,
    status: FromQuery[list[RefundStatus] | None] = None,
    cursor: Cursor = None,
    limit: Limit = PAGE,
) -> messages.Page[messages.Refund]:
    """List refunds, the newest first."""
    seen = caller(request).store_ids
    if store_id is not None:
        caller(request).require_store(store_id)
        seen = frozenset({store_id})
    before = parse_cursor(cursor)
    found = await parts_of(request).database.aread(
        lambda c: rows.page(
            c,
            limit=limit + 1,
            before=before,
            store_ids=None if seen is None else tuple(seen),
            statuses=None if status is None else tuple(status),
        )
    )
    return page_of(found, limit, views.refund, lambda row: row.id)


@get("/invoices/{invoice_id:uuid}/refunds", guards=[scoped(Scope.REFUNDS_READ)])
async def list_refunds_of_invoice(
    request: ApiRequest, invoice_id: FromPath[UUID]
) -> list[messages.Refund]:
    """List the refunds of an invoice, the oldest first."""
    await visible_invoice(request, invoice_id)
    found = await parts_of(request).database.aread(lambda c: rows.refunds_of(c, invoice_id))
    return [views.refund(row) for row in found]


@get("/refunds/{refund_id:uuid}", guards=[scoped(Scope.REFUNDS_READ)])
async def get_refund(request: ApiRequest, refund_id: FromPath[UUID]) -> messages.Refund:
    """Show a refund with its steps."""
    row = await _visible(request, refund_id)
    steps = await parts_of(request).database.aread(lambda c: rows.steps_of(c, refund_id))
    return views.refund(row, steps=steps)


@post(
    "/refunds/{refund_id:uuid}/cancel",
    guards=[scoped(Scope.REFUNDS_WRITE)],
    status_code=200,
    responses=may_refuse(Kind.CONFLICT),
)
async def cancel_refund(request: ApiRequest, refund_id: FromPath[UUID]) -> messages.Refund:
    """Take a refund back, before it is being paid."""
    await _visible(request, refund_id)
    who, service = caller(request).who, _refunds(request)
    return views.refund(await in_thread(lambda: service.cancel(refund_id, by=who)))


@post(
    "/refunds/{refund_id:uuid}/approve",
    guards=[scoped(Scope.REFUNDS_APPROVE)],
    status_code=200,
    responses=may_refuse(Kind.CONFLICT),
)
async def approve_refund(request: ApiRequest, refund_id: FromPath[UUID]) -> messages.Refund:
    """Approve a refund whose customer has given an address.

    The transaction then waits at the signer until the owner approves it there.
    """
    await _visible(request, refund_id)
    who, service = caller(request).who, _refunds(request)
    return views.refund(await in_thread(lambda: service.approve(refund_id, by=who)))


@post(
    "/refunds/{refund_id:uuid}/decline",
    guards=[scoped(Scope.REFUNDS_APPROVE)],
    status_code=200,
    responses=may_refuse(Kind.CONFLICT),
)
async def decline_refund(request: ApiRequest, refund_id: FromPath[UUID]) -> messages.Refund:
    """Decline a refund, before it is being paid."""
    await _visible(request, refund_id)
    who, service = caller(request).who, _refunds(request)
    return views.refund(await in_thread(lambda: service.decline(refund_id, by=who)))


async def without_key(
    connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler
) -> None:
    """A guard of routes that need no key: it lets whole bodies and known queries through."""
    require_query(handler, connection.scope["query_string"])
    require_body(handler, connection.scope["state"]["body"])


@get("/claims/{token:str}", guards=[without_key])
async def get_claim(request: ApiRequest, token: FromPath[str]) -> messages.Claim:
    """Show a refund to its customer, who needs no key but the secret of the claim link."""
    return _claim(request, await _refunds(request).claim(token))


@put(
    "/claims/{token:str}",
    guards=[without_key],
    responses=may_refuse(Kind.CONFLICT),
)
async def give_claim_address(
    request: ApiRequest, token: FromPath[str], data: JSONBody[messages.NewClaim]
) -> messages.Claim:
    """Give the address to which the refund is paid; it may be changed until the approval."""
    return _claim(request, await _refunds(request).give_address(token, data.address))


ROUTER = Router(
    "/",
    route_handlers=[
        create_refund,
        list_refunds,
        list_refunds_of_invoice,
        get_refund,
        cancel_refund,
        approve_refund,
        decline_refund,
        get_claim,
        give_claim_address,
    ],
    tags=["refunds"],
)


def _refunds(request: ApiRequest) -> Refunds:
    parts = parts_of(request)
    return Refunds(parts.database, parts.clock)


def _claim(request: ApiRequest, found: Claim | None) -> messages.Claim:
    """The view of a claim; an unknown link costs its client as much as a wrong key."""
    if found is None:
        count_guess(request)
        raise not_found()
    return views.claim(found)


async def _visible(request: ApiRequest, refund_id: UUID) -> RefundRow:
    row = await parts_of(request).database.aread(lambda c: rows.refund(c, refund_id))
    if row is None:
        raise not_found()
    caller(request).require_store(row.store_id)
    return row
