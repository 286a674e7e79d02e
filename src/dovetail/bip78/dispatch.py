"""Finds the session of a request, and the answer to its sender (BIP 78, Protocol)."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from dovetail.bip78.responses import answer_of, holds, refusal, refused_before, unavailable
from dovetail.bitcoin.psbt import Psbt
from dovetail.errors import (
    InvalidMessage,
    OriginalRejected,
    ReplayError,
    SessionNotFound,
    StaleSession,
    UnsupportedVersion,
    UsageError,
)
from dovetail.protocol.error_replies import ErrorCode
from dovetail.protocol.params import SenderParams
from dovetail.protocol.requests import read_v1_request
from dovetail.runtime.agent import Agent
from dovetail.runtime.live_session import LiveReceiver
from dovetail.serving.responses import Response
from dovetail.sessions import receiver
from dovetail.sessions.receiver.events import Created, Web
from dovetail.stores.ports import Role, SessionId

OnFollow = Callable[[LiveReceiver], None]
"""Is called with a session that a request made the agent run."""

_TURNS = 5


@dataclass(frozen=True, slots=True)
class PendingRequest:
    """An Original PSBT whose session has not answered yet."""

    live: LiveReceiver
    psbt: Psbt
    params: SenderParams


class Dispatcher:
    """Finds sessions by the last part of their URL; a proxy may change the rest.

    It serves every open v1 session of the agent's store, also those of earlier runs.
    """

    def __init__(self, agent: Agent, on_follow: OnFollow) -> None:
        """Sessions are read from the store as requests ask for them."""
        self._agent = agent
        self._on_follow = on_follow
        self._known: dict[str, SessionId] = {}
        self._read: set[SessionId] = set()
        self._scanning: asyncio.Task[None] | None = None
        self._next: asyncio.Task[None] | None = None

    async def find(self, token: str) -> SessionId | None:
        """Return the open session of this token, or None; raises `StoreUnavailable`."""
        if token not in self._known:
            await asyncio.shield(self._next_scan())
        return self._known.get(token)

    def _next_scan(self) -> asyncio.Task[None]:
        """Return a read of the store that starts from now on.

        All senders share it, so that unknown tokens do not keep the store busy.
        """
        if self._next is None:
            self._next = asyncio.ensure_future(self._scan_after(self._scanning))
        return self._next

    async def _scan_after(self, former: asyncio.Task[None] | None) -> None:
        if former is not None:
            await asyncio.wait((former,))
        self._scanning, self._next = self._next, None
        await asyncio.to_thread(self._scan)

    async def take(
        self, session_id: SessionId, body: bytes, query: str
    ) -> Response | PendingRequest:
        """Pass the Original PSBT to its session; return its answer, or a request to `wait` for.

        A session that holds an Original answers that one again, and refuses any other. A sender
        that leaves does not undo this. Raises `StoreUnavailable`.
        """
        try:
            psbt, params = await asyncio.to_thread(read_v1_request, body, query)
        except UnsupportedVersion as error:
            return refusal(ErrorCode.VERSION_UNSUPPORTED, supported=error.supported)
        except InvalidMessage:
            return refusal(ErrorCode.ORIGINAL_PSBT_REJECTED)
        try:
            taken = await self._hand_over(session_id, psbt, body, query)
        except OriginalRejected:
            return refusal(ErrorCode.ORIGINAL_PSBT_REJECTED)
        except (ReplayError, SessionNotFound, UsageError):
            return unavailable()  # damaged, or expired
        known = refused_before(taken, psbt)
        if known is not None:
            return known
        if not holds(taken, psbt, params):
            return unavailable()
        # An ended session needs no run.
        return answer_of(taken) or PendingRequest(self._follow(session_id), psbt, params)

    async def _hand_over(
        self, session_id: SessionId, psbt: Psbt, body: bytes, query: str
    ) -> receiver.ReceiverSession:
        """Return the session when it holds an Original, or has refused this one."""
        services = self._agent.services
        log = services.store.receiver(session_id)
        for _ in range(_TURNS):
            state = receiver.replay(await asyncio.to_thread(log.load))
            if not isinstance(state, receiver.Initialized) or refused_before(state, psbt):
                return state
            arrived = await asyncio.to_thread(state.receive_v1, body, query, now=services.clock())
            try:
                return await arrived.save_async(log)
            except StaleSession:
                continue  # its own step or another sender was faster (M5)
        raise UsageError("The session changes too fast: try again.")

    def _follow(self, session_id: SessionId) -> LiveReceiver:
        running = {live.session_id for live in self._agent.sessions if live.running}
        live = cast("LiveReceiver", self._agent.follow(session_id))  # `find` returns receivers only
        if session_id not in running:
            self._on_follow(live)
        live.nudge()
        return live

    @staticmethod
    async def wait(waiting: PendingRequest) -> Response:
        """Wait for the answer to this Original PSBT; other senders never get it."""
        psbt, params = waiting.psbt, waiting.params
        async for update in waiting.live.updates():
            if update.state is None:
                continue
            found = answer_of(update.state)
            known = refused_before(update.state, psbt)
            if known is not None:
                return known
            if found is not None:
                error = isinstance(update.state, receiver.HasReplyableError | receiver.Closed)
                return found if error or holds(update.state, psbt, params) else unavailable()
        return unavailable()  # the session was stopped or cannot be read

    def _scan(self) -> None:
        """Read the first event of each open session that is not yet known."""
        store = self._agent.services.store
        rows = {row.session_id for row in store.live() if row.role is Role.RECEIVER}
        self._known = {token: each for token, each in self._known.items() if each in rows}
        for session_id in rows - self._read:
            try:
                created = store.receiver(session_id).load()[0]
            except (ReplayError, SessionNotFound):
                continue
            match created:
                case Created(endpoint=Web(url=url)):
                    self._known[url.rpartition("/")[2]] = session_id
                case _:
                    pass
        self._read = rows
