"""Names the sessions that hold coins, for messages."""

from collections.abc import Iterable

from dovetail.stores.ports import SessionId

_MOST_NAMED = 12


def sessions_words(sessions: Iterable[SessionId]) -> str:
    """Return a text such as `session 6` or `sessions 6, 8, 16`."""
    names = [str(each) for each in numbered(sessions)]
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    listed = ", ".join(names[:_MOST_NAMED])
    return f"session {listed}" if len(names) == 1 else f"sessions {listed}{more}"


def numbered(sessions: Iterable[SessionId]) -> list[SessionId]:
    """Return the sessions in the order of their ids."""
    return sorted(sessions, key=_in_order)


def _in_order(session: object) -> tuple[int, str]:
    """Return a sort key: numbers by value, other ids as text."""
    return (session, "") if isinstance(session, int) else (0, str(session))
