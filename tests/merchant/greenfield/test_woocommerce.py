"""Each call of the WooCommerce plugin, answered with what it reads.

The facts are from `btcpayserver/woocommerce-greenfield-plugin`, revision 2a8fd709 of April 2026:
each test names the file and the function that makes the call. The plugin speaks through the public
PHP client, whose paths and fields are those of `test_php_client`.
"""

import json
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from tests.merchant.greenfield.recorded import Call, answered, without_webhooks

from dovetail.merchant.greenfield.consent import consent_of, permissions_for
from dovetail.merchant.messages import Role, Scope
from dovetail.merchant.messages.access import PLUGIN_SCOPES

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
    "posData": '{"WooCommerce":{"Order ID":1042,"Plugin Version":"2.8.0"}}',
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


INVOICE = ("id", "checkoutLink", "status", "additionalStatus", "checkout.paymentMethods.*")
HOOKED = {
    "enabled": True,
    "automaticRedelivery": True,
    "url": "https://shop.example" + HOOK,
    "authorizedEvents": {"everything": False, "specificEvents": EVENTS},
}
REFUNDED = {
    "name": "Refund of order 1043; broken",
    "description": None,
    "amount": "0.0001",
    "currency": "BTC",
    "period": None,
    "BOLT11Expiration": None,
    "autoApproveClaims": False,
    "startsAt": None,
    "expiresAt": None,
    "paymentMethods": ["BTC_CHAIN"],
    "payoutMethods": ["BTC_CHAIN"],
}
CALLS = (
    Call(
        at="Helper/GreenfieldApiHelper.php, checkApiKeyWorks",
        path="/stores",
        reads=("*.id", "*.name"),
    ),
    Call(
        at="Admin/GlobalSettings.php, save; GreenfieldApiHelper.php, serverSupportsRefunds",
        path="/server/info",
        reads=("version", "fullySynched"),
    ),
    Call(
        at="Admin/GlobalSettings.php, save; GreenfieldApiHelper.php, apiKeyHasRefundPermission",
        path="/api-keys/current",
        reads=("apiKey", "permissions.*"),
    ),
    Call(
        at="Admin/GlobalSettings.php, save; GreenfieldApiHelper.php, supportedPaymentMethods",
        path="/stores/{store}/payment-methods",
        reads=("*.paymentMethodId", "*.enabled"),
    ),
    Call(
        at="Helper/GreenfieldApiWebhook.php, registerWebhook",
        method="POST",
        path="/stores/{store}/webhooks",
        body=HOOKED,
        reads=("id", "secret", "url"),
    ),
    Call(
        at="Helper/GreenfieldApiWebhook.php, webhookExists and getWebhook",
        path="/stores/{store}/webhooks/{webhook}",
        reads=("id", "url", "enabled", "authorizedEvents.specificEvents.*"),
    ),
    Call(
        at="Helper/GreenfieldApiWebhook.php, updateWebhook",
        method="PUT",
        path="/stores/{store}/webhooks/{webhook}",
        body=HOOKED | {"secret": "0123456789abcdef"},
        reads=("id",),
    ),
    Call(
        at="Gateway/AbstractGateway.php, createInvoice and updateOrderMetadata",
        method="POST",
        path="/stores/{store}/invoices",
        body={
            "amount": "0.0005",
            "currency": "BTC",
            "metadata": ORDER,
            "checkout": {"redirectURL": "https://shop.example/", "paymentMethods": ["BTC_CHAIN"]},
        },
        reads=INVOICE,
    ),
    Call(
        at="Gateway/AbstractGateway.php, validInvoiceExists; invoiceIsFullyPaid",
        path="/stores/{store}/invoices/{invoice}",
        reads=INVOICE,
    ),
    Call(
        at="Gateway/AbstractGateway.php, updateWCOrderPayments",
        path="/stores/{store}/invoices/{invoice}/payment-methods",
        reads=(
            *(
                f"*.{each}"
                for each in ("paymentMethod", "paymentMethodPaid", "totalPaid", "amount")
            ),
            *(f"*.{each}" for each in ("due", "networkFee", "rate")),
            *(f"*.payments.*.{each}" for each in ("id", "receivedDate", "destination", "value")),
            *(f"*.payments.*.{each}" for each in ("status", "fee")),
        ),
    ),
    Call(
        at="Gateway/AbstractGateway.php, process_refund",
        method="POST",
        path="/stores/{store}/pull-payments",
        body=REFUNDED,
        reads=("id", "viewLink"),
    ),
    Call(
        at="Gateway/AbstractGateway.php, markInvoiceInvalid",
        method="POST",
        path="/stores/{store}/invoices/{invoice}/status",
        body={"status": "Invalid"},
        reads=("id", "status"),
    ),
)
"""All that it asks the server for, with what it reads of each answer."""


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_each_call_is_answered_with_what_is_read(desk, call) -> None:
    made = _bought(desk, "1043")
    desk.see(made["id"], (1, 50_000, 6))
    _, hook = desk("POST", f"{desk.store}/webhooks", HOOKED)
    if call.body is REFUNDED:
        number = uuid4().hex
        made = _bought(desk, number)
        desk.see(made["id"], (1, 50_000, 6))
        call = replace(call, body=REFUNDED | {"name": f"Refund of order {number}; broken"})
    answered(desk, call, invoice=made["id"], webhook=hook["id"])
    without_webhooks(desk)


def test_what_it_asks_a_person_for_is_what_a_plugin_key_can_do(desk) -> None:
    """`btcpay-greenfield-for-woocommerce.php`, processAjaxApiUrl: `ApiKey::getAuthorizeUrl`."""
    names = [*sorted(REQUIRED), *sorted(OPTIONAL)]
    query = {
        "permissions": names,
        "applicationName": "WooCommerce",
        "strict": "true",
        "selectiveStores": "true",
        "redirect": "https://shop.example/?btcpay-settings-callback",
    }
    asked = consent_of(urlencode(query, doseq=True).encode())
    assert (asked.application, asked.strict, asked.one_store) == ("WooCommerce", True, True)
    assert set(asked.scopes) == PLUGIN_SCOPES
    assert asked.unknown == ()
    assert set(asked.scopes) <= Role.MANAGER.scopes
    sent = permissions_for(asked.scopes, desk.served.store_id)
    assert sent[0].split(":")[1] == str(desk.served.store_id)
    assert [each.split(":")[0] for each in sent] == names


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
    status, made = desk("POST", f"{desk.store}/webhooks", HOOKED)
    assert (status, made["url"], bool(made["secret"])) == (200, HOOKED["url"], True)
    path = f"{desk.store}/webhooks/{made['id']}"
    _, found = desk("GET", path)
    assert (found["id"], found["url"]) == (made["id"], made["url"])
    assert desk("PUT", path, HOOKED | {"secret": made["secret"]}) == (200, found)
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
    body = REFUNDED | {"name": "Refund of order 1042; broken"}
    status, told = desk("POST", f"{desk.store}/pull-payments", body)
    assert (status, told["amount"]) == (200, "0.00010000"), told
    assert told["id"]
    assert told["viewLink"].startswith("http")
