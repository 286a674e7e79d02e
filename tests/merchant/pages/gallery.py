"""An invoice in each stage that its page knows, and refunds in each of theirs."""

from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

from sqlalchemy import Connection
from tests.merchant import builders
from tests.merchant.shop import add_one

from dovetail.bitcoin import Sats, Transaction, UnixTime
from dovetail.merchant.data import events, invoices, record, refunds
from dovetail.merchant.data.database import Database
from dovetail.merchant.data.invoices import InvoiceRow
from dovetail.merchant.data.refunds import RefundRow
from dovetail.merchant.data.stores import StoreRow
from dovetail.merchant.invoices.payments import Found, Look
from dovetail.merchant.invoices.refunds import RefundStatus, RefundStep
from dovetail.merchant.pages.view import Stage

AMOUNT = builders.AMOUNT
DAY = 86_400
_number = count(1)

# What the payment URI of an invoice with a payjoin looks like (BIP 77).
ENDPOINT = (
    "HTTPS://PAYJO.IN/TXJCGKTKXLUUZ%23EX1WKV8CEC-OH1QYPM59NK2LXXS4890SUAXXYT25Z2VAPHP0X7YEYCJXGWAG6UG9"
    "ZU6NQ-RK1Q0DJS3VVDXWQQTLQ8022QGXSX7ML9PHZ6EDSF6AKEWQG758JPS2EV"
)


def look(
    connection: Connection, row: InvoiceRow, *found: Transaction, depth: int = 0, at: int
) -> None:
    """Let the invoice's record have a look at the chain, at this time, that finds these."""
    number = record.next_look(connection)
    seen = Look(number, UnixTime(at), tuple(Found(each, depth) for each in found))
    events.change(
        connection,
        row.id,
        lambda: record.add_look(connection, row.id, seen),
        now=UnixTime(at),
    )


def paying(row: InvoiceRow, value: int) -> Transaction:
    """A transaction of a new customer that pays the invoice."""
    made: Transaction = builders.pay(1_000 + next(_number), to=row.script, value=value)
    return made


def add(connection: Connection, store: StoreRow, now: int, **columns: Any) -> InvoiceRow:
    """An invoice with a payment URI that offers a payjoin."""
    row = add_one(connection, store, now=now, **columns)
    uri = f"bitcoin:{row.address}?amount=0.0005&pjos=0&pj={ENDPOINT}"
    invoices.set_uri(connection, row.id, uri)
    return row


def _hand_over(connection: Connection, row: InvoiceRow, at: int) -> None:
    fallback = builders.negotiated(
        paying(row, AMOUNT), at=at - int(builders.CREATED), script=row.script
    )
    record.keep_negotiation(connection, row.id, fallback)


def _waiting(connection: Connection, store: StoreRow, now: int, **columns: Any) -> InvoiceRow:
    return add(connection, store, now - 60, **columns)


def _paid_with(value: int, *, depth: int = 0, ago: int = 60, then: int = 30) -> Callable[..., Any]:
    """Made so long ago, and paid this much `then` seconds later."""

    def made(connection: Connection, store: StoreRow, now: int, **columns: Any) -> InvoiceRow:
        row = add(connection, store, now - ago, **columns)
        look(connection, row, paying(row, value), depth=depth, at=now - ago + then)
        return row

    return made


def _expired(connection: Connection, store: StoreRow, now: int, **columns: Any) -> InvoiceRow:
    return add(connection, store, now - 2_000, **columns)


def _handed_over(connection: Connection, store: StoreRow, now: int, **columns: Any) -> InvoiceRow:
    row = _expired(connection, store, now, **columns)
    _hand_over(connection, row, now - 1_900)
    return row


def _closed(connection: Connection, store: StoreRow, now: int, **columns: Any) -> InvoiceRow:
    row = _waiting(connection, store, now, **columns)
    record.add_mark(connection, row.id, settled=False, by="alice", now=UnixTime(now))
    return row


STAGES: Mapping[Stage, Callable[..., InvoiceRow]] = {
    Stage.WAITING: _waiting,
    Stage.PARTIAL: _paid_with(20_000),
    Stage.SEEN: _paid_with(AMOUNT),
    Stage.COMPLETING: _handed_over,
    Stage.PAID: _paid_with(AMOUNT, depth=1),
    Stage.EXPIRED: _expired,
    Stage.SHORT: _paid_with(20_000, ago=2_000),
    Stage.LATE: _paid_with(AMOUNT, ago=2_000, then=1_000),
    Stage.HELD: _handed_over,
    Stage.INVALID: _paid_with(AMOUNT, ago=3 * DAY),
    Stage.CLOSED: _closed,
}
HOLDS = frozenset({Stage.HELD})
"""The stages for whose store the policy leaves a fallback to a person."""


def overpaid(connection: Connection, store: StoreRow, now: int, **columns: Any) -> InvoiceRow:
    made: InvoiceRow = _paid_with(AMOUNT + 20_000, depth=1)(connection, store, now, **columns)
    return made


def refund(
    database: Database, row: InvoiceRow, *steps: RefundStep, address: str = "", left: int = 7 * DAY
) -> tuple[RefundRow, str]:
    """A refund of 20,000 sats after these steps, and the secret of its page."""
    now = database.now()

    def write(connection: Connection) -> tuple[RefundRow, str]:
        made, token = refunds.add_refund(
            connection,
            row,
            amount=Sats(20_000),
            reason=None,
            expires_at=UnixTime(now + left),
            by="alice",
            now=now,
        )
        for step in steps:
            given: dict[str, Any] = {"address": address} if step is RefundStep.CLAIM else {}
            made = refunds.move(connection, made.id, step, who="alice", now=now, **given)
        return made, token

    return database.write(write)


WAYS: Mapping[RefundStatus, tuple[RefundStep, ...]] = {
    RefundStatus.OPEN: (),
    RefundStatus.CLAIMED: (RefundStep.CLAIM,),
    RefundStatus.APPROVED: (RefundStep.CLAIM, RefundStep.APPROVE),
    RefundStatus.QUEUED: (RefundStep.CLAIM, RefundStep.APPROVE, RefundStep.QUEUE),
    RefundStatus.PAYING: (
        RefundStep.CLAIM,
        RefundStep.APPROVE,
        RefundStep.QUEUE,
        RefundStep.SIGN,
    ),
    RefundStatus.PAID: (
        RefundStep.CLAIM,
        RefundStep.APPROVE,
        RefundStep.QUEUE,
        RefundStep.SIGN,
        RefundStep.CONFIRM,
    ),
    RefundStatus.DECLINED: (RefundStep.DECLINE,),
    RefundStatus.CANCELLED: (RefundStep.CANCEL,),
    RefundStatus.EXPIRED: (RefundStep.EXPIRE,),
    RefundStatus.FAILED: (
        RefundStep.CLAIM,
        RefundStep.APPROVE,
        RefundStep.QUEUE,
        RefundStep.FAIL,
    ),
}
"""The steps to each status of a refund."""
