"""Each call of the WooCommerce plugin, answered with what it reads.

The facts are from `btcpayserver/woocommerce-greenfield-plugin`, revision 2a8fd709 of April 2026:
each test names the file and the function that makes the call. The plugin speaks through the public
PHP client, whose paths and fields are those of `test_php_client`.
"""

import json
from typing import Any

import pytest

from dovetail.merchant.messages import Scope

HOOK = "/?wc-api=btcpaygf_default"
EVENTS = [
    "InvoiceReceivedPayment",
    "InvoicePaymentSettled",
    "InvoiceProcessing",
    "InvoiceExpired",
    "InvoiceSettled",
    "InvoiceInvalid",
]
"""`Helper/GreenfieldApiWebhook.php`: what the plugin registers for."""

REQUIRED = {
    "btcpay.store.canviewinvoices",
    "btcpay.store.cancreateinvoice",
    "btcpay.store.canviewstoresettings",
    "btcpay.store.canmodifyinvoices",
}
OPTIONAL = {
    "btcpay.store.cancreatenonapprovedpullpayments",
    "btcpay.store.webhooks.canmodifywebhooks",
}
"""`Helper/GreenfieldApiAuthorization.php`: a key has exactly the first four, and maybe these."""

ORDER = {
    "orderId": "1042",
    "taxIncluded": 1.9,
    "posData": {"WooCommerce": {"Order ID": 1042, "Plugin Version": "2.7.1"}},
    "orderUrl": "https://shop.example/wp-admin/post.php?post=1042&action=edit",
    "buyerEmail": "customer@shop.example",
    "buyerName": "A. Customer",
    "buyerAddress1": "Road 1",
    "buyerCity": "Town",
    "buyerZip": "12345",
    "buyerCountry": "DE",
}
"""`Gateway/AbstractGateway.php`, createInvoice and prepareCustomerMetadata: the metadata."""


def _bought(desk, number: str = "1041", **checkout: Any) -> Any:
    """`AbstractGateway.php`, createInvoice: the body, whose other options are null."""
    options = {
        "speedPolicy": None,
        "paymentMethods": None,
        "expirationMinutes": None,
        "monitoringMinutes": None,
        "paymentTolerance": None,
        "redirectURL": "https://shop.example/checkout/order-received/1042/?key=wc_order_x",
        "redirectAutomatically": None,
        "defaultLanguage": None,
    }
    return desk.make(
        "0.0005", "BTC", metadata=ORDER | {"orderId": number}, checkout=options | checkout
    )


def test_a_key_with_the_scopes_of_the_guide_has_the_permissions_that_it_requires(desk) -> None:
    """`Admin/GlobalSettings.php`, save: hasSingleStore and hasRequiredPermissions."""
    _, told = desk("GET", "/api-keys/current")
    names = {each.split(":")[0] for each in told["permissions"]}
    assert {each.split(":")[1] for each in told["permissions"]} == {str(desk.served.store_id)}
    assert names - OPTIONAL == REQUIRED
    assert names & OPTIONAL == OPTIONAL


def test_a_key_that_may_do_more_is_one_that_it_does_not_take(desk) -> None:
    """The same: another permission than the ten that it knows makes it refuse the key."""
    wide = desk.served.key(*Scope, store_ids=[desk.served.store_id])
    _, told = desk("GET", "/api-keys/current", key=wide)
    names = {each.split(":")[0] for each in told["permissions"]}
    assert names - OPTIONAL > REQUIRED


def test_the_server_is_new_enough_for_refunds_and_tells_whether_it_is_in_sync(desk) -> None:
    """`GlobalSettings.php`, save: version_compare with 1.7.6, and `fullySynched`."""
    _, told = desk("GET", "/server/info")
    assert tuple(map(int, told["version"].split("."))) >= (1, 7, 6)
    assert isinstance(told["fullySynched"], bool)


def test_a_store_and_a_way_to_pay_are_found(desk) -> None:
    """`GreenfieldApiHelper.php`, checkApiKeyWorks and supportedPaymentMethods."""
    assert desk("GET", "/stores")[1] != []
    _, (method,) = desk("GET", f"{desk.store}/payment-methods")
    assert (method["paymentMethodId"].split("-")[0], method["enabled"]) == ("BTC", True)


def test_a_webhook_is_registered_and_found_again(desk) -> None:
    """`GreenfieldApiWebhook.php`, registerWebhook, webhookExists and updateWebhook."""
    body = {
        "enabled": True,
        "automaticRedelivery": True,
        "url": "https://shop.example" + HOOK,
        "authorizedEvents": {"everything": False, "specificEvents": EVENTS},
    }
    status, made = desk("POST", f"{desk.store}/webhooks", body)
    assert (status, made["url"], bool(made["secret"])) == (200, body["url"], True)
    path = f"{desk.store}/webhooks/{made['id']}"
    _, found = desk("GET", path)
    assert (found["id"], found["url"]) == (made["id"], made["url"])
    assert desk("PUT", path, body | {"secret": made["secret"]}) == (200, found)
    desk("DELETE", path)


def test_an_order_becomes_an_invoice_with_a_page(desk) -> None:
    """`AbstractGateway.php`, createInvoice, and `getInvoiceRedirectUrl`: URL, `/i/` and the id."""
    made = _bought(desk, paymentMethods=["BTC-CHAIN"], speedPolicy="MediumSpeed")
    assert made["metadata"] == ORDER | {"orderId": "1041"}
    assert made["checkout"]["redirectURL"].startswith("https://shop.example/checkout/")
    assert made["checkoutLink"].endswith(f"/i/{made['id']}")


def test_an_order_that_is_paid_again_finds_its_invoice(desk) -> None:
    """`AbstractGateway.php`, validInvoiceExists: status and `checkout.paymentMethods`."""
    made = desk.show(_bought(desk)["id"])
    assert made["status"] not in ("Expired", "Invalid")
    methods = [each["paymentMethodId"] for each in desk("GET", f"{desk.store}/payment-methods")[1]]
    assert made["checkout"]["paymentMethods"] == methods
    path = f"{desk.store}/invoices/{made['id']}/status"
    assert desk("POST", path, {"status": "Invalid"})[1]["status"] == "Invalid"


def test_the_payments_of_an_order_have_all_that_is_kept_with_it(desk) -> None:
    """`AbstractGateway.php`, updateWCOrderPayments, through the client's accessors."""
    made = _bought(desk)
    desk.see(made["id"], (1, 50_000, 1))
    _, (method,) = desk("GET", f"{desk.store}/invoices/{made['id']}/payment-methods")
    assert float(method["paymentMethodPaid"]) > 0
    assert all(isinstance(method[each], str) for each in ("totalPaid", "amount", "due", "rate"))
    assert method["networkFee"] == method["paymentMethodFee"] == "0"
    (payment,) = method["payments"]
    assert set(payment) == {"id", "receivedDate", "value", "fee", "status", "destination"}


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (
            [((1, 50_000, 0),), ((1, 50_000, 1),)],
            [
                ("InvoiceReceivedPayment", {"afterExpiration": False}),
                ("InvoiceProcessing", {"overPaid": False}),
                ("InvoicePaymentSettled", {"afterExpiration": False}),
                ("InvoiceSettled", {"overPaid": False}),
            ],
        ),
        (
            [((1, 60_000, 1),)],
            [
                ("InvoiceReceivedPayment", {}),
                ("InvoicePaymentSettled", {}),
                ("InvoiceSettled", {"overPaid": True, "manuallyMarked": False}),
            ],
        ),
    ],
)
def test_an_order_hears_of_each_step_with_the_fields_that_it_reads(
    desk, shop, steps, expected
) -> None:
    """`AbstractGateway.php`, processWebhook and processOrderStatus."""
    chosen = {"everything": False, "specificEvents": EVENTS}
    body = {"url": shop.url + HOOK, "authorizedEvents": chosen}
    _, hook = desk("POST", f"{desk.store}/webhooks", body)
    made = _bought(desk)
    for step in steps:
        desk.see(made["id"], *step)
    desk.deliver()
    desk("DELETE", f"{desk.store}/webhooks/{hook['id']}")
    told = [json.loads(body) for _, body in shop.posted]
    assert [each["type"] for each in told] == [name for name, _ in expected]
    assert {each["invoiceId"] for each in told} == {made["id"]}
    for each, (_, fields) in zip(told, expected, strict=True):
        assert fields.items() <= each.items()


def test_an_order_that_is_paid_late_counts_as_paid_once_that_is_confirmed(desk) -> None:
    """`GreenfieldApiHelper.php`, invoiceIsFullyPaid: the client takes `PaidLate` for paid."""
    made = _bought(desk)
    for depth, expected in ((0, "PaidPartial"), (1, "PaidLate")):
        desk.see(made["id"], (1, 50_000, depth), after=1_000 + depth)
        assert desk.show(made["id"])["additionalStatus"] == expected


def test_an_order_is_refunded(desk) -> None:
    """`AbstractGateway.php`, process_refund: createPullPayment, of which it reads three fields."""
    made = _bought(desk, "1042")
    desk.see(made["id"], (1, 50_000, 6))
    body = {
        "name": "Refund of order 1042; broken",
        "description": None,
        "amount": "0.0001",
        "currency": "BTC",
        "period": None,
        "BOLT11Expiration": None,
        "autoApproveClaims": False,
        "startsAt": None,
        "expiresAt": None,
        "paymentMethods": ["BTC-CHAIN"],
        "payoutMethods": ["BTC-CHAIN"],
    }
    status, told = desk("POST", f"{desk.store}/pull-payments", body)
    assert (status, told["amount"]) == (200, "0.00010000"), told
    assert told["id"]
    assert told["viewLink"].startswith("http")
