"""Summaries of logs for session rows."""

from collections.abc import Sequence

from dovetail.errors import DovetailError
from dovetail.sessions import receiver, sender
from dovetail.sessions.ended import Ending
from dovetail.sessions.standing import Summary, summary_of
from dovetail.stores.session_index import Role


def summary_after(role: Role, entries: Sequence[bytes], *, closes: bool) -> Summary | None:
    """Return a log's summary; if a closed log cannot be replayed, by its last entry.

    Return None if that is impossible too: lists must then read the log.
    """
    try:
        if role is Role.RECEIVER:
            found = summary_of(receiver.replay(map(receiver.decode_event, entries)))
        else:
            found = summary_of(sender.replay(map(sender.decode_event, entries)))
    except DovetailError:
        found = _said_by(role, entries[-1])
    return found if isinstance(found, Ending) is closes else None


def _said_by(role: Role, entry: bytes) -> Ending | None:
    decode = receiver.decode_event if role is Role.RECEIVER else sender.decode_event
    try:
        event = decode(entry)
    except DovetailError:
        return None
    if isinstance(event, (receiver.events.Closed, sender.events.Closed)):
        return Ending(outcome=event.outcome)
    return None
