"""`dovetail run`: takes every session forward, also those of other commands, until it stops."""

import asyncio
import logging
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Any

from dovetail import locking
from dovetail.cli import context, open_parts, signals
from dovetail.cli.context import Home
from dovetail.cli.exits import Exit
from dovetail.cli.handlers import v1_server
from dovetail.cli.handlers.v1_server import Listening
from dovetail.cli.live.agent import open_agent
from dovetail.cli.live.follow import Follower, Live, never
from dovetail.cli.live.updates import Happening, HappeningKind, to_log
from dovetail.cli.output import Screen
from dovetail.cli.service_manager import READY, STOPPING, Notifier
from dovetail.cli.signals import Stop
from dovetail.collecting import rare_collections
from dovetail.errors import InfrastructureError
from dovetail.runtime.agent import Agent
from dovetail.runtime.late_payments import look_back
from dovetail.serving.logs import STDERR, JsonLines, logging_to

if TYPE_CHECKING:
    from dovetail.stores.ports import SessionId

_log = logging.getLogger("dovetail.run")

_SECOND = (
    "Another `dovetail run` works in this data folder: stop that one first, or choose another"
    " folder with `--data-dir`."
)
_LOCK_PATIENCE = 0.5
_LOOK_BACK_EVERY = 3600.0
_AFTER_A_FAULT = 60.0


class _Mute(Screen):
    """A screen that says nothing, because everything goes to the log."""

    def say(self, text: str = "", **style: Any) -> None:
        """Say nothing."""


def run(
    *, place: tuple[str, int] | None, tls_cert: str | None, tls_key: str | None, json_log: bool
) -> int:
    """Work until a signal comes; see `dovetail run --help`."""
    listening = Listening(place, tls_cert, tls_key)
    listening.check()
    home = context.home(tell=False)
    lines = JsonLines() if json_log else None
    with (
        locking.hold(home.folder, taken=_SECOND, patience=_LOCK_PATIENCE),
        logging_to(STDERR, "dovetail", "uvicorn.error", lines=lines),
        rare_collections(),
    ):
        _log.setLevel(logging.INFO)
        try:
            return _run(listening, home)
        except KeyboardInterrupt:  # told to stop before it had begun
            return Exit.DONE


@signals.interruptible
async def _run(stop: Stop, listening: Listening, place: Home) -> int:
    notifier = Notifier()
    async with AsyncExitStack() as opened:
        start = open_parts.start(place, v1_only=listening.wanted)
        agent = await opened.enter_async_context(open_agent(start))
        stop.guarded = True
        service = _Service(agent, place)
        opened.push_async_callback(service.stop)
        door = v1_server.door(agent, listening, _log.info, service.take)
        await opened.enter_async_context(door)
        agent.adopt(service.take)
        service.also(service.look_back())
        service.also(notifier.stay_alive())
        _log.info("Ready. Open sessions: %d.", len(service.sessions))
        notifier.send(READY)
        await stop.asked.wait()
        notifier.send(STOPPING)
        _log.info("Stopping: sessions stay as they are, and nothing is lost.")
    _log.info("Stopped.")
    return Exit.DONE


class _Service:
    """Tells the log what happens to the agent's sessions."""

    def __init__(self, agent: Agent, place: Home) -> None:
        """`take` hands it a session."""
        self._agent = agent
        self._place = place
        self._tell = to_log(_log)
        self.sessions: dict[SessionId, Live] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, live: Live) -> None:
        """Follow a session from now on, unless that is done already."""
        if self.sessions.get(live.session_id) is live:
            return
        self.sessions[live.session_id] = live
        self.also(self._follow(live))

    def also(self, work: Any) -> None:
        """Do this until the service stops."""
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """End what it does beside the agent."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def look_back(self) -> None:
        """Look every hour whether a payment came to an ended session's address."""
        while True:
            try:
                for late in await look_back(self._agent.services):
                    _log.warning("%s %s", late.words, late.sighting.txid)
            except InfrastructureError as error:
                _log.info("No look at ended sessions: %s", type(error).__name__)
            await asyncio.sleep(_LOOK_BACK_EVERY)

    async def _follow(self, live: Live) -> None:
        begun = "It is taken forward."
        number, role = live.session_id, live.role
        self._tell(Happening(session_id=number, role=role, kind=HappeningKind.BEGUN, words=begun))
        asks = self._place.asks
        follower = Follower(live, _Mute(), asks, never, beside=self._tell, stays=True)
        await follower.follow(alone=False)
        self.sessions.pop(number, None)
        if follower.fault is not None:
            await asyncio.sleep(_AFTER_A_FAULT)
            with suppress(InfrastructureError):
                self.take(self._agent.follow(number))
