"""The SQL statements that read and write sessions, for every kind of database."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, ClassVar

from sqlalchemy import Connection, Executable, bindparam, select

from dovetail.actions import Action
from dovetail.bitcoin import Sats, UnixTime
from dovetail.errors import DuplicateSession, SessionNotFound, StaleSession
from dovetail.sessions.ended import Ending
from dovetail.sessions.outcomes import code_of
from dovetail.sessions.standing import Standing, Summary, decode_summary, encode_summary
from dovetail.stores.ports import (
    SessionId,
    SessionRow,
    StoredLog,
)
from dovetail.stores.search import Wanted
from dovetail.stores.session_index import Role, SenderIndex, SessionIndex, may_have_paid
from dovetail.stores.sql import coins, sightings
from dovetail.stores.sql.schema import session_events, sessions
from dovetail.stores.sql.upsert import upsert
from dovetail.stores.stored_event import StoredEvent
from dovetail.stores.summary import summary_after

COLUMNS = (
    "s.session_id, s.role, s.created_at, s.expires_at, s.closed_at, {tag}, s.next_seq, s.outcome,"
    " coalesce(s.standing, s.ending), s.amount, {label}, seen_at, kind, txid, depth, wanted, gone,"
    " receded, rate, came, asked, beside"
)
"""The columns of a session's row; a database chooses how it reads the tag and the label."""
FROM = " FROM sessions AS s LEFT JOIN sightings AS g ON g.session_id = s.session_id"

_ROLES = {role.value: role for role in Role}
_LOG_OF = (
    select(sessions.c.role, session_events.c.data)
    .join_from(sessions, session_events)
    .where(sessions.c.session_id == bindparam("session"))
    .order_by(session_events.c.seq)
)
# Each session with its last entry, which has the outcome; none if the log is damaged.
_PAYERS = (
    "SELECT s.session_id, s.closed_at, {data} FROM sessions AS s"
    " LEFT JOIN session_events AS e ON e.session_id = s.session_id AND e.seq = s.next_seq - 1"
    " WHERE s.role = 'sender' AND s.address = ? ORDER BY s.session_id DESC"
)


class Statements(ABC):
    """What both databases share; a subclass for each says how they differ.

    Statements that run often bypass SQLAlchemy's rendering, which takes as long as SQLite needs to
    run them. Their parameters are written `?` (see `driver`).
    """

    TAG: ClassVar[str]
    """The tag of the last event in a row."""
    LABEL: ClassVar[str]
    DATA: ClassVar[str]
    """An entry of a log, as bytes."""
    LOAD: ClassVar[Executable]
    """All entries of the session named `session`, in order."""

    def __init__(self) -> None:
        """Prepare the statements that differ in a column."""
        self.columns = COLUMNS.format(tag=self.TAG, label=self.LABEL)
        self._row = f"SELECT {self.columns}{FROM}"
        self._payers = _PAYERS.format(data=self.DATA)

    @abstractmethod
    def key(self, session_id: SessionId) -> Any:
        """Return the value of the column; raises `SessionNotFound` for an impossible id."""

    @abstractmethod
    def next_id(self) -> dict[str, Any]:
        """Return the columns with the id of a new session; none if the database counts."""

    @abstractmethod
    def driver(self, statement: str) -> str:
        """Return a statement with the parameters as the driver marks them."""

    @abstractmethod
    def lock(self, connection: Connection, session_id: SessionId) -> None:
        """Keep other writers from changing a session until this transaction ends."""

    @abstractmethod
    def take_turns(self, connection: Connection, about: bytes) -> None:
        """Wait for the end of each other transaction that takes turns about the same."""

    @abstractmethod
    def label(self, label: str | None) -> str | None:
        """Return a label as the database can store it."""

    @abstractmethod
    def doubtful(
        self, connection: Connection, session_ids: Collection[SessionId]
    ) -> frozenset[SessionId]:
        """See `Store.doubtful`."""

    @abstractmethod
    def history(
        self, connection: Connection, wanted: Wanted, *, limit: int, before: SessionId | None
    ) -> Iterable[SessionRow]:
        """See `Store.history`."""

    @abstractmethod
    def advance(self, connection: Connection, row: Sequence[Any], entry: StoredEvent) -> bool:
        """Append an entry to the session that `row` ends with; False if its turn is over.

        `row` is the new tag, the time of the close, the summary's columns, the id and the number.
        """

    def append(
        self,
        connection: Connection,
        session_id: SessionId,
        entry: StoredEvent,
        *,
        closes: bool,
        summary: Summary | None,
    ) -> SessionId:
        """Append an entry if `seq` is the next number, or write nothing (M1, M5).

        `summary` is the row's new summary; None means that the log must be replayed. The coins are
        released by a statement of its own, after the first one has the session's lock: it also
        finds the coins that were reserved while the first one waited.
        """
        closed_at = entry.created_at if closes else None
        told = shown(summary)
        row = (entry.tag, closed_at, *(told.get(each) for each in SHOWN), session_id, entry.seq)
        if not self.advance(connection, row, entry):
            raise StaleSession(
                "This session has moved on since it was loaded: load it again before you act on it."
            )
        if closes:
            coins.release(connection, session_id)
        return session_id

    def stored(self, connection: Connection, session_id: SessionId) -> StoredLog:
        """Return the row and the log; raises `SessionNotFound`."""
        row = self.row_of(connection, session_id)
        entries = tuple(map(_raw_event, connection.execute(self.LOAD, {"session": session_id})))
        return StoredLog(row=row, events=entries)

    def row_of(self, connection: Connection, session_id: SessionId) -> SessionRow:
        """Return one session's row; raises `SessionNotFound`."""
        for row in self.rows(connection, " WHERE s.session_id = ?", self.key(session_id)):
            return row
        raise not_found(session_id)

    def rows(self, connection: Connection, which: str, *values: Any) -> Iterator[SessionRow]:
        """Yield the sessions selected by the SQL clause `which`."""
        query = self.driver(self._row + which)
        return map(session_row, connection.exec_driver_sql(query, values).all())

    def payer_of(self, connection: Connection, address: str) -> SessionId | None:
        """Return the newest session that pays or paid an address, or None."""
        found = connection.exec_driver_sql(self.driver(self._payers), (address,))
        for session_id, closed_at, data in found.all():
            if closed_at is None or may_have_paid(data or b""):
                return SessionId(session_id)
        return None

    def create(
        self,
        connection: Connection,
        index: SessionIndex,
        entry: StoredEvent,
        summary: Summary | None,
    ) -> SessionId:
        """Add a session with its first entry; raises `DuplicateSession`."""
        row: dict[str, Any] = {
            **self.next_id(),
            "role": index.role.value,
            "address": index.address,
            "created_at": entry.created_at,
            "expires_at": index.expires_at,
            "last_tag": entry.tag,
            "next_seq": 1,
            "label": self.label(index.label),
            **shown(summary),
        }
        if isinstance(index, SenderIndex):
            row |= {"pj_uri": index.pj_uri, "receiver_pubkey": index.receiver_pubkey}
        adding = upsert(connection, sessions).on_conflict_do_nothing()
        session_id = connection.execute(adding.returning(sessions.c.session_id), row).scalar()
        if session_id is None:
            raise DuplicateSession(
                "A payment to this URI was started before: ask the receiver for a new URI to pay"
                " again.",
                actions=(Action.LIST,),
            )
        self.record(connection, SessionId(session_id), entry)
        return SessionId(session_id)

    def record(self, connection: Connection, session_id: SessionId, entry: StoredEvent) -> None:
        """Write an entry of a log."""
        connection.exec_driver_sql(self.driver(_RECORD), (session_id, *columns_of(entry)))

    def drawn(
        self, connection: Connection, session_id: SessionId, entry: StoredEvent, *, closes: bool
    ) -> Summary | None:
        """Return the summary of a log with its next entry, by a replay."""
        found = list(connection.execute(_LOG_OF, {"session": session_id}))
        if len(found) != entry.seq:
            return None  # the fence refuses it
        entries = [*(each.data for each in found), entry.data]
        return summary_after(Role(found[0].role), entries, closes=closes)


_RECORD = (
    "INSERT INTO session_events (session_id, seq, tag, data, created_at, checksum)"
    " VALUES (?, ?, ?, ?, ?, ?)"
)


def columns_of(entry: StoredEvent) -> tuple[int, str, bytes, UnixTime, int | None]:
    """Return the columns of an entry."""
    return (entry.seq, entry.tag, entry.data, entry.created_at, entry.checksum)


def conditions(wanted: Wanted) -> tuple[list[str], list[Any]]:
    """Return the SQL conditions of a filter and their values; its `text` is left out."""
    found: list[str] = []
    values: list[Any] = []
    if wanted.open is not None:
        found.append(f"s.closed_at IS {'NULL' if wanted.open else 'NOT NULL'}")
    if wanted.role is not None:
        found.append("s.role = ?")
        values.append(wanted.role.value)
    if wanted.since is not None:
        found.append("s.created_at >= ?")
        values.append(int(wanted.since))
    return found, values


def not_found(session_id: SessionId) -> SessionNotFound:
    """Return the error for an unknown session."""
    return SessionNotFound(f"There is no session {session_id}.", actions=(Action.LIST,))


def session_row(row: Sequence[Any]) -> SessionRow:
    """Decode one result of `COLUMNS`."""
    (
        session_id,
        role,
        created_at,
        expires_at,
        closed_at,
        last_tag,
        next_seq,
        outcome,
        summary,
        amount,
        label,
        seen_at,
        *sighting,
    ) = row
    return SessionRow(
        session_id=SessionId(session_id),
        role=_ROLES[role],
        created_at=UnixTime(created_at),
        expires_at=UnixTime(expires_at),
        closed_at=None if closed_at is None else UnixTime(closed_at),
        last_tag=_text(last_tag),
        next_seq=next_seq,
        sighting=None if seen_at is None else sightings.sighting(sighting),
        seen_at=None if seen_at is None else UnixTime(seen_at),
        label=None if label is None else _text(label),
        amount=None if amount is None else Sats(amount),
        outcome=outcome,
        summary=None if summary is None else decode_summary(summary, closed=closed_at is not None),
    )


def _raw_event(row: Any) -> StoredEvent:
    seq, tag, data, created_at, checksum = row
    return StoredEvent(
        seq=seq,
        tag=_text(tag or b""),
        data=data or b"",
        created_at=UnixTime(created_at),
        checksum=checksum,
    )


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode(errors="replace")


SHOWN = ("outcome", "ending", "standing", "amount")
"""The columns of a summary."""


def shown(summary: Summary | None) -> dict[str, Any]:
    """Return the columns of a summary that are not empty."""
    match summary:
        case Ending(outcome=outcome, amount=amount):
            ending = encode_summary(summary)
            return {"outcome": code_of(outcome), "ending": ending, "amount": amount}
        case Standing(amount=amount):
            return {"standing": encode_summary(summary), "amount": amount}
        case _:
            return {}
