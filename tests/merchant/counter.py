"""A shop with a point of sale: a real wallet, fixed rates, and the page over a real port."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from sqlalchemy import Connection
from tests.merchant.api.raw_http import Told
from tests.merchant.pages.site import EAGER, Html, Pages
from tests.merchant.quiet import quiet_parts
from tests.merchant.refunds import add_store
from tests.merchant.signer.deals import hot_secret

from dovetail.merchant.api.limits import Limits
from dovetail.merchant.data import invoices, points_of_sale
from dovetail.merchant.data.database import Database
from dovetail.merchant.data.invoices import InvoiceRow
from dovetail.merchant.data.points_of_sale import PointRow
from dovetail.merchant.data.stores import StoreRow
from dovetail.merchant.invoices.sales import Item, Menu
from dovetail.merchant.server import serving
from dovetail.merchant.services.parts import Parts
from dovetail.merchant.services.rates import RateUnavailable
from dovetail.serving.client_shares import Clients
from dovetail.wallets.bdk.keys import public

HOT = public(hot_secret())[0]
HIDDEN = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]+)"')
TEA = Item(name="Sencha, a pot", price=Decimal("4.50"), description="From Shizuoka")
CAKE = Item(name="Matcha cake", price=Decimal("3.20"))
GONE = Item(name="Mochi", price=Decimal("2.00"), available=False)
CAFE = Menu(items=(TEA, CAKE, GONE), keypad=True, most=Decimal("200.00"), tips=(5, 10, 15))
KEYPAD = Menu(keypad=True, most=Decimal(1_000_000))


@dataclass
class FixedRates:
    """Rates by currency; a currency without one has none now."""

    known: dict[str, Decimal] = field(default_factory=lambda: {"EUR": Decimal(50_000)})

    async def rate(self, currency: str) -> Decimal:
        if currency not in self.known:
            raise RateUnavailable("No source gives a rate.")
        return self.known[currency]


def add_point(
    connection: Connection,
    store: StoreRow,
    *,
    title: str = "Counter",
    currency: str | None = "EUR",
    menu: Menu = CAFE,
    now: Any = 1_800_000_000,
) -> PointRow:
    """A point of sale of the store."""
    return points_of_sale.add_point(
        connection,
        store_id=store.id,
        title=title,
        currency=currency,
        menu=menu,
        by="test",
        now=now,
    )


@dataclass
class Counter(Pages):
    """The page of a served shop's points of sale."""

    rates: FixedRates = field(default_factory=FixedRates)
    parts: Parts | None = None

    def point(self, **given: Any) -> PointRow:
        return self.database.write(lambda c: add_point(c, self.store, **given))

    async def form(self, row: PointRow, lang: str = "") -> dict[str, str]:
        """The hidden fields of a fresh page."""
        told = await self.get(f"/pos/{row.token}{lang}")
        assert told.status == 200, told.body
        return dict(HIDDEN.findall(told.body.decode()))

    async def send(
        self, row: PointRow, fields: Mapping[str, Any], lang: str = "", **headers: str
    ) -> Told:
        return await self.post(f"/pos/{row.token}{lang}", urlencode(fields), **headers)

    async def buy(self, row: PointRow, lang: str = "", **fields: Any) -> Told:
        """Fill in a fresh form, and send it; `count_0` is the first item's field."""
        named = {name.replace("_", "-"): value for name, value in fields.items()}
        return await self.send(row, await self.form(row, lang) | named, lang)

    def sold(self, told: Told) -> InvoiceRow:
        """The invoice to which the answer leads."""
        assert told.status == 303, Html(told.body.decode()).text
        found = re.fullmatch(
            r"/i/([0-9a-f-]{36})\?counter=1(&lang=\w\w)?", told.headers["location"]
        )
        assert found is not None
        row = self.row_of(UUID(found[1]))
        assert row is not None
        return row

    def row_of(self, invoice_id: UUID) -> InvoiceRow | None:
        return self.database.read(lambda c: invoices.invoice(c, invoice_id))


@asynccontextmanager
async def open_counter(
    database: Database, *, clients: Clients | None = None, **limits: Any
) -> AsyncIterator[Counter]:
    """Serve a shop with this database, its own clock, and a wallet that gives addresses."""
    store = add_store(database, HOT)
    rates = FixedRates()
    async with (
        quiet_parts(database, clock=database.now, rates=rates) as parts,
        serving(parts, "127.0.0.1", 0, limits=Limits(**limits), clients=clients, pace=EAGER) as url,
    ):
        yield Counter(url, database, store, rates=rates, parts=parts)
