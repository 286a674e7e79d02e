"""All sessions that an agent has under way."""

import asyncio
from collections.abc import Callable, Collection, Iterable
from typing import TypeAlias, TypeVar, cast

from dovetail.runtime.live_session import LiveReceiver, LiveSender, live_receiver, live_sender
from dovetail.runtime.log_watch import Lookout
from dovetail.runtime.services import Services
from dovetail.sessions import receiver, sender
from dovetail.stores.ports import Role, SessionId

AnyLive: TypeAlias = LiveReceiver | LiveSender
L = TypeVar("L", LiveReceiver, LiveSender)


class LiveSessions:
    """Begins sessions, goes on with those of the store, and forgets those that have ended."""

    def __init__(self, services: Services) -> None:
        """Sessions of this store, run with these parts."""
        self._services = services
        self._live: dict[SessionId, AnyLive] = {}
        self._looking: asyncio.Task[None] | None = None
        self._adopting: Callable[[AnyLive], None] | None = None

    @property
    def known(self) -> Collection[AnyLive]:
        """The sessions under way, and those that were stopped or cannot be read."""
        return self._live.values()

    def begin(self, session: L) -> L:
        """Take its steps from now on; if it is under way already, return the known one."""
        known = self._live.get(session.session_id)
        if known is not None and known.running:
            return cast("L", known)  # the lookout was faster
        self._live[session.session_id] = session
        self._look_out()
        session.start(then=lambda: self._forget(session), nudged=True)
        return session

    def resume(self, session_ids: Collection[SessionId] | None) -> tuple[AnyLive, ...]:
        """See `Agent.resume`."""
        rows = self._services.store.live()
        wanted = [row for row in rows if session_ids is None or row.session_id in session_ids]
        return tuple(self.follow(row.session_id) for row in wanted)

    def follow(self, session_id: SessionId) -> AnyLive:
        """See `Agent.follow`."""
        known = self._live.get(session_id)
        if known is not None and known.running:
            return known
        store = self._services.store
        if store.row(session_id).role is Role.RECEIVER:
            return self.begin(live_receiver(store.receiver(session_id), self._services))
        return self.begin(live_sender(store.sender(session_id), self._services))

    def adopt(self, begun: Callable[[AnyLive], None]) -> None:
        """See `Agent.adopt`."""
        self._adopting = begun
        self._adopt(self._services.store.heads())
        self._look_out()

    def nudge(self, session_id: SessionId) -> None:
        """Have a session that is under way read its log at once, after a decision."""
        if (session := self._live.get(session_id)) is not None:
            session.nudge()

    async def stop(self) -> None:
        """Stop every session where it is; a write that has begun is finished."""
        looking, self._looking = self._looking, None
        self._adopting = None
        if looking is not None:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
        await asyncio.gather(*(session.stop() for session in self._live.values()))

    def _look_out(self) -> None:
        if self._looking is None or self._looking.done():
            every = self._services.policy.log_interval
            store = self._services.store
            lookout = Lookout(store, self._running, every=every, opened=self._adopt)
            self._looking = asyncio.create_task(lookout.run(), name="lookout")

    def _adopt(self, opened: Iterable[SessionId]) -> None:
        if self._adopting is None:
            return
        for each in opened:
            # It may have ended, and been forgotten, since the log was checked.
            if each not in self._live and self._services.store.row(each).closed_at is None:
                self._adopting(self.follow(each))

    def _running(self) -> tuple[AnyLive, ...]:
        return tuple(session for session in self._live.values() if session.running)

    def _forget(self, session: AnyLive) -> None:
        """Keep only live sessions in memory, and those whose log cannot be read."""
        if isinstance(session.state, receiver.Closed | sender.Closed):
            self._live.pop(session.session_id, None)
