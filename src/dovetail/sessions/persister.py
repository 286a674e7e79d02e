"""The two protocols for keeping a session's log, which a store implements."""

from typing import Protocol, TypeVar

E_contra = TypeVar("E_contra", contravariant=True)


class SessionPersister(Protocol[E_contra]):
    """Durable storage of one session's log.

    It is bound to one session, whose name the implementer chose: a sequential integer where one
    writer owns the database and people type the id, a UUIDv7 where independent writers must not
    share a counter or the id is needed before the insert. A name is never given to a second
    session, as the coins the first has seen are kept under it (P2). The core names no sessions.

    A persister that keeps data derived from the states, such as rows for lists, may also have
    `advance(event, state, /, *, seq, closes)`, which is called instead of `append` and promises
    the same; `state` is the state after the event. Its awaited form is `advance_async`.
    """

    def append(self, event: E_contra, /, *, seq: int, closes: bool) -> None:
        """Append `event` as number `seq` (from 0) and, if `closes`, close the log, atomically.

        It returns only when the event would survive a power cut. Raises `StaleSession` when
        slot `seq` is taken, would leave a gap, or the log is closed (M1, M5), and
        `StoreUnavailable` when nothing could be written.
        """
        ...


class AsyncSessionPersister(Protocol[E_contra]):
    """The asynchronous form; its implementer names the session by the same rules.

    A cancelled await leaves durability unknown: reload the session.
    """

    async def append_async(self, event: E_contra, /, *, seq: int, closes: bool) -> None:
        """As `SessionPersister.append`; the write itself is shielded from cancellation."""
        ...
