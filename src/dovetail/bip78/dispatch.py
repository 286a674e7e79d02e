"""Which session a request is for, and what its sender is answered (BIP 78, Protocol)."""

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

Begun = Callable[[LiveReceiver], None]
"""Is told of a session that a request made the agent take forward."""

_TURNS = 5


@dataclass(frozen=True, slots=True)
class PendingRequest:
    """An Original that is with its session, which has not answered yet."""

    live: LiveReceiver
    psbt: Psbt
    params: SenderParams


class Dispatcher:
    """Finds sessions by the last part of their URL, which is all that a proxy need pass on.

    Every open v1 session of the agent's store is served, also one that another run began.
    """

    def __init__(self, agent: Agent, begun: Begun) -> None:
        """Sessions are read from the store as requests ask for them."""
        self._agent = agent
        self._begun = begun
        self._known: dict[str, SessionId] = {}
        self._read: set[SessionId] = set()
        self._looking: asyncio.Task[None] | None = None
        self._next: asyncio.Task[None] | None = None

    async def find(self, token: str) -> SessionId | None:
        """The open session of this token; raises `StoreUnavailable`."""
        if token not in self._known:
            await asyncio.shield(self._look_once())
        return self._known.get(token)

    def _look_once(self) -> asyncio.Task[None]:
        """A look into the store that begins from now on.

        Any number of senders share it, so that unknown tokens do not keep the store busy.
        """
        if self._next is None:
            self._next = asyncio.ensure_future(self._look_after(self._looking))
        return self._next

    async def _look_after(self, former: asyncio.Task[None] | None) -> None:
        if former is not None:
            await asyncio.wait((former,))
        self._looking, self._next = self._next, None
        await asyncio.to_thread(self._look)

    async def take(
        self, session_id: SessionId, body: bytes, query: str
    ) -> Response | PendingRequest:
        """Hand the Original to its session: its answer, or what to `wait` for.

        A session that holds one already answers the same Original the same, and no other.
        Whoever goes then takes nothing back. Raises `StoreUnavailable`.
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
        # Nothing is to be done for one that ended.
        return answer_of(taken) or PendingRequest(self._follow(session_id), psbt, params)

    async def _hand_over(
        self, session_id: SessionId, psbt: Psbt, body: bytes, query: str
    ) -> receiver.ReceiverSession:
        """The session as it is once it holds an Original, or knows that it refused this one."""
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
                continue  # its own step, or another sender, was faster (M5)
        raise UsageError("The session moves on too fast: try again.")

    def _follow(self, session_id: SessionId) -> LiveReceiver:
        running = {live.session_id for live in self._agent.sessions if live.running}
        live = cast("LiveReceiver", self._agent.follow(session_id))  # as `find` saw to
        if session_id not in running:
            self._begun(live)
        live.nudge()
        return live

    @staticmethod
    async def wait(waiting: PendingRequest) -> Response:
        """The answer to this Original; another's is nobody else's business."""
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
        return unavailable()  # it was stopped, or cannot be read

    def _look(self) -> None:
        """Read the first event of each open session that is not known yet."""
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
