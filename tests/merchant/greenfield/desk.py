"""A client of the Greenfield API in few words, and a customer whose payments are seen."""

import asyncio
import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

import httpcore2
from sqlalchemy import Connection
from tests.merchant import builders
from tests.merchant.served import ServedTill

from dovetail.bitcoin import UnixTime
from dovetail.merchant.data import events, invoices, record
from dovetail.merchant.data.invoices import InvoiceRow
from dovetail.merchant.invoices.payments import Found, Look
from dovetail.merchant.services.rates import PublicRates
from dovetail.merchant.webhooks.deliveries import Deliveries
from dovetail.merchant.webhooks.delivery import Sender


@dataclass
class Desk:
    """Asks as a plugin does."""

    served: ServedTill
    key: str

    @property
    def base(self) -> str:
        return f"{self.served.url}/greenfield"

    @property
    def store(self) -> str:
        return f"/stores/{self.served.store_id}"

    def __call__(
        self, method: str, path: str, body: Any = None, *, key: str | None = None, **headers: str
    ) -> tuple[int, Any]:
        given = {
            "authorization": f"token {key or self.key}",
            "content-type": "application/json",
            **headers,
        }
        content = None if body is None else json.dumps(body).encode()
        answer = httpcore2.request(
            method, f"{self.base}/api/v1{path}", headers=list(given.items()), content=content
        )
        return answer.status, json.loads(answer.content) if answer.content else None

    def make(self, amount: Any = "0.0005", currency: str = "BTC", **more: Any) -> Any:
        """An invoice, as it is told."""
        body = {"amount": amount, "currency": currency, **more}
        status, made = self("POST", f"{self.store}/invoices", body)
        assert status == 200, made
        return made

    def show(self, invoice_id: str) -> Any:
        return self("GET", f"{self.store}/invoices/{invoice_id}")[1]

    def row(self, invoice_id: str) -> InvoiceRow:
        database = self.served.till.parts.database
        found = database.read(lambda c: invoices.invoice(c, UUID(invoice_id)))
        assert found is not None
        return found

    def see(self, invoice_id: str, *paid: tuple[int, int, int], after: int = 0) -> None:
        """Let the chain show payments: the number of a coin, satoshis, and confirmations.

        `after` is in seconds after now.
        """
        database, row = self.served.till.parts.database, self.row(invoice_id)
        at = UnixTime(self.served.till.parts.clock() + after)
        found = tuple(
            Found(builders.pay(coin, to=row.script, value=value), depth)
            for coin, value, depth in paid
        )

        def write(connection: Connection) -> None:
            look = Look(record.next_look(connection), at, found)
            events.change(
                connection, row.id, lambda: record.add_look(connection, row.id, look), now=at
            )

        database.write(write)

    def quote(self, currency: str, rate: str) -> None:
        """Let the sources of rates have given this price of one bitcoin just now."""
        rates = self.served.till.parts.rates
        assert isinstance(rates, PublicRates)
        rates._known[currency] = rates.clock(), Decimal(rate)

    def deliver(self, *, after: int = 0) -> None:
        """Send what is due to webhooks, so many seconds after now."""
        parts = self.served.till.parts

        async def once() -> None:
            worker = Deliveries(
                parts.database,
                Sender(private=True),
                clock=lambda: UnixTime(parts.clock() + after),
            )
            while await worker.send_due():
                await worker.drained()

        asyncio.run(once())
