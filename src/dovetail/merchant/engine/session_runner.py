"""The duty of a session: a worker takes its steps until it ends, or until the worker stops.

Two workers may work on one session for a moment, as when one was believed dead: the store lets
each event in once (M1, M5), and the other goes on from there.
"""

import asyncio
import logging

from dovetail.errors import ReplayError, UsageError
from dovetail.runtime import decisions
from dovetail.runtime.live_sessions import AnyLive, LiveSessions
from dovetail.runtime.services import Services
from dovetail.sessions import receiver
from dovetail.stores.ports import SessionId

logger = logging.getLogger(__name__)

LAST_POLLS = 2
"""Polls that end after a request to close: the first may have begun before it."""

POLL_PATIENCE = 90.0
"""Seconds after which a session is closed though its mailbox has not answered."""

_UNREADABLE = 60.0
_AGAIN = 0.1


class SessionRunner:
    """Takes the steps of the sessions that share these services."""

    def __init__(self, services: Services) -> None:
        """Nothing is begun before `run`."""
        self.services = services
        self._sessions = LiveSessions(services)
        self._running: dict[SessionId, AnyLive] = {}

    def has(self, session_id: SessionId) -> bool:
        """Whether the session is under way here."""
        return session_id in self._running

    async def run(self, session_id: SessionId) -> None:
        """Take its steps until it is closed; raises `SessionNotFound`.

        A session whose log cannot be read is left as it is, and tried again every minute.
        """
        live = self._sessions.follow(session_id)
        self._running[session_id] = live
        try:
            await live.see_through()
        except ReplayError as error:
            logger.warning("Session %s cannot be read: %s", session_id, error)
            await asyncio.sleep(_UNREADABLE)
            raise
        except UsageError:
            return  # it was stopped elsewhere
        finally:
            self._running.pop(session_id, None)
            if not live.closed:
                await live.stop()

    async def close(self, session_id: SessionId) -> bool:
        """End a session that no sender has answered, after one more poll; whether it ended so.

        A sender may have posted an Original a moment ago: a poll that begins after the request
        takes it. A session that holds a payment goes on to its end.
        """
        live = self._running.get(session_id)
        if live is None:
            return False
        await self._poll_once_more(live)
        if not isinstance(live.state, receiver.Initialized):
            return False
        try:
            await decisions.cancel(self.services, session_id)
        except UsageError:
            return False  # a payment is on its way
        live.nudge()
        return True

    async def stop(self) -> None:
        """Stop every session where it is; a write that has begun is finished."""
        await self._sessions.stop()
        await self.services.addresses.stop()

    async def _poll_once_more(self, live: AnyLive) -> None:
        wanted = live.steps + LAST_POLLS
        deadline = asyncio.get_running_loop().time() + POLL_PATIENCE
        while live.state is None or (
            live.steps < wanted and isinstance(live.state, receiver.Initialized)
        ):
            if asyncio.get_running_loop().time() > deadline:
                logger.info("A mailbox did not answer before its session is closed")
                return
            await asyncio.sleep(_AGAIN)
