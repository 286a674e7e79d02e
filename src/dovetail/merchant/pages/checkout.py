"""The checkout page of an invoice, and what keeps it up to date; who has its id may see it."""

from collections.abc import AsyncGenerator
from uuid import UUID

import msgspec
from litestar import Response, get
from litestar.enums import MediaType
from litestar.params import FromPath
from litestar.response import ServerSentEvent, ServerSentEventMessage
from sqlalchemy import Connection

from dovetail import qr
from dovetail.bitcoin import Network, UnixTime
from dovetail.merchant.api.event_feed import EventStream, Visitor
from dovetail.merchant.api.problems import not_found
from dovetail.merchant.api.routes.common import (
    ApiRequest,
    at_end,
    count_guess,
    feed_of,
    invoices_of,
    parts_of,
)
from dovetail.merchant.data import invoices as rows
from dovetail.merchant.data import points_of_sale, record, stores, wallets
from dovetail.merchant.data.invoices import InvoiceRow
from dovetail.merchant.data.record import Record
from dovetail.merchant.invoices.sales import sale_in
from dovetail.merchant.pages.language import USUAL, Language, language
from dovetail.merchant.pages.modal import framing, is_modal
from dovetail.merchant.pages.rendering import language_for, page
from dovetail.merchant.pages.sale import sale_path
from dovetail.merchant.pages.view import Checkout, Stage, stage_of, view_of

AGAIN = 2_000
"""Milliseconds after which a page whose stream has ended opens it again."""


class State(msgspec.Struct, frozen=True, kw_only=True):
    """What the page's script hears: nothing that the page does not show."""

    stage: Stage
    version: str
    """The page is loaded again where it differs."""
    follows: bool
    """Whether something may still happen."""
    seconds_left: int


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """An invoice's record, with what its page shows of the shop."""

    record: Record
    shop: str
    network: Network
    point: str | None
    """The path of the point of sale that it comes from."""


@get("/i/{invoice_id:str}", media_type=MediaType.HTML)
async def show_invoice(request: ApiRequest, invoice_id: FromPath[str]) -> Response[str]:
    """Show an invoice to its customer. The first call gives it its payment URI.

    With `counter` in the query the code fills the screen, as at a counter.
    """
    shown, now = await _shown(request, invoice_id), parts_of(request).clock()
    if shown.record.row.uri is None and stage_of(shown.record.state(now)) is Stage.WAITING:
        await invoices_of(request).payment_uri(shown.record.row.id)
        shown = await _shown(request, invoice_id)
    speech = language_for(request)
    view, modal = _view(shown, speech, now), is_modal(request)
    named = request.app.state.embedded_by
    return page(
        request,
        "counter.html" if "counter" in request.query_params else "checkout.html",
        speech,
        headers=framing(shown.record.row, named) if modal else None,
        view=view,
        modal=modal,
        shop=shown.shop,
        point=shown.point,
        code=None if view.uri is None else drawn(view.uri),
    )


@get("/i/{invoice_id:str}/state")
async def tell_state(request: ApiRequest, invoice_id: FromPath[str]) -> State:
    """Tell a page's script where the invoice stands."""
    return _state(await _shown(request, invoice_id), parts_of(request).clock())


@get("/i/{invoice_id:str}/stream", media_type="text/event-stream")
async def stream_states(request: ApiRequest, invoice_id: FromPath[str]) -> ServerSentEvent:
    """Tell a page's script where the invoice stands, at once and whenever that changes."""
    row = (await _shown(request, invoice_id)).record.row
    visitor = Visitor(request.scope["state"].get("client"))
    opened = feed_of(request).opened(row.id, visitor, row.events)
    return ServerSentEvent(
        _states(request, at_end(request).enter_context(opened)),
        headers={"Cache-Control": "no-store"},
    )


def drawn(uri: str) -> str:
    """The QR code of a URI as SVG, with its quiet zone."""
    return qr.code(uri).svg_inline(border=qr.MARGIN, omitsize=True, svgclass=None, lineclass=None)


async def _states(
    request: ApiRequest, stream: EventStream
) -> AsyncGenerator[ServerSentEventMessage]:
    yield await _message(request, stream.invoice_id, retry=AGAIN)
    async for each in stream.taken():
        if each is None:
            yield ServerSentEventMessage(data=None, comment="quiet")
        else:
            yield await _message(request, stream.invoice_id)


async def _message(
    request: ApiRequest, invoice_id: UUID, *, retry: int | None = None
) -> ServerSentEventMessage:
    state = _state(await _shown(request, str(invoice_id)), parts_of(request).clock())
    return ServerSentEventMessage(data=msgspec.json.encode(state).decode(), retry=retry)


def _state(shown: Shown, now: UnixTime) -> State:
    view = _view(shown, language(USUAL), now)
    return State(
        stage=view.stage,
        version=view.version,
        follows=view.follows,
        seconds_left=view.seconds_left,
    )


def _view(shown: Shown, speech: Language, now: UnixTime) -> Checkout:
    record = shown.record
    return view_of(record.row, record.state(now), speech, network=shown.network, now=now)


async def _shown(request: ApiRequest, text: str) -> Shown:
    """The invoice of this id; raises `Refused`. A guess costs its client as much as a wrong key."""
    found = None
    try:
        invoice_id = UUID(text)
    except ValueError:
        pass
    else:
        found = await parts_of(request).database.aread(lambda c: _read(c, invoice_id))
    if found is None:
        count_guess(request)
        raise not_found()
    return found


def _read(connection: Connection, invoice_id: UUID) -> Shown | None:
    row = rows.invoice(connection, invoice_id)
    if row is None:
        return None
    store = stores.store(connection, row.store_id)
    wallet = wallets.wallet(connection, row.wallet_id)
    if store is None or wallet is None:
        return None
    return Shown(
        record=record.load(connection, invoice_id),
        shop=store.name,
        network=wallet.network,
        point=_point(connection, row),
    )


def _point(connection: Connection, row: InvoiceRow) -> str | None:
    """The path of the point of sale of the same store that the invoice's metadata name."""
    sale = sale_in(row.metadata)
    try:
        found = None if sale is None else points_of_sale.point(connection, UUID(sale.point))
    except ValueError:
        return None
    if found is None or found.store_id != row.store_id or found.archived_at is not None:
        return None
    return sale_path(found)
