"""The contents of a `MemoryStore` and its changes, which are atomic and by one thread."""

from collections.abc import Collection, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import Any

from msgspec.structs import replace

from dovetail.actions import Action
from dovetail.bitcoin import Address, OutPoint, Sats, UnixTime
from dovetail.errors import CoinsTaken, DuplicateSession, SessionNotFound, StaleSession
from dovetail.sessions.ended import Ending
from dovetail.sessions.outcomes import code_of
from dovetail.sessions.standing import Summary, encode_summary
from dovetail.stores.ports import (
    PAID_ALREADY,
    SHARED,
    ImportedSession,
    ImportOutcome,
    ImportResult,
    SessionId,
    SessionRow,
    new_entries,
)
from dovetail.stores.search import Wanted, request_says, row_says
from dovetail.stores.session_index import SenderIndex, SessionIndex, may_have_paid
from dovetail.stores.stored_event import StoredEvent, is_as_written
from dovetail.stores.summary import summary_after


@dataclass(slots=True, repr=False)
class MemoryTables:
    """The contents of a `MemoryStore`; also the connection that its `write` passes on.

    `rows` is for the application's rows. It is not copied deeply, so replace its values and do not
    change them.
    """

    rows: dict[Any, Any] = field(default_factory=dict[Any, Any])
    sessions: dict[SessionId, SessionRow] = field(default_factory=dict[SessionId, SessionRow])
    entries: dict[SessionId, tuple[StoredEvent, ...]] = field(
        default_factory=dict[SessionId, tuple[StoredEvent, ...]]
    )
    payments: dict[tuple[str | bytes, ...], SessionId] = field(
        default_factory=dict[tuple[str | bytes, ...], SessionId]
    )
    payees: dict[SessionId, str] = field(default_factory=dict[SessionId, str])
    """The addresses that senders pay."""
    addresses: dict[SessionId, str] = field(default_factory=dict[SessionId, str])
    seen: dict[OutPoint, SessionId] = field(default_factory=dict[OutPoint, SessionId])
    held: dict[OutPoint, SessionId] = field(default_factory=dict[OutPoint, SessionId])
    exposed: set[OutPoint] = field(default_factory=set[OutPoint])

    def copy(self) -> dict[str, Any]:
        """Return a copy of the contents, for `restore`."""
        return {each.name: getattr(self, each.name).copy() for each in fields(self)}

    def restore(self, copy: Mapping[str, Any]) -> None:
        """Undo all changes since the copy."""
        for name, value in copy.items():
            setattr(self, name, value)

    def row(self, session_id: SessionId) -> SessionRow:
        """See `Store.row`."""
        try:
            return self.sessions[session_id]
        except KeyError:
            raise SessionNotFound(
                f"There is no session {session_id}.", actions=(Action.LIST,)
            ) from None

    def meets(self, row: SessionRow, wanted: Wanted) -> bool:
        """Whether a session meets the conditions."""
        return (
            wanted.open in (None, row.closed_at is None)
            and wanted.role in (None, row.role)
            and (wanted.since is None or row.created_at >= wanted.since)
            and (wanted.text is None or self._says(row, wanted.text))
        )

    def _says(self, row: SessionRow, text: str) -> bool:
        seen, summary = row.sighting, row.summary
        shown = () if seen is None else (str(each).encode() for each in (seen.txid, *seen.beside))
        txids = b" ".join((b"" if summary is None else encode_summary(summary), *shown))
        label, address = (row.label or "").encode(), self.addresses[row.session_id].encode()
        first = self.entries[row.session_id][0].data
        return row_says(text, label, address, txids) or request_says(text, first)

    def session_paying_to(self, address: Address) -> SessionId | None:
        """See `Store.session_paying_to`."""
        for session_id, row in reversed(self.sessions.items()):
            paid = self.payees.get(session_id) == str(address)
            last = self.entries[session_id][-1].data
            if paid and (row.closed_at is None or may_have_paid(last)):
                return session_id
        return None

    def create(
        self,
        index: SessionIndex,
        entry: StoredEvent,
        reserving: Collection[OutPoint],
        summary: Summary | None,
        *,
        alone: bool = False,
    ) -> SessionId:
        """Add a session with its first entry and its coins, all or nothing."""
        if alone and self.session_paying_to(Address.parse(index.address)) is not None:
            raise DuplicateSession(PAID_ALREADY, actions=(Action.LIST,))
        if isinstance(index, SenderIndex) and payment_of(index) in self.payments:
            raise DuplicateSession(
                "A payment to this URI was started before: ask the receiver for a new URI"
                " to pay again."
            )
        if not self.held.keys().isdisjoint(reserving):
            raise CoinsTaken("Another live session holds one of the coins: choose others.")
        session_id = SessionId(len(self.sessions) + 1)
        self.sessions[session_id] = SessionRow(
            session_id=session_id,
            role=index.role,
            created_at=entry.created_at,
            expires_at=UnixTime(index.expires_at),
            closed_at=None,
            last_tag=entry.tag,
            next_seq=1,
            label=index.label,
            amount=_amount(summary),
            summary=summary,
        )
        self.entries[session_id] = (entry,)
        self.addresses[session_id] = index.address
        if isinstance(index, SenderIndex):
            self.payments[payment_of(index)] = session_id
            self.payees[session_id] = index.address
        self.reserve(session_id, reserving)
        return session_id

    def add(
        self, session_id: SessionId, entry: StoredEvent, *, closes: bool, summary: Summary | None
    ) -> None:
        """Add one entry and perhaps close the session, all or nothing (M1, M5)."""
        row = self.sessions[session_id]
        if row.closed_at is not None or row.next_seq != entry.seq:
            raise StaleSession(
                "This session has moved on since it was loaded: load it again before you act on it."
            )
        self.entries[session_id] += (entry,)
        self.sessions[session_id] = replace(
            row,
            last_tag=entry.tag,
            next_seq=entry.seq + 1,
            closed_at=entry.created_at if closes else None,
            outcome=code_of(summary.outcome) if isinstance(summary, Ending) else None,
            amount=_amount(summary),
            summary=summary,
        )
        if closes:
            self.release(session_id)

    def drawn(self, session_id: SessionId, entry: StoredEvent, *, closes: bool) -> Summary | None:
        """Return the summary of a log with its next entry, by a replay."""
        entries = [each.data for each in (*self.entries[session_id], entry)]
        return summary_after(self.sessions[session_id].role, entries, closes=closes)

    def is_doubtful(self, session_id: SessionId) -> bool:
        """See `Store.doubtful`."""
        row, entries = self.row(session_id), self.entries[session_id]
        ends_so = len(entries) == row.next_seq and entries[-1].tag == row.last_tag
        return not ends_so or not all(
            entry.seq == seq and is_as_written(seq, entry.tag.encode(), entry.data, entry.checksum)
            for seq, entry in enumerate(entries)
        )

    def claim(self, session_id: SessionId, outpoints: Collection[OutPoint]) -> frozenset[OutPoint]:
        """See `Store.claim`."""
        return _take(self.seen, session_id, outpoints)

    def reserve(
        self, session_id: SessionId, outpoints: Collection[OutPoint]
    ) -> frozenset[OutPoint]:
        """See `Store.reserve`."""
        if outpoints and self.row(session_id).closed_at is not None:
            raise StaleSession(
                "This session was closed since it was loaded: load it again before you act on it."
            )
        return _take(self.held, session_id, outpoints)

    def release(self, session_id: SessionId) -> None:
        """See `Store.release`."""
        self.held = {coin: holder for coin, holder in self.held.items() if holder != session_id}

    def expose(self, session_id: SessionId) -> None:
        """See `Store.expose`."""
        self.exposed |= {coin for coin, holder in self.held.items() if holder == session_id}

    def adopt(self, moved: ImportedSession) -> ImportResult:
        """See `Store.adopt`."""
        entries = [entry.data for entry in moved.events]
        known = (each for each, here in self.entries.items() if here[0].data == entries[0])
        session_id = next(known, None)
        here = [] if session_id is None else [entry.data for entry in self.entries[session_id]]
        if session_id is not None and not new_entries(here, entries):
            return ImportResult(session_id, ImportOutcome.UNCHANGED)
        self._refuse_shared(session_id, moved)
        if session_id is not None:
            self._take_in(session_id, moved, len(here))
            return ImportResult(session_id, ImportOutcome.EXTENDED)
        summary = moved.summary if len(moved.events) == 1 else None
        session_id = self.create(moved.index, moved.events[0], (), summary)
        self._take_in(session_id, moved, 1)
        return ImportResult(session_id, ImportOutcome.ADDED)

    def _refuse_shared(self, session_id: SessionId | None, moved: ImportedSession) -> None:
        """Raise `CoinsTaken` before anything is written."""
        holders = (*map(self.seen.get, moved.seen), *map(self.held.get, moved.coins))
        if not moved.closed and any(holder not in (None, session_id) for holder in holders):
            raise CoinsTaken(SHARED)

    def _take_in(self, session_id: SessionId, moved: ImportedSession, known: int) -> None:
        for entry in moved.events[known:]:
            last = entry is moved.events[-1]
            summary = moved.summary if last else None
            self.add(session_id, entry, closes=moved.closed and last, summary=summary)
        self.claim(session_id, moved.seen)
        if not moved.closed:
            self.reserve(session_id, moved.coins)
        if moved.exposed:
            self.exposed |= moved.coins


@contextmanager
def undoable(tables: MemoryTables) -> Generator[None]:
    """Keep the writes of the block, or none if it raises."""
    before = tables.copy()
    try:
        yield
    except BaseException:
        tables.restore(before)
        raise


def _amount(summary: Summary | None) -> Sats | None:
    return None if summary is None or summary.amount is None else Sats(summary.amount)


def payment_of(index: SenderIndex) -> tuple[str | bytes, ...]:
    """Return the unique key of a payment."""
    key = index.receiver_pubkey
    return (key,) if key else (index.address, index.pj_uri)


def _take(
    taken: dict[OutPoint, SessionId], session_id: SessionId, outpoints: Collection[OutPoint]
) -> frozenset[OutPoint]:
    return frozenset(coin for coin in outpoints if taken.setdefault(coin, session_id) != session_id)
