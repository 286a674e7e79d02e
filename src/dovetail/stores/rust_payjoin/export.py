"""Sessions of another program as an export, which is checked as hard as any when it is taken in."""

from collections.abc import Generator, Sequence

import msgspec

from dovetail.bitcoin import UnixTime
from dovetail.sessions.receiver import ReceiverEvent
from dovetail.sessions.receiver.events import CODEC as RECEIVER
from dovetail.sessions.sender import SenderEvent
from dovetail.sessions.sender.events import CODEC as SENDER
from dovetail.stores.ports import Role
from dovetail.stores.stored_event import raw_event
from dovetail.stores.transfer import FORMAT, Entry, Header, Line

Log = tuple[SenderEvent, ...] | tuple[ReceiverEvent, ...]


def export_of(
    sessions: Sequence[tuple[Role, Log]], *, now: UnixTime
) -> Generator[bytes, None, None]:
    """The lines of an export with its keys, for `import_sessions`; each with its line end.

    Whoever has the file can take the sessions' payments over: keep it as safe as the database.
    """
    header = Header(dovetail_sessions=FORMAT, count=len(sessions), secrets=True)
    yield msgspec.json.encode(header) + b"\n"
    for number, (role, log) in enumerate(sessions, 1):
        yield msgspec.json.encode(_line(number, role, log, now)) + b"\n"


def _line(number: int, role: Role, log: Log, now: UnixTime) -> Line:
    codec = SENDER if role is Role.SENDER else RECEIVER
    entries = [
        raw_event(seq, type(event).__name__, codec.encode(event), now)  # type: ignore[arg-type]
        for seq, event in enumerate(log)
    ]
    return Line(
        session=number,
        role=role,
        next_seq=len(entries),
        last_tag=entries[-1].tag,
        entries=tuple(
            Entry(
                seq=each.seq,
                tag=each.tag,
                at=each.created_at,
                checksum=each.checksum,
                text=each.data.decode(),
            )
            for each in entries
        ),
    )
