"""Export and import of sessions as JSON Lines: a header, then one line for each session.

The header has the format version, the number of sessions, and whether their keys are included. A
session's line has columns of its row and all stored entries, readable or not.

An import checks each log like the store's own logs: it is read and replayed, and the row, the seen
inputs and the coins are computed from it. The session gets a new id. A session with the same first
entry as one in the store is the same session, so a second import does nothing. The existing log
can then only grow by entries that follow it; a log that differs is refused. Each session is
imported completely or not at all, and a refused one does not stop the others.

An export without keys is for people who help to find an error, and cannot be imported. It still
contains addresses, amounts and transactions. Continue an open session in one place only.
"""

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import Annotated, Any, BinaryIO, cast

import msgspec

from dovetail.bitcoin import OutPoint, Psbt, UnixTime
from dovetail.errors import DovetailError, ParseError, ReplayError, StoreUnavailable, UsageError
from dovetail.sessions import receiver, sender
from dovetail.sessions.receiver import events as received
from dovetail.sessions.standing import summary_of
from dovetail.stores.integrity import naming, read
from dovetail.stores.ports import (
    ImportedSession,
    ImportResult,
    Role,
    SessionId,
    SessionRow,
    Store,
    StoredLog,
)
from dovetail.stores.redaction import legible
from dovetail.stores.session_index import index_of
from dovetail.stores.stored_event import StoredEvent

FORMAT = 1
LONGEST_LINE = 1 << 24
"""The longest line in bytes; a log takes some kilobytes, or a few hundred with large
transactions."""

LATEST = 1 << 53
"""A limit above all times in a database."""

Number = Annotated[int, msgspec.Meta(ge=0, lt=LATEST)]


class _Struct(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class Header(_Struct, frozen=True, kw_only=True):
    """The header: the first line."""

    dovetail_sessions: int
    """The version of the format."""
    count: Number
    secrets: bool


class Entry(_Struct, frozen=True, kw_only=True):
    """One entry: its text, its bytes if it is not text, or neither if it is withheld."""

    seq: int
    tag: str
    at: Number
    checksum: int | None = None
    text: str | None = None
    data: bytes | None = None


class Line(_Struct, frozen=True, kw_only=True):
    """One session."""

    session: Number | str
    """Its id in the exporting store; text if that store does not use numbers."""
    role: Role
    next_seq: Number
    last_tag: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Imported:
    """The result for one session of a file: its import, or the error."""

    number: int | str | None
    """Its id in the exporting store; None for a line that cannot be read."""
    result: ImportResult | DovetailError


def every_session(store: Store) -> list[SessionId]:
    """Return the sessions of a store, oldest first."""
    found: list[SessionId] = []
    while page := store.history(limit=1000, before=found[-1] if found else None):
        found += [row.session_id for row in page]
    return found[::-1]


def export_sessions(
    store: Store, sessions: Iterable[SessionId], *, secrets: bool
) -> Generator[bytes, None, None]:
    """Yield the lines of an export with line ends; raises `SessionNotFound` before the first.

    With `secrets` the file gives control over the sessions' payments: protect it like the
    database. Unreadable logs are exported unchanged; without `secrets`, entries that may hold a
    key are left out.
    """
    numbers = [store.row(each).session_id for each in dict.fromkeys(sessions)]
    header = Header(dovetail_sessions=FORMAT, count=len(numbers), secrets=secrets)
    yield msgspec.json.encode(header) + b"\n"
    for each in numbers:
        yield msgspec.json.encode(_line(store.stored(each), secrets=secrets)) + b"\n"


def import_sessions(store: Store, stream: BinaryIO) -> Generator[Imported, None, None]:
    """Import the sessions of an export one by one, and yield each result.

    Raises `ParseError` for a file that is not an export, is incomplete or was written by a newer
    release, `UsageError` for one without keys, and `StoreUnavailable`. Sessions imported before
    the error stay, and an import can be repeated.
    """
    header = _header(_read_line(stream))
    count = 0
    while line := _read_line(stream):
        count += 1
        yield _imported(store, line)
    if count != header.count:
        raise ParseError(
            f"The file is not whole: it has {count} of {header.count} sessions. Those that are in"
            " it were looked at; copy the file again for the others."
        )


def _line(log: StoredLog, *, secrets: bool) -> Line:
    row = log.row
    return Line(
        session=_id_of(row),
        role=row.role,
        next_seq=row.next_seq,
        last_tag=row.last_tag,
        entries=tuple(_entry(each, secrets=secrets) for each in log.events),
    )


def _id_of(row: SessionRow) -> int | str:
    name = cast("object", row.session_id)
    return name if isinstance(name, int) else str(name)


def _entry(entry: StoredEvent, *, secrets: bool) -> Entry:
    text: str | None
    data: bytes | None = None
    if secrets:
        try:
            text = entry.data.decode()
        except UnicodeDecodeError:
            text, data = None, entry.data
    else:
        text = legible(entry)
    return Entry(
        seq=entry.seq,
        tag=entry.tag,
        at=entry.created_at,
        checksum=entry.checksum,
        text=text,
        data=data,
    )


def _read_line(stream: BinaryIO) -> bytes:
    line = stream.readline(LONGEST_LINE)
    if len(line) == LONGEST_LINE:
        raise ParseError("The file is not an export of Dovetail's sessions: choose one that is.")
    return line


def _header(line: bytes) -> Header:
    try:
        fields = msgspec.json.decode(line, type=dict[str, Any])
        version = fields["dovetail_sessions"]
        if type(version) is int and version > FORMAT:
            raise ParseError("The file was written by a newer Dovetail: import it with that one.")
        header = msgspec.convert(fields, Header)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, KeyError) as error:
        raise ParseError(
            "The file is not an export of Dovetail's sessions: choose one that is."
        ) from error
    if not header.secrets:
        raise UsageError(
            "This export has no keys, so that others can see it, and no session can go on from it:"
            " export the sessions again, with `secrets`."
        )
    return header


def _imported(store: Store, line: bytes) -> Imported:
    try:
        found = msgspec.json.decode(line, type=Line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Imported(None, ParseError("A line of the file is damaged: copy the file again."))
    try:
        return Imported(found.session, store.adopt(_verified(found)))
    except StoreUnavailable:
        raise
    except DovetailError as error:
        return Imported(found.session, error)


def _verified(line: Line) -> ImportedSession:
    """Read and replay a log; raises `ReplayError`."""
    entries = tuple(map(_raw, line.entries))
    row = SessionRow(
        session_id=SessionId(line.session),
        role=line.role,
        created_at=UnixTime(0),
        expires_at=UnixTime(0),
        closed_at=None,
        last_tag=line.last_tag,
        next_seq=line.next_seq,
    )
    log = StoredLog(row=row, events=entries)
    with naming(line.session):
        if line.role is Role.RECEIVER:
            moved = _receiver(read(received.CODEC, log), entries)
        else:
            moved = _sender(read(sender.events.CODEC, log), entries)
        if moved.index.expires_at >= LATEST:
            raise ReplayError("It expires at no possible time; restore the log from a backup.")
    return moved


def _receiver(
    log: tuple[received.ReceiverEvent, ...], entries: tuple[StoredEvent, ...]
) -> ImportedSession:
    session = receiver.replay(log)
    seen: frozenset[OutPoint] = frozenset()
    coins: frozenset[OutPoint] = frozenset()
    original = b""
    checked = exposed = False
    for event in log:
        match event:
            case received.RetrievedOriginalPayload():
                original = event.psbt
            case received.CheckedNoInputsSeenBefore():
                checked = True
            case received.CommittedInputs():
                coins = frozenset(OutPoint.parse(coin.outpoint) for coin in event.coins)
            case received.FinalizedProposal():
                exposed = True
            case _:
                pass
    if checked:
        seen = frozenset(Psbt.parse(original).unsigned_transaction.contested())
    return ImportedSession(
        index=index_of(log[0]),
        events=entries,
        closed=session.closed,
        seen=seen,
        coins=coins,
        exposed=exposed,
        summary=summary_of(session),
    )


def _sender(
    log: tuple[sender.SenderEvent, ...], entries: tuple[StoredEvent, ...]
) -> ImportedSession:
    session = sender.replay(log)
    return ImportedSession(
        index=index_of(log[0]),
        events=entries,
        closed=isinstance(session, sender.Closed),
        seen=frozenset(),
        coins=frozenset(session.contested),
        exposed=False,
        summary=summary_of(session),
    )


def _raw(entry: Entry) -> StoredEvent:
    """Decode an entry; one of an older release has no checksum and gets none."""
    data = entry.data or b"" if entry.text is None else entry.text.encode()
    return StoredEvent(
        seq=entry.seq,
        tag=entry.tag,
        data=data,
        created_at=UnixTime(entry.at),
        checksum=entry.checksum,
    )
