"""Where a session's log goes: the two protocols a store implements."""

from typing import Protocol, TypeVar

E_contra = TypeVar("E_contra", contravariant=True)


class SessionPersister(Protocol[E_contra]):
    """Durable storage of one session's log.

    It is bound to one session, whose name its implementer chose: a sequential integer where one
    writer owns the database and people type the id, a UUIDv7 where independent writers must not
    share a counter or the id is needed before the insert. No name is ever given to a second
    session: what the first has seen is kept under it (P2). The core names no sessions.

    One that keeps what it draws from the states, such as rows for lists, may also have
    `advance(event, state, /, *, seq, closes)`, which is called instead of `append` and promises
    the same: `state` is what the event leads to. Its awaited form is `advance_async`.
    """

    def append(self, event: E_contra, /, *, seq: int, closes: bool) -> None:
        """Append `event` as number `seq` (from 0) and, if `closes`, close the log, atomically.

        It returns only when the event would survive a power cut. Raises `StaleSession` when
        slot `seq` is taken, would leave a gap, or the log is closed (M1, M5), and
        `StoreUnavailable` when nothing could be written.
        """
        ...


class AsyncSessionPersister(Protocol[E_contra]):
    """The same, awaited; its implementer names the session by the same rules.

    A cancelled await leaves durability unknown: reload the session.
    """

    async def append_async(self, event: E_contra, /, *, seq: int, closes: bool) -> None:
        """As `SessionPersister.append`; the write itself is shielded from cancellation."""
        ...
