"""What a session's event means for its invoice, written in the event's transaction."""

from dataclasses import replace
from typing import TypeAlias

from sqlalchemy import Connection, select

from dovetail.bitcoin import Psbt, UnixTime
from dovetail.merchant.data import events, record
from dovetail.merchant.data.invoices import InvoiceRow, invoice_of_session
from dovetail.merchant.invoices.negotiation import Negotiation
from dovetail.sessions.receiver.events import (
    CODEC,
    Closed,
    FinalizedProposal,
    IdentifiedReceiverOutputs,
    Released,
    RetrievedOriginalPayload,
)
from dovetail.stores.ports import Appended
from dovetail.stores.sql.schema import session_events

_Told: TypeAlias = IdentifiedReceiverOutputs | FinalizedProposal | Released | Closed


def write(connection: Connection, appended: Appended) -> None:
    """Write the rows that go with an event; the `Rows` of the shop's session store.

    An accepted Original becomes a negotiation, a finalized proposal its pin, and a session that
    ends no longer holds its fallback. A session without an invoice has no rows.
    """
    event = appended.event
    if not isinstance(event, _Told):
        return
    row = invoice_of_session(connection, appended.session_id, lock=True)
    if row is None:
        return

    def grow() -> None:
        negotiation = _grown(connection, row, appended)
        if negotiation is not None:
            record.keep_negotiation(connection, row.id, negotiation)

    events.change(connection, row.id, grow, now=appended.created_at)


def _grown(connection: Connection, row: InvoiceRow, appended: Appended) -> Negotiation | None:
    """The negotiation of the session's Original, after this event; None without an Original."""
    known = record.negotiations_of(connection, row.id)
    match appended.event:
        case IdentifiedReceiverOutputs():
            return _begun(connection, row, appended)
        case FinalizedProposal(psbt=proposal) if known:
            return known[-1].pinned(Psbt.parse(proposal), scripts=row.scripts)
        case Released() | Closed() if known:
            return replace(known[-1], held=False)
        case _:
            return None


def _begun(connection: Connection, row: InvoiceRow, appended: Appended) -> Negotiation:
    """The negotiation of the Original that the session has accepted: the last that it retrieved."""
    query = (
        select(session_events.c.data)
        .where(
            session_events.c.session_id == appended.session_id,
            session_events.c.tag == RetrievedOriginalPayload.__name__,
        )
        .order_by(session_events.c.seq.desc())
        .limit(1)
    )
    found = CODEC.decode(bytes(connection.execute(query).scalar_one()))
    if not isinstance(found, RetrievedOriginalPayload):
        raise TypeError(type(found).__name__)
    fallback = Psbt.parse(found.psbt).extract()
    return Negotiation.of(fallback, script=row.script, received_at=UnixTime(found.retrieved_at))
