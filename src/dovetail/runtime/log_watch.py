"""Notices what others append to the logs, by one query for all sessions of an agent."""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable
from typing import Protocol

from dovetail.errors import StoreUnavailable
from dovetail.stores.ports import SessionId, Store

logger = logging.getLogger(__name__)


class Watched(Protocol):
    """A session under way."""

    session_id: SessionId

    @property
    def seq(self) -> int | None:
        """The number of events it knows; None while it has not been read."""
        ...

    def nudge(self) -> None:
        """Have it read its log."""
        ...


class Lookout:
    """Nudges each session whose log has grown, or was closed, by another handle or process.

    The store tells cheaply whether anything was written; only then are the logs' lengths read,
    all by one query, and those that changed are noted. So the cost grows with the writes, not with
    the number of sessions.
    """

    def __init__(
        self,
        store: Store,
        sessions: Callable[[], Iterable[Watched]],
        *,
        every: float,
        opened: Callable[[Collection[SessionId]], None] = lambda _opened: None,
    ) -> None:
        """Check the sessions that `sessions` returns, every `every` seconds.

        After each write, `opened` is called with the open sessions, also of other processes.
        """
        self._store = store
        self._sessions = sessions
        self._every = every
        self._opened = opened
        self._pulse: int | None = None
        self._heads: dict[SessionId, int] = {}

    async def run(self) -> None:
        """Check until cancelled; a store that is away is tried again."""
        while True:
            try:
                await self.look()
            except StoreUnavailable as error:
                logger.info("The logs could not be checked: %s", type(error).__name__)
            await asyncio.sleep(self._every)

    async def look(self) -> None:
        """Check once; raises `StoreUnavailable`."""
        pulse = await asyncio.to_thread(self._store.pulse)  # before the lengths: none is missed
        if pulse == self._pulse:
            return
        known = {session.session_id for session in self._sessions()}
        await asyncio.to_thread(self._store.refresh_heads, self._heads)
        self._opened(self._heads.keys())  # a failure is tried again at the next check
        self._pulse = pulse
        for session in self._sessions():
            head = self._heads.get(session.session_id)
            if session.seq is None or session.session_id not in known:
                self._pulse = None  # it is being read: what came meanwhile shows at the next check
            elif head is None or head > session.seq:
                session.nudge()
