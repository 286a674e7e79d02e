"""What the routes share: the store and the invoice of a path, and the audit trail."""

from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from dovetail.merchant.api.problems import not_found
from dovetail.merchant.api.routes.common import (
    ApiRequest,
    caller,
    origin_of,
    parts_of,
    visible_invoice,
    visible_store,
)
from dovetail.merchant.data import audit, record
from dovetail.merchant.data.invoices import InvoiceRow
from dovetail.merchant.greenfield import mapping, messages
from dovetail.merchant.invoices.invoice import InvoiceException
from dovetail.merchant.invoices.life import InvoiceState


def body_of(request: ApiRequest) -> bytes:
    """The body of a request, which the door has read."""
    body: bytes = request.scope["state"]["body"]
    return body


async def invoice_in(request: ApiRequest, store_id: UUID, invoice_id: UUID) -> InvoiceRow:
    """An invoice of this store, which the caller sees; raises `Refused`."""
    await visible_store(request, store_id)
    row = await visible_invoice(request, invoice_id)
    if row.store_id != store_id:
        raise not_found()
    return row


async def state_of(request: ApiRequest, row: InvoiceRow) -> InvoiceState:
    """Where an invoice stands now, with all its payments."""
    parts = parts_of(request)
    found = await parts.database.aread(lambda c: record.load(c, row.id))
    return found.state(parts.clock())


async def view(request: ApiRequest, row: InvoiceRow) -> messages.Invoice:
    """An invoice as it is shown; the payments are looked at where it was paid late."""
    is_late = row.exception is InvoiceException.LATE
    state = await state_of(request, row) if is_late else None
    return mapping.invoice(row, state, origin_of(request))


def note(
    connection: Connection,
    request: ApiRequest,
    what: str,
    subject: UUID,
    *,
    store_id: UUID,
    detail: dict[str, Any] | None = None,
) -> None:
    """Add to the audit trail, in the caller's transaction."""
    audit.add(
        connection,
        store_id=store_id,
        who=caller(request).who,
        what=what,
        subject=str(subject),
        now=parts_of(request).clock(),
        detail=detail,
    )
