"""Each call of the PrestaShop module, answered with what it reads.

The facts are from `btcpayserver/prestashop-plugin`, revision f9b2914, folder `modules/btcpay`: each
call names the file and the function that makes it. The module speaks through the public PHP client,
version 2.4, and its templates and `src/Invoice/Processor.php` read the client's results.
"""

from decimal import Decimal
from urllib.parse import urlencode

import pytest
from tests.merchant.greenfield.recorded import Call, answered, without_webhooks

from dovetail.merchant.greenfield.consent import consent_of, permissions_for
from dovetail.merchant.messages import Role

PERMISSIONS = (
    "btcpay.store.canmodifystoresettings",
    "btcpay.store.webhooks.canmodifywebhooks",
    "btcpay.store.canviewstoresettings",
    "btcpay.store.cancreateinvoice",
    "btcpay.store.canviewinvoices",
    "btcpay.store.canmodifyinvoices",
)
"""`src/Constants.php`: a key has exactly these, all for one store."""

SECRET = "0123456789abcdef" * 3
"""`src/Server/Webhook.php`, ensureWebhook: 24 random bytes in hexadecimal."""

INVOICE = (
    "id",
    "checkoutLink",
    "status",
    "additionalStatus",
    "amount",
    "currency",
    "metadata.posData",
)
PAYMENTS = (
    "*.paymentMethod",
    "*.paymentMethodPaid",
    "*.amount",
    "*.rate",
    "*.payments.*.id",
    "*.payments.*.value",
    "*.payments.*.status",
    "*.payments.*.receivedDate",
)
ORDER = {
    "posData": "5f4dcc3b5aa765d61d8327deb882cf99",
    "itemCode": "invoice-reference-a1b2c3",
    "itemDesc": "Purchase from Tea & Co",
    "taxIncluded": "1.9",
    "orderId": "a1b2c3",
    "buyerEmail": "customer@shop.example",
}
BOUGHT = {
    "amount": "27.50",
    "currency": "PLN",
    "metadata": ORDER,
    "checkout": {
        "speedPolicy": "MediumSpeed",
        "redirectURL": "https://shop.example/module/btcpay/validation?invoice_reference=a1b2c3",
    },
}
HOOKED = {
    "enabled": True,
    "automaticRedelivery": True,
    "url": "https://shop.example/module/btcpay/webhook",
    "authorizedEvents": {"everything": True},
    "secret": SECRET,
}

CALLS = (
    Call(
        at="Controller/…/ConfigureController.php, validateAPIKeyAction; Server/Client.php, isValid",
        path="/server/info",
        reads=("version", "fullySynched"),
    ),
    Call(at="Server/Client.php, isValid", path="/stores/{store}", reads=("id", "name")),
    Call(
        at="ConfigureController.php, validateAPIKeyAction",
        path="/stores/{store}/payment-methods",
        reads=("*.paymentMethodId", "*.enabled"),
    ),
    Call(
        at="btcpay.php, hookPaymentOptions; payment_option.tpl",
        path="/stores/{store}/payment-methods/OnChain",
        reads=("*.cryptoCode", "*.enabled"),
    ),
    Call(
        at="btcpay.php, hookPaymentOptions; payment_option.tpl",
        path="/stores/{store}/payment-methods/LightningNetwork",
    ),
    Call(
        at="Server/Webhook.php, ensureWebhook",
        method="POST",
        path="/stores/{store}/webhooks",
        body=HOOKED,
        reads=("id", "secret"),
    ),
    Call(
        at="Server/Webhook.php, getCurrent",
        path="/stores/{store}/webhooks/{webhook}",
        reads=("id", "url", "enabled"),
    ),
    Call(
        at="Server/Factory.php, createPaymentRequest",
        method="POST",
        path="/stores/{store}/invoices",
        body=BOUGHT,
        reads=INVOICE,
    ),
    Call(
        at="Server/Client.php, getBTCPayRedirect; Invoice/Processor.php",
        path="/stores/{store}/invoices/{invoice}",
        reads=INVOICE,
    ),
    Call(
        at="Invoice/Processor.php, paymentSettled; invoice_block.tpl, order_detail.tpl",
        path="/stores/{store}/invoices/{invoice}/payment-methods",
        reads=PAYMENTS,
    ),
    Call(
        at="Server/Webhook.php, removeCurrent",
        method="DELETE",
        path="/stores/{store}/webhooks/{webhook}",
    ),
)


@pytest.fixture
def ids(desk):
    """An invoice that was paid, and a webhook."""
    desk.quote("PLN", "50000")
    _, made = desk("POST", f"{desk.store}/invoices", BOUGHT)
    desk.see(made["id"], (1, desk.row(made["id"]).amount, 1))
    _, hook = desk("POST", f"{desk.store}/webhooks", HOOKED)
    return {"invoice": made["id"], "webhook": hook["id"]}


@pytest.fixture(autouse=True)
def no_webhooks(desk):
    """Other tests have a store without webhooks."""
    yield
    without_webhooks(desk)


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_each_call_is_answered_with_what_is_read(desk, ids, call) -> None:
    answered(desk, call, **ids)


def test_a_webhook_has_the_secret_that_the_module_chose(desk) -> None:
    _, made = desk("POST", f"{desk.store}/webhooks", HOOKED)
    assert (made["secret"], made["authorizedEvents"]["everything"]) == (SECRET, True)


def test_each_payment_is_booked_in_the_shops_currency(desk, ids) -> None:
    """`Processor.php`, paymentSettled: the value times the rate is what the order is paid with."""
    _, (method,) = desk("GET", f"{desk.store}/invoices/{ids['invoice']}/payment-methods")
    (payment,) = method["payments"]
    assert payment["status"] == "Settled"
    assert Decimal(payment["value"]) * Decimal(method["rate"]) == Decimal("27.50")


def test_there_is_no_lightning_and_no_other_method(desk) -> None:
    path = f"{desk.store}/payment-methods"
    assert desk("GET", f"{path}/LightningNetwork") == (200, [])
    assert desk("GET", f"{path}/BTC-CHAIN")[1]["enabled"] is True
    status, told = desk("GET", f"{path}/BTC-LN")
    assert (status, told["code"]) == (404, "not-found")


def test_an_owner_can_allow_what_it_asks_for(desk) -> None:
    """`ConfigureController.php`, getAuthorizeUrl; `ValidateApiKey.php` reads the key's fields."""
    query = {"permissions": PERMISSIONS, "applicationName": "btcpay", "strict": "true"}
    more = {"selectiveStores": "true", "applicationIdentifier": "btcpay"}
    asked = consent_of(urlencode(query | more, doseq=True).encode())
    assert (asked.unknown, asked.strict, asked.one_store, asked.redirect) == ((), True, True, None)
    assert set(asked.scopes) <= Role.OWNER.scopes
    store = desk.served.store_id
    assert permissions_for(asked.scopes, store) == tuple(f"{each}:{store}" for each in PERMISSIONS)
    _, told = desk(
        "GET", "/api-keys/current", key=desk.served.key(*asked.scopes, store_ids=[store])
    )
    assert sorted(told["permissions"]) == sorted(permissions_for(asked.scopes, store))
