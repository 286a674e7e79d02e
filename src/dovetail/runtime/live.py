"""One session under way: steps, pauses, retries, and who is told about them."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from dovetail.crypto.entropy import below, system
from dovetail.errors import DovetailError, ReplayError, StaleSession, UsageError
from dovetail.runtime.receiving import step_receiver
from dovetail.runtime.sending import step_sender
from dovetail.runtime.services import Services
from dovetail.sessions import receiver, sender
from dovetail.sessions.outcomes import Outcome
from dovetail.sessions.receiver import ReceiverEvent, ReceiverSession
from dovetail.sessions.sender import SenderEvent, SenderSession
from dovetail.stores.ports import E, Role, SessionLog

FIRST_RETRY = 1.0
LONGEST_RETRY = 60.0

S = TypeVar("S", ReceiverSession, SenderSession)
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Update(Generic[S]):
    """Where a session stands, and what went wrong since it last moved."""

    state: S | None
    trouble: DovetailError | None


class LiveSession(Generic[S, E]):
    """A session that its agent takes forward. Watch it by `updates`, await its end by `closed`."""

    def __init__(
        self,
        role: Role,
        log: SessionLog[E],
        replay: Callable[[Iterable[E]], S],
        step: Callable[[S, SessionLog[E], Services], Awaitable[S]],
        services: Services,
        state: S | None,
    ) -> None:
        """See `live_receiver` and `live_sender`."""
        self.role = role
        self.session_id = log.session_id
        self._log: SessionLog[E] = log
        self._replay: Callable[[Iterable[E]], S] = replay
        self._step: Callable[[S, SessionLog[E], Services], Awaitable[S]] = step
        self._services = services
        self._update: Update[S] = Update(state=state, trouble=None)
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def state(self) -> S | None:
        """Where it stands; None while its log has not been read, or cannot be."""
        return self._update.state

    @property
    def trouble(self) -> DovetailError | None:
        """What went wrong since it last moved; it is tried again by itself."""
        return self._update.trouble

    @property
    def uri(self) -> str:
        """The Payjoin URI, durable already; a receiver shows it to one sender."""
        if self._update.state is None:
            raise UsageError("The session has not been read yet: wait for its first update.")
        return self._update.state.payjoin_uri.serialize()

    async def updates(self) -> AsyncIterator[Update[S]]:
        """Where it stands now, then each change, until it is closed or was stopped."""
        seen = None
        while True:
            changed = self._changed
            if self._update is not seen:
                seen = self._update
                yield seen
                continue
            if self._task is None or self._task.done():
                return
            await changed.wait()

    async def closed(self) -> Outcome:
        """Wait for the session's end.

        Raises `ReplayError` where its log cannot be read, `UsageError` where it was stopped.
        """
        async for _ in self.updates():
            pass
        if isinstance(self.state, receiver.Closed | sender.Closed):
            return self.state.outcome
        raise self.trouble or UsageError("The session was stopped before its end: resume it.")

    def start(self) -> None:
        """Begin to take steps, in a task of the running event loop."""
        self._task = asyncio.create_task(self._run(), name=f"session {self.session_id}")
        self._task.add_done_callback(lambda _task: self._wake())

    async def stop(self) -> None:
        """Stop where it is; a write that has begun is finished."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        failures = 0
        while not isinstance(self.state, receiver.Closed | sender.Closed):
            before = self.state
            try:
                after = await self._advance(before)
            except ReplayError as error:
                self._publish(None, error)
                return
            except DovetailError as error:
                failures += 1
                self._publish(before, error)
                logger.info("Session %s: %s", self.session_id, type(error).__name__)
                await asyncio.sleep(_backoff(failures))
                continue
            failures = 0
            if after is not before:
                self._publish(after, None)
                logger.info("Session %s: %r", self.session_id, after)
            else:
                self._recovered()
                await asyncio.sleep(self._pause(after))

    async def _advance(self, before: S | None) -> S:
        if before is None:
            return await asyncio.to_thread(self._load)
        try:
            return await self._step(before, self._log, self._services)
        except StaleSession:
            # Another handle or process has moved it on: go on from where it is.
            return await asyncio.to_thread(self._load)

    def _load(self) -> S:
        return self._replay(self._log.load())

    def _pause(self, state: S) -> float:
        policy = self._services.policy
        match state:
            case receiver.Initialized() | sender.PollingForProposal():
                return policy.poll_pause
            case _:
                return policy.watch_interval

    def _recovered(self) -> None:
        if self.trouble is not None:
            self._publish(self.state, None)

    def _publish(self, state: S | None, trouble: DovetailError | None) -> None:
        self._update = Update(state=state, trouble=trouble)
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


LiveReceiver: TypeAlias = LiveSession[ReceiverSession, ReceiverEvent]
LiveSender: TypeAlias = LiveSession[SenderSession, SenderEvent]


def live_receiver(
    log: SessionLog[ReceiverEvent], services: Services, state: ReceiverSession | None = None
) -> LiveReceiver:
    """A receiver's session; its log is read first where no `state` is given."""
    return LiveSession(Role.RECEIVER, log, receiver.replay, step_receiver, services, state)


def live_sender(
    log: SessionLog[SenderEvent], services: Services, state: SenderSession | None = None
) -> LiveSender:
    """A sender's session; its log is read first where no `state` is given."""
    return LiveSession(Role.SENDER, log, sender.replay, step_sender, services, state)


def _backoff(failures: int) -> float:
    """Seconds until the next try: doubling from 1 to 60, the second half of it by chance."""
    longest: float = min(FIRST_RETRY * 2 ** min(failures - 1, 10), LONGEST_RETRY)
    return longest * (0.5 + below(system, 1024) / 2048)
