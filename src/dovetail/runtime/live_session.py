"""One session under way: its steps, pauses and retries, and the updates about them."""

import asyncio
import logging
import traceback
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeAlias, TypeVar

from dovetail.crypto.entropy import below, system
from dovetail.errors import (
    DovetailError,
    InfrastructureError,
    ReplayError,
    StaleSession,
    StoreUnavailable,
    UsageError,
)
from dovetail.runtime.async_ports import compute
from dovetail.runtime.chain_watch import ChainWatch, LowFee, Rival
from dovetail.runtime.coin_locks import hold_coins
from dovetail.runtime.receiver_steps import step_receiver
from dovetail.runtime.schedule import next_deadline, pause, polls
from dovetail.runtime.sender_steps import step_sender
from dovetail.runtime.services import Services
from dovetail.runtime.turn import Turn
from dovetail.runtime.wakeup import News
from dovetail.sessions import receiver, sender
from dovetail.sessions.outcomes import Outcome
from dovetail.sessions.receiver import ReceiverEvent, ReceiverSession
from dovetail.sessions.sender import SenderEvent, SenderSession
from dovetail.sessions.sightings import Sighting
from dovetail.stores.integrity import naming
from dovetail.stores.ports import E, Role, SessionLog

S = TypeVar("S", ReceiverSession, SenderSession)
logger = logging.getLogger(__name__)


class Step(Protocol[S, E]):
    """`step_receiver` or `step_sender`."""

    async def __call__(self, session: S, turn: Turn[E], /) -> S:
        """Take `session` one step further."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Update(Generic[S]):
    """The state of a session, the error since it last moved, and what the chain shows."""

    state: S | None
    trouble: DovetailError | None
    sighting: Sighting | None = None
    """The transaction that moves the session's money, as last seen; None: nothing yet."""
    low_fee: LowFee | None = None
    """Set while the fallback waits to be mined with a fee that may be too low."""
    rival: Rival | None = None
    """Set while an unconfirmed transaction that is no payment keeps the fallback out."""
    again_in: float | None = None
    """Seconds from then until the next try, after an error that another try may mend."""
    rested: bool = False
    """Whether a check has found nothing to do, so that the state of the log is current."""


class LiveSession(Generic[S, E]):
    """A session that its agent takes forward: watch it by `updates`, or `wait_closed`."""

    def __init__(
        self,
        role: Role,
        log: SessionLog[E],
        replay: Callable[[Iterable[E]], S],
        step: Step[S, E],
        services: Services,
        state: S | None,
    ) -> None:
        """See `live_receiver` and `live_sender`."""
        self.role = role
        self.session_id = log.session_id
        self._log: SessionLog[E] = log
        self._replay: Callable[[Iterable[E]], S] = replay
        self._step: Step[S, E] = step
        self._services = services
        self._update: Update[S] = Update(state=state, trouble=None)
        self._watch = ChainWatch()
        self._watch.tell = self._tell
        self._changed = News()
        self._task: asyncio.Task[None] | None = None
        self._failures = 0
        self._tried = 0
        self._rested = False
        self._nudged = False
        self.steps = 0
        """How many steps have been taken, whether or not they found something to do."""
        self._keeping: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        """Whether steps are being taken: until it is closed, stopped or found unreadable."""
        return self._task is not None and not self._task.done()

    @property
    def closed(self) -> bool:
        """Whether it has ended: nothing is left to do, and its state tells the outcome."""
        return isinstance(self._update.state, receiver.Closed | sender.Closed)

    @property
    def state(self) -> S | None:
        """Its state; None while its log has not been read, or cannot be."""
        return self._update.state

    @property
    def seq(self) -> int | None:
        """The number of events known of its log; None while the log has not been read."""
        return None if self._update.state is None else self._update.state.seq

    @property
    def trouble(self) -> DovetailError | None:
        """The error since it last moved; the step is retried automatically."""
        return self._update.trouble

    @property
    def sighting(self) -> Sighting | None:
        """The transaction that moves the session's money, as any process saw it last."""
        return self._update.sighting

    @property
    def low_fee(self) -> LowFee | None:
        """Set while the fallback waits to be mined with a fee that may be too low."""
        return self._update.low_fee

    @property
    def uri(self) -> str:
        """The Payjoin URI, saved already; a receiver shows it to one sender."""
        state = self._update.state
        if state is None:
            raise UsageError("The session has not been read yet: wait for its first update.")
        if isinstance(state, sender.PendingFallback | sender.Monitor | sender.Closed):
            return state.created.uri
        return state.payjoin_uri.serialize()

    async def updates(self) -> AsyncIterator[Update[S]]:
        """The present state, then each change, until the session is closed or was stopped.

        A slow reader skips to the latest update. A fault of the program that ended it is raised.
        """
        seen = None
        while True:
            if self._update is not seen:
                seen = self._update
                yield seen
                continue
            if self._task is None or self._task.done():
                self._raise_fault()
                return
            await asyncio.wait((self._changed.coming(),))

    async def wait_closed(self) -> Outcome:
        """Wait for the session's end, and return how it ended.

        Raises `ReplayError` where its log cannot be read, `UsageError` where it was stopped, and
        the fault of the program, if one ended it.
        """
        if self._task is not None:
            await asyncio.wait((self._task,))
        return self._outcome()

    async def see_through(self) -> Outcome:
        """The same for a caller who answers for it: if the wait is cancelled, it is stopped."""
        if self._task is not None:
            try:
                await self._task
            except asyncio.CancelledError:
                me = asyncio.current_task()
                if me is None or me.cancelling():
                    raise
        return self._outcome()

    def _outcome(self) -> Outcome:
        self._raise_fault()
        if isinstance(self.state, receiver.Closed | sender.Closed):
            return self.state.outcome
        if isinstance(self.trouble, ReplayError):
            raise self.trouble
        raise UsageError("The session was stopped before its end: resume it.")

    def start(self, *, then: Callable[[], None] = lambda: None, nudged: bool = False) -> None:
        """Begin to take steps, in a task of the running event loop; `then` is called at its end.

        `nudged` is whether it will be nudged when its log grows: else it polls the log itself.
        """
        self._nudged = nudged
        self._task = asyncio.create_task(self._run(), name=f"session {self.session_id}")
        self._task.add_done_callback(self._ended)
        self._task.add_done_callback(lambda _task: then())

    def nudge(self) -> None:
        """Read the log at once, as another handle or process has appended to it."""
        self._watch.news.set()

    async def stop(self) -> None:
        """Stop where it is; a write that has begun is finished."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        try:
            await self._go_on()
        finally:
            if self._keeping is not None:
                await self._keeping

    async def _go_on(self) -> None:
        holding = await hold_coins(self._services)
        while not self.closed:
            before = self.state
            try:
                after = await self._advance(before)
            except ReplayError as error:
                self._publish(None, error)
                return
            except DovetailError as error:
                # A full disk is no reason to give up on the wallet.
                self._failures += isinstance(error, InfrastructureError)
                self._watch.trouble = error
                again_in = self._backoff()
                self._publish(before, error, again_in=again_in)
                logger.info("Session %s: %s", self.session_id, type(error).__name__)
                await self._sleep(before, again_in)
                continue
            self.steps += 1
            self._failures = self._tried = 0
            self._watch.trouble = None
            if after is not before or not holding:
                # Before the end is published, as a listener may exit at once.
                holding = await hold_coins(self._services)
            if after is not before:
                self._publish(after, None)
                logger.info("Session %s: %r", self.session_id, after)
            else:
                if not self._watch.news.is_set():  # else the step may have returned for it
                    self._rest()
                await self._sleep(after, pause(after, self._services))

    async def _advance(self, before: S | None) -> S:
        told = self._nudged and polls(before, self._services.clock())
        rested = self._rested and not told  # thousands may poll, and none needs to read the log
        looks = rested or self._watch.news.is_set()
        self._rested = False
        self._watch.news.clear()  # before the log is read
        if before is None or (looks and await self._moved_on(before)):
            return await compute(self._load)
        try:
            turn = Turn(self._log, self._services, self._failures, self._watch)
            return await self._step(before, turn)
        except StaleSession:
            # Another handle or process has moved it on: go on from where it is.
            loaded = await compute(self._load)
            if loaded.seq == before.seq:
                raise  # a store that contradicts itself is an error: no fast retry
            return loaded

    async def _moved_on(self, state: S) -> bool:
        """Whether another handle or process moved the session, which a waiting step cannot see."""
        row = await self._services.async_store.row(self.session_id)
        return row.next_seq != state.seq

    def _load(self) -> S:
        with naming(self.session_id):
            state = self._replay(self._log.load())
        if self._watch.sighting is None:
            self._watch.sighting = self._services.store.row(self.session_id).sighting
        return state

    async def _sleep(self, state: S | None, seconds: float) -> None:
        """Wait until a nudge, or until the state has something else to do."""
        self._rested = True
        now = self._services.clock()
        deadline = None if state is None else next_deadline(state, now)
        longest = seconds if deadline is None else min(seconds, deadline - now)
        await asyncio.wait((self._watch.news.coming(),), timeout=max(longest, 0))

    def _backoff(self) -> float:
        """Seconds until the next try: doubling up to the longest, the second half random."""
        policy = self._services.policy
        longest = min(policy.first_retry * float(2 ** min(self._tried, 20)), policy.longest_retry)
        self._tried += 1
        return longest * (0.5 + below(system, 1024) / 2048)

    def _ended(self, task: asyncio.Task[None]) -> None:
        fault = None if task.cancelled() else task.exception()
        if fault is not None:
            # Its message is not ours and may quote anything (P4).
            where = "".join(traceback.format_tb(fault.__traceback__))
            name = type(fault).__name__
            logger.error("Session %s: a fault of the program, %s\n%s", self.session_id, name, where)
        self._wake()

    def _raise_fault(self) -> None:
        if self._task is not None and not self._task.cancelled():
            fault = self._task.exception()
            if fault is not None:
                raise fault

    def _rest(self) -> None:
        """Publish, where the state stayed, that the error is over or that the chain changed."""
        told, watch = self._update, self._watch
        before = told.sighting, told.low_fee, told.rival
        seen = before != (watch.sighting, watch.low_fee, watch.rival)
        if told.trouble is not None or seen or not told.rested:
            self._publish(self.state, None, rested=True)

    def _tell(self) -> None:
        """Publish a sighting at once, while its step goes on, and store it for other processes."""
        told = self._update
        self._publish(told.state, told.trouble, rested=told.rested, again_in=told.again_in)
        if self._keeping is None or self._keeping.done():
            self._keeping = asyncio.create_task(self._keep())

    async def _keep(self) -> None:
        """Store the last sighting; if the disk refuses, only other processes miss it."""
        kept, seen = None, self._watch.sighting
        while seen is not None and seen is not kept:
            try:
                await self._services.async_store.saw(self.session_id, seen)
            except StoreUnavailable as error:
                logger.info("A sighting could not be stored: %s", type(error).__name__)
            kept, seen = seen, self._watch.sighting

    def _publish(
        self,
        state: S | None,
        trouble: DovetailError | None,
        *,
        rested: bool = False,
        again_in: float | None = None,
    ) -> None:
        self._update = Update(
            state=state,
            trouble=trouble,
            sighting=self._watch.sighting,
            low_fee=self._watch.low_fee,
            rival=self._watch.rival,
            again_in=again_in,
            rested=rested,
        )
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed.clear()


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
