"""When the wait for an invoice is over."""

from collections.abc import Collection
from uuid import UUID

from dovetail.merchant.invoices.invoice import InvoiceStatus

FINAL = (InvoiceStatus.SETTLED, InvoiceStatus.EXPIRED, InvoiceStatus.INVALID)
"""What is waited for if nothing is named."""


def is_reached(status: InvoiceStatus, statuses: Collection[InvoiceStatus]) -> bool:
    """Whether a status is one of those that are waited for."""
    return status in (statuses or FINAL)


def not_in_time(invoice_id: UUID) -> TimeoutError:
    """The error of a wait that took too long."""
    return TimeoutError(f"Invoice {invoice_id} has no such status yet: wait longer, or look later.")
