"""Webhooks in BTCPay Server's words: endpoints, the events that they hear, and what signs them."""

import hmac
import json
from hashlib import sha256
from typing import Any
from uuid import uuid4

import pytest
from tests.support.scripted_http import Answer

from dovetail.merchant.data import webhooks


def _endpoint(desk, url: str, **more: Any) -> Any:
    status, made = desk("POST", f"{desk.store}/webhooks", {"url": url, **more})
    assert status == 200, made
    return made


def _path(desk, made: Any, rest: str = "") -> str:
    return f"{desk.store}/webhooks/{made['id']}{rest}"


def _told(shop) -> list[dict[str, Any]]:
    """What the shop heard, in the order of the deliveries' ids."""
    return sorted(
        (json.loads(body) for _, body in shop.posted), key=lambda each: each["deliveryId"]
    )


@pytest.fixture(autouse=True)
def alone(desk):
    """No endpoint of another test hears of this one's invoices."""
    yield
    for each in desk("GET", f"{desk.store}/webhooks")[1]:
        desk("DELETE", _path(desk, each))


def test_an_endpoint_is_made_shown_changed_and_removed(desk) -> None:
    made = _endpoint(desk, "https://shop.example/hook")
    secret = made.pop("secret")
    assert len(secret) >= 32
    assert desk("GET", _path(desk, made)) == (200, made)
    assert desk("GET", f"{desk.store}/webhooks") == (200, [made])
    assert made["authorizedEvents"] == {"everything": True, "specificEvents": []}
    events = {"everything": False, "specificEvents": ["InvoiceSettled"]}
    change = {"url": "https://shop.example/other", "enabled": False, "authorizedEvents": events}
    status, changed = desk("PUT", _path(desk, made), change)
    assert (status, changed) == (200, made | change)
    assert desk("DELETE", _path(desk, made))[0] == 200
    assert desk("GET", _path(desk, made))[0] == 404
    assert desk("GET", f"{desk.store}/webhooks") == (200, [])


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "url"),
        ({"url": "ftp://shop.example"}, "url"),
        ({"url": "https://shop.example", "secret": "short"}, "secret"),
        (
            {"url": "https://shop.example", "authorizedEvents": {"everything": False}},
            "authorizedEvents.specificEvents",
        ),
        (
            {
                "url": "https://shop.example",
                "authorizedEvents": {"everything": False, "specificEvents": ["PayoutCreated"]},
            },
            "authorizedEvents.specificEvents",
        ),
    ],
)
def test_an_endpoint_that_could_not_serve_is_refused(desk, body, path) -> None:
    status, wrong = desk("POST", f"{desk.store}/webhooks", body)
    assert (status, wrong[0]["path"]) == (422, path)


@pytest.mark.parametrize("given", [None, "a secret of the shop's own"])
def test_a_delivery_is_signed_by_the_secret_as_it_is_written(desk, shop, given) -> None:
    more = {} if given is None else {"secret": given}
    made = _endpoint(desk, shop.url + "/hook", **more)
    desk.make()
    desk.deliver()
    ((headers, body),) = shop.posted
    expected = hmac.new(made["secret"].encode(), body, sha256).hexdigest()
    assert headers["btcpay-sig"] == f"sha256={expected}"
    assert given in (None, made["secret"])


def test_a_new_secret_signs_alone_and_no_secret_leaves_the_present_one(desk, shop) -> None:
    made = _endpoint(desk, shop.url + "/hook")
    for secret, expected in ((None, made["secret"]), ("another secret of it", None)):
        desk("PUT", _path(desk, made), {"url": made["url"], "secret": secret})
        desk.make()
        desk.deliver()
        headers, body = shop.posted[-1]
        key = (expected or secret or "").encode()
        assert headers["btcpay-sig"] == f"sha256={hmac.new(key, body, sha256).hexdigest()}"


def test_a_payment_is_heard_of_as_btcpay_server_tells_it(desk, shop) -> None:
    made = _endpoint(desk, shop.url + "/hook")
    invoice = desk.make(metadata={"orderId": "A-1", "nested": {"a": [1]}})
    desk.see(invoice["id"], (1, 60_000, 0))
    desk.see(invoice["id"], (1, 60_000, 1))
    desk.deliver()
    told = _told(shop)
    assert [each["type"] for each in told] == [
        "InvoiceCreated",
        "InvoiceReceivedPayment",
        "InvoiceProcessing",
        "InvoicePaymentSettled",
        "InvoiceSettled",
    ]
    for each in told:
        assert each["originalDeliveryId"] == each["deliveryId"]
        assert each["isRedelivery"] is False
        assert (each["webhookId"], each["invoiceId"]) == (made["id"], invoice["id"])
        assert (each["storeId"], each["metadata"]) == (invoice["storeId"], invoice["metadata"])
        assert each["timestamp"] >= invoice["createdTime"]
    received, processing, paid, settled = told[1:]
    assert (received["afterExpiration"], received["paymentMethodId"]) == (False, "BTC-CHAIN")
    assert received["payment"]["value"] == "0.00060000"
    assert paid["payment"]["id"] == received["payment"]["id"]
    assert paid["payment"]["status"] == "Settled"
    assert processing["overPaid"] is True
    assert (settled["overPaid"], settled["manuallyMarked"]) == (True, False)


def test_each_payment_is_received_once_and_settles_once(desk, shop) -> None:
    _endpoint(desk, shop.url + "/hook")
    invoice = desk.make()
    desk.see(invoice["id"], (1, 20_000, 0))
    desk.see(invoice["id"], (1, 20_000, 1))
    desk.see(invoice["id"], (1, 20_000, 2), (2, 30_000, 0))
    desk.see(invoice["id"], (1, 20_000, 3), (2, 30_000, 1))
    desk.deliver()
    told = [each for each in _told(shop) if "payment" in each]
    values = [(each["type"][len("Invoice") :], each["payment"]["value"]) for each in told]
    assert values == [
        ("ReceivedPayment", "0.00020000"),
        ("PaymentSettled", "0.00020000"),
        ("ReceivedPayment", "0.00030000"),
        ("PaymentSettled", "0.00030000"),
    ]


def test_a_late_payment_is_heard_of_when_it_comes_and_when_it_is_confirmed(desk, shop) -> None:
    _endpoint(desk, shop.url + "/hook")
    invoice = desk.make()
    desk.see(invoice["id"], after=1_000)
    desk.see(invoice["id"], (1, 50_000, 0), after=1_010)
    desk.see(invoice["id"], (1, 50_000, 1), after=1_020)
    desk.deliver(after=1_100)
    told = _told(shop)
    assert [each["type"] for each in told] == [
        "InvoiceCreated",
        "InvoiceExpired",
        "InvoiceReceivedPayment",
        "InvoicePaymentSettled",
    ]
    assert told[1]["partiallyPaid"] is False
    assert told[2]["afterExpiration"] is True
    assert told[3]["afterExpiration"] is True


def test_an_invoice_that_expires_with_a_part_says_so(desk, shop) -> None:
    _endpoint(desk, shop.url + "/hook")
    invoice = desk.make()
    desk.see(invoice["id"], (1, 20_000, 1))
    desk.see(invoice["id"], (1, 20_000, 2), after=1_000)
    desk.deliver(after=1_100)
    told = _told(shop)[-1]
    assert (told["type"], told["partiallyPaid"]) == ("InvoiceExpired", True)


def test_a_mark_is_heard_of_as_made_by_hand(desk, shop) -> None:
    _endpoint(desk, shop.url + "/hook")
    for status in ("Settled", "Invalid"):
        invoice = desk.make()
        desk("POST", f"{desk.store}/invoices/{invoice['id']}/status", {"status": status})
    desk.deliver()
    told = [each for each in _told(shop) if each["type"] != "InvoiceCreated"]
    assert [(each["type"], each["manuallyMarked"]) for each in told] == [
        ("InvoiceSettled", True),
        ("InvoiceInvalid", True),
    ]


def test_an_endpoint_hears_of_what_it_asked_for_and_one_that_is_off_of_nothing(desk, shop) -> None:
    some = {
        "everything": False,
        "specificEvents": ["InvoiceReceivedPayment", "InvoiceReceivedPayment"],
    }
    chosen = _endpoint(desk, shop.url + "/hook", authorizedEvents=some)
    _endpoint(desk, shop.url + "/off", enabled=False)
    assert chosen["authorizedEvents"]["specificEvents"] == ["InvoiceReceivedPayment"]
    invoice = desk.make()
    desk.see(invoice["id"], (1, 50_000, 1))
    desk.deliver()
    assert [each["type"] for each in _told(shop)] == ["InvoiceReceivedPayment"]


def test_what_waits_for_an_endpoint_that_is_removed_is_not_sent(desk, shop) -> None:
    made = _endpoint(desk, shop.url + "/hook")
    desk.make()
    desk("DELETE", _path(desk, made))
    desk.deliver()
    assert shop.posted == []


def test_a_delivery_is_shown_and_sent_again_as_one_of_its_own(desk, shop) -> None:
    shop.answers["/hook"] = Answer(500)
    made = _endpoint(desk, shop.url + "/hook")
    desk.make()
    (waiting,) = desk("GET", _path(desk, made, "/deliveries"))[1]
    assert (waiting["status"], waiting["httpCode"]) == ("Pending", None)
    desk.deliver()
    (failed,) = desk("GET", _path(desk, made, "/deliveries?count=1"))[1]
    assert (failed["status"], failed["httpCode"]) == ("HttpError", 500)
    shop.answers["/hook"] = Answer(200)
    path = _path(desk, made, f"/deliveries/{failed['id']}")
    status, again = desk("POST", f"{path}/redeliver")
    assert (status, isinstance(again, str)) == (200, True)
    desk.deliver()
    (body,) = [json.loads(body) for _, body in shop.posted if again in body.decode()]
    assert (body["deliveryId"], body["originalDeliveryId"]) == (again, failed["id"])
    assert body["isRedelivery"] is True
    sent = _path(desk, made, f"/deliveries/{again}")
    assert desk("GET", sent)[1]["status"] == "HttpSuccess"
    assert desk("GET", f"{sent}/request") == (200, body)


def test_what_is_told_of_an_invoice_comes_in_its_turn_also_after_a_failure(desk, shop) -> None:
    shop.answers["/hook"] = Answer(500)
    _endpoint(desk, shop.url + "/hook")
    first = desk.make()
    desk.see(first["id"], (1, 50_000, 1))
    desk.deliver()
    assert [each["type"] for each in _told(shop)] == ["InvoiceCreated"]
    shop.answers["/hook"] = Answer(200)
    desk.make()
    desk.deliver()
    assert [each["type"] for each in _told(shop)] == ["InvoiceCreated"] * 2
    desk.deliver(after=60)
    told = [json.loads(body)["type"] for _, body in shop.posted[2:]]
    assert told == [
        "InvoiceCreated",
        "InvoiceReceivedPayment",
        "InvoicePaymentSettled",
        "InvoiceSettled",
    ]


def test_deliveries_belong_to_their_endpoint(desk, shop) -> None:
    one, other = (_endpoint(desk, shop.url + path) for path in ("/one", "/two"))
    desk.make()
    (mine,) = desk("GET", _path(desk, one, "/deliveries"))[1]
    for path in (
        _path(desk, other, f"/deliveries/{mine['id']}"),
        _path(desk, one, f"/deliveries/{uuid4()}"),
        _path(desk, {"id": uuid4()}, "/deliveries"),
    ):
        assert desk("GET", path)[0] == 404


def test_an_endpoint_of_the_shops_own_interface_stays_as_it_is(desk, shop) -> None:
    database = desk.served.till.parts.database
    row = database.write(
        lambda c: webhooks.add_endpoint(
            c,
            store_id=desk.served.store_id,
            url=shop.url + "/own",
            secret="whsec_" + "A" * 32,
            kinds=None,
            now=database.now(),
        )
    )
    assert desk("GET", f"{desk.store}/webhooks") == (200, [])
    assert desk("GET", _path(desk, {"id": row.id}))[0] == 404
    desk.make()
    desk.deliver()
    database.write(lambda c: webhooks.remove(c, row.id, database.now()))
    ((headers, body),) = shop.posted
    assert "webhook-signature" in headers
    assert json.loads(body)["type"] == "invoice.created"
