"""Routes about invoices: made, shown, listed, changed, marked, and what came for them."""

from typing import Annotated
from uuid import UUID

from litestar import delete, get, post, put
from litestar.params import FromPath, QueryParameter
from sqlalchemy import Connection

from dovetail.merchant.api.problems import Kind, Refused, invalid
from dovetail.merchant.api.routes.common import (
    ApiRequest,
    caller,
    invoices_of,
    parts_of,
    visible_invoice,
    visible_store,
)
from dovetail.merchant.data import invoices as rows
from dovetail.merchant.greenfield import listing, mapping, messages, orders
from dovetail.merchant.greenfield.access import Permitted
from dovetail.merchant.greenfield.common import body_of, invoice_in, note, state_of, view
from dovetail.merchant.greenfield.errors import asked
from dovetail.merchant.messages import Scope


@post(
    "/stores/{store_id:uuid}/invoices",
    guards=[Permitted(Scope.INVOICES_CREATE)],
    status_code=200,
)
async def create_invoice(request: ApiRequest, store_id: FromPath[UUID]) -> messages.Invoice:
    """Create an invoice."""
    store = await visible_store(request, store_id)
    given = asked(body_of(request), messages.NewInvoice)
    service = invoices_of(request)
    draft = await service.draft(store_id, orders.wanted(given, store))
    full = orders.in_full(draft, given, store)

    def write(connection: Connection) -> None:
        service.add(connection, full)
        note(connection, request, "invoice.create", full.id, store_id=store_id)

    await parts_of(request).database.awrite(write)
    await service.payment_uri(full.id)
    return await view(request, await visible_invoice(request, full.id))


@get(
    "/stores/{store_id:uuid}/invoices",
    guards=[Permitted(Scope.INVOICES_READ)],
)
async def list_invoices(request: ApiRequest, store_id: FromPath[UUID]) -> list[messages.Invoice]:
    """List the invoices of a store, the newest first; `listing` has the filters."""
    await visible_store(request, store_id)
    wanted = listing.of_query(request.scope["query_string"])
    found = await parts_of(request).database.aread(
        lambda c: rows.page(
            c, listing.chosen(wanted, store_id), limit=wanted.take, skip=wanted.skip
        )
    )
    return [await view(request, row) for row in found]


@get("/stores/{store_id:uuid}/invoices/{invoice_id:uuid}", guards=[Permitted(Scope.INVOICES_READ)])
async def get_invoice(
    request: ApiRequest, store_id: FromPath[UUID], invoice_id: FromPath[UUID]
) -> messages.Invoice:
    """Show an invoice."""
    return await view(request, await invoice_in(request, store_id, invoice_id))


@put(
    "/stores/{store_id:uuid}/invoices/{invoice_id:uuid}",
    guards=[Permitted(Scope.INVOICES_WRITE)],
)
async def update_invoice(
    request: ApiRequest, store_id: FromPath[UUID], invoice_id: FromPath[UUID]
) -> messages.Invoice:
    """Let an invoice have other metadata, and so another order; its terms never change."""
    row = await invoice_in(request, store_id, invoice_id)
    metadata = asked(body_of(request), messages.ChangedInvoice).metadata
    if metadata is None:
        return await view(request, row)
    kept, order_id = orders.kept(metadata), orders.order_of(metadata)

    def write(connection: Connection) -> None:
        known = rows.invoice(connection, invoice_id, lock=True)
        if known is None or known.forgotten_at is not None:
            raise Refused(
                Kind.CONFLICT, "The data of this invoice were deleted after its time: leave it."
            )
        rows.set_metadata(connection, invoice_id, kept, order_id=order_id)
        note(connection, request, "invoice.change", invoice_id, store_id=store_id)

    await parts_of(request).database.awrite(write)
    return await view(request, await visible_invoice(request, invoice_id))


@delete(
    "/stores/{store_id:uuid}/invoices/{invoice_id:uuid}",
    guards=[Permitted(Scope.INVOICES_WRITE)],
    status_code=200,
)
async def archive_invoice(
    request: ApiRequest, store_id: FromPath[UUID], invoice_id: FromPath[UUID]
) -> None:
    """Leave an invoice out of lists; its payments are watched as before."""
    await _archive(request, store_id, invoice_id, archived=True)


@post(
    "/stores/{store_id:uuid}/invoices/{invoice_id:uuid}/unarchive",
    guards=[Permitted(Scope.INVOICES_WRITE)],
    status_code=200,
)
async def unarchive_invoice(
    request: ApiRequest, store_id: FromPath[UUID], invoice_id: FromPath[UUID]
) -> messages.Invoice:
    """Have an invoice in lists again."""
    await _archive(request, store_id, invoice_id, archived=False)
    return await view(request, await visible_invoice(request, invoice_id))


@post(
    "/stores/{store_id:uuid}/invoices/{invoice_id:uuid}/status",
    guards=[Permitted(Scope.INVOICES_WRITE)],
    status_code=200,
)
async def mark_invoice(
    request: ApiRequest, store_id: FromPath[UUID], invoice_id: FromPath[UUID]
) -> messages.Invoice:
    """Decide by hand that an invoice is settled or invalid, whatever the chain shows."""
    await invoice_in(request, store_id, invoice_id)
    given = asked(body_of(request), messages.NewStatus)
    status = given.status.capitalize()
    if status not in mapping.MARKS:
        raise invalid("status", f"Give one of {', '.join(mapping.MARKS)}.")
    settled, by = status == "Settled", caller(request).who
    marked = await invoices_of(request).mark(invoice_id, settled=settled, by=by)
    return await view(request, marked)


@get(
    "/stores/{store_id:uuid}/invoices/{invoice_id:uuid}/payment-methods",
    guards=[Permitted(Scope.INVOICES_READ)],
)
async def invoice_payment_methods(
    request: ApiRequest,
    store_id: FromPath[UUID],
    invoice_id: FromPath[UUID],
    only_accounted: Annotated[
        bool | None, QueryParameter(name="onlyAccountedPayments", required=False)
    ] = None,
) -> list[messages.InvoicePaymentMethod]:
    """Show what came for an invoice; nothing secret is ever told."""
    row = await invoice_in(request, store_id, invoice_id)
    state = await state_of(request, row)
    return [mapping.payment_method(row, state, only_accounted=only_accounted is not False)]


ROUTES = (
    create_invoice,
    list_invoices,
    get_invoice,
    update_invoice,
    archive_invoice,
    unarchive_invoice,
    mark_invoice,
    invoice_payment_methods,
)


async def _archive(
    request: ApiRequest, store_id: UUID, invoice_id: UUID, *, archived: bool
) -> None:
    row = await invoice_in(request, store_id, invoice_id)
    if (row.archived_at is not None) == archived:
        return
    now = parts_of(request).clock()

    def write(connection: Connection) -> None:
        rows.set_archived(connection, invoice_id, now if archived else None)
        what = "invoice.archive" if archived else "invoice.unarchive"
        note(connection, request, what, invoice_id, store_id=store_id)

    await parts_of(request).database.awrite(write)
