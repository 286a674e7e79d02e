"""Invoices in Greenfield's words, over a real port, on both databases."""

from uuid import UUID, uuid4

import httpcore2
import pytest

from dovetail.merchant.data import audit, invoices, retention, stores
from dovetail.merchant.messages import ConfirmationTier, StorePolicy

DAY = 1_440


def test_an_invoice_is_made_shown_and_listed_alike(desk) -> None:
    made = desk.make(metadata={"orderId": "A-1", "itemDesc": "Tea", "posData": [1]})
    assert desk.show(made["id"]) == made
    status, listed = desk("GET", f"{desk.store}/invoices?orderId=A-1")
    assert (status, listed) == (200, [made])
    assert (made["status"], made["additionalStatus"]) == ("New", "None")
    assert (made["amount"], made["currency"], made["paidAmount"]) == ("0.0005", "BTC", "0")
    assert made["storeId"] == str(desk.served.store_id)
    assert made["metadata"] == {"orderId": "A-1", "itemDesc": "Tea", "posData": [1]}
    assert made["checkoutLink"] == f"{desk.served.url}/i/{made['id']}"
    row = desk.row(made["id"])
    assert (row.amount, row.order_id, row.label) == (50_000, "A-1", "Tea")


@pytest.mark.parametrize(
    ("amount", "currency", "sats"),
    [("0.0005", "BTC", 50_000), (0.0005, "btc", 50_000), ("50000", "SATS", 50_000)],
)
def test_an_amount_in_a_unit_of_bitcoin_is_exact(desk, amount, currency, sats) -> None:
    made = desk.make(amount, currency)
    assert desk.row(made["id"]).amount == sats
    assert (made["amount"], made["currency"]) == (str(amount), currency.upper())


def test_without_a_currency_it_is_the_stores_or_bitcoin(desk) -> None:
    status, made = desk("POST", f"{desk.store}/invoices", {"amount": "0.001"})
    assert (status, made["currency"], desk.row(made["id"]).amount) == (200, "BTC", 100_000)


def test_the_terms_of_the_checkout_are_the_invoices(desk) -> None:
    checkout = {
        "speedPolicy": "LowSpeed",
        "expirationMinutes": 30,
        "monitoringMinutes": 2 * DAY,
        "paymentTolerance": 1.5,
        "redirectURL": "https://shop.example/back?i={InvoiceId}&o={OrderId}",
        "paymentMethods": ["BTC"],
        "defaultLanguage": "de",
        "redirectAutomatically": True,
    }
    made = desk.make(checkout=checkout, metadata={"orderId": "A 7"})
    told, row = made["checkout"], desk.row(made["id"])
    back = f"https://shop.example/back?i={made['id']}&o=A%207"
    assert (told["speedPolicy"], told["paymentTolerance"]) == ("LowSpeed", 1.5)
    assert (told["expirationMinutes"], told["monitoringMinutes"]) == (30, 2 * DAY)
    assert (told["redirectURL"], told["paymentMethods"]) == (back, ["BTC-CHAIN"])
    assert (row.invoice().depth, row.invoice().enough) == (6, 49_250)
    assert row.monitored_until - row.expires_at == 2 * DAY * 60
    assert made["expirationTime"] - made["createdTime"] == 1_800


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"amount": None}, "amount"),
        ({"amount": "0"}, "amount"),
        ({"amount": "-1"}, "amount"),
        ({"amount": "NaN"}, "amount"),
        ({"amount": "five"}, "amount"),
        ({"amount": "0.000000001"}, "amount"),
        ({"amount": "1.5", "currency": "SATS"}, "amount"),
        ({"currency": "not one"}, "currency"),
        ({"metadata": {"orderId": ["A"]}}, "metadata.orderId"),
        ({"metadata": {"orderId": "x" * 201}}, "metadata.orderId"),
        ({"metadata": {"text": "x" * 10_000}}, "metadata"),
        ({"checkout": {"speedPolicy": "HighSpeed"}}, "checkout.speedPolicy"),
        ({"checkout": {"speedPolicy": "Sometimes"}}, "checkout.speedPolicy"),
        ({"checkout": {"paymentMethods": ["BTC-LN"]}}, "checkout.paymentMethods"),
        ({"checkout": {"expirationMinutes": 0}}, "checkout.expirationMinutes"),
        ({"checkout": {"monitoringMinutes": 50_000}}, "checkout.monitoringMinutes"),
        ({"checkout": {"paymentTolerance": 100}}, "checkout.paymentTolerance"),
        ({"checkout": {"paymentTolerance": 0.05}}, "checkout.paymentTolerance"),
        ({"checkout": {"redirectURL": "javascript:alert(1)"}}, "checkout.redirectURL"),
    ],
)
def test_what_would_change_the_money_in_silence_is_refused(desk, body, path) -> None:
    status, wrong = desk("POST", f"{desk.store}/invoices", {"amount": "0.0005", **body})
    assert status == 422, wrong
    assert [each["path"] for each in wrong] == [path]
    assert wrong[0]["message"]


def test_a_field_that_is_not_the_callers_changes_nothing(desk) -> None:
    """Mass assignment: software sends fields of other releases, and they are left aside."""
    other = str(uuid4())
    made = desk.make(id=other, storeId=other, status="Settled", paidAmount="1", createdTime=1)
    assert (made["status"], made["storeId"]) == ("New", str(desk.served.store_id))
    assert (made["id"] != other, made["createdTime"] > 1) == (True, True)
    assert desk.row(made["id"]).paid == 0


def test_a_price_without_a_source_of_rates_says_so(desk) -> None:
    status, told = desk("POST", f"{desk.store}/invoices", {"amount": "5", "currency": "EUR"})
    assert (status, told["code"]) == (503, "unavailable")
    assert "rate" in told["message"]


def test_a_price_has_its_rate_fixed_when_the_invoice_is_made(desk) -> None:
    desk.quote("CHF", "50000")
    made = desk.make("12.50", "chf")
    desk.quote("CHF", "70000")
    assert (made["amount"], made["currency"], desk.row(made["id"]).amount) == (
        "12.5",
        "CHF",
        25_000,
    )
    desk.see(made["id"], (1, 10_001, 0))
    assert desk.show(made["id"])["paidAmount"] == "5"
    desk.see(made["id"], (1, 10_001, 1), (2, 14_999, 1))
    told = desk.show(made["id"])
    assert (told["paidAmount"], told["status"]) == ("12.5", "Settled")
    _, (method,) = desk("GET", f"{desk.store}/invoices/{made['id']}/payment-methods")
    assert (method["rate"], method["amount"]) == ("50000", "0.00025000")


def test_a_store_that_accepts_unconfirmed_payments_takes_the_fastest_policy(desk) -> None:
    database, store_id = desk.served.till.parts.database, desk.served.store_id
    brave = StorePolicy(
        confirmations=(
            ConfirmationTier(from_sats=0, confirmations=0),
            ConfirmationTier(from_sats=100_000, confirmations=3),
        ),
        accept_unconfirmed=True,
    )
    database.write(lambda c: stores.change_policy(c, store_id, brave))
    try:
        made = desk.make(checkout={"speedPolicy": "HighSpeed"})
        deeper = desk.make(checkout={"speedPolicy": "LowMediumSpeed"})
        body = {"amount": "0.001", "checkout": {"speedPolicy": "LowMediumSpeed"}}
        refused = desk("POST", f"{desk.store}/invoices", body)
    finally:
        database.write(lambda c: stores.change_policy(c, store_id, StorePolicy()))
    assert made["checkout"]["speedPolicy"] == "HighSpeed"
    assert desk.row(deeper["id"]).terms.confirmations == ((0, 2), (100_000, 3))
    assert (refused[0], refused[1][0]["path"]) == (422, "checkout.speedPolicy")


def test_an_invoice_that_is_refused_takes_no_address(desk) -> None:
    database = desk.served.till.parts.database
    before = database.read(lambda c: len(invoices.page(c, invoices.InvoiceFilter(), limit=500)))
    desk("POST", f"{desk.store}/invoices", {"amount": "0.00000100"})
    after = database.read(lambda c: len(invoices.page(c, invoices.InvoiceFilter(), limit=500)))
    assert before == after


def test_payments_are_told_in_bitcoins(desk) -> None:
    made = desk.make()
    desk.see(made["id"], (1, 20_000, 0))
    told = desk.show(made["id"])
    assert (told["status"], told["additionalStatus"]) == ("New", "PaidPartial")
    assert told["paidAmount"] == "0.0002"
    status, (method,) = desk("GET", f"{desk.store}/invoices/{made['id']}/payment-methods")
    assert (status, method["paymentMethodId"]) == (200, "BTC-CHAIN")
    assert (method["totalPaid"], method["due"]) == ("0.00020000", "0.00030000")
    assert (method["rate"], method["amount"]) == ("1", "0.00050000")
    assert method["destination"] == desk.row(made["id"]).address
    assert method["paymentLink"] == desk.row(made["id"]).uri
    (payment,) = method["payments"]
    assert (payment["value"], payment["status"]) == ("0.00020000", "Processing")
    desk.see(made["id"], (1, 20_000, 1), (2, 40_000, 1))
    told = desk.show(made["id"])
    assert (told["status"], told["additionalStatus"]) == ("Settled", "PaidOver")
    _, (method,) = desk("GET", f"{desk.store}/invoices/{made['id']}/payment-methods")
    assert method["due"] == "-0.00010000"
    assert [each["status"] for each in method["payments"]] == ["Settled", "Settled"]


def test_a_payment_that_does_not_count_is_told_only_when_asked_for(desk) -> None:
    made = desk.make()
    desk.see(made["id"], (1, 50_000, 0))
    desk.see(made["id"])
    path = f"{desk.store}/invoices/{made['id']}/payment-methods"
    assert desk("GET", path)[1][0]["payments"] == []
    _, (method,) = desk("GET", f"{path}?onlyAccountedPayments=false")
    assert [each["status"] for each in method["payments"]] == ["Invalid"]


def test_a_late_payment_is_paid_late_once_it_is_confirmed(desk) -> None:
    made = desk.make()
    desk.see(made["id"], (1, 50_000, 0), after=1_000)
    told = desk.show(made["id"])
    assert (told["status"], told["additionalStatus"]) == ("Expired", "PaidPartial")
    desk.see(made["id"], (1, 50_000, 1), after=1_010)
    told = desk.show(made["id"])
    assert (told["status"], told["additionalStatus"]) == ("Expired", "PaidLate")


@pytest.mark.parametrize("status", ["Settled", "Invalid"])
def test_an_invoice_is_marked_by_hand(desk, status) -> None:
    made = desk.make()
    path = f"{desk.store}/invoices/{made['id']}/status"
    code, marked = desk("POST", path, {"status": status})
    assert (code, marked["status"], marked["additionalStatus"]) == (200, status, "Marked")
    assert status not in marked["availableStatusesForManualMarking"]
    code, again = desk("POST", path, {"status": status.lower()})
    assert (code, again["status"]) == (200, status)
    code, wrong = desk("POST", path, {"status": "Expired"})
    assert (code, wrong[0]["path"]) == (422, "status")


def test_an_invoice_gets_other_metadata_and_so_another_order(desk) -> None:
    made = desk.make(metadata={"orderId": "B-1", "itemDesc": "Tea", "posData": [1]})
    path, before = f"{desk.store}/invoices/{made['id']}", desk.row(made["id"])
    other = {"orderId": 1_077, "itemDesc": "Two teas", "own": {"a": None}}
    status, told = desk("PUT", path, {"metadata": other, "amount": "1"})
    assert (status, told) == (200, made | {"metadata": other})
    assert desk.show(made["id"]) == told
    after = desk.row(made["id"])
    assert (after.order_id, after.label, after.uri) == ("1077", before.label, before.uri)
    assert desk("GET", f"{desk.store}/invoices?orderId=1077")[1] == [told]
    assert desk("GET", f"{desk.store}/invoices?orderId=B-1")[1] == []
    assert desk("PUT", path, {"metadata": None}) == (200, told)
    assert desk("PUT", path, {"metadata": {}})[1]["metadata"] == {}
    assert desk.row(made["id"]).order_id is None


@pytest.mark.parametrize(
    ("metadata", "path"),
    [
        ({"orderId": ["A"]}, "metadata.orderId"),
        ({"orderId": "x" * 201}, "metadata.orderId"),
        ({"text": "x" * 10_000}, "metadata"),
        ("text", "metadata"),
    ],
)
def test_metadata_that_will_not_do_change_nothing(desk, metadata, path) -> None:
    made = desk.make(metadata={"orderId": "B-2"})
    where = f"{desk.store}/invoices/{made['id']}"
    status, wrong = desk("PUT", where, {"metadata": metadata})
    assert (status, [each["path"] for each in wrong]) == (422, [path])
    assert desk.show(made["id"]) == made


def test_an_invoice_whose_data_were_deleted_gets_no_others(desk) -> None:
    made = desk.make()
    parts = desk.served.till.parts
    parts.database.write(lambda c: retention.forget(c, UUID(made["id"]), parts.clock()))
    path = f"{desk.store}/invoices/{made['id']}"
    status, told = desk("PUT", path, {"metadata": {"orderId": "B-3"}})
    assert (status, told["code"]) == (409, "conflict")
    assert desk.show(made["id"])["metadata"] == {}


def test_an_archived_invoice_is_in_no_list_and_goes_on(desk) -> None:
    mark = uuid4().hex
    made = desk.make(metadata={"orderId": mark})
    path = f"{desk.store}/invoices/{made['id']}"

    def listed(query: str) -> list[str]:
        found = desk("GET", f"{desk.store}/invoices?orderId={mark}{query}")[1]
        return [each["id"] for each in found]

    for _ in range(2):
        assert desk("DELETE", path) == (200, None)
    assert desk.show(made["id"]) == made | {"archived": True}
    assert (listed(""), listed("&includeArchived=false")) == ([], [])
    assert listed("&includeArchived=true") == [made["id"]]
    desk.see(made["id"], (1, 50_000, 1))
    assert desk.show(made["id"])["status"] == "Settled"
    for _ in range(2):
        status, told = desk("POST", f"{path}/unarchive")
        assert (status, told["archived"], told["status"]) == (200, False, "Settled")
    assert listed("") == [made["id"]]
    done = desk.served.till.parts.database.read(lambda c: audit.page(c, limit=2))
    assert [each.what for each in done] == ["invoice.unarchive", "invoice.archive"]


def test_a_list_is_filtered_and_paged(desk) -> None:
    mark = uuid4().hex
    made = [desk.make(metadata={"orderId": f"{mark}-{number}"})["id"] for number in range(4)]
    desk("POST", f"{desk.store}/invoices/{made[0]}/status", {"status": "Settled"})

    def listed(query: str) -> list[int]:
        status, found = desk("GET", f"{desk.store}/invoices?{query}")
        assert status == 200, found
        return [made.index(each["id"]) for each in found if each["id"] in made]

    assert listed(f"textSearch={mark.upper()}") == [3, 2, 1, 0]
    assert listed(f"textSearch={mark}&skip=1&take=2") == [2, 1]
    assert listed(f"orderId={mark}-1&orderId={mark}-3") == [3, 1]
    assert listed(f"status=Settled&status=Expired&textSearch={mark}") == [0]
    assert listed(f"textSearch={made[2]}") == [2]
    assert listed("textSearch=%25") == []
    assert listed(f"textSearch={mark}&status=settled&includeArchived=true") == [0]
    created = desk.show(made[3])["createdTime"]
    assert listed(f"endDate={created}&textSearch={mark}") == [3, 2, 1, 0]
    assert listed(f"startDate={created + 1}&textSearch={mark}") == []


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("take=0", "take"),
        ("take=1000", "take"),
        ("status=Paid", "status"),
        ("startDate=now", "startDate"),
        ("skip=1&skip=2", "skip"),
    ],
)
def test_a_filter_that_is_not_understood_is_refused(desk, query, path) -> None:
    status, wrong = desk("GET", f"{desk.store}/invoices?{query}")
    assert (status, wrong[0]["path"].partition("[")[0]) == (422, path)


def test_an_invoice_is_found_in_its_own_store_alone(desk) -> None:
    made = desk.make()
    for path in (
        f"/stores/{uuid4()}/invoices/{made['id']}",
        f"{desk.store}/invoices/{uuid4()}",
        f"{desk.store}/invoices/HMprBnL9BTXWuPvpoKBS6e",
    ):
        status, told = desk("GET", path)
        assert (status, told["code"]) == (404, "not-found")


def test_the_page_of_an_invoice_is_found_by_the_address_that_plugins_make(desk) -> None:
    made = desk.make()
    answer = httpcore2.request("GET", f"{desk.base}/i/{made['id']}")
    assert answer.status == 302
    assert (b"location", f"/i/{made['id']}".encode()) in answer.headers


def test_what_a_request_tells_of_its_host_makes_no_address(desk) -> None:
    made = desk.make()
    path = f"{desk.store}/invoices/{made['id']}"
    told = {"x-forwarded-proto": "https", "x-forwarded-host": "evil.example"}
    assert desk("GET", path, **told)[1]["checkoutLink"] == f"{desk.served.url}/i/{made['id']}"
    status, refused = desk("GET", path, host="evil.example")
    assert (status, refused["code"]) == (421, "misdirected")


@pytest.mark.parametrize(("amount", "currency"), [("0.0005", "BTC"), ("50000", "SATS")])
def test_the_page_of_an_invoice_is_there_for_each_unit(desk, amount, currency) -> None:
    made = desk.make(amount, currency)
    answer = httpcore2.request("GET", f"{desk.served.url}/i/{made['id']}")
    assert answer.status == 200
    assert b"50,000" in answer.content
    assert b"1 BTC =" not in answer.content
    assert b"SATS" not in answer.content
