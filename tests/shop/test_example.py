"""The example shop: what a customer, a stranger and a repeated webhook make of it."""

import json
import sqlite3
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode
from uuid import uuid4

import httpcore2
import pytest
from tests.merchant.served import ServedTill, open_served
from tests.shop.example_shop import PROGRAM, free_port
from tests.shop.processes import Process

from dovetail.merchant.client import Shop
from dovetail.merchant.webhooks import signature


def request(
    method: str, url: str, body: str = "", headers: Sequence[tuple[str, str]] = ()
) -> httpcore2.Response:
    return httpcore2.request(method, url, content=body.encode(), headers=[*headers])


def place(answer: httpcore2.Response) -> str:
    """Where an answer sends the browser."""
    return dict(answer.headers)[b"location"].decode()


@dataclass
class Example:
    served: ServedTill
    url: str
    database: Path

    def buy(self, item: str, order: str) -> httpcore2.Response:
        return request("POST", f"{self.url}/buy", urlencode({"item": item, "order": order}))

    def hear(self, order: str, delivery: str, secret: str | None = None) -> int:
        """Deliver the news that an order is paid, signed with the endpoint's secret."""
        secret = secret or self.ask("select secret from webhook")
        with Shop(self.served.url, self.served.key()) as shop:
            (invoice,) = shop.invoices(order_id=order)
        data = {
            "invoice_id": str(invoice.id),
            "store_id": str(invoice.store_id),
            "sequence": 3,
            "status": "settled",
            "exception": "none",
            "cause": "confirmed",
            "amount_sats": invoice.amount_sats,
            "order_id": order,
            "metadata": {},
        }
        now = int(time.time())
        sent = {"type": "invoice.settled", "timestamp": now, "data": data}
        body = json.dumps(sent)
        headers = signature.headers(
            body.encode(), delivery=delivery, timestamp=now, secrets=[secret]
        )
        return request("POST", f"{self.url}/webhook", body, headers).status

    def tells(self, order: str) -> str:
        return request("GET", f"{self.url}/orders/{order}").content.decode()

    def ask(self, question: str, *values: str) -> str:
        with closing(sqlite3.connect(self.database)) as orders:
            (found,) = orders.execute(question, values).fetchone()
            return str(found)


@pytest.fixture(scope="module")
def example(tmp_path_factory) -> Iterator[Example]:
    folder = tmp_path_factory.mktemp("example")
    with open_served(folder, str(folder / "shop.db")) as served:
        port, database = free_port(), folder / "orders.db"
        program = Process(
            [sys.executable, str(PROGRAM)],
            folder=folder,
            name="example",
            DOVETAIL_URL=served.url,
            DOVETAIL_KEY=served.key(),
            DOVETAIL_STORE=str(served.store_id),
            SHOP_DATABASE=str(database),
            PORT=str(port),
        ).start()
        try:
            program.wait_ready()
            yield Example(served, f"http://127.0.0.1:{port}", database)
        finally:
            program.stop()


def test_it_is_shorter_than_a_hundred_lines() -> None:
    assert len(PROGRAM.read_text().splitlines()) < 100


def test_a_second_click_leads_to_the_same_invoice(example) -> None:
    order = uuid4().hex
    first, second = example.buy("beans", order), example.buy("beans", order)
    assert first.status == second.status == 303
    assert place(first) == place(second)
    assert place(first).startswith(f"{example.served.url}/i/")


def test_a_webhook_that_comes_twice_pays_its_order_once(example) -> None:
    order = uuid4().hex
    example.buy("coffee", order)
    assert "waits for its payment" in example.tells(order)
    assert [example.hear(order, "d-1"), example.hear(order, "d-1")] == [204, 204]
    assert "is paid" in example.tells(order)
    assert example.ask("select count(*) from deliveries where id = ?", "d-1") == "1"


def test_a_webhook_of_a_stranger_is_refused(example) -> None:
    order = uuid4().hex
    example.buy("coffee", order)
    assert example.hear(order, "d-2", "whsec_" + "AAAA" * 8) == 400
    assert "waits for its payment" in example.tells(order)


@pytest.mark.parametrize(("item", "order"), [("gold", "1"), ("", "1"), ("beans", "")])
def test_what_is_not_sold_is_refused(example, item, order) -> None:
    assert example.buy(item, order).status == 400


def test_an_order_that_nobody_made_is_not_found(example) -> None:
    assert request("GET", f"{example.url}/orders/%3Cb%3E").status == 404
