"""Refunds of invoices: their rows, their steps, and the secrets of their claim links (ADR 0062).

Who moves a refund locks its invoice first: so the sum of an invoice's refunds never races.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, TypeAlias
from uuid import UUID

from sqlalchemy import Connection, insert, select, update

from dovetail.bitcoin import Sats, UnixTime
from dovetail.errors import UsageError
from dovetail.merchant.data import audit, events, refund_payments
from dovetail.merchant.data.ids import new_id
from dovetail.merchant.data.invoices import PAGE, InvoiceRow
from dovetail.merchant.data.schema import invoices, refund_steps, refunds
from dovetail.merchant.invoices.life import InvoiceState
from dovetail.merchant.invoices.refunds import (
    FINAL,
    NOTHING_PAID,
    RefundStatus,
    RefundStep,
    Taken,
    after,
)

UNKNOWN = "No refund has this id."
CREATED = "refund.created"

_BYTES = 32
_UNDER_WAY = frozenset({RefundStatus.APPROVED, RefundStatus.QUEUED, RefundStatus.PAYING})
_GOING = tuple(each.value for each in RefundStatus if each not in FINAL)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class RefundRow:
    """A refund; its repr shows its id only (P4)."""

    id: UUID
    invoice_id: UUID
    store_id: UUID
    wallet_id: UUID
    amount: Sats
    reason: str | None
    status: RefundStatus
    address: str | None
    """Where the customer wants to be paid; None before the claim, and once it is forgotten."""
    created_at: UnixTime
    expires_at: UnixTime
    """Until when the customer may give an address."""
    asked_by: str
    decided_by: str | None
    """Who approved or declined it."""
    txid: str | None
    """The transaction that pays it, the last one that was made."""
    depth: int
    """Its confirmations when they were looked at last, up to `refunds.DEEP`."""
    due: bool
    """Whether the engine has something to do for it."""
    trouble: str | None
    """What keeps the engine from paying it (`services.refund_payments.Trouble`)."""
    steps: int

    def __repr__(self) -> str:
        return f"<RefundRow {self.id}>"


Check: TypeAlias = Callable[[RefundRow, InvoiceState], None]
"""Sees a refund before a step, and the state of its invoice; it may raise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRow:
    """One step of a refund; `number` counts from 1."""

    number: int
    step: RefundStep
    status: RefundStatus
    who: str
    at: UnixTime


def add_refund(
    connection: Connection,
    invoice: InvoiceRow,
    *,
    amount: Sats,
    reason: str | None,
    expires_at: UnixTime,
    by: str,
    now: UnixTime,
) -> tuple[RefundRow, str]:
    """Insert a refund; return it and the secret of its claim link, which cannot be told again."""
    token = secrets.token_urlsafe(_BYTES)
    refund_id = new_id()
    connection.execute(
        insert(refunds).values(
            id=refund_id,
            invoice_id=invoice.id,
            store_id=invoice.store_id,
            wallet_id=invoice.wallet_id,
            amount=int(amount),
            reason=reason,
            status=RefundStatus.OPEN.value,
            token=_hash(token),
            created_at=int(now),
            expires_at=int(expires_at),
            asked_by=by,
            depth=0,
            due=False,
            steps=0,
        )
    )
    return _record(connection, refund_id, RefundStep.CREATE, who=by, now=now), token


def move(
    connection: Connection,
    refund_id: UUID,
    step: RefundStep,
    *,
    who: str,
    now: UnixTime,
    check: Check | None = None,
    **values: Any,
) -> RefundRow:
    """Take a step of a refund, with its event, its webhooks and its audit entry.

    The invoice is locked until the caller's transaction ends. A step to an end without a payment
    frees the coins. Raises `RefundRefused` for a step that does not follow, and
    `UsageError` for an unknown refund.
    """
    known = refund(connection, refund_id)
    if known is None:
        raise UsageError(UNKNOWN)
    state = events.change(connection, known.invoice_id, now=now)
    row = refund(connection, refund_id) or known  # as it is now that the invoice is locked
    target = after(row.status, step)
    if check is not None:
        check(row, state)
    due = target in _UNDER_WAY or target is RefundStatus.PAID or row.status is RefundStatus.QUEUED
    connection.execute(
        update(refunds)
        .where(refunds.c.id == refund_id)
        .values({"status": target.value, "due": due, "trouble": None} | values)
    )
    if target in NOTHING_PAID:
        refund_payments.free_coins(connection, refund_id)
    return _record(connection, refund_id, step, who=who, now=now)


def note(connection: Connection, row: RefundRow, **values: Any) -> None:
    """Record what the engine has found about a refund that stands as in `row`.

    That is no step, and tells nobody.
    """
    connection.execute(
        update(refunds)
        .where(refunds.c.id == row.id, refunds.c.status == row.status.value)
        .values(values)
    )


def refund(connection: Connection, refund_id: UUID) -> RefundRow | None:
    """Return a refund, or None."""
    found = connection.execute(select(refunds).where(refunds.c.id == refund_id)).first()
    return None if found is None else _row(found)


def refund_of_token(connection: Connection, token: str) -> RefundRow | None:
    """Return the refund of a claim link's secret, or None.

    The database compares hashes of 256 random bits, so that its time tells nothing of the secret.
    """
    found = connection.execute(select(refunds).where(refunds.c.token == _hash(token))).first()
    return None if found is None else _row(found)


def refunds_of(connection: Connection, invoice_id: UUID) -> tuple[RefundRow, ...]:
    """Return the refunds of an invoice, the oldest first."""
    query = select(refunds).where(refunds.c.invoice_id == invoice_id).order_by(refunds.c.id)
    return tuple(map(_row, connection.execute(query)))


def taken_of(connection: Connection, invoice_id: UUID) -> tuple[Taken, ...]:
    """Return what the refunds of an invoice take of its credit."""
    return tuple(Taken(row.status, row.amount) for row in refunds_of(connection, invoice_id))


def page(
    connection: Connection,
    *,
    limit: int = PAGE,
    before: UUID | None = None,
    store_ids: tuple[UUID, ...] | None = None,
    statuses: tuple[RefundStatus, ...] | None = None,
) -> tuple[RefundRow, ...]:
    """Return refunds, the newest first; `store_ids` are those to look at, None: all."""
    query = select(refunds).order_by(refunds.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(refunds.c.id < before)
    if store_ids is not None:
        query = query.where(refunds.c.store_id.in_(store_ids))
    if statuses is not None:
        query = query.where(refunds.c.status.in_([each.value for each in statuses]))
    return tuple(map(_row, connection.execute(query)))


def due(connection: Connection) -> tuple[RefundRow, ...]:
    """Return the refunds for which the engine has something to do, the oldest first."""
    query = select(refunds).where(refunds.c.due).order_by(refunds.c.id)
    return tuple(map(_row, connection.execute(query)))


def unclaimed(connection: Connection, now: UnixTime) -> tuple[UUID, ...]:
    """Return the refunds whose time ran out before the customer gave an address."""
    query = select(refunds.c.id).where(
        refunds.c.status == RefundStatus.OPEN.value, refunds.c.expires_at <= int(now)
    )
    return tuple(connection.execute(query).scalars())


def steps_of(connection: Connection, refund_id: UUID) -> tuple[StepRow, ...]:
    """Return the steps of a refund, in order."""
    query = (
        select(refund_steps)
        .where(refund_steps.c.refund_id == refund_id)
        .order_by(refund_steps.c.number)
    )
    return tuple(
        StepRow(
            number=row.number,
            step=RefundStep(row.step),
            status=RefundStatus(row.status),
            who=row.who,
            at=UnixTime(row.at),
        )
        for row in connection.execute(query)
    )


def under_way() -> Any:
    """Return the condition for invoices that have a refund that goes on."""
    return (
        select(refunds.c.id)
        .where(
            refunds.c.invoice_id == invoices.c.id,
            refunds.c.due | refunds.c.status.in_(_GOING),
        )
        .exists()
    )


def forget(connection: Connection, invoice_id: UUID) -> None:
    """Delete the addresses, reasons and links of an invoice's refunds; sums and txids stay."""
    known = [row.id for row in refunds_of(connection, invoice_id)]
    connection.execute(
        update(refunds)
        .where(refunds.c.invoice_id == invoice_id)
        .values(address=None, reason=None, token=None)
    )
    refund_payments.forget(connection, known)


def _record(
    connection: Connection, refund_id: UUID, step: RefundStep, *, who: str, now: UnixTime
) -> RefundRow:
    """Append a step, its event and its audit entry; return the refund as it is now."""
    connection.execute(
        update(refunds).where(refunds.c.id == refund_id).values(steps=refunds.c.steps + 1)
    )
    row = refund(connection, refund_id)
    if row is None:
        raise UsageError(UNKNOWN)
    connection.execute(
        insert(refund_steps).values(
            refund_id=refund_id,
            number=row.steps,
            step=step.value,
            status=row.status.value,
            who=who,
            at=int(now),
        )
    )
    facts = {
        "id": str(row.id),
        "amount_sats": int(row.amount),
        "status": row.status.value,
        "step": step.value,
        "txid": row.txid,
    }
    kind = CREATED if step is RefundStep.CREATE else f"refund.{row.status}"
    events.tell_beside(connection, row.invoice_id, kind, {"refund": facts}, now=now)
    audit.add(
        connection,
        store_id=row.store_id,
        who=who,
        what=f"refund.{step}",
        subject=str(row.id),
        now=now,
        detail={"amount_sats": int(row.amount), "status": row.status.value},
    )
    return row


def _hash(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogatepass")).digest()


def _row(row: Any) -> RefundRow:
    values = {name: getattr(row, name) for name in RefundRow.__slots__}
    values.update(
        amount=Sats(row.amount),
        status=RefundStatus(row.status),
        created_at=UnixTime(row.created_at),
        expires_at=UnixTime(row.expires_at),
    )
    return RefundRow(**values)
