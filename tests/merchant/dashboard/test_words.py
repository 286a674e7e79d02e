"""Every code of the shop has words for the shopkeeper."""

import pytest

from dovetail.merchant.dashboard import words
from dovetail.merchant.data.events import CHANGED, CREATED
from dovetail.merchant.invoices.credit import PaymentKind
from dovetail.merchant.invoices.invoice import InvoiceException, InvoiceStatus
from dovetail.merchant.invoices.life import Cause
from dovetail.merchant.invoices.payments import PaymentStatus
from dovetail.merchant.invoices.refunds import RefundStatus, RefundStep
from dovetail.merchant.messages import DeliveryStatus, Role


@pytest.mark.parametrize(
    ("codes", "table"),
    [
        (InvoiceStatus, words.STATUSES),
        (InvoiceException, words.EXCEPTIONS),
        (Cause, words.CAUSES),
        (PaymentKind, words.KINDS),
        (PaymentStatus, words.PAYMENTS),
        (RefundStatus, words.REFUNDS),
        (RefundStep, words.STEPS),
        (DeliveryStatus, words.DELIVERIES),
        (Role, words.ROLES),
    ],
)
def test_each_code_has_words(codes, table) -> None:
    assert set(table) == {*codes}


def test_each_event_has_words() -> None:
    kinds = {CREATED, CHANGED, "refund.created"}
    kinds |= {f"invoice.{each}" for each in InvoiceStatus}
    kinds |= {f"refund.{each}" for each in RefundStatus if each is not RefundStatus.OPEN}
    assert set(words.EVENTS) == kinds
