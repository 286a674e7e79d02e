"""Reads a stored log completely, or raises an error.

Any damage is a `ReplayError` that names the session, the entry and the cause. The log is not
changed, and other sessions are not affected.
"""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import TypeAlias

from dovetail.errors import ReplayError
from dovetail.sessions import receiver, sender
from dovetail.sessions.codec import EventCodec, EventT
from dovetail.sessions.receiver import ReceiverSession
from dovetail.sessions.sender import SenderSession
from dovetail.stores.ports import Role, SessionId, Store, StoredLog
from dovetail.stores.stored_event import StoredEvent, checksum_of

Session: TypeAlias = ReceiverSession | SenderSession


@contextmanager
def naming(session_id: object) -> Generator[None]:
    """Add the session to every `ReplayError` of the block."""
    try:
        yield
    except ReplayError as error:
        if error.session is not None:
            raise
        raise ReplayError(
            f"Session {session_id}: {error}", session=session_id, seq=error.seq
        ) from error


def read(codec: EventCodec[EventT], log: StoredLog) -> tuple[EventT, ...]:
    """Return the events of a log in order; raises `ReplayError`."""
    row, entries = log.row, log.events
    with naming(row.session_id):
        _check_order(entries, row.next_seq)
        events = codec.decode_log(entry.data for entry in entries)
        for entry, event in zip(entries, events, strict=True):
            _check(entry, codec.tag_of(entry.data, event))
        if entries and entries[-1].tag != row.last_tag:
            raise ReplayError(
                "Its last entry is not the one that the session names; restore it from a backup.",
                seq=entries[-1].seq,
            )
    return events


def load_session(store: Store, session_id: SessionId) -> Session:
    """Load and replay a session; raises `SessionNotFound` and `ReplayError`."""
    log = store.stored(session_id)
    with naming(session_id):
        if log.row.role is Role.RECEIVER:
            return receiver.replay(read(receiver.events.CODEC, log))
        return sender.replay(read(sender.events.CODEC, log))


def _check_order(entries: Sequence[StoredEvent], expected: int) -> None:
    for seq, entry in enumerate(entries):
        if entry.seq == seq:
            continue
        if entry.seq == seq - 1:
            raise ReplayError(
                f"Entry {entry.seq} of the log occurs twice; restore it from a backup.",
                seq=entry.seq,
            )
        raise _missing(seq)
    if len(entries) < expected:
        raise _missing(len(entries))
    if len(entries) > expected:
        raise ReplayError(
            f"Entry {expected} of the log was never acknowledged; restore it from a backup.",
            seq=expected,
        )


def _missing(seq: int) -> ReplayError:
    return ReplayError(f"Entry {seq} of the log is missing; restore it from a backup.", seq=seq)


def _check(entry: StoredEvent, kind: str) -> None:
    if entry.tag != kind:
        raise ReplayError(
            f"Entry {entry.seq} of the log does not match its stored tag; restore it from"
            " a backup.",
            seq=entry.seq,
        )
    if entry.checksum is not None and entry.checksum != checksum_of(entry.seq, entry.data):
        raise ReplayError(
            f"Entry {entry.seq} of the log was changed after it was written, by the disk or "
            "another"
            " program; restore it from a backup.",
            seq=entry.seq,
        )
