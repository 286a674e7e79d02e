"""Sessions on their way between databases: JSON Lines, one session a line after a header.

The header names the format, how many sessions follow and whether their keys are with them. A
session's line has its row's facts and every entry as it is stored, readable or not.

What comes in is checked as hard as what the store itself holds: each log is read and replayed,
and all else is drawn from it: the row, the inputs it has seen, the coins it holds or has shown.
The session gets an id of its own here. It is the same session as one that begins with the same
entry, so that importing twice does nothing. The log here then only grows, by what follows it:
one that went another way is refused. Each session is taken in whole or not at all, and one that
is refused stops no other.

Without its keys an export is for whoever helps to find a fault, and is not taken in. It still
tells addresses, amounts and transactions. A session that is open must go on in one place only.
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
"""Bytes; a log is some kilobytes, and a few hundred with the largest transactions."""

LATEST = 1 << 53
"""No moment in a database is as late as this."""

Number = Annotated[int, msgspec.Meta(ge=0, lt=LATEST)]


class _Struct(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class Header(_Struct, frozen=True, kw_only=True):
    """The first line."""

    dovetail_sessions: int
    """The version of the format."""
    count: Number
    secrets: bool


class Entry(_Struct, frozen=True, kw_only=True):
    """One entry: its text as it is stored, its bytes if it is no text, or neither if withheld."""

    seq: int
    tag: str
    at: Number
    checksum: int | None = None
    text: str | None = None
    data: bytes | None = None


class Line(_Struct, frozen=True, kw_only=True):
    """One session."""

    session: Number | str
    """Its id where it comes from; text where a store does not count."""
    role: Role
    next_seq: Number
    last_tag: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of one session of a file: where it is now, or why it was refused."""

    number: int | str | None
    """Its id where it comes from; None for a line that cannot be read."""
    result: ImportResult | DovetailError


def every_session(store: Store) -> list[SessionId]:
    """The sessions of a store, oldest first."""
    found: list[SessionId] = []
    while page := store.history(limit=1000, before=found[-1] if found else None):
        found += [row.session_id for row in page]
    return found[::-1]


def export_sessions(
    store: Store, sessions: Iterable[SessionId], *, secrets: bool
) -> Generator[bytes, None, None]:
    """The lines of an export, each with its line end; raises `SessionNotFound` before the first.

    With `secrets`, whoever has the file can take the sessions' payments over: keep it as safe as
    the database. Logs that cannot be read are exported as they are; without `secrets`, without
    the entries that may hold a key.
    """
    numbers = [store.row(each).session_id for each in dict.fromkeys(sessions)]
    header = Header(dovetail_sessions=FORMAT, count=len(numbers), secrets=secrets)
    yield msgspec.json.encode(header) + b"\n"
    for each in numbers:
        yield msgspec.json.encode(_line(store.stored(each), secrets=secrets)) + b"\n"


def import_sessions(store: Store, stream: BinaryIO) -> Generator[Imported, None, None]:
    """Take in the sessions of an export, one at a time, and say what became of each.

    Raises `ParseError` for a file that is no export, is cut short or was written by a newer
    release, and `UsageError` for one without its keys; `StoreUnavailable` as it occurs. What was
    taken in before stays, and an import can be repeated.
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
    """What lacks a checksum gets none: an older release wrote it."""
    data = entry.data or b"" if entry.text is None else entry.text.encode()
    return StoredEvent(
        seq=entry.seq,
        tag=entry.tag,
        data=data,
        created_at=UnixTime(entry.at),
        checksum=entry.checksum,
    )
