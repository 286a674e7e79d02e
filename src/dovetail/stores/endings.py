"""What a log that is closed came to, for its session's row."""

from collections.abc import Sequence

from dovetail.errors import DovetailError
from dovetail.sessions import receiver, sender
from dovetail.sessions.ending import Ending, ending_of
from dovetail.stores.index import Role


def ending_after(role: Role, entries: Sequence[bytes]) -> Ending | None:
    """What a closed log came to; of one that cannot be replayed, what its last entry says.

    None where that says nothing either: a list then has to look at the log.
    """
    try:
        if role is Role.RECEIVER:
            asking = receiver.replay(map(receiver.decode_event, entries))
            return ending_of(asking) if isinstance(asking, receiver.Closed) else None
        paying = sender.replay(map(sender.decode_event, entries))
        return ending_of(paying) if isinstance(paying, sender.Closed) else None
    except DovetailError:
        return _said_by(role, entries[-1])


def _said_by(role: Role, entry: bytes) -> Ending | None:
    decode = receiver.decode_event if role is Role.RECEIVER else sender.decode_event
    try:
        event = decode(entry)
    except DovetailError:
        return None
    if isinstance(event, (receiver.events.Closed, sender.events.Closed)):
        return Ending(outcome=event.outcome)
    return None
