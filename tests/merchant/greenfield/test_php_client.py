"""The public PHP client of the Greenfield API, unchanged, as a shop uses it.

Set `GREENFIELD_PHP` to the folder of `btcpayserver/btcpayserver-greenfield-php` (its revision
60e6be57 of January 2026 passes), and install PHP with its modules curl, mbstring and bcmath.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from dovetail.merchant.dashboard.access import CONSENT
from dovetail.merchant.greenfield.access import PERMISSIONS
from dovetail.merchant.greenfield.consent import consent_of

PROGRAM = Path(__file__).with_name("shop.php")
LIBRARY = os.environ.get("GREENFIELD_PHP", "")
pytestmark = [
    pytest.mark.skipif(not LIBRARY, reason="GREENFIELD_PHP names no PHP client of the API"),
    pytest.mark.skipif(shutil.which("php") is None, reason="there is no `php`"),
]


@pytest.fixture
def php(desk):
    """Runs a part of the shop's program; `given` is its standard input."""

    def run(*words: str, given: bytes = b"") -> Any:
        around = {"SERVER": desk.base, "KEY": desk.key, "STORE": str(desk.served.store_id)}
        done = subprocess.run(
            ["php", str(PROGRAM), LIBRARY, *words],
            env=os.environ | around,
            input=given,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    return run


def test_it_learns_what_the_server_the_store_and_the_key_are(php, desk) -> None:
    told = php("looks")
    assert (told["supported"], told["stores"], told["name"]) == (["BTC-CHAIN"], 1, "Shop")
    assert (told["expires"], told["same key"]) == (900, True)
    assert told["methods"] == [["BTC-CHAIN", True]]
    assert f"btcpay.store.cancreateinvoice:{desk.served.store_id}" in told["permissions"]


def test_it_makes_an_invoice_shows_and_lists_it(php, desk) -> None:
    told = php("buys", "order 7")
    made = told["made"]
    assert (made["currency"], float(made["amount"]), made["type"]) == ("BTC", 0.0005, "Standard")
    assert (made["new"], made["archived"], made["lives"]) == (True, False, 1_200)
    assert made["monitored"] == 86_400
    assert made["page"] == f"{desk.served.url}/i/{made['id']}"
    assert told["shown"] == made
    assert told["by order"][0] == made["id"]
    assert told["new"] is True
    assert told["metadata"] == {
        "itemDesc": "Tea",
        "orderId": "order 7",
        "buyerEmail": "customer@shop.example",
    }
    assert told["checkout"]["speedPolicy"] == "LowMediumSpeed"
    assert told["checkout"]["redirectURL"] == "https://shop.example/thanks"


def test_it_sees_what_was_paid_and_refunds_what_was_too_much(php, desk) -> None:
    made = desk.make()["id"]
    desk.see(made, (1, 60_000, 6))
    (method,) = php("pays", made)
    row = desk.row(made)
    assert (method["method"], method["code"]) == ("BTC-CHAIN", "BTC")
    assert (method["destination"], method["rate"], method["fee"]) == (row.address, "1", "0")
    assert (method["paid"], method["due"]) == ("0.00060000", "-0.00010000")
    ((txid, seen, *rest),) = method["payments"]
    assert (len(txid), seen >= row.created_at) == (64, True)
    assert rest == ["0.00060000", "0", "Settled", row.address]
    refund = php("refunds", made)
    assert (refund["amount"], refund["currency"]) == ("0.00010000", "BTC")
    assert (refund["archived"], refund["name"]) == (False, f"Refund {made}")
    assert refund["page"].startswith(f"{desk.served.url}/claims/")


@pytest.mark.parametrize(("status", "kind"), [("Settled", "settled"), ("Invalid", "invalid")])
def test_it_marks_an_invoice(php, desk, status, kind) -> None:
    told = php("marks", desk.make()["id"], status)
    assert (told["marked"], told[kind], told["new"]) == (True, True, False)


def test_it_gives_an_invoice_another_order(php, desk) -> None:
    made = desk.make(metadata={"orderId": "order 8"})["id"]
    assert php("changes", made, "order 9") == {"id": made, "metadata": {"orderId": "order 9"}}


def test_the_address_where_it_asks_for_a_key_is_the_page_for_that(php, desk) -> None:
    back, names = "https://tea.example/?callback&a=1", [*PERMISSIONS.values()]
    path, _, query = php("asks", back, *names)["url"].partition("?")
    assert path == f"{desk.served.url}{CONSENT[0]}"
    asked = consent_of(query.encode())
    assert (asked.application, asked.redirect, asked.scopes) == (
        "Tea Press",
        back,
        tuple(PERMISSIONS),
    )
    assert (asked.strict, asked.one_store) == (True, True)


def test_it_hears_of_an_invoice_and_knows_the_signature(php, desk, shop) -> None:
    hook = php("hooks", shop.url + "/?wc-api=btcpaygf_default")
    assert (hook["enabled"], hook["count"]) == (True, 1)
    assert hook["url"] == shop.url + "/?wc-api=btcpaygf_default"
    assert hook["events"] == ["InvoiceSettled", "InvoiceReceivedPayment"]
    made = desk.make()["id"]
    desk.see(made, (1, 50_000, 1))
    desk.deliver()
    assert [json.loads(body)["type"] for _, body in shop.posted] == [
        "InvoiceReceivedPayment",
        "InvoiceSettled",
    ]
    for headers, body in shop.posted:
        told = php("checks", headers["btcpay-sig"], hook["secret"], given=body)
        assert told == {"right": True, "changed": False}
    told = php("deliveries", hook["id"])
    assert told["statuses"] == [["HttpSuccess", 200]] * 2
    assert len(told["again"]) == 36


def test_it_is_told_why_a_call_failed(php) -> None:
    told = php("errs", "HMprBnL9BTXWuPvpoKBS6e")
    assert told["code"] == 404
    assert '"code":"not-found"' in told["message"]
