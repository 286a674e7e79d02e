"""The server, keys and stores in Greenfield's words, and how refusals look."""

import json
from uuid import uuid4

import httpcore2
import pytest

from dovetail.merchant.data import audit, stores
from dovetail.merchant.messages import Scope, StorePolicy


def test_any_key_learns_what_the_server_is(desk) -> None:
    status, told = desk("GET", "/server/info", key=desk.served.key(Scope.COINS_READ))
    assert (status, told["supportedPaymentMethods"]) == (200, ["BTC-CHAIN"])
    assert told["version"].split(".") > ["1", "7", "6"]
    assert told["fullySynched"] is told["syncStatus"][0]["available"]
    answer = httpcore2.request("GET", f"{desk.base}/api/v1/health")
    health = httpcore2.request("GET", f"{desk.served.url}/health/ready")
    assert (health.status, json.loads(health.content)["status"]) == (200, "blind")  # no worker
    assert (answer.status, json.loads(answer.content)) == (200, {"synchronized": False})
    assert told["fullySynched"] is False


def test_a_key_learns_what_it_may_do_in_each_of_its_stores(desk) -> None:
    status, told = desk("GET", "/api-keys/current")
    assert (status, told["apiKey"], told["label"]) == (200, desk.key, "test")
    assert sorted(told["permissions"]) == sorted(
        f"btcpay.store.{name}:{desk.served.store_id}"
        for name in (
            "canviewinvoices",
            "cancreateinvoice",
            "canmodifyinvoices",
            "canviewstoresettings",
            "webhooks.canmodifywebhooks",
            "cancreatenonapprovedpullpayments",
        )
    )
    _, told = desk("GET", "/api-keys/current", key=desk.served.key(Scope.INVOICES_READ))
    assert told["permissions"] == ["btcpay.store.canviewinvoices"]


def test_a_key_revokes_itself(desk) -> None:
    key = desk.served.key(Scope.INVOICES_READ)
    status, told = desk("DELETE", "/api-keys/current", key=key)
    assert (status, told["apiKey"]) == (200, key)
    assert desk("GET", "/api-keys/current", key=key)[0] == 401
    (done,) = desk.served.till.parts.database.read(lambda c: audit.page(c, limit=1))
    assert (done.what, done.who) == ("key.revoke", f"key {done.subject}")


def test_a_key_sees_its_own_stores_alone(desk) -> None:
    database, wallet = desk.served.till.parts.database, desk.served.till.store.wallet_id
    other = database.write(
        lambda c: stores.add_store(
            c, wallet_id=wallet, name="Other", policy=StorePolicy(), now=database.now()
        )
    )
    status, listed = desk("GET", "/stores")
    assert (status, [each["id"] for each in listed]) == (200, [str(desk.served.store_id)])
    assert desk("GET", desk.store) == (200, listed[0])
    for path in ("", "/invoices", "/payment-methods", "/webhooks"):
        status, told = desk("GET", f"/stores/{other.id}{path}")
        assert (status, told["code"]) == (404, "not-found")
    assert len(desk("GET", "/stores", key=desk.served.key(Scope.STORES_READ))[1]) > 1


def test_a_store_shows_its_policy(desk) -> None:
    _, told = desk("GET", desk.store)
    assert (told["name"], told["defaultCurrency"], told["speedPolicy"]) == (
        "Shop",
        "BTC",
        "MediumSpeed",
    )
    assert (told["invoiceExpiration"], told["monitoringExpiration"]) == (900, 86_400)
    assert (told["paymentTolerance"], told["archived"]) == (0, False)


def test_a_store_is_paid_on_the_chain(desk) -> None:
    path = f"{desk.store}/payment-methods"
    status, found = desk("GET", f"{path}?includeConfig=true&onlyEnabled=true")
    shown = {"paymentMethodId": "BTC-CHAIN", "cryptoCode": "BTC", "enabled": True}
    assert (status, found) == (200, [shown])
    assert desk("GET", f"{path}?enabled=false") == (200, [])


@pytest.mark.parametrize(
    "given", ["Bearer {key}", "token dvt_wrong", "token", "Basic dXNlcg==", ""]
)
def test_only_a_key_as_a_token_is_let_in(desk, given) -> None:
    header = given.format(key=desk.key)
    status, told = desk("GET", "/stores", authorization=header)
    assert (status, told["code"]) == (401, "unauthenticated")


def test_a_token_is_no_way_into_the_shops_own_interface(desk) -> None:
    answer = httpcore2.request(
        "GET",
        f"{desk.served.url}/api/v1/stores",
        headers=[("authorization", f"token {desk.key}")],
    )
    assert answer.status == 401
    assert b"urn:dovetail:problem:unauthorized" in answer.content


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/stores", Scope.STORES_READ),
        ("GET", "{store}", Scope.STORES_READ),
        ("GET", "{store}/payment-methods", Scope.STORES_READ),
        ("GET", "{store}/payment-methods/BTC-CHAIN", Scope.STORES_READ),
        ("GET", "{store}/invoices", Scope.INVOICES_READ),
        ("POST", "{store}/invoices", Scope.INVOICES_CREATE),
        ("GET", "{store}/invoices/{id}", Scope.INVOICES_READ),
        ("GET", "{store}/invoices/{id}/payment-methods", Scope.INVOICES_READ),
        ("PUT", "{store}/invoices/{id}", Scope.INVOICES_WRITE),
        ("DELETE", "{store}/invoices/{id}", Scope.INVOICES_WRITE),
        ("POST", "{store}/invoices/{id}/unarchive", Scope.INVOICES_WRITE),
        ("POST", "{store}/invoices/{id}/status", Scope.INVOICES_WRITE),
        ("POST", "{store}/invoices/{id}/refund", Scope.REFUNDS_WRITE),
        ("POST", "{store}/pull-payments", Scope.REFUNDS_WRITE),
        ("DELETE", "{store}/pull-payments/{id}", Scope.REFUNDS_WRITE),
        ("GET", "{store}/webhooks", Scope.WEBHOOKS_WRITE),
        ("POST", "{store}/webhooks", Scope.WEBHOOKS_WRITE),
        ("GET", "{store}/webhooks/{id}", Scope.WEBHOOKS_WRITE),
        ("PUT", "{store}/webhooks/{id}", Scope.WEBHOOKS_WRITE),
        ("DELETE", "{store}/webhooks/{id}", Scope.WEBHOOKS_WRITE),
        ("GET", "{store}/webhooks/{id}/deliveries", Scope.WEBHOOKS_WRITE),
        ("GET", "{store}/webhooks/{id}/deliveries/{id}", Scope.WEBHOOKS_WRITE),
        ("GET", "{store}/webhooks/{id}/deliveries/{id}/request", Scope.WEBHOOKS_WRITE),
        ("POST", "{store}/webhooks/{id}/deliveries/{id}/redeliver", Scope.WEBHOOKS_WRITE),
    ],
)
def test_each_call_needs_its_permission(desk, method, path, scope) -> None:
    others = [each for each in Scope if each is not scope]
    full = path.format(store=desk.store, id=uuid4())
    status, told = desk(method, full, {}, key=desk.served.key(*others))
    assert (status, told["code"]) == (403, "missing-permission")
    assert scope.value in told["message"]
    assert desk(method, full, {}, key=desk.served.key(scope))[0] != 403


def test_a_path_that_is_not_served_is_refused_in_the_same_shape(desk) -> None:
    assert desk("GET", "/stores/x/lightning")[1]["code"] == "not-found"
    status, told = desk("PUT", "/stores", {})
    assert (status, told["code"]) == (405, "method-not-allowed")


def test_what_the_door_refuses_has_the_same_shape(desk) -> None:
    status, told = desk("POST", f"{desk.store}/invoices", {"metadata": {"a": "x" * 70_000}})
    assert (status, told["code"]) == (413, "too-large")
    form = {"content-type": "application/x-www-form-urlencoded"}
    status, told = desk("POST", f"{desk.store}/invoices", {}, **form)
    assert (status, told["code"]) == (415, "unsupported-media-type")


def test_a_body_that_is_no_json_is_malformed(desk) -> None:
    answer = httpcore2.request(
        "POST",
        f"{desk.base}/api/v1{desk.store}/invoices",
        headers=[("authorization", f"token {desk.key}"), ("content-type", "application/json")],
        content=b"{",
    )
    assert (answer.status, b'"code":"malformed"' in answer.content) == (400, True)
    assert desk("POST", f"{desk.store}/invoices")[0] == 400


def test_the_document_of_the_shops_own_interface_leaves_greenfield_out(desk) -> None:
    answer = httpcore2.request("GET", f"{desk.served.url}/api/v1/openapi.json")
    assert answer.status == 200
    assert b"greenfield" not in answer.content.lower()
