"""Invoices: their terms, and where each stands by its last event."""

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, insert, or_, select, update

from dovetail.bitcoin import Address, Sats, Script, UnixTime
from dovetail.merchant.data.schema import invoice_transactions, invoices
from dovetail.merchant.data.stores import Terms
from dovetail.merchant.invoices.invoice import Invoice, InvoiceException, InvoiceStatus
from dovetail.merchant.invoices.life import Cause
from dovetail.stores.ports import SessionId

NOTHING = Sats(0)
PAGE = 50
"""Rows of a page, unless another number is asked for."""

_TXID = re.compile(r"[0-9A-Fa-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class InvoiceRow:
    """An invoice as its row has it; its repr shows its id only (P4)."""

    id: UUID
    store_id: UUID
    wallet_id: UUID
    amount: Sats
    address: str
    script: Script
    terms: Terms
    created_at: UnixTime
    expires_at: UnixTime
    monitored_until: UnixTime
    currency: str | None = None
    price: str | None = None
    rate: str | None = None
    label: str | None = None
    order_id: str | None = None
    metadata: bytes | None = None
    """The shop's own data, a JSON object."""
    redirect_url: str | None = None
    settlement_script: Script | None = None
    session_id: SessionId | None = None
    uri: str | None = None
    """The payment URI, from when it was first shown."""
    no_payjoin: str | None = None
    """Why the URI offers no payjoin (`services.readiness.NoPayjoin`)."""
    status: InvoiceStatus = InvoiceStatus.NEW
    exception: InvoiceException = InvoiceException.NONE
    cause: Cause = Cause.WAITING
    paid: Sats = NOTHING
    gained: Sats = NOTHING
    looked: int = 0
    events: int = 0
    next_change_at: UnixTime | None = None
    forgotten_at: UnixTime | None = None
    archived_at: UnixTime | None = None
    """When it was put out of sight of shop software; that changes nothing else."""

    def __repr__(self) -> str:
        return f"<InvoiceRow {self.id}>"

    @property
    def scripts(self) -> frozenset[Script]:
        """Its script, and the one that a payjoin pays in its place."""
        return frozenset(each for each in (self.script, self.settlement_script) if each)

    def invoice(self) -> Invoice:
        """Its terms, as the rules read them."""
        return Invoice(
            id=self.id,
            address=Address.parse(self.address),
            amount=self.amount,
            created_at=self.created_at,
            expires_at=self.expires_at,
            monitored_until=self.monitored_until,
            confirmations=self.terms.depths,
            tolerance=self.terms.share,
            broadcasts_fallback=self.terms.broadcasts_fallback,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceFilter:
    """Which invoices a list has; None: all."""

    store_ids: tuple[UUID, ...] | None = None
    statuses: tuple[InvoiceStatus, ...] | None = None
    order_id: str | None = None
    order_ids: tuple[str, ...] | None = None
    since: UnixTime | None = None
    until: UnixTime | None = None
    archived: bool | None = None
    """Whether it has those that were archived, or the others."""
    text: str | None = None
    """What a person looks for: an id, an address or a txid, or a part of an order id or label."""


def add_invoice(connection: Connection, row: InvoiceRow) -> None:
    """Insert a new invoice."""
    connection.execute(insert(invoices).values(_values(row)))


def invoice(connection: Connection, invoice_id: UUID, *, lock: bool = False) -> InvoiceRow | None:
    """Return an invoice, or None; with `lock` no other transaction changes it meanwhile."""
    query = select(invoices).where(invoices.c.id == invoice_id)
    return _one(connection, query.with_for_update() if lock else query)


def invoice_of_session(
    connection: Connection, session_id: SessionId, *, lock: bool = False
) -> InvoiceRow | None:
    """Return the invoice of a session, or None."""
    query = select(invoices).where(invoices.c.session_id == session_id)
    return _one(connection, query.with_for_update() if lock else query)


def page(
    connection: Connection,
    wanted: InvoiceFilter,
    *,
    limit: int = PAGE,
    before: UUID | None = None,
    skip: int = 0,
) -> tuple[InvoiceRow, ...]:
    """Return invoices, the newest first; `before` is the last id of the previous page."""
    query = select(invoices).order_by(invoices.c.id.desc()).limit(limit).offset(skip)
    conditions = _conditions(wanted)
    if before is not None:
        conditions.append(invoices.c.id < before)
    return tuple(map(_row, connection.execute(query.where(*conditions))))


def _conditions(wanted: InvoiceFilter) -> list[Any]:
    conditions: list[Any] = []
    if wanted.store_ids is not None:
        conditions.append(invoices.c.store_id.in_(wanted.store_ids))
    if wanted.statuses is not None:
        conditions.append(invoices.c.status.in_([each.value for each in wanted.statuses]))
    if wanted.order_id is not None:
        conditions.append(invoices.c.order_id == wanted.order_id)
    if wanted.order_ids is not None:
        conditions.append(invoices.c.order_id.in_(wanted.order_ids))
    if wanted.archived is not None:
        at = invoices.c.archived_at
        conditions.append(at.is_not(None) if wanted.archived else at.is_(None))
    if wanted.text is not None:
        conditions.append(_matches(wanted.text))
    if wanted.since is not None:
        conditions.append(invoices.c.created_at >= int(wanted.since))
    if wanted.until is not None:
        conditions.append(invoices.c.created_at < int(wanted.until))
    return conditions


def due_to_change(connection: Connection, now: UnixTime, *, limit: int = 500) -> tuple[UUID, ...]:
    """Return the invoices whose status the clock alone may have changed by `now`."""
    query = (
        select(invoices.c.id)
        .where(invoices.c.next_change_at <= int(now))
        .order_by(invoices.c.next_change_at)
        .limit(limit)
    )
    return tuple(connection.execute(query).scalars())


def watched(connection: Connection, wallet_id: UUID, now: UnixTime) -> tuple[InvoiceRow, ...]:
    """Return the invoices of a wallet for which the chain is watched.

    Until its monitoring ends; after that as long as a payment may still settle it.
    """
    query = select(invoices).where(
        invoices.c.wallet_id == wallet_id,
        or_(
            invoices.c.monitored_until > int(now),
            invoices.c.status.in_(("new", "processing")),
            invoices.c.cause == Cause.NOT_CONFIRMED.value,
        ),
    )
    return tuple(map(_row, connection.execute(query)))


def set_session(connection: Connection, invoice_id: UUID, session_id: SessionId) -> None:
    """Give an invoice its session, for good."""
    connection.execute(
        update(invoices).where(invoices.c.id == invoice_id).values(session_id=session_id)
    )


def set_uri(
    connection: Connection, invoice_id: UUID, uri: str, *, no_payjoin: str | None = None
) -> None:
    """Give an invoice its payment URI, and why that offers no payjoin."""
    connection.execute(
        update(invoices).where(invoices.c.id == invoice_id).values(uri=uri, no_payjoin=no_payjoin)
    )


def set_settlement(connection: Connection, invoice_id: UUID, script: Script) -> None:
    """Record the script that a payjoin pays in place of the invoice's."""
    connection.execute(
        update(invoices).where(invoices.c.id == invoice_id).values(settlement_script=bytes(script))
    )


def set_metadata(
    connection: Connection, invoice_id: UUID, metadata: bytes, *, order_id: str | None
) -> None:
    """Let an invoice have these data of the shop, and belong to this order."""
    connection.execute(
        update(invoices)
        .where(invoices.c.id == invoice_id)
        .values(metadata=metadata, order_id=order_id)
    )


def set_archived(connection: Connection, invoice_id: UUID, at: UnixTime | None) -> None:
    """Archive an invoice; None: bring it back."""
    connection.execute(
        update(invoices)
        .where(invoices.c.id == invoice_id)
        .values(archived_at=None if at is None else int(at))
    )


def _matches(text: str) -> ColumnElement[bool]:
    """The condition for invoices that a person may mean by this text; upper case is as lower."""
    columns = invoices.c
    conditions = [
        columns.address == text,
        columns.order_id.icontains(text, autoescape=True),
        columns.label.icontains(text, autoescape=True),
    ]
    if _TXID.fullmatch(text):
        seen = select(invoice_transactions.c.invoice_id).where(
            invoice_transactions.c.txid == text.lower()
        )
        conditions.append(columns.id.in_(seen))
    with suppress(ValueError):
        conditions.append(columns.id == UUID(text))
    return or_(*conditions)


def _one(connection: Connection, query: Select[Any]) -> InvoiceRow | None:
    found = connection.execute(query).first()
    return None if found is None else _row(found)


def _row(row: Any) -> InvoiceRow:
    found = row._asdict()
    script = found["settlement_script"]
    found.update(
        script=Script(found["script"]),
        settlement_script=None if script is None else Script(script),
        terms=msgspec.json.decode(found["terms"], type=Terms),
        amount=Sats(found["amount"]),
        paid=Sats(found["paid"]),
        gained=Sats(found["gained"]),
        status=InvoiceStatus(found["status"]),
        exception=InvoiceException(found["exception"]),
        cause=Cause(found["cause"]),
    )
    return InvoiceRow(**found)


def _values(row: InvoiceRow) -> dict[str, Any]:
    values = {name: getattr(row, name) for name in InvoiceRow.__slots__}
    values.update(
        script=bytes(row.script),
        settlement_script=None if row.settlement_script is None else bytes(row.settlement_script),
        terms=msgspec.json.encode(row.terms),
        amount=int(row.amount),
        paid=int(row.paid),
        gained=int(row.gained),
        status=row.status.value,
        exception=row.exception.value,
        cause=row.cause.value,
    )
    return values
