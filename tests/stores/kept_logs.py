"""Sessions with the logs that releases wrote, in stores of every kind."""

from typing import Any

from tests.eventlogs.logs import entries

from dovetail.sessions import receiver, sender
from dovetail.stores.ports import SessionId, Store


def keep(store: Store, name: str, *, upto: int | None = None) -> SessionId:
    """Store the log called so, such as `sender/success`, or its first entries."""
    pays = name.startswith("sender/")
    role: Any = sender if pays else receiver
    log: Any = store.new_sender() if pays else store.new_receiver()
    events = [role.decode_event(line) for line in entries(name)[:upto]]
    for seq, event in enumerate(events):
        log.append(event, seq=seq, closes=role.replay(events[: seq + 1]).closed)
    session_id: SessionId = log.session_id
    return session_id
