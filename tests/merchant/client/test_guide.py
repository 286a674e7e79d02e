"""The guide's own functions sell at a real shop."""

import json
import threading
from typing import Any
from uuid import uuid4

import pytest
from tests.guides.pages import ROOT, read

from dovetail.merchant.client import Shop
from dovetail.merchant.data import events
from dovetail.merchant.messages import NewMark
from dovetail.merchant.webhooks import signature
from dovetail.merchant.webhooks.deliveries import body_of


@pytest.fixture(scope="module")
def guide() -> dict[str, Any]:
    space: dict[str, Any] = {}
    exec(read(ROOT / "docs/guides/shop-client.md").program, space)  # noqa: S102 - it is ours
    return space


def test_a_sale_is_shown_paid_and_told(guide, served, capsys) -> None:
    order = f"{uuid4()}"
    with Shop(served.url, served.key()) as shop:
        secret = guide["register"](shop, served.store_id, "https://shop.example/hook")
        invoice = guide["sell"](shop, served.store_id, order, 50_000)
        assert guide["sell"](shop, served.store_id, order, 50_000) == invoice
        assert guide["show"](invoice).startswith("bitcoin:")
        marking = threading.Timer(0.3, shop.mark_invoice, [invoice.id, NewMark(settled=True)])
        marking.start()
        assert guide["wait"](shop, invoice)
        assert guide["find"](shop, order) == f"{invoice.id} is settled"
        database = served.till.parts.database
        told = database.read(lambda c: events.events_of(c, invoice.id))[-1]
        body = body_of(told, served.till.row(invoice.id))
        at = int(database.now())
        signed = dict(signature.headers(body, delivery="d", timestamp=at, secrets=[secret]))
        assert guide["hook"](signed, body, secret) == guide["hook"](signed, body, secret) == 204
        assert guide["hook"](signed, body + b" ", secret) == 400
        assert capsys.readouterr().out == f"Order {order} is paid.\n"
        assert json.loads(body)["data"]["order_id"] == order


def test_what_goes_wrong_is_one_of_two(guide, served) -> None:
    with Shop(served.url, "dvt_wrong") as shop:
        assert guide["find"](shop, "1").startswith("unauthorized: ")
