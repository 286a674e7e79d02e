"""Routes about invoices, their payments, sessions and events."""

from collections.abc import AsyncGenerator
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Router, get, post
from litestar.params import FromPath, FromQuery, HeaderParameter, JSONBody, QueryParameter
from litestar.response import ServerSentEvent, ServerSentEventMessage
from sqlalchemy import Connection

from dovetail.bitcoin import UnixTime
from dovetail.merchant import messages
from dovetail.merchant.api import views
from dovetail.merchant.api.caller import scoped
from dovetail.merchant.api.event_feed import EventStream
from dovetail.merchant.api.openapi import may_refuse
from dovetail.merchant.api.problems import Kind, Refused, invalid
from dovetail.merchant.api.routes.common import (
    ApiRequest,
    Cursor,
    Limit,
    at_end,
    caller,
    feed_of,
    in_thread,
    invoices_of,
    origin_of,
    page_of,
    parse_cursor,
    parts_of,
    visible_invoice,
    visible_store,
)
from dovetail.merchant.api.sessions_view import session_view
from dovetail.merchant.data import audit, events, idempotency, record
from dovetail.merchant.data import invoices as rows
from dovetail.merchant.data.invoices import InvoiceFilter
from dovetail.merchant.invoices.invoice import InvoiceStatus
from dovetail.merchant.messages import Scope
from dovetail.merchant.messages.base import END, PLAIN
from dovetail.merchant.messages.invoices import MAX_METADATA

AGAIN = 1_000
"""Milliseconds after which a client whose stream has ended opens it again."""

_PRINTABLE = r"^[\x21-\x7e]{1,255}" + END


@post(
    "/stores/{store_id:uuid}/invoices",
    guards=[scoped(Scope.INVOICES_CREATE)],
    responses=may_refuse(Kind.CONFLICT),
)
async def create_invoice(
    request: ApiRequest,
    store_id: FromPath[UUID],
    data: JSONBody[messages.NewInvoice],
    idempotency_key: Annotated[
        str | None,
        HeaderParameter(
            name="Idempotency-Key",
            pattern=_PRINTABLE,
            required=False,
            description="Any text of your own: a repeated request with it gives the same invoice.",
        ),
    ] = None,
) -> messages.Invoice:
    """Create an invoice.

    Send an `Idempotency-Key`: then a request that is repeated, as when its answer was lost, creates
    nothing again.
    """
    await visible_store(request, store_id)
    if len(msgspec.json.encode(data.metadata)) > MAX_METADATA:
        raise invalid("metadata", f"Send at most {MAX_METADATA:,} bytes of JSON.")
    service, parts = invoices_of(request), parts_of(request)
    draft = await service.draft(store_id, data)
    given = msgspec.json.encode(data)

    def write(connection: Connection) -> UUID:
        if idempotency_key is not None:
            known = idempotency.claim(
                connection, store_id, idempotency_key, given, draft.id, now=draft.created_at
            )
            if known != draft.id:
                return known
        service.add(connection, draft)
        audit.add(
            connection,
            store_id=store_id,
            who=caller(request).who,
            what="invoice.create",
            subject=str(draft.id),
            now=draft.created_at,
        )
        return draft.id

    try:
        invoice_id = await parts.database.awrite(write)
    except idempotency.IdempotencyConflict:
        raise Refused(
            Kind.IDEMPOTENCY_CONFLICT,
            "This `Idempotency-Key` came before with another request: draw a new key.",
        ) from None
    await service.payment_uri(invoice_id)
    return views.invoice(await visible_invoice(request, invoice_id), origin_of(request))


@get("/invoices", guards=[scoped(Scope.INVOICES_READ)])
async def list_invoices(
    request: ApiRequest,
    store_id: FromQuery[UUID | None] = None,
    status: FromQuery[list[InvoiceStatus] | None] = None,
    order_id: Annotated[
        str | None,
        QueryParameter(min_length=1, max_length=200, pattern=PLAIN, required=False),
    ] = None,
    created_from: Annotated[int | None, QueryParameter(ge=0, le=2**40, required=False)] = None,
    created_before: Annotated[int | None, QueryParameter(ge=0, le=2**40, required=False)] = None,
    cursor: Cursor = None,
    limit: Limit = rows.PAGE,
) -> messages.Page[messages.Invoice]:
    """List invoices, the newest first."""
    seen = caller(request).store_ids
    if store_id is not None:
        caller(request).require_store(store_id)
        seen = frozenset({store_id})
    wanted = InvoiceFilter(
        store_ids=None if seen is None else tuple(seen),
        statuses=None if status is None else tuple(status),
        order_id=order_id,
        since=None if created_from is None else UnixTime(created_from),
        until=None if created_before is None else UnixTime(created_before),
    )
    before = parse_cursor(cursor)
    found = await parts_of(request).database.aread(
        lambda c: rows.page(c, wanted, limit=limit + 1, before=before)
    )
    origin = origin_of(request)
    return page_of(found, limit, lambda row: views.invoice(row, origin), lambda row: row.id)


@get("/invoices/{invoice_id:uuid}", guards=[scoped(Scope.INVOICES_READ)])
async def get_invoice(request: ApiRequest, invoice_id: FromPath[UUID]) -> messages.Invoice:
    """Show an invoice."""
    return views.invoice(await visible_invoice(request, invoice_id), origin_of(request))


@get("/invoices/{invoice_id:uuid}/payments", guards=[scoped(Scope.INVOICES_READ)])
async def list_payments(request: ApiRequest, invoice_id: FromPath[UUID]) -> list[messages.Payment]:
    """List the payments of an invoice, the oldest first, also those that do not count."""
    await visible_invoice(request, invoice_id)
    parts = parts_of(request)
    found = await parts.database.aread(lambda c: record.load(c, invoice_id))
    return [views.payment(each) for each in found.state(parts.clock()).payments]


@get("/invoices/{invoice_id:uuid}/session", guards=[scoped(Scope.INVOICES_READ)])
async def get_session(request: ApiRequest, invoice_id: FromPath[UUID]) -> messages.SessionView:
    """Show the payjoin session of an invoice: its timeline, and the reason for no payjoin."""
    row = await visible_invoice(request, invoice_id)
    parts = parts_of(request)
    return await in_thread(lambda: session_view(parts.database.sessions, row, parts.clock()))


@post("/invoices/{invoice_id:uuid}/close", guards=[scoped(Scope.INVOICES_WRITE)], status_code=202)
async def close_invoice(request: ApiRequest, invoice_id: FromPath[UUID]) -> messages.CloseRequest:
    """End the payjoin session of an invoice, after one more poll; what it holds is still paid."""
    await visible_invoice(request, invoice_id)
    asked = await invoices_of(request).close(invoice_id, by=caller(request).who)
    return messages.CloseRequest(
        asked_at=int(asked.asked_at),
        status_then=InvoiceStatus(asked.status_then),
        done_at=None if asked.done_at is None else int(asked.done_at),
        result=asked.result,
    )


@post("/invoices/{invoice_id:uuid}/mark", guards=[scoped(Scope.INVOICES_WRITE)], status_code=200)
async def mark_invoice(
    request: ApiRequest, invoice_id: FromPath[UUID], data: JSONBody[messages.NewMark]
) -> messages.Invoice:
    """Decide by hand that an invoice is settled or invalid, whatever the chain shows."""
    await visible_invoice(request, invoice_id)
    by = caller(request).who
    row = await invoices_of(request).mark(invoice_id, settled=data.settled, by=by)
    return views.invoice(row, origin_of(request))


@get("/invoices/{invoice_id:uuid}/events", guards=[scoped(Scope.INVOICES_READ)])
async def list_events(
    request: ApiRequest,
    invoice_id: FromPath[UUID],
    after: Annotated[int, QueryParameter(ge=0, le=2**31, required=False)] = 0,
) -> list[messages.Event]:
    """List the events of an invoice, those after number `after`."""
    await visible_invoice(request, invoice_id)
    found = await parts_of(request).database.aread(
        lambda c: events.events_of(c, invoice_id, after=after)
    )
    return [views.event(each) for each in found]


@get(
    "/invoices/{invoice_id:uuid}/events/stream",
    guards=[scoped(Scope.INVOICES_READ)],
    media_type="text/event-stream",
)
async def stream_events(
    request: ApiRequest,
    invoice_id: FromPath[UUID],
    last_event_id: Annotated[
        str | None, HeaderParameter(name="Last-Event-ID", max_length=20, required=False)
    ] = None,
) -> ServerSentEvent:
    """Follow the events of an invoice as server-sent events; each has its number as id."""
    await visible_invoice(request, invoice_id)
    opened = feed_of(request).opened(invoice_id, caller(request).id, _number(last_event_id))
    return ServerSentEvent(_messages(at_end(request).enter_context(opened)))


def _number(text: str | None) -> int:
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise invalid("Last-Event-ID", "Give the number of the last event that was received.")
    return int(text)


async def _messages(stream: EventStream) -> AsyncGenerator[ServerSentEventMessage]:
    """Each event once, in order; a comment now and then.

    The first message goes out at once, so that the client knows that the stream is open.
    """
    yield ServerSentEventMessage(data=None, retry=AGAIN)
    async for each in stream.taken():
        if each is None:
            yield ServerSentEventMessage(data=None, comment="quiet")
            continue
        body = msgspec.json.encode(views.event(each)).decode()
        yield ServerSentEventMessage(data=body, event=each.kind, id=each.seq)


ROUTER = Router(
    "/",
    route_handlers=[
        create_invoice,
        list_invoices,
        get_invoice,
        list_payments,
        get_session,
        close_invoice,
        mark_invoice,
        list_events,
        stream_events,
    ],
    tags=["invoices"],
)
