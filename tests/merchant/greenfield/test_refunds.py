"""Pull payments, which are refunds of invoices: made, claimed, and taken back."""

from uuid import UUID, uuid4

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
    base, token = made["viewLink"].split("/claims/")
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
        ({"refundVariant": "Custom", "customAmount": "5"}, "customAmount"),
        ({"refundVariant": "Custom", "customCurrency": "BTC"}, "customAmount"),
        (
            {"refundVariant": "Custom", "customAmount": "5", "customCurrency": "EURO"},
            "currency",
        ),
        (
            {"refundVariant": "Custom", "customAmount": "-5", "customCurrency": "EUR"},
            "customAmount",
        ),
        ({"refundVariant": "RateThen", "subtractPercentage": "100"}, "subtractPercentage"),
        ({"refundVariant": "OverpaidAmount", "subtractPercentage": "1"}, "subtractPercentage"),
        ({"refundVariant": "RateThen", "payoutMethodId": "BTC-LN"}, "payoutMethods"),
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


def test_a_refund_in_a_currency_without_a_source_of_rates_says_so(desk, paid) -> None:
    body = {"refundVariant": "Custom", "customAmount": "5", "customCurrency": "EUR"}
    status, told = _refund(desk, paid, **body)
    assert (status, told["code"]) == (503, "unavailable")


@pytest.mark.parametrize(
    ("variant", "amount"),
    [
        ({"refundVariant": "RateThen"}, "0.00025000"),
        ({"refundVariant": "CurrentRate"}, "0.00020000"),
        (
            {"refundVariant": "Custom", "customAmount": "6.25", "customCurrency": "CHF"},
            "0.00010000",
        ),
    ],
)
def test_a_price_is_refunded_at_the_rate_that_is_asked_for(desk, variant, amount) -> None:
    desk.quote("CHF", "50000")
    made = desk.make("12.50", "CHF")["id"]
    desk.see(made, (1, 25_000, 6))
    desk.quote("CHF", "62500")
    status, told = _refund(desk, made, **variant)
    assert (status, told["amount"]) == (200, amount)


@pytest.fixture
def order(desk) -> str:
    """The number of an order whose invoice is paid."""
    number = f"W{uuid4().int % 10**9}"
    made = desk.make(metadata={"orderId": number})["id"]
    desk.see(made, (1, 50_000, 6))
    desk.make(metadata={"orderId": number})
    return number


def _pull(desk, name: str, **more):
    body = {"name": name, "amount": "0.0001", "currency": "BTC", **more}
    return desk("POST", f"{desk.store}/pull-payments", body)


def test_a_pull_payment_refunds_the_invoice_of_the_order_that_it_names(desk, order) -> None:
    name = f"Refund of order #{order}; it was broken"
    status, made = _pull(desk, name, autoApproveClaims=False, payoutMethods=["BTC-CHAIN"])
    assert (status, made["amount"], made["name"]) == (200, "0.00010000", name)
    database = desk.served.till.parts.database
    row = database.read(lambda c: refunds.refund(c, UUID(made["id"])))
    assert row is not None
    assert desk.row(str(row.invoice_id)).order_id == order
    assert row.reason == name
    at = made["startsAt"] + 3_600
    _, short = _pull(desk, f"Order {order}", description="Late", expiresAt=at)
    assert short["expiresAt"] == at


def test_a_pull_payment_that_names_no_order_or_several_is_refused(desk, order) -> None:
    other = desk.make(metadata={"orderId": "other order"})["id"]
    desk.see(other, (1, 50_000, 6))
    second = desk.make(metadata={"orderId": f"{order}-2"})["id"]
    desk.see(second, (1, 50_000, 6))
    for name in ("", "Refund", f"Refund; {order}", f"Orders {order}, {order}-2"):
        status, told = _pull(desk, name)
        assert (status, told["code"]) == (400, "malformed")
        assert "belongs to an invoice" in told["message"]


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ({"period": 3_600}, "period"),
        ({"autoApproveClaims": True}, "autoApproveClaims"),
        ({"startsAt": 2**33}, "startsAt"),
        ({"expiresAt": 1}, "expiresAt"),
        ({"expiresAt": 2**33}, "expiresAt"),
        ({"payoutMethods": ["BTC-LN"]}, "payoutMethods"),
        ({"amount": "0"}, "amount"),
        ({"amount": "0.001"}, ""),
    ],
)
def test_a_pull_payment_that_is_more_than_one_refund_is_refused(desk, order, more, path) -> None:
    status, wrong = _pull(desk, f"Refund of order {order}", **more)
    assert (status, wrong[0]["path"]) == (422, path)


def test_a_refund_of_another_store_cannot_be_taken_back(desk, paid) -> None:
    _, made = _refund(desk, paid, refundVariant="OverpaidAmount")
    wide = desk.served.key(*Scope)
    path = f"/stores/{made['id']}/pull-payments/{made['id']}"
    assert desk("DELETE", path, key=wide)[0] == 404
