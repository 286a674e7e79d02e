"""The duty of deliveries: what is due is sent, and tried again for days."""

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable

import msgspec
from sqlalchemy import Connection

from dovetail.bitcoin import UnixTime
from dovetail.crypto.entropy import below, system
from dovetail.errors import ConfigurationError, InfrastructureError, StoreError
from dovetail.merchant.data import deliveries as rows
from dovetail.merchant.data import webhooks
from dovetail.merchant.data.database import Database
from dovetail.merchant.data.deliveries import DeliveryRow
from dovetail.merchant.data.events import EventRow, event
from dovetail.merchant.data.invoices import InvoiceRow
from dovetail.merchant.data.record import Record, load
from dovetail.merchant.data.webhooks import EndpointRow
from dovetail.merchant.webhooks import btcpay_body
from dovetail.merchant.webhooks.delivery import Accepted, Failed, Gone, Sender
from dovetail.merchant.webhooks.signature import btcpay_headers, headers
from dovetail.serving.logs import about

logger = logging.getLogger(__name__)

PAUSES = (5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 28_800, 43_200, 86_400, 86_400)
"""Seconds between the attempts at a delivery; after the last it is given up, in four days."""

LEASE = 60
AT_ONCE = 32
AT_ONCE_EACH = 4
"""Deliveries at once, in all and to one endpoint.

An endpoint that is slow takes no more room than its own. What is claimed for it waits for one
delivery at most, so that no lease runs out in the queue.
"""

LOOK = 0.2


class Deliveries:
    """Sends the deliveries that are due, and records what came of them.

    A delivery whose worker dies after the endpoint took it is sent again, with the same
    `webhook-id`: the endpoint knows it by that.
    """

    def __init__(
        self,
        database: Database,
        sender: Sender,
        *,
        clock: Callable[[], UnixTime],
        look: float = LOOK,
        attempted: Callable[[str], None] | None = None,
    ) -> None:
        """Look for due deliveries every so many seconds, if anything was written."""
        self._attempted = attempted or _ignore
        self._database = database
        self._sender = sender
        self._clock = clock
        self._look = look
        self._each = defaultdict[object, asyncio.Semaphore](lambda: asyncio.Semaphore(AT_ONCE_EACH))
        self._tasks: dict[asyncio.Task[None], DeliveryRow] = {}

    async def run(self) -> None:
        """Work until cancelled; what is under way is finished or sent again later."""
        try:
            while True:
                try:
                    await self.send_due()
                except (InfrastructureError, StoreError) as error:
                    logger.warning("Webhooks could not be looked for: %s", error)
                await asyncio.sleep(self._look)
        finally:
            for task in tuple(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def send_due(self) -> int:
        """Begin with what is due, as far as there is room; return how many were begun."""
        room = AT_ONCE - len(self._tasks)
        due = await self._database.aread(rows.next_due) if room else None
        now = self._clock()
        if due is None or due > now:
            return 0
        under_way = Counter(each.endpoint_id for each in self._tasks.values())
        busy = [each for each, count in under_way.items() if count >= AT_ONCE_EACH]
        claimed = await self._database.awrite(
            lambda c: rows.claim_due(c, now, lease=LEASE, limit=room, each=AT_ONCE_EACH, busy=busy)
        )
        for each in claimed:
            task = asyncio.create_task(self._deliver(each))
            self._tasks[task] = each
            task.add_done_callback(self._tasks.pop)
        return len(claimed)

    async def drained(self) -> None:
        """Wait for what is under way."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _deliver(self, delivery: DeliveryRow) -> None:
        async with self._each[delivery.endpoint_id]:
            try:
                await self._attempt(delivery)
            except (InfrastructureError, StoreError) as error:
                with about(delivery=delivery.id, invoice=delivery.invoice_id):
                    logger.warning("A webhook's outcome could not be recorded: %s", error)

    async def _attempt(self, delivery: DeliveryRow) -> None:
        found = await self._database.aread(lambda c: _read(c, delivery))
        if found is None:
            await self._database.awrite(lambda c: _cancel(c, delivery, self._clock()))
            return
        endpoint, told, known = found
        now = self._clock()
        try:
            body, signed = _signed(delivery, endpoint, told, known, now)
            answer = await self._sender.send(endpoint.url, body, signed)
        except ConfigurationError as error:
            answer = Failed(str(error))
        await self._database.awrite(lambda c: _record(c, delivery, answer, self._clock()))
        self._attempted(type(answer).__name__.lower())


def deliveries(
    database: Database,
    *,
    private: bool,
    clock: Callable[[], UnixTime] | None = None,
    attempted: Callable[[str], None] | None = None,
) -> Callable[[], Awaitable[None]]:
    """Return the duty of deliveries; `private` allows private addresses.

    `attempted` hears what became of each attempt: accepted, failed or gone.
    """
    sender = Sender(private=private)
    return Deliveries(database, sender, clock=clock or database.now, attempted=attempted).run


def _ignore(_result: str) -> None:
    pass


def body_of(told: EventRow, row: InvoiceRow) -> bytes:
    """Return what is sent: the event, and the invoice's own data (Standard Webhooks)."""
    return msgspec.json.encode(
        {
            "type": told.kind,
            "timestamp": told.at,
            "data": {
                "invoice_id": told.invoice_id,
                "store_id": told.store_id,
                "sequence": told.seq,
                "status": told.status,
                "exception": told.exception,
                "cause": told.cause,
                "amount_sats": int(row.amount),
                "order_id": row.order_id,
                "metadata": msgspec.json.decode(row.metadata) if row.metadata else {},
                **told.data,
            },
        }
    )


def pause_after(attempts: int) -> int | None:
    """Return the seconds until the next attempt, a tenth of them random; None: give up."""
    if attempts > len(PAUSES):
        return None
    pause = PAUSES[attempts - 1]
    return pause + below(system, max(1, pause // 10))


def _signed(
    delivery: DeliveryRow, endpoint: EndpointRow, told: EventRow, known: Record, now: UnixTime
) -> tuple[bytes, list[tuple[str, str]]]:
    """The body in the endpoint's form, and the headers that sign it."""
    if endpoint.form == webhooks.GREENFIELD:
        body = btcpay_body.body_of(delivery, told, known, now)
        return body, btcpay_headers(body, endpoint.secret)
    body = body_of(told, known.row)
    signed = headers(
        body, delivery=str(delivery.id), timestamp=int(now), secrets=endpoint.secrets(now)
    )
    return body, signed


def _read(
    connection: Connection, delivery: DeliveryRow
) -> tuple[EndpointRow, EventRow, Record] | None:
    endpoint = webhooks.endpoint(connection, delivery.endpoint_id)
    told = event(connection, delivery.event_id)
    if endpoint is None or told is None or not endpoint.active:
        return None
    return endpoint, told, load(connection, delivery.invoice_id)


def _cancel(connection: Connection, delivery: DeliveryRow, now: UnixTime) -> None:
    rows.finish(
        connection,
        delivery,
        status="cancelled",
        next_at=None,
        code=None,
        error="The endpoint is switched off, or the invoice is forgotten: nothing was sent.",
        now=now,
    )


def _record(
    connection: Connection, delivery: DeliveryRow, answer: Accepted | Failed | Gone, now: UnixTime
) -> None:
    pause = pause_after(delivery.attempts)
    status = "given-up"
    next_at: UnixTime | None = None
    error: str | None = None
    if isinstance(answer, Accepted):
        status = rows.ACCEPTED
    elif isinstance(answer, Gone):
        status, error = "cancelled", "The endpoint wants no more: it is switched off."
    else:
        error = answer.why
        if pause is not None:
            status, next_at = "pending", UnixTime(now + max(pause, answer.after or 0))
    rows.finish(
        connection,
        delivery,
        status=status,
        next_at=next_at,
        code=answer.code,
        error=error,
        now=now,
    )
    if isinstance(answer, Gone):
        webhooks.set_endpoint(connection, delivery.endpoint_id, active=False)
