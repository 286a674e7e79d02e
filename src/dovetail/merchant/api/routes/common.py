"""What routes share: the parts of the shop, rows that a caller may see, pages."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, cast
from uuid import UUID

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.params import QueryParameter

from dovetail.merchant.api.caller import Caller, Keys, caller_of
from dovetail.merchant.api.event_feed import EventFeed
from dovetail.merchant.api.problems import invalid, not_found
from dovetail.merchant.api.site import Site
from dovetail.merchant.data import invoices, stores
from dovetail.merchant.data.invoices import InvoiceRow
from dovetail.merchant.data.stores import StoreRow
from dovetail.merchant.messages import Page
from dovetail.merchant.messages.base import MAX_PAGE
from dovetail.merchant.services.invoices import Invoices
from dovetail.merchant.services.parts import Parts

if TYPE_CHECKING:
    from dovetail.serving.asgi import Scope

R = TypeVar("R")
V = TypeVar("V")

ApiRequest = Request[Any, Any, State]

Cursor = Annotated[
    str | None,
    QueryParameter(description="Where the previous page ended.", required=False, max_length=64),
]
Limit = Annotated[
    int,
    QueryParameter(ge=1, le=MAX_PAGE, description="The most entries of the page.", required=False),
]


def parts_of(request: ApiRequest) -> Parts:
    """The parts of the shop."""
    found: Parts = request.app.state.parts
    return found


def invoices_of(request: ApiRequest) -> Invoices:
    """What is done with invoices."""
    found: Invoices = request.app.state.invoices
    return found


def feed_of(request: ApiRequest) -> EventFeed:
    """What feeds the event streams."""
    found: EventFeed = request.app.state.feed
    return found


def site_of(connection: ASGIConnection[Any, Any, Any, State]) -> Site:
    """By which names the server is reached."""
    found: Site = connection.app.state.site
    return found


def origin_of(request: ApiRequest) -> str:
    """The origin of the server's pages, before the path of a link."""
    return site_of(request).origin(cast("Scope", request.scope))


def count_guess(request: ApiRequest) -> None:
    """Let a client pay for an id or a secret that nothing has, as for a wrong key."""
    keys: Keys = request.app.state.access
    keys.count_refusal(request)


def at_end(request: ApiRequest) -> ExitStack:
    """What is closed once the request has been answered, or its client has gone."""
    found: ExitStack = request.scope["state"]["at_end"]
    return found


def caller(request: ApiRequest) -> Caller:
    """The key that asks."""
    return caller_of(request.scope)


async def visible_store(request: ApiRequest, store_id: UUID) -> StoreRow:
    """A store that the caller sees; raises `Refused`."""
    caller(request).require_store(store_id)
    row = await parts_of(request).database.aread(lambda c: stores.store(c, store_id))
    if row is None:
        raise not_found()
    return row


async def visible_invoice(request: ApiRequest, invoice_id: UUID) -> InvoiceRow:
    """An invoice of a store that the caller sees; raises `Refused`."""
    row = await parts_of(request).database.aread(lambda c: invoices.invoice(c, invoice_id))
    if row is None:
        raise not_found()
    caller(request).require_store(row.store_id)
    return row


def parse_cursor(cursor: str | None) -> UUID | None:
    """The id after which a page begins; raises `Refused`."""
    if cursor is None:
        return None
    try:
        return UUID(cursor)
    except ValueError:
        raise invalid("cursor", "Give the cursor of the previous page as it is.") from None


def page_of(
    rows: Sequence[R], limit: int, view: Callable[[R], V], id_of: Callable[[R], UUID]
) -> Page[V]:
    """A page of rows, of which one more than the limit was read."""
    shown = rows[:limit]
    more = len(rows) > limit
    return Page(
        items=tuple(map(view, shown)), cursor=str(id_of(shown[-1])) if more and shown else None
    )


async def in_thread(work: Callable[[], V]) -> V:
    """Run blocking work in a thread."""
    return await asyncio.to_thread(work)
