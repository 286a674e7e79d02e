"""The pages of a shop over a real port, and HTML read as a browser would."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from uuid import UUID

from tests.merchant.api.raw_http import Told, ask
from tests.merchant.pages import gallery
from tests.merchant.quiet import quiet_parts
from tests.merchant.shop import add_shop

from dovetail.bitcoin import Transaction
from dovetail.merchant.api.event_feed import Pace
from dovetail.merchant.api.limits import Limits
from dovetail.merchant.data import invoices
from dovetail.merchant.data.database import Database
from dovetail.merchant.data.invoices import InvoiceRow
from dovetail.merchant.data.stores import StoreRow
from dovetail.merchant.server import serving
from dovetail.serving.client_shares import Clients

FORM = "application/x-www-form-urlencoded"
EAGER = Pace(look=0.02, keys=0.1, heartbeat=0.3, patience=0.3)


class Html(HTMLParser):
    """The elements of a page with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.words.append(" ".join(data.replace("\N{NO-BREAK SPACE}", " ").split()))

    @property
    def text(self) -> str:
        return " ".join(self.words)

    def values(self, attribute: str, tag: str | None = None) -> list[str]:
        """Each value of an attribute."""
        return [
            attrs[attribute] or ""
            for name, attrs in self.elements
            if attribute in attrs and tag in (None, name)
        ]


@dataclass
class Pages:
    """A served shop with one store."""

    url: str
    database: Database
    store: StoreRow
    came: dict[UUID, list[Transaction]] = field(default_factory=dict[UUID, list[Transaction]])
    """The payments of each invoice."""

    def open_store(self, **policy: Any) -> None:
        """Go on with another store, of this policy."""
        now = int(self.database.now())
        self.store = self.database.write(lambda c: add_shop(c, now=now, **policy))

    def add(self, make: Callable[..., InvoiceRow], **columns: Any) -> InvoiceRow:
        """An invoice of the store, made as the gallery does it."""
        now = int(self.database.now())
        return self.database.write(lambda c: make(c, self.store, now, **columns))

    def row(self, row: InvoiceRow) -> InvoiceRow:
        found = self.database.read(lambda c: invoices.invoice(c, row.id))
        assert found is not None
        return found

    def look(self, row: InvoiceRow, *values: int, depth: int = 0) -> None:
        """Let payments of these values come now; those that came before are still there."""
        came = self.came.setdefault(row.id, [])
        came += [gallery.paying(row, value) for value in values]
        at = int(self.database.now())
        self.database.write(lambda c: gallery.look(c, row, *came, depth=depth, at=at))

    async def get(self, path: str, **headers: str) -> Told:
        return await ask(self.url, "GET", path, **headers)

    async def page(self, path: str, *, status: int = 200, **headers: str) -> Html:
        told = await self.get(path, **headers)
        assert told.status == status, told.body
        assert told.headers["content-type"] == "text/html; charset=utf-8"
        return Html(told.body.decode())

    async def post(self, path: str, body: str, kind: str = FORM, **headers: str) -> Told:
        return await ask(self.url, "POST", path, body=body.encode(), content_type=kind, **headers)


@asynccontextmanager
async def opened(
    database: Database, *, clients: Clients | None = None, pace: Pace = EAGER, **limits: Any
) -> AsyncIterator[Pages]:
    """Serve a shop with this database, and its own clock."""
    now = int(database.now())
    store = database.write(lambda c: add_shop(c, now=now, name="Tea & Co"))
    async with (
        quiet_parts(database, clock=database.now) as parts,
        serving(parts, "127.0.0.1", 0, limits=Limits(**limits), clients=clients, pace=pace) as url,
    ):
        yield Pages(url, database, store)
