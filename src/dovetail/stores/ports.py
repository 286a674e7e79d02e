"""What every store offers, and the values it speaks in."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NewType, Protocol, TypeVar

from dovetail.bitcoin import Address, OutPoint, UnixTime
from dovetail.errors import DuplicateSession, ReplayError, StaleSession
from dovetail.protocol.uri import PayjoinUri, V1Endpoint, V2Endpoint, normalised_url
from dovetail.sessions import outcomes
from dovetail.sessions.reasons import Reason
from dovetail.sessions.receiver.events import Created as ReceiverCreated
from dovetail.sessions.receiver.events import ReceiverEvent
from dovetail.sessions.sender.events import Closed as SenderClosed
from dovetail.sessions.sender.events import Created as SenderCreated
from dovetail.sessions.sender.events import CreatedPlain, SenderEvent, decode_event
from dovetail.sessions.sender.payment import Payment as SenderPayment
from dovetail.sessions.sightings import Sighting
from dovetail.sessions.status import SessionStatus, status_of
from dovetail.stores.entries import RawEvent

SessionId = NewType("SessionId", int)
"""What a store calls a session: 1, 2, 3, … across both roles.

SQLite has one writer, so sequential integers cannot collide, a person can type them, and no
command needs to be told the role. A store with many independent writers would use UUIDv7
instead: no shared counter, and an id before the insert. The sessions themselves know neither.
"""

E = TypeVar("E", ReceiverEvent, SenderEvent)


class Role(StrEnum):
    """Which side of a payjoin a session is."""

    SENDER = "sender"
    RECEIVER = "receiver"


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

    def load(self) -> tuple[E, ...]:
        """All events in order; raises `ReplayError` for a log that cannot be read."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRow:
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
    events: tuple[RawEvent, ...]


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
        address or did (see `paying_to`), which the same statement looks for.
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

    def paying(self, uri: PayjoinUri) -> SessionId | None:
        """The session that pays this URI or did, so that it cannot be paid again; None: none."""
        ...

    def paying_to(self, address: Address) -> SessionId | None:
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
        self, *, limit: int = 50, before: SessionId | None = None
    ) -> tuple[SessionRow, ...]:
        """Sessions, newest first; `before` pages on from the last one shown."""
        ...

    def stored(self, session_id: SessionId) -> StoredLog:
        """The row and the log of one moment, readable or not; raises `SessionNotFound`."""
        ...

    def adopt(self, moved: "Moved") -> "Adopted":
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

    def reserved(self) -> frozenset[OutPoint]:
        """The coins that live sessions hold."""
        ...

    def exposed(self) -> frozenset[OutPoint]:
        """The coins that any sender ever saw."""
        ...

    def close(self) -> None:
        """Finish what was submitted and let go of the database."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a session's row repeats of its first event, so that it can be found and unique."""

    role: Role
    address: str
    expires_at: int
    pj_uri: str | None = None
    receiver_pubkey: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Moved:
    """A session from elsewhere whose log was read and replayed: what `Store.adopt` takes in."""

    facts: Facts
    events: tuple[RawEvent, ...]
    closed: bool
    seen: frozenset[OutPoint]
    """The inputs it has seen (P2)."""
    coins: frozenset[OutPoint]
    """Our coins that it uses, which it holds as long as it is open (P3)."""
    exposed: bool
    """Whether a counterparty may know those coins."""


class Adoption(StrEnum):
    """What became of a session that came from elsewhere."""

    ADDED = "added"
    EXTENDED = "extended"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Adopted:
    """Its name here, and whether anything changed."""

    session_id: SessionId
    adoption: Adoption


SHARED = (
    "This session shares coins with one that is here: it is not taken in, as only one of them can"
    " be paid with these."
)


def growth(here: Sequence[bytes], there: Sequence[bytes]) -> int:
    """How many entries the log `there` adds to the one `here`; raises `DuplicateSession`.

    A log never loses an entry and never gets another in the place of one: it grows or stays.
    """
    common = min(len(here), len(there))
    if here[:common] != there[:common]:
        raise DuplicateSession(
            "This session is here already and has gone another way: go on with the one here."
        )
    return len(there) - common


def facts_of(event: ReceiverEvent | SenderEvent) -> Facts:
    """The row for a new session's first event; raises `StaleSession` for any other event."""
    match event:
        case ReceiverCreated():
            return Facts(role=Role.RECEIVER, address=event.address, expires_at=event.expires_at)
        case SenderCreated():
            return payment_facts(PayjoinUri.parse(event.uri), event.expires_at)
        case CreatedPlain():
            return _plain_facts(SenderPayment(event))
        case _:
            raise StaleSession("A log begins with its Created event: reload the session.")


def payment_facts(uri: PayjoinUri, expires_at: int = 0) -> Facts:
    """The row of a sender who pays `uri`; a key tells URIs apart, else address and endpoint.

    The endpoint is normalised, so that one in another spelling is the same.
    """
    pj_uri, key = _identity(uri.endpoint)
    return Facts(
        role=Role.SENDER,
        address=str(uri.address),
        expires_at=expires_at,
        pj_uri=pj_uri,
        receiver_pubkey=key,
    )


def _identity(endpoint: V1Endpoint | V2Endpoint) -> tuple[str, bytes | None]:
    if isinstance(endpoint, V2Endpoint):
        return endpoint.serialize(), endpoint.receiver_key.compressed
    return normalised_url(endpoint.url), None


def _plain_facts(payment: SenderPayment) -> Facts:
    """The row of an ordinary payment, which no URI tells from another: its transaction does."""
    return Facts(
        role=Role.SENDER,
        address=str(payment.address),
        expires_at=payment.expires_at,
        pj_uri=f"plain:{payment.fallback.without_signatures().txid}",
    )


_UNPAID = (outcomes.Cancelled, outcomes.Revoked)


def may_have_paid(entry: bytes) -> bool:
    """Whether a payer's log that is closed by `entry` may have brought its payment.

    What cannot be read, or ended by a transaction that nobody knew, may have.
    """
    try:
        event = decode_event(entry)
    except ReplayError:
        return True
    if not isinstance(event, SenderClosed):
        return True
    gone = getattr(event.outcome, "why", None) is Reason.COINS_GONE  # they may come back (M4)
    return gone or not isinstance(event.outcome, _UNPAID)


PAID_ALREADY = (
    "Another payment to this address was started before: `dovetail history` lists them. To pay the"
    " address once more, say so by `--again`."
)
