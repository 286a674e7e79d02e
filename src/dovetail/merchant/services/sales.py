"""Sales at points of sale: each becomes an invoice of the store, once."""

from uuid import UUID

import msgspec
from sqlalchemy import Connection

from dovetail.errors import UsageError
from dovetail.merchant.data import audit, idempotency
from dovetail.merchant.data import invoices as rows
from dovetail.merchant.data.invoices import InvoiceRow
from dovetail.merchant.data.points_of_sale import PointRow
from dovetail.merchant.invoices.invoice import InvoiceStatus
from dovetail.merchant.invoices.sales import Sale, metadata_of
from dovetail.merchant.messages import NewInvoice
from dovetail.merchant.services.invoices import Invoices
from dovetail.merchant.services.parts import Parts

_KEY = "sale "
"""The beginning of a sale's idempotency key; the keys of the API have no blanks."""


class SaleMade(UsageError):
    """The form of this sale came before, and its invoice is paid or over."""


class Sales:
    """What points of sale do with invoices."""

    def __init__(self, parts: Parts, invoices: Invoices) -> None:
        """Use these parts."""
        self._parts = parts
        self._invoices = invoices

    async def sell(self, point: PointRow, sale: Sale, form: str) -> UUID:
        """Make the invoice of a sale, and return its id; `form` names the form that asks for it.

        A form that comes twice makes one invoice. Raises `IdempotencyConflict` where it came with
        another sale, `SaleMade` where its invoice waits for no payment any more, and what
        `Invoices.draft` and `Invoices.add` raise; then nothing was made.
        """
        draft = await self._invoices.draft(point.store_id, _wanted(sale))
        given = msgspec.json.encode((str(point.id), sale))

        def write(connection: Connection) -> InvoiceRow | None:
            key = _KEY + form
            known = idempotency.claim(
                connection, point.store_id, key, given, draft.id, now=draft.created_at
            )
            if known != draft.id:
                return rows.invoice(connection, known)
            _note(connection, point, draft)
            return self._invoices.add(connection, draft)

        row = await self._parts.database.awrite(write)
        if row is None or row.status is not InvoiceStatus.NEW or row.expires_at <= draft.created_at:
            raise SaleMade("This sale was made already: open the point of sale anew.")
        return row.id


def _wanted(sale: Sale) -> NewInvoice:
    metadata = metadata_of(sale)
    if sale.currency is None:
        return NewInvoice(amount_sats=int(sale.total), label=sale.title, metadata=metadata)
    return NewInvoice(
        price=str(sale.total), currency=sale.currency, label=sale.title, metadata=metadata
    )


def _note(connection: Connection, point: PointRow, draft: InvoiceRow) -> None:
    audit.add(
        connection,
        store_id=point.store_id,
        who=f"point of sale {point.id}",
        what="invoice.create",
        subject=str(draft.id),
        now=draft.created_at,
    )
