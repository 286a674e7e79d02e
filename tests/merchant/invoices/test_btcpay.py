"""BTCPay Server's words: every status has one, and no payment is told twice."""

import pytest
from tests.merchant.builders import AMOUNT, CREATED, EXPIRES, invoice, look, mark, pay, state

from dovetail.merchant.invoices import btcpay
from dovetail.merchant.invoices.btcpay import Told
from dovetail.merchant.invoices.invoice import InvoiceException, InvoiceStatus

PAID = pay(1)
TXID = str(PAID.txid)
LATE = EXPIRES - CREATED + 10


def test_every_status_and_every_exception_has_a_word():
    assert set(btcpay.STATUSES) == set(InvoiceStatus)
    for each in InvoiceException:
        assert btcpay.additional_status(each, None, AMOUNT)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("invoice.created", ("InvoiceCreated",)),
        ("invoice.expired", ("InvoiceExpired",)),
        ("invoice.new", ()),
        ("invoice.changed", ()),
        ("refund.created", ()),
    ],
)
def test_an_event_without_payments_is_its_status_or_nothing(kind, name):
    assert btcpay.told_as(kind, state(), {}) == tuple(Told(each) for each in name)


def test_payments_are_told_before_the_status_that_they_make():
    found = btcpay.told_as("invoice.settled", state(look(1, (PAID, 1))), {})
    assert [each.name for each in found] == [
        "InvoiceReceivedPayment",
        "InvoicePaymentSettled",
        "InvoiceSettled",
    ]
    assert [each.txid for each in found] == [TXID, TXID, None]


@pytest.mark.parametrize(
    ("depth", "listed", "expected"),
    [
        (0, {}, ["InvoiceReceivedPayment"]),
        (0, {TXID: 0}, []),
        (1, {TXID: 0}, ["InvoicePaymentSettled"]),
        (1, {TXID: 1}, []),
        (0, {TXID: 1}, []),
        (2, {TXID: 1}, []),
    ],
)
def test_each_payment_is_told_when_it_comes_and_when_it_is_deep(depth, listed, expected):
    found = btcpay.told_as("invoice.changed", state(look(1, (PAID, depth))), listed)
    assert [each.name for each in found] == expected


def test_without_confirmations_a_payment_in_time_settles_at_once_and_a_late_one_does_not():
    terms = invoice(depth=0)
    stands = [state(look(1, PAID, at=at), at=at, terms=terms) for at in (10, LATE)]
    names = [[each.name for each in btcpay.told_as("", stand, {})] for stand in stands]
    assert names == [
        ["InvoiceReceivedPayment", "InvoicePaymentSettled"],
        ["InvoiceReceivedPayment"],
    ]


@pytest.mark.parametrize(("depth", "word"), [(0, "PaidPartial"), (1, "PaidLate")])
def test_late_is_told_once_all_that_was_asked_for_is_confirmed(depth, word):
    late = state(look(1, (PAID, depth), at=LATE), at=LATE)
    assert late.exception is InvoiceException.LATE
    assert btcpay.additional_status(late.exception, late, AMOUNT) == word


def test_a_mark_is_told_whatever_came():
    marked = state(look(1, (PAID, 1)), marks=(mark(settled=False),))
    assert btcpay.additional_status(marked.exception, marked, AMOUNT) == "Marked"
