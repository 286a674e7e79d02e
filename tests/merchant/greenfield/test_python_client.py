"""`btcpay-python-sdk` of PyPI, a client of the API that nobody here wrote, unchanged."""

import btcpay
import pytest
from btcpay import Invoices, PullPayments
from requests import HTTPError


@pytest.fixture(autouse=True)
def configured(desk, monkeypatch) -> None:
    monkeypatch.setattr(btcpay, "api_key", desk.key)
    monkeypatch.setattr(btcpay, "store_id", str(desk.served.store_id))
    monkeypatch.setattr(btcpay, "host_url", f"{desk.base}/")


def test_it_makes_shows_and_lists_an_invoice_and_sees_it_paid(desk) -> None:
    made = Invoices.create_invoice(
        amount=0.0005, currency="BTC", metadata={"orderId": "7"}, checkout={"expirationMinutes": 20}
    )
    assert (made["status"], made["amount"], made["metadata"]) == ("New", "0.0005", {"orderId": "7"})
    assert Invoices.get_invoice(made["id"]) == made
    assert made in Invoices.get_invoices()
    desk.see(made["id"], (1, 50_000, 1))
    (method,) = Invoices.get_invoice_payment_methods(made["id"])
    assert (method["totalPaid"], method["due"]) == ("0.00050000", "0.00000000")
    assert Invoices.get_invoice(made["id"])["status"] == "Settled"


def test_it_marks_an_invoice(desk) -> None:
    for status in ("settled", "invalid"):
        marked = Invoices.mark_invoice_status(desk.make()["id"], status)
        assert (marked["status"], marked["additionalStatus"]) == (status.capitalize(), "Marked")


def test_it_is_told_why_a_call_failed(desk) -> None:
    with pytest.raises(HTTPError, match=r"422 Client Error.*\"path\":\"amount\""):
        Invoices.create_invoice(amount="0", currency="BTC")
    with pytest.raises(HTTPError, match=r"404 Client Error.*\"code\":\"not-found\""):
        PullPayments.get_pull_payment(desk.make()["id"])
