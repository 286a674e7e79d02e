"""Logs in memory, for tests and for programs that outlive their sessions."""

import threading
import time
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Generic

from dovetail.bitcoin import Address, OutPoint, UnixTime
from dovetail.errors import (
    CoinsTaken,
    DuplicateSession,
    SessionNotFound,
    StaleSession,
    UsageError,
)
from dovetail.protocol.uri import PayjoinUri
from dovetail.sessions.codec import EventCodec
from dovetail.sessions.receiver.events import CODEC as RECEIVER_CODEC
from dovetail.sessions.receiver.events import ReceiverEvent
from dovetail.sessions.sender.events import CODEC as SENDER_CODEC
from dovetail.sessions.sender.events import SenderEvent
from dovetail.sessions.sightings import Sighting
from dovetail.stores.entries import RawEvent, raw_event
from dovetail.stores.logs import read
from dovetail.stores.ports import (
    PAID_ALREADY,
    SHARED,
    Adopted,
    Adoption,
    E,
    Facts,
    Moved,
    Role,
    SessionId,
    SessionRow,
    StoredLog,
    facts_of,
    growth,
    may_have_paid,
    payment_facts,
)


def _payment(facts: Facts) -> tuple[str | bytes | None, ...]:
    key = facts.receiver_pubkey
    return (key,) if key else (facts.address, facts.pj_uri)


class MemoryStore:
    """A `Store` that is gone with its process. Safe to share between threads."""

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        """Start empty; `clock` gives the time that rows carry."""
        self._clock = clock
        self._lock = threading.RLock()
        self._rows: dict[SessionId, SessionRow] = {}
        self._entries: dict[SessionId, list[RawEvent]] = {}
        self._payments: dict[tuple[str | bytes | None, ...], SessionId] = {}
        self._payees: dict[SessionId, str] = {}
        self._seen: dict[OutPoint, SessionId] = {}
        self._held: dict[OutPoint, SessionId] = {}
        self._exposed: set[OutPoint] = set()

    def close(self) -> None:
        """See `Store.close`: there is nothing to let go of."""

    def new_receiver(self) -> "MemoryLog[ReceiverEvent]":
        """See `Store.new_receiver`."""
        return MemoryLog(self, RECEIVER_CODEC, None)

    def new_sender(
        self, *, reserving: Collection[OutPoint] = (), alone: bool = False
    ) -> "MemoryLog[SenderEvent]":
        """See `Store.new_sender`."""
        return MemoryLog(self, SENDER_CODEC, None, reserving=reserving, alone=alone)

    def receiver(self, session_id: SessionId) -> "MemoryLog[ReceiverEvent]":
        """See `Store.receiver`."""
        return MemoryLog(self, RECEIVER_CODEC, self._known(session_id, Role.RECEIVER))

    def sender(self, session_id: SessionId) -> "MemoryLog[SenderEvent]":
        """See `Store.sender`."""
        return MemoryLog(self, SENDER_CODEC, self._known(session_id, Role.SENDER))

    def row(self, session_id: SessionId) -> SessionRow:
        """See `Store.row`."""
        try:
            return self._rows[session_id]
        except KeyError:
            raise SessionNotFound(
                f"There is no session {session_id}: `dovetail history` lists them."
            ) from None

    def paying(self, uri: PayjoinUri) -> SessionId | None:
        """See `Store.paying`."""
        return self._payments.get(_payment(payment_facts(uri)))

    def paying_to(self, address: Address) -> SessionId | None:
        """See `Store.paying_to`."""
        with self._lock:
            for session_id, row in reversed(self._rows.items()):
                paid = self._payees.get(session_id) == str(address)
                last = self._entries[session_id][-1].data
                if paid and (row.closed_at is None or may_have_paid(last)):
                    return session_id
        return None

    def live(self) -> tuple[SessionRow, ...]:
        """See `Store.live`."""
        with self._lock:
            return tuple(row for row in self._rows.values() if row.closed_at is None)

    def heads(self) -> dict[SessionId, int]:
        """See `Store.heads`."""
        return {row.session_id: row.next_seq for row in self.live()}

    def saw(self, session_id: SessionId, sighting: Sighting) -> None:
        """See `Store.saw`."""
        with self._lock:
            row = self._rows[session_id]
            self._rows[session_id] = replace(row, sighting=sighting, seen_at=self.now())

    def pulse(self) -> int:
        """See `Store.pulse`."""
        with self._lock:
            return sum(map(len, self._entries.values()))

    def history(
        self, *, limit: int = 50, before: SessionId | None = None
    ) -> tuple[SessionRow, ...]:
        """See `Store.history`."""
        with self._lock:
            rows = [row for row in self._rows.values() if before is None or row.session_id < before]
        return tuple(reversed(rows))[:limit]

    def stored(self, session_id: SessionId) -> StoredLog:
        """See `Store.stored`."""
        with self._lock:
            return StoredLog(row=self.row(session_id), events=tuple(self._entries[session_id]))

    def adopt(self, moved: Moved) -> Adopted:
        """See `Store.adopt`."""
        entries = [entry.data for entry in moved.events]
        with self._lock:
            known = (each for each, here in self._entries.items() if here[0].data == entries[0])
            session_id = next(known, None)
            here = [] if session_id is None else [e.data for e in self._entries[session_id]]
            if session_id is not None and not growth(here, entries):
                return Adopted(session_id, Adoption.UNCHANGED)
            self._refuse_shared(session_id, moved)
            if session_id is not None:
                self._take_in(session_id, moved, len(here))
                return Adopted(session_id, Adoption.EXTENDED)
            session_id = self.create(moved.facts, moved.events[0], ())
            self._take_in(session_id, moved, 1)
            return Adopted(session_id, Adoption.ADDED)

    def claim(self, session_id: SessionId, outpoints: Collection[OutPoint]) -> frozenset[OutPoint]:
        """See `Store.claim`."""
        return self._take(self._seen, session_id, outpoints)

    def reserve(
        self, session_id: SessionId, outpoints: Collection[OutPoint]
    ) -> frozenset[OutPoint]:
        """See `Store.reserve`."""
        with self._lock:
            if outpoints and self.row(session_id).closed_at is not None:
                raise StaleSession(
                    "This session was closed since it was loaded: load it again before you act on"
                    " it."
                )
            return self._take(self._held, session_id, outpoints)

    def release(self, session_id: SessionId) -> None:
        """See `Store.release`."""
        with self._lock:
            self._held = {
                coin: holder for coin, holder in self._held.items() if holder != session_id
            }

    def expose(self, session_id: SessionId) -> None:
        """See `Store.expose`."""
        with self._lock:
            self._exposed |= {coin for coin, holder in self._held.items() if holder == session_id}

    def reserved(self) -> frozenset[OutPoint]:
        """See `Store.reserved`."""
        with self._lock:
            return frozenset(self._held)

    def exposed(self) -> frozenset[OutPoint]:
        """See `Store.exposed`."""
        with self._lock:
            return frozenset(self._exposed)

    def create(
        self,
        facts: Facts,
        entry: RawEvent,
        reserving: Collection[OutPoint],
        *,
        alone: bool = False,
    ) -> SessionId:
        """Add a session with its first entry and its coins, or nothing."""
        payment = _payment(facts)
        with self._lock:
            if alone and self.paying_to(Address.parse(facts.address)) is not None:
                raise DuplicateSession(PAID_ALREADY)
            if facts.role is Role.SENDER and payment in self._payments:
                raise DuplicateSession(
                    "A payment to this URI was started before: ask the receiver for a new URI"
                    " to pay again."
                )
            if not self._held.keys().isdisjoint(reserving):
                raise CoinsTaken("Another live session holds one of the coins: choose others.")
            session_id = SessionId(len(self._rows) + 1)
            self._rows[session_id] = SessionRow(
                session_id=session_id,
                role=facts.role,
                created_at=entry.created_at,
                expires_at=UnixTime(facts.expires_at),
                closed_at=None,
                last_tag=entry.tag,
                next_seq=1,
            )
            self._entries[session_id] = [entry]
            self._payments[payment] = session_id
            if facts.role is Role.SENDER:
                self._payees[session_id] = facts.address
            self.reserve(session_id, reserving)
            return session_id

    def add(self, session_id: SessionId, entry: RawEvent, *, closes: bool) -> None:
        """Add one entry and close, or nothing (M1, M5)."""
        with self._lock:
            row = self._rows[session_id]
            if row.closed_at is not None or row.next_seq != entry.seq:
                raise StaleSession(
                    "This session has moved on since it was loaded: load it again before you"
                    " act on it."
                )
            self._entries[session_id].append(entry)
            self._rows[session_id] = replace(
                row,
                last_tag=entry.tag,
                next_seq=entry.seq + 1,
                closed_at=entry.created_at if closes else None,
            )
            if closes:
                self.release(session_id)

    def _take(
        self,
        taken: dict[OutPoint, SessionId],
        session_id: SessionId,
        outpoints: Collection[OutPoint],
    ) -> frozenset[OutPoint]:
        with self._lock:
            return frozenset(
                coin for coin in outpoints if taken.setdefault(coin, session_id) != session_id
            )

    def _known(self, session_id: SessionId, role: Role) -> SessionId:
        if self.row(session_id).role is not role:
            raise SessionNotFound(f"Session {session_id} is not a {role} session: check its id.")
        return session_id

    def _refuse_shared(self, session_id: SessionId | None, moved: Moved) -> None:
        """Raise `CoinsTaken` before anything is written."""
        if not moved.closed and any(
            holder not in (None, session_id)
            for holder in (
                *map(self._seen.get, moved.seen),
                *map(self._held.get, moved.coins),
            )
        ):
            raise CoinsTaken(SHARED)

    def _take_in(self, session_id: SessionId, moved: Moved, known: int) -> None:
        for entry in moved.events[known:]:
            closes = moved.closed and entry is moved.events[-1]
            self.add(session_id, entry, closes=closes)
        self.claim(session_id, moved.seen)
        if not moved.closed:
            self.reserve(session_id, moved.coins)
        if moved.exposed:
            self._exposed |= moved.coins

    def now(self) -> UnixTime:
        """The time that new entries carry."""
        return UnixTime(int(self._clock()))


class MemoryLog(Generic[E]):
    """One session's log; see `SessionLog`."""

    def __init__(
        self,
        store: MemoryStore,
        codec: EventCodec[E],
        session_id: SessionId | None,
        *,
        reserving: Collection[OutPoint] = (),
        alone: bool = False,
    ) -> None:
        """`session_id` is None for a session whose first event is not saved yet."""
        self._store = store
        self._codec: EventCodec[E] = codec
        self._session_id = session_id
        self._reserving = reserving
        self._alone = alone

    @property
    def session_id(self) -> SessionId:
        """See `SessionLog.session_id`."""
        if self._session_id is None:
            raise UsageError("The session has no id yet: save its first event.")
        return self._session_id

    def load(self) -> tuple[E, ...]:
        """See `SessionLog.load`."""
        return read(self._codec, self._store.stored(self.session_id))

    def append(self, event: E, /, *, seq: int, closes: bool) -> None:
        """See `SessionLog.append`."""
        data = self._codec.encode(event)
        entry = raw_event(seq, type(event).__name__, data, self._store.now())
        if self._session_id is not None:
            self._store.add(self._session_id, entry, closes=closes)
            return
        if seq != 0:
            raise StaleSession("A new log begins at 0: reload the session.")
        self._session_id = self._store.create(
            facts_of(event), entry, self._reserving, alone=self._alone
        )

    async def append_async(self, event: E, /, *, seq: int, closes: bool) -> None:
        """See `SessionLog.append_async`."""
        self.append(event, seq=seq, closes=closes)
