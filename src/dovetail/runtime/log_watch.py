"""Notices what others append to the logs: one look for all sessions of an agent."""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Protocol

from dovetail.errors import StoreUnavailable
from dovetail.stores.ports import SessionId, Store

logger = logging.getLogger(__name__)


class Watched(Protocol):
    """A session under way."""

    session_id: SessionId

    @property
    def seq(self) -> int | None:
        """How many events it knows; None while it has not been read."""
        ...

    def nudge(self) -> None:
        """Have it look at its log."""
        ...


class Lookout:
    """Nudges each session whose log has grown, or was closed, by another handle or process.

    The store tells cheaply whether anything was written; only then the logs' lengths are read,
    all by one question. So the cost follows what happens, not how many sessions wait.
    """

    def __init__(
        self,
        store: Store,
        sessions: Callable[[], Iterable[Watched]],
        *,
        every: float,
        opened: Callable[[Collection[SessionId]], None] = lambda _opened: None,
    ) -> None:
        """Look `every` so many seconds at what `sessions` gives.

        `opened` is told which sessions are open, whoever began them, whenever something was
        written.
        """
        self._store = store
        self._sessions = sessions
        self._every = every
        self._opened = opened
        self._pulse: int | None = None

    async def run(self) -> None:
        """Look until it is cancelled; a store that is away is looked at again."""
        while True:
            try:
                await self.look()
            except StoreUnavailable as error:
                logger.info("No look at the logs: %s", type(error).__name__)
            await asyncio.sleep(self._every)

    async def look(self) -> None:
        """Look once; raises `StoreUnavailable`."""
        pulse, heads = await asyncio.to_thread(self._changed)
        if heads is None:
            return
        self._opened(heads.keys())  # what it cannot do now is tried at the next look
        self._pulse = pulse
        for session in self._sessions():
            if session.seq is None:
                self._pulse = None  # it is being read: what came meanwhile shows at the next look
            elif heads.get(session.session_id) != session.seq:
                session.nudge()

    def _changed(self) -> tuple[int, Mapping[SessionId, int] | None]:
        """The pulse, read before the logs' lengths, so that no write falls between them."""
        pulse = self._store.pulse()
        return pulse, None if pulse == self._pulse else self._store.heads()
