"""A shop with one page: customers pay through Dovetail, a webhook says which order is paid."""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from string import Template
from urllib.parse import parse_qs
from uuid import UUID, uuid4

from dovetail.errors import ParseError
from dovetail.merchant.client import Shop, ShopProblem, ShopUnreachable, verify_webhook
from dovetail.merchant.messages import NewInvoice, NewWebhook

DOVETAIL, STORE = os.environ["DOVETAIL_URL"], UUID(os.environ["DOVETAIL_STORE"])
HERE = "http://127.0.0.1:" + os.environ.setdefault("PORT", "8080")
GOODS = {"coffee": ("A cup of coffee", 8_000), "beans": ("A bag of beans", 50_000)}
PAGE = Template(Path(__file__).with_name("shop.html").read_text("utf-8"))
OFFER = """<form method="post" action="/buy"><span>{}: {:,} sats</span>
<input type="hidden" name="order" value="{}"><button name="item" value="{}">Buy</button></form>"""

dovetail = Shop(DOVETAIL, os.environ["DOVETAIL_KEY"])


@contextmanager
def transaction() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(os.environ.get("SHOP_DATABASE", "shop.db"))) as database, database:
        yield database


class Till(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        kind, _, order = self.path[1:].partition("/")
        if kind != "orders":
            new = uuid4().hex[:8]  # one order for each page: a second click buys nothing twice
            return self.show("".join(OFFER.format(*GOODS[item], new, item) for item in GOODS))
        with transaction() as orders:
            found = orders.execute("select item, paid_at from orders where id = ?", [order])
            item, paid_at = found.fetchone() or ("", None)
        if not item:
            return self.show("<p>There is no such order.</p>", 404)
        state = "is paid. Thank you!" if paid_at else "waits for its payment."
        return self.show(f"<p>{GOODS[item][0]} {state} <a href='/'>Buy more</a></p>")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        return self.hear(body) if self.path == "/webhook" else self.sell(parse_qs(body.decode()))

    def sell(self, form: dict[str, list[str]]) -> None:
        order, item = form.get("order", [""])[0], form.get("item", [""])[0]
        if not order or item not in GOODS:
            return self.show("<p>There is no such thing here.</p>", 400)
        with transaction() as orders:  # before the invoice, so that its webhook finds the order
            orders.execute("insert or ignore into orders values (?, ?, null)", [order, item])
        (name, sats), back = GOODS[item], f"{HERE}/orders/{order}"
        wanted = NewInvoice(amount_sats=sats, order_id=order, label=name, redirect_url=back)
        try:
            invoice = dovetail.create_invoice(STORE, wanted, idempotency_key=order)
        except (ShopProblem, ShopUnreachable):
            return self.show("<p>We cannot take payments now. Please try again soon.</p>", 503)
        return self.show("", 303, location=invoice.checkout_url or DOVETAIL)

    def hear(self, body: bytes) -> None:
        with transaction() as orders:  # what is remembered and what is shipped go together
            (secret,) = orders.execute("select secret from webhook").fetchone()
            try:
                event = verify_webhook(dict(self.headers), body, secret)
            except ParseError:
                return self.show("", 400)
            news = "insert or ignore into deliveries values (?)"
            if orders.execute(news, [event.delivery]).rowcount:
                paid = [int(time.time()), event.order_id]
                orders.execute("update orders set paid_at = ? where id = ?", paid)
        return self.show("", 204)

    def show(self, content: str, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for each in ("content-type", "text/html; charset=utf-8"), *headers.items():
            self.send_header(*each)
        self.end_headers()
        self.wfile.write(PAGE.substitute(content=content).encode() if content else b"")


with transaction() as new:
    new.execute("create table if not exists orders (id primary key, item, paid_at)")
    new.execute("create table if not exists deliveries (id primary key)")
    new.execute("create table if not exists webhook (secret)")
    if not new.execute("select secret from webhook").fetchone():
        wanted = NewWebhook(url=f"{HERE}/webhook", kinds=("invoice.settled",))
        new.execute(
            "insert into webhook values (?)", [dovetail.create_webhook(STORE, wanted).secret]
        )
print(f"Corner Coffee is open at {HERE}", flush=True)
ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Till).serve_forever()
