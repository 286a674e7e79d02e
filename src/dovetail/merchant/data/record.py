"""The record of an invoice: what the rules judge, read and grown (ADR 0055)."""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Connection, func, insert, select, update

from dovetail.bitcoin import OutPoint, Sats, Script, Transaction, Txid, TxOut, UnixTime
from dovetail.errors import UsageError
from dovetail.merchant.data import invoices as rows
from dovetail.merchant.data.invoices import InvoiceRow
from dovetail.merchant.data.schema import (
    counters,
    invoice_transactions,
    invoices,
    marks,
    negotiations,
)
from dovetail.merchant.invoices.invoice import Invoice, Mark
from dovetail.merchant.invoices.life import InvoiceState, state_of
from dovetail.merchant.invoices.negotiation import Negotiation, Pin
from dovetail.merchant.invoices.payments import Look, Payments, Seen
from dovetail.stores.sql.upsert import upsert

_LOOKS = "looks"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """All that is recorded of an invoice."""

    row: InvoiceRow
    invoice: Invoice
    payments: Payments
    negotiations: tuple[Negotiation, ...]
    marks: tuple[Mark, ...]

    def state(self, now: UnixTime) -> InvoiceState:
        """Where it stands at `now`."""
        return state_of(self.invoice, self.payments, self.negotiations, self.marks, now=now)


def load(connection: Connection, invoice_id: UUID, *, lock: bool = False) -> Record:
    """Return the record of an invoice; raises `UsageError` where there is none.

    With `lock` no other transaction changes it until this one ends.
    """
    row = rows.invoice(connection, invoice_id, lock=lock)
    if row is None:
        raise UsageError("No invoice has this id.")
    return Record(
        row=row,
        invoice=row.invoice(),
        payments=Payments(MappingProxyType(_seen(connection, invoice_id)), row.looked),
        negotiations=negotiations_of(connection, invoice_id),
        marks=_marks(connection, invoice_id),
    )


def next_look(connection: Connection) -> int:
    """Return the number of the next look at the chain: take it before the chain is asked."""
    statement = upsert(connection, counters).values(name=_LOOKS, value=1)
    statement = statement.on_conflict_do_update(
        index_elements=[counters.c.name], set_={"value": counters.c.value + 1}
    ).returning(counters.c.value)
    return int(connection.execute(statement).scalar_one())


def add_look(connection: Connection, invoice_id: UUID, look: Look) -> None:
    """Add a whole look for an invoice; looks may come late and twice."""
    record = load(connection, invoice_id, lock=True)
    grown = record.payments.after(look)
    before = record.payments.seen
    for txid, seen in grown.seen.items():
        if before.get(txid) != seen:
            _keep(connection, invoice_id, seen)
    if grown.looked != record.row.looked:
        connection.execute(
            update(invoices).where(invoices.c.id == invoice_id).values(looked=grown.looked)
        )


def add_mark(
    connection: Connection, invoice_id: UUID, *, settled: bool, by: str, now: UnixTime
) -> None:
    """Record a person's decision about an invoice; raises `UsageError` for an unknown one."""
    if rows.invoice(connection, invoice_id, lock=True) is None:
        raise UsageError("No invoice has this id.")
    connection.execute(
        insert(marks).values(
            invoice_id=invoice_id,
            number=_next(connection, marks, invoice_id),
            settled=settled,
            by=by,
            at=int(now),
        )
    )


def negotiations_of(connection: Connection, invoice_id: UUID) -> tuple[Negotiation, ...]:
    """Return the negotiations of an invoice, the oldest first."""
    query = (
        select(negotiations.c.negotiation)
        .where(negotiations.c.invoice_id == invoice_id)
        .order_by(negotiations.c.number)
    )
    return tuple(map(decode_negotiation, connection.execute(query).scalars()))


def keep_negotiation(connection: Connection, invoice_id: UUID, wanted: Negotiation) -> None:
    """Add a negotiation, or put it in the place of the one about the same fallback.

    The caller has locked the invoice, as negotiations are numbered by counting them.
    """
    for number, known in enumerate(negotiations_of(connection, invoice_id), 1):
        if known.fallback == wanted.fallback:
            connection.execute(
                update(negotiations)
                .where(negotiations.c.invoice_id == invoice_id, negotiations.c.number == number)
                .values(negotiation=encode_negotiation(wanted))
            )
            return
    connection.execute(
        insert(negotiations).values(
            invoice_id=invoice_id,
            number=_next(connection, negotiations, invoice_id),
            negotiation=encode_negotiation(wanted),
        )
    )


def _next(connection: Connection, table: Any, invoice_id: UUID) -> int:
    query = select(func.count()).select_from(table).where(table.c.invoice_id == invoice_id)
    return int(connection.execute(query).scalar_one()) + 1


def _seen(connection: Connection, invoice_id: UUID) -> dict[Txid, Seen]:
    query = select(invoice_transactions).where(invoice_transactions.c.invoice_id == invoice_id)
    found = (
        Seen(
            Transaction.parse(row.raw),
            UnixTime(row.first_seen),
            row.look,
            row.depth,
            row.deepest,
        )
        for row in connection.execute(query)
    )
    return {seen.transaction.txid: seen for seen in found}


def _keep(connection: Connection, invoice_id: UUID, seen: Seen) -> None:
    values = {
        "first_seen": int(seen.first_seen),
        "look": seen.look,
        "depth": seen.depth,
        "deepest": seen.deepest,
    }
    statement = upsert(connection, invoice_transactions).values(
        invoice_id=invoice_id,
        txid=str(seen.transaction.txid),
        raw=seen.transaction.serialize(),
        **values,
    )
    table = invoice_transactions.c
    connection.execute(
        statement.on_conflict_do_update(index_elements=[table.invoice_id, table.txid], set_=values)
    )


def _marks(connection: Connection, invoice_id: UUID) -> tuple[Mark, ...]:
    query = select(marks).where(marks.c.invoice_id == invoice_id).order_by(marks.c.number)
    return tuple(
        Mark(number=row.number, settled=row.settled, by=row.by, at=UnixTime(row.at))
        for row in connection.execute(query)
    )


class _PinStruct(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    skeleton: str
    inputs: tuple[tuple[str, int], ...]
    outputs: tuple[tuple[int, bytes], ...]
    gain: int
    fees: int


class _NegotiationStruct(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    fallback: str
    coins: tuple[str, ...]
    value: int
    received_at: int
    held: bool
    pin: _PinStruct | None


def encode_negotiation(negotiation: Negotiation) -> bytes:
    """Return a negotiation as JSON."""
    pin = negotiation.pin
    return msgspec.json.encode(
        _NegotiationStruct(
            fallback=str(negotiation.fallback),
            coins=tuple(sorted(map(str, negotiation.coins))),
            value=int(negotiation.value),
            received_at=int(negotiation.received_at),
            held=negotiation.held,
            pin=None
            if pin is None
            else _PinStruct(
                skeleton=str(pin.skeleton),
                inputs=tuple((str(outpoint), int(value)) for outpoint, value in pin.inputs),
                outputs=tuple((int(each.value), bytes(each.script_pubkey)) for each in pin.outputs),
                gain=int(pin.gain),
                fees=int(pin.fees),
            ),
        )
    )


def decode_negotiation(entry: bytes) -> Negotiation:
    """Return the negotiation of an entry."""
    found = msgspec.json.decode(entry, type=_NegotiationStruct)
    return Negotiation(
        fallback=Txid.from_hex(found.fallback),
        coins=frozenset(map(OutPoint.parse, found.coins)),
        value=Sats(found.value),
        received_at=UnixTime(found.received_at),
        held=found.held,
        pin=None if found.pin is None else _pin(found.pin),
    )


def _pin(found: _PinStruct) -> Pin:
    return Pin(
        skeleton=Txid.from_hex(found.skeleton),
        inputs=tuple((OutPoint.parse(coin), Sats(value)) for coin, value in found.inputs),
        outputs=tuple(TxOut(Sats(value), Script(script)) for value, script in found.outputs),
        gain=Sats(found.gain),
        fees=Sats(found.fees),
    )
