"""Sessions with the logs that releases wrote, in stores of every kind."""

from tests.eventlogs.logs import entries

from dovetail.sessions import receiver, sender
from dovetail.stores.ports import SessionId, Store


def keep(store: Store, name: str, *, upto: int | None = None) -> SessionId:
    """Store the log called so, such as `sender/success`, or its first entries."""
    lines = entries(name)[:upto]
    if name.startswith("sender/"):
        paying = store.new_sender()
        for seq, line in enumerate(lines):
            sent = sender.decode_event(line)
            paying.append(sent, seq=seq, closes=_closes(sender, lines[: seq + 1]))
        return paying.session_id
    asking = store.new_receiver()
    for seq, line in enumerate(lines):
        received = receiver.decode_event(line)
        asking.append(received, seq=seq, closes=_closes(receiver, lines[: seq + 1]))
    return asking.session_id


def _closes(role: object, lines: list[bytes]) -> bool:
    if role is sender:
        return isinstance(sender.replay(map(sender.decode_event, lines)), sender.Closed)
    return receiver.replay(map(receiver.decode_event, lines)).closed
