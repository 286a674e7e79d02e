"""`btcpay-greenfield-node-client` of npm, a client that nobody here wrote, unchanged.

`make interop` installs it, as `node/package-lock.json` says, and runs these.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).with_name("node")
CLIENT = FOLDER / "node_modules" / "btcpay-greenfield-node-client"
pytestmark = [
    pytest.mark.skipif(shutil.which("node") is None, reason="there is no `node`"),
    pytest.mark.skipif(not CLIENT.is_dir(), reason="`make interop` installs the Node client"),
]


@pytest.fixture
def node(desk):
    """Runs a part of the shop's program."""

    def run(*words: str) -> Any:
        around = {"SERVER": desk.base, "KEY": desk.key, "STORE": str(desk.served.store_id)}
        done = subprocess.run(
            ["node", "shop.js", *words],
            cwd=FOLDER,
            env=os.environ | around,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    return run


def test_it_makes_an_invoice_shows_and_lists_it(node, desk) -> None:
    told = node("buys", "order 9")
    made = told["made"]
    assert (made["status"], made["amount"], made["metadata"]["orderId"]) == (
        "New",
        "0.0005",
        "order 9",
    )
    assert made["checkoutLink"] == f"{desk.served.url}/i/{made['id']}"
    assert told["shown"] == made == desk.show(made["id"])
    assert told["listed"][0] == made["id"]
    assert told["stores"] == 1


def test_it_changes_an_invoice_archives_it_and_brings_it_back(node, desk) -> None:
    told = node("changes", desk.make()["id"], "order 10")
    assert told == {"metadata": {"orderId": "order 10"}, "archived": True, "back": False}


def test_it_sees_what_was_paid(node, desk) -> None:
    made = desk.make()["id"]
    desk.see(made, (1, 50_000, 1))
    (method,) = node("pays", made)
    assert (method["destination"], method["due"]) == (desk.row(made).address, "0.00000000")
    assert [each["status"] for each in method["payments"]] == ["Settled"]


@pytest.mark.parametrize("status", ["Settled", "Invalid"])
def test_it_marks_an_invoice(node, desk, status) -> None:
    told = node("marks", desk.make()["id"], status)
    assert (told["status"], told["additionalStatus"]) == (status, "Marked")


def test_it_hears_of_an_invoice(node, desk, shop) -> None:
    hook = node("hooks", shop.url)
    made, found = hook["made"], hook["found"]
    assert (found["id"], found["url"], found["enabled"]) == (made["id"], shop.url, True)
    assert len(made["secret"]) >= 32
    invoice = desk.make()["id"]
    desk.see(invoice, (1, 50_000, 1))
    desk.deliver()
    told = node("deliveries", made["id"])
    assert set(told["statuses"]) == {"HttpSuccess"}
    assert told["request"]["invoiceId"] == invoice
    assert json.loads(shop.posted[-1][1]) == told["request"]
    assert len(told["again"]) == 36


def test_it_is_told_why_a_call_failed(node) -> None:
    told = node("errs", "HMprBnL9BTXWuPvpoKBS6e")
    assert (told["known"], told["status"]) == (True, 404)
    assert told["body"]["code"] == "not-found"
