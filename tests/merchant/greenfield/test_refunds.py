"""Pull payments, which are refunds of invoices: made, claimed, and taken back."""

import httpcore2
import pytest

from dovetail.merchant.data import refunds
from dovetail.merchant.messages import Scope


def _refund(desk, invoice_id: str, **body):
    return desk("POST", f"{desk.store}/invoices/{invoice_id}/refund", body)


@pytest.fixture
def paid(desk) -> str:
    """An invoice of 50,000 sats, for which 60,000 came."""
    made: str = desk.make()["id"]
    desk.see(made, (1, 60_000, 6))
    return made


@pytest.mark.parametrize(
    ("body", "amount"),
    [
        ({"refundVariant": "OverpaidAmount"}, "0.00010000"),
        ({"refundVariant": "RateThen"}, "0.00050000"),
        ({"refundVariant": "CurrentRate", "paymentMethod": "BTC"}, "0.00050000"),
        ({"refundVariant": "RateThen", "subtractPercentage": "2.5"}, "0.00048750"),
        (
            {"refundVariant": "Custom", "customAmount": "0.0002", "customCurrency": "BTC"},
            "0.00020000",
        ),
        (
            {"refundVariant": "Custom", "customAmount": 7_000, "customCurrency": "sats"},
            "0.00007000",
        ),
    ],
)
def test_a_refund_is_made_of_an_invoice(desk, paid, body, amount) -> None:
    status, made = _refund(desk, paid, **body, name="Refund 7", description="Broken")
    assert (status, made["amount"], made["currency"]) == (200, amount, "BTC")
    assert (made["name"], made["description"]) == ("Refund 7", "Broken")
    assert made["expiresAt"] - made["startsAt"] == 30 * 86_400


def test_the_customer_claims_it_by_the_secret_of_its_page(desk, paid) -> None:
    _, made = _refund(desk, paid, refundVariant="OverpaidAmount")
    assert made["name"] == f"Refund {paid}"
    base, token = made["viewLink"].split("/refund/")
    assert base == desk.served.url
    claim = httpcore2.request("GET", f"{base}/api/v1/claims/{token}")
    assert (claim.status, b'"amount_sats":10000' in claim.content) == (200, True)


def test_a_refund_is_taken_back_before_it_is_paid(desk, paid) -> None:
    _, made = _refund(desk, paid, refundVariant="OverpaidAmount")
    path = f"{desk.store}/pull-payments/{made['id']}"
    assert desk("DELETE", path)[0] == 200
    row = desk.served.till.parts.database.read(lambda c: refunds.refunds_of(c, desk.row(paid).id))
    assert [each.status for each in row] == ["cancelled"]
    status, told = desk("DELETE", path)
    assert (status, told["code"]) == (409, "conflict")
    assert desk("DELETE", f"{desk.store}/pull-payments/{paid}")[0] == 404


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "refundVariant"),
        ({"refundVariant": "Fiat"}, "refundVariant"),
        ({"refundVariant": "Custom", "customAmount": "5"}, "customCurrency"),
        ({"refundVariant": "Custom", "customCurrency": "BTC"}, "customAmount"),
        (
            {"refundVariant": "Custom", "customAmount": "5", "customCurrency": "EUR"},
            "customCurrency",
        ),
        ({"refundVariant": "RateThen", "subtractPercentage": "100"}, "subtractPercentage"),
        ({"refundVariant": "OverpaidAmount", "subtractPercentage": "1"}, "subtractPercentage"),
        ({"refundVariant": "RateThen", "payoutMethodId": "BTC-LN"}, "payoutMethodId"),
        ({"refundVariant": "Custom", "customAmount": "1", "customCurrency": "BTC"}, ""),
    ],
)
def test_a_refund_that_cannot_be_is_refused(desk, paid, body, path) -> None:
    status, wrong = _refund(desk, paid, **body)
    assert (status, wrong[0]["path"]) == (422, path)
    assert (
        desk.served.till.parts.database.read(lambda c: refunds.refunds_of(c, desk.row(paid).id))
        == ()
    )


def test_nothing_is_refunded_that_was_not_paid(desk) -> None:
    made = desk.make()
    status, wrong = _refund(desk, made["id"], refundVariant="RateThen")
    assert status == 422
    assert "can be refunded" in wrong[0]["message"]


def test_a_pull_payment_without_an_invoice_is_refused(desk) -> None:
    body = {"name": "Refund of order 7", "amount": "0.0001", "currency": "BTC"}
    status, told = desk("POST", f"{desk.store}/pull-payments", body)
    assert (status, told["code"]) == (400, "malformed")
    assert "belongs to an invoice" in told["message"]


def test_a_refund_of_another_store_cannot_be_taken_back(desk, paid) -> None:
    _, made = _refund(desk, paid, refundVariant="OverpaidAmount")
    wide = desk.served.key(*Scope)
    path = f"/stores/{made['id']}/pull-payments/{made['id']}"
    assert desk("DELETE", path, key=wide)[0] == 404
