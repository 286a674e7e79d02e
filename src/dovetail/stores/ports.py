"""The store's interface and its values."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NewType, Protocol, TypeAlias, TypeVar, get_args

import msgspec

from dovetail.bitcoin import Address, OutPoint, Sats, UnixTime
from dovetail.errors import DuplicateSession, ReplayError
from dovetail.protocol.uri import PayjoinUri
from dovetail.sessions.ended import Ending
from dovetail.sessions.receiver.events import ReceiverEvent
from dovetail.sessions.sender.events import SenderEvent
from dovetail.sessions.sightings import Sighting
from dovetail.sessions.standing import Standing, Summary, status_of
from dovetail.sessions.status import SessionStatus
from dovetail.stores.search import EVERY, Wanted
from dovetail.stores.session_index import Role, SessionIndex
from dovetail.stores.stored_event import StoredEvent

__all__ = [
    "EVERY",
    "NESTED",
    "PAID_ALREADY",
    "ROWS_FAILED",
    "SHARED",
    "Appended",
    "E",
    "ImportOutcome",
    "ImportResult",
    "ImportedSession",
    "Role",
    "Rows",
    "SessionId",
    "SessionLog",
    "SessionRow",
    "Store",
    "StoredLog",
    "Wanted",
    "new_entries",
]

SessionId = NewType("SessionId", object)
"""A session's id in its store: opaque and hashable, with a text that a person can type.

Only the store knows its type. SQLite has one writer, so it counts 1, 2, 3, … across both roles:
integers cannot collide, a person can type them, and no command needs the role. An id is never
reused, not even after the newest session was deleted, because inputs and coins are recorded under
it. PostgreSQL has many independent writers, so its ids are UUIDv7 (`uuid.UUID`): they share no
counter, and an id is known before the insert. Sessions do not know their ids.
"""

T = TypeVar("T")
E = TypeVar("E", ReceiverEvent, SenderEvent)


class SessionLog(Protocol[E]):
    """One session's log: a `SessionPersister` and `AsyncSessionPersister` that can also load."""

    @property
    def session_id(self) -> SessionId:
        """The session's id; raises `UsageError` before the first event of a new one is saved."""
        ...

    def append(self, event: E, /, *, seq: int, closes: bool) -> None:
        """See `SessionPersister.append`. Closing releases the session's coins (P3)."""
        ...

    async def append_async(self, event: E, /, *, seq: int, closes: bool) -> None:
        """Append in a thread; a cancelled await does not stop the write."""
        ...

    def advance(self, event: E, state: Any, /, *, seq: int, closes: bool) -> None:
        """Append an event that leads to `state`; the session's row shows a summary of it.

        `append`, and this method with None as the state, replay the log for the summary.
        """
        ...

    async def advance_async(self, event: E, state: Any, /, *, seq: int, closes: bool) -> None:
        """Advance in a thread; a cancelled await does not stop the write."""
        ...

    def load(self) -> tuple[E, ...]:
        """Return all events in order; raises `ReplayError` for a log that cannot be read."""
        ...

    def within(self, connection: Any) -> "SessionLog[E]":
        """Return the log inside the caller's transaction, to save events together with other rows.

        `connection` is the one that `Store.write` passes on, or the caller's own connection to the
        same database in a transaction. Events are durable after the commit and lost after a
        rollback: do not act on a saved state before the commit.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Appended:
    """An event that is being written, for the function that writes the application's rows."""

    session_id: SessionId
    seq: int
    event: ReceiverEvent | SenderEvent
    closes: bool
    """Whether it closes the log."""
    created_at: UnixTime


Rows: TypeAlias = Callable[[Any, Appended], None]
"""Writes the application's rows for an event, on the given connection.

The store calls it for every saved event in the same transaction: both are durable, or neither.
Other writers wait meanwhile, and a repeated transaction calls it again, so it must only use the
connection. If it raises, nothing is written, and the save raises `StoreUnavailable`.
"""


class SessionRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A session's row for lists; it needs no replay."""

    session_id: SessionId
    role: Role
    created_at: UnixTime
    expires_at: UnixTime
    closed_at: UnixTime | None
    last_tag: str
    next_seq: int
    sighting: Sighting | None = None
    """The latest observation of its transactions on the chain by any process, or None."""
    seen_at: UnixTime | None = None
    """When this observation was made first."""
    label: str | None = None
    """The label of the request, such as what an invoice is for."""
    amount: Sats | None = None
    """The amount of the payment, if known."""
    outcome: str | None = None
    """The code of its outcome; None if it is open or its log cannot be read."""
    summary: Summary | None = None
    """A summary of its state or outcome; None if the log must be replayed for that."""

    @property
    def ending(self) -> Ending | None:
        """The summary of its outcome; None if it is open or the log must be replayed."""
        return self.summary if isinstance(self.summary, Ending) else None

    @property
    def standing(self) -> Standing | None:
        """The summary of its state; None if it is closed or the log must be replayed."""
        return self.summary if isinstance(self.summary, Standing) else None

    def status(self, now: UnixTime) -> SessionStatus:
        """Return the session's status; raises `ReplayError` where only its log can tell.

        It can where the log has an event of a newer Dovetail, or the row no summary.
        """
        if self.last_tag not in _TAGS[self.role]:
            raise ReplayError(
                "The session's last event is unknown to this release; upgrade Dovetail to read it."
            )
        if self.closed_at is not None:
            return SessionStatus.CLOSED
        if self.summary is None:
            raise ReplayError("The session's row tells no status: load its log.")
        paying = self.role is Role.SENDER
        return status_of(self.summary, paying=paying, expires_at=self.expires_at, now=now)


_TAGS = {
    role: frozenset(kind.__name__ for kind in get_args(union))
    for role, union in ((Role.RECEIVER, ReceiverEvent), (Role.SENDER, SenderEvent))
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredLog:
    """A stored session: its row and its entries."""

    row: SessionRow
    events: tuple[StoredEvent, ...]


class Store(Protocol):
    """Durable logs of many sessions, with the inputs and coins that they must not share.

    The save of the first event creates the session: row, event and reserved coins are one write.
    It raises `DuplicateSession` if the URI or receiver key was used for a payment before, and
    `CoinsTaken` if another live session holds one of the coins.
    """

    def new_receiver(self) -> SessionLog[ReceiverEvent]:
        """Return the log of a new receiver."""
        ...

    def new_sender(
        self, *, reserving: Collection[OutPoint] = (), alone: bool = False
    ) -> SessionLog[SenderEvent]:
        """Return the log of a new sender that will hold these coins.

        With `alone` the first save also raises `DuplicateSession` if another session pays or paid
        the same address (see `session_paying_to`), in the same transaction.
        """
        ...

    def receiver(self, session_id: SessionId) -> SessionLog[ReceiverEvent]:
        """Return an existing receiver's log; raises `SessionNotFound`."""
        ...

    def sender(self, session_id: SessionId) -> SessionLog[SenderEvent]:
        """Return an existing sender's log; raises `SessionNotFound`."""
        ...

    def row(self, session_id: SessionId) -> SessionRow:
        """Return one session's row; raises `SessionNotFound`."""
        ...

    def session_paying(self, uri: PayjoinUri) -> SessionId | None:
        """Return the session that pays or paid this URI, which excludes another one, or None."""
        ...

    def session_paying_to(self, address: Address) -> SessionId | None:
        """Return the newest session that pays or paid this address by any URI, or None.

        A session that ended without a payment, and can never make one, does not count.
        """
        ...

    def live(self) -> tuple[SessionRow, ...]:
        """Return all open sessions, oldest first."""
        ...

    def heads(self) -> Mapping[SessionId, int]:
        """Return the number of events of each open session."""
        ...

    def refresh_heads(self, heads: dict[SessionId, int]) -> tuple[SessionId, ...]:
        """Bring earlier `heads` up to date, without closed ones; return those new or grown."""
        ...

    def saw(self, session_id: SessionId, sighting: Sighting) -> None:
        """Store the latest chain observation of a session, instead of the earlier one."""
        ...

    def pulse(self) -> int:
        """Return, cheaply, a number of this object that changes with any process's write."""
        ...

    def history(
        self, *, limit: int = 50, before: SessionId | None = None, wanted: Wanted = EVERY
    ) -> tuple[SessionRow, ...]:
        """Return sessions, newest first; `before` is the last session of the previous page.

        Only sessions that meet `wanted`; no log is replayed. Raises `SessionNotFound` for an
        impossible `before`.
        """
        ...

    def doubtful(self, session_ids: Collection[SessionId]) -> frozenset[SessionId]:
        """Return those of these sessions whose log may be damaged.

        An entry is missing, surplus, mislabelled or changed, or has no checksum because it is old.
        Nothing is replayed: use `load_session` to find the damage, if there is any.
        """
        ...

    def stored(self, session_id: SessionId) -> StoredLog:
        """Return a consistent row and log, readable or not; raises `SessionNotFound`."""
        ...

    def adopt(self, moved: "ImportedSession") -> "ImportResult":
        """Import a session of another store, all or nothing (see `transfer`).

        A session with the same first entry as one in this store is the same session. Its log here
        can only grow, by entries that follow its own, if it is open.

        Raises `DuplicateSession` if the logs differ, or another session here has started the
        payment, and `CoinsTaken` if an open session has coins or inputs that another session here
        holds or has seen (P2, P3).
        """
        ...

    def claim(self, session_id: SessionId, outpoints: Collection[OutPoint]) -> frozenset[OutPoint]:
        """Record inputs as seen by this session; return those that another saw first (P2)."""
        ...

    def reserve(
        self, session_id: SessionId, outpoints: Collection[OutPoint]
    ) -> frozenset[OutPoint]:
        """Hold coins for this session; return those that another live session holds (P3).

        Raises `StaleSession` for a closed session, because it would never release them.
        """
        ...

    def release(self, session_id: SessionId) -> None:
        """Release this session's coins; exposed coins stay recorded as exposed."""
        ...

    def expose(self, session_id: SessionId) -> None:
        """Record that a counterparty may learn this session's coins from now on (P3)."""
        ...

    def reserved(self, *, besides: SessionId | None = None) -> frozenset[OutPoint]:
        """Return the coins that live sessions hold, except those of `besides`."""
        ...

    def holders(self) -> Mapping[OutPoint, SessionId]:
        """Return the coins that live sessions hold, each with its session."""
        ...

    def exposed(self) -> frozenset[OutPoint]:
        """Return the coins that any sender has ever seen."""
        ...

    def write(self, work: Callable[[Any], T]) -> T:
        """Run the caller's statements, and saves `within` their connection, as one transaction.

        It is durable when this returns. If `work` raises, nothing is written and its error is
        raised. `work` runs once. Any other write to the store inside `work` raises `UsageError`,
        because it would wait for itself.
        """
        ...

    def write_async(self, work: Callable[[Any], T]) -> Awaitable[T]:
        """Write in a thread; a cancelled await does not stop the write."""
        ...

    def close(self) -> None:
        """Finish all submitted writes and close the database."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ImportedSession:
    """A verified session of another store, for `Store.adopt`."""

    index: SessionIndex
    events: tuple[StoredEvent, ...]
    closed: bool
    seen: frozenset[OutPoint]
    """The inputs it has seen (P2)."""
    coins: frozenset[OutPoint]
    """The wallet's coins that it holds while it is open (P3)."""
    exposed: bool
    """Whether a counterparty may know those coins."""
    summary: Summary | None
    """The summary for its row."""


class ImportOutcome(StrEnum):
    """The result of importing a session."""

    ADDED = "added"
    EXTENDED = "extended"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class ImportResult:
    """The session's id here, and the outcome."""

    session_id: SessionId
    adoption: ImportOutcome


SHARED = (
    "This session shares coins with one that is here: it is not taken in, as only one of them can"
    " be paid with these."
)


def new_entries(here: Sequence[bytes], there: Sequence[bytes]) -> int:
    """Return how many entries the log `there` adds to `here`; raises `DuplicateSession`.

    Entries of a log never change and are never removed.
    """
    common = min(len(here), len(there))
    if here[:common] != there[:common]:
        raise DuplicateSession(
            "This session is here already and has gone another way: go on with the one here."
        )
    return len(there) - common


NESTED = (
    "A write was begun inside another one, which would wait for itself: save to the log's"
    " `within(connection)` instead, with the connection that the outer write was given."
)

ROWS_FAILED = (
    "The rows that go with the event could not be written, so that the event was not written"
    " either."
)

PAID_ALREADY = (
    "Another payment to this address was started before. To pay the address once more, say so with"
    " `again`."
)
