"""What every store offers, and the values it speaks in."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NewType, Protocol, TypeAlias, TypeVar

import msgspec

from dovetail.bitcoin import Address, OutPoint, Sats, UnixTime
from dovetail.errors import DuplicateSession
from dovetail.protocol.uri import PayjoinUri
from dovetail.sessions.ended import Ending
from dovetail.sessions.receiver.events import ReceiverEvent
from dovetail.sessions.sender.events import SenderEvent
from dovetail.sessions.sightings import Sighting
from dovetail.sessions.standing import Standing, Summary
from dovetail.sessions.status import SessionStatus, status_of
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
"""A session's name in its store: opaque, hashable, with a text that a person can type back.

Only the store knows what it is. SQLite has one writer, so it counts 1, 2, 3, … across both roles:
integers cannot collide there, a person can type them, and no command needs to be told the role.
An id is never given twice, not even after the newest session was deleted: what a session has seen
and shown is kept under its id. A store with many independent writers uses UUIDv7 instead: they
share no counter, and an id is there before the insert. The sessions themselves know neither.
"""

T = TypeVar("T")
E = TypeVar("E", ReceiverEvent, SenderEvent)


class SessionLog(Protocol[E]):
    """One session's log: a `SessionPersister` and an `AsyncSessionPersister` that reads too."""

    @property
    def session_id(self) -> SessionId:
        """The session's id; raises `UsageError` before the first event of a new one is saved."""
        ...

    def append(self, event: E, /, *, seq: int, closes: bool) -> None:
        """See `SessionPersister.append`. Closing gives the session's coins back (P3)."""
        ...

    async def append_async(self, event: E, /, *, seq: int, closes: bool) -> None:
        """As `append`; a cancelled await leaves the write running to its end."""
        ...

    def advance(self, event: E, state: Any, /, *, seq: int, closes: bool) -> None:
        """As `append`, for an event that leads to `state`: lists show what is drawn from it.

        `append` has to replay the log for that, and so has this where the state is None.
        """
        ...

    async def advance_async(self, event: E, state: Any, /, *, seq: int, closes: bool) -> None:
        """As `advance`; a cancelled await leaves the write running to its end."""
        ...

    def load(self) -> tuple[E, ...]:
        """All events in order; raises `ReplayError` for a log that cannot be read."""
        ...

    def within(self, connection: Any) -> "SessionLog[E]":
        """The same log inside a transaction of the caller's, to save events beside other rows.

        `connection` is what `Store.write` gives, or a connection of the caller's own to the same
        database, in a transaction. What is appended is durable once that is committed, and gone
        if it is taken back: a state that a save within it gave does not count before.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Appended:
    """An event that is being written, as the rows that go with it need to know it."""

    session_id: SessionId
    seq: int
    event: ReceiverEvent | SenderEvent
    closes: bool
    """Whether the log ends with it."""
    created_at: UnixTime


Rows: TypeAlias = Callable[[Any, Appended], None]
"""Writes the rows of an application that go with an event, on the connection it is given.

A store that has one calls it for every event that is saved, in the same transaction: both are
durable, or neither is. It runs where the store writes, with others waiting, and again where that
transaction has to be repeated; so it does nothing but use the connection. If it raises, nothing is
written, and the save raises `StoreUnavailable`.
"""


class SessionRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A session as lists show it, known without replay."""

    session_id: SessionId
    role: Role
    created_at: UnixTime
    expires_at: UnixTime
    closed_at: UnixTime | None
    last_tag: str
    next_seq: int
    sighting: Sighting | None = None
    """What the chain showed of its money, as any process saw it last; None: nothing yet."""
    seen_at: UnixTime | None = None
    """When that was first so."""
    label: str | None = None
    """The label of the request, such as what an invoice is for."""
    amount: Sats | None = None
    """What is paid, as far as it is known."""
    outcome: str | None = None
    """The code of how it ended; None while it is open, and for a log that cannot be read."""
    summary: Summary | None = None
    """Where it stands, or what it came to; None where only its log can tell, if it can be read."""

    @property
    def ending(self) -> Ending | None:
        """What it came to; None while it is open, and where only its log can tell."""
        return self.summary if isinstance(self.summary, Ending) else None

    @property
    def standing(self) -> Standing | None:
        """Where it stands; None once it is closed, and where only its log can tell."""
        return self.summary if isinstance(self.summary, Standing) else None

    def status(self, now: UnixTime) -> SessionStatus:
        """Where the session stands; raises `ReplayError` for a log by a newer Dovetail."""
        return status_of(
            self.role.value,
            self.last_tag,
            expires_at=self.expires_at,
            now=now,
            closed=self.closed_at is not None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredLog:
    """A session as it lies in the store."""

    row: SessionRow
    events: tuple[StoredEvent, ...]


class Store(Protocol):
    """Durable logs of many sessions, and what sessions must not share.

    A new session exists from the save of its first event: row, event and reserved coins are
    one write. That save raises `DuplicateSession` when the URI or receiver key was used for a
    payment before, and `CoinsTaken` when another live session holds one of the coins.
    """

    def new_receiver(self) -> SessionLog[ReceiverEvent]:
        """The log of a receiver that is about to be created."""
        ...

    def new_sender(
        self, *, reserving: Collection[OutPoint] = (), alone: bool = False
    ) -> SessionLog[SenderEvent]:
        """The log of a sender that is about to be created, holding these coins.

        `alone`: its first save raises `DuplicateSession` too where another session pays the same
        address or did (see `session_paying_to`), which the same statement looks for.
        """
        ...

    def receiver(self, session_id: SessionId) -> SessionLog[ReceiverEvent]:
        """An existing receiver's log; raises `SessionNotFound`."""
        ...

    def sender(self, session_id: SessionId) -> SessionLog[SenderEvent]:
        """An existing sender's log; raises `SessionNotFound`."""
        ...

    def row(self, session_id: SessionId) -> SessionRow:
        """One session; raises `SessionNotFound`."""
        ...

    def session_paying(self, uri: PayjoinUri) -> SessionId | None:
        """The session that pays this URI or did, so that it cannot be paid again; None: none."""
        ...

    def session_paying_to(self, address: Address) -> SessionId | None:
        """The newest session that pays this address or did, by whatever URI; None: none.

        One that ended without a payment, and can never make it, does not count.
        """
        ...

    def live(self) -> tuple[SessionRow, ...]:
        """Every session whose log is open, oldest first."""
        ...

    def heads(self) -> Mapping[SessionId, int]:
        """How many events each open session has."""
        ...

    def saw(self, session_id: SessionId, sighting: Sighting) -> None:
        """Keep what the chain shows of a session's money, in place of what it showed before."""
        ...

    def pulse(self) -> int:
        """A number that changes with every write, by whichever process; cheap to ask for often.

        It compares only with what the same store gave before.
        """
        ...

    def history(
        self, *, limit: int = 50, before: SessionId | None = None, wanted: Wanted = EVERY
    ) -> tuple[SessionRow, ...]:
        """Sessions, newest first; `before` pages on from the last one shown.

        Only those that are `wanted`; no log is replayed for that. Raises `SessionNotFound` for a
        `before` that no session can have.
        """
        ...

    def doubtful(self, session_ids: Collection[SessionId]) -> frozenset[SessionId]:
        """Those of these sessions whose log may not be what it was as their row was written.

        An entry is missing, too many, filed wrongly or not as it was written, or is older than
        checksums. Nothing is replayed: `load_session` then says what is wrong, if anything is.
        """
        ...

    def stored(self, session_id: SessionId) -> StoredLog:
        """The row and the log of one moment, readable or not; raises `SessionNotFound`."""
        ...

    def adopt(self, moved: "ImportedSession") -> "ImportResult":
        """Take in a session of another store, all of it or nothing (see `transfer`).

        A session is the one that is here already if it has the same first entry. Its log here
        only ever grows: by entries that follow those it has, in an open session.

        Raises `DuplicateSession` when the logs part ways, or the payment was started here by
        another session, and `CoinsTaken` when an open session brings coins or inputs that
        another session here holds or has seen (P2, P3).
        """
        ...

    def claim(self, session_id: SessionId, outpoints: Collection[OutPoint]) -> frozenset[OutPoint]:
        """Record inputs as seen by this session; returns those that another saw first (P2)."""
        ...

    def reserve(
        self, session_id: SessionId, outpoints: Collection[OutPoint]
    ) -> frozenset[OutPoint]:
        """Hold coins for this session; returns those that another live session holds (P3).

        Raises `StaleSession` for a session that is closed: it gives no coin back any more.
        """
        ...

    def release(self, session_id: SessionId) -> None:
        """Give this session's coins back. What was exposed stays known as exposed."""
        ...

    def expose(self, session_id: SessionId) -> None:
        """Record that a counterparty may learn this session's coins from now on (P3)."""
        ...

    def reserved(self, *, besides: SessionId | None = None) -> frozenset[OutPoint]:
        """The coins that live sessions hold; those of the session `besides` are left out."""
        ...

    def holders(self) -> Mapping[OutPoint, SessionId]:
        """The coins that live sessions hold, each with the session that does."""
        ...

    def exposed(self) -> frozenset[OutPoint]:
        """The coins that any sender ever saw."""
        ...

    def write(self, work: Callable[[Any], T]) -> T:
        """Run a caller's own statements, and saves `within` their connection, as one transaction.

        It is durable when this returns; if `work` raises, nothing is written, and that is raised.
        `work` runs once. Whatever writes to the store by another way than the connection raises
        `UsageError` inside of it, instead of waiting for itself.
        """
        ...

    def write_async(self, work: Callable[[Any], T]) -> Awaitable[T]:
        """As `write`; a cancelled await leaves the write running to its end."""
        ...

    def close(self) -> None:
        """Finish what was submitted and let go of the database."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ImportedSession:
    """A session from elsewhere whose log was read and replayed: what `Store.adopt` takes in."""

    index: SessionIndex
    events: tuple[StoredEvent, ...]
    closed: bool
    seen: frozenset[OutPoint]
    """The inputs it has seen (P2)."""
    coins: frozenset[OutPoint]
    """Our coins that it uses, which it holds as long as it is open (P3)."""
    exposed: bool
    """Whether a counterparty may know those coins."""
    summary: Summary | None
    """What its row shows."""


class ImportOutcome(StrEnum):
    """What became of a session that came from elsewhere."""

    ADDED = "added"
    EXTENDED = "extended"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class ImportResult:
    """Its name here, and whether anything changed."""

    session_id: SessionId
    adoption: ImportOutcome


SHARED = (
    "This session shares coins with one that is here: it is not taken in, as only one of them can"
    " be paid with these."
)


def new_entries(here: Sequence[bytes], there: Sequence[bytes]) -> int:
    """How many entries the log `there` adds to the one `here`; raises `DuplicateSession`.

    A log never loses an entry and never gets another in the place of one: it grows or stays.
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
