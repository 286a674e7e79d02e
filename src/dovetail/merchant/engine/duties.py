"""Duties: long-lived work that has a name, done by one worker at a time.

Nothing that must be right depends on that: a worker that is late may do a duty beside its successor
for some seconds, and the fence of what both write lets one of them through.
"""

import asyncio
import logging
import time
import traceback
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import Protocol, TypeAlias

from dovetail.crypto.entropy import below, system
from dovetail.errors import DovetailError, UsageError

Work: TypeAlias = Callable[[str], Awaitable[None]]
"""Does a duty until it is over or cancelled; takes what follows the colon in its name, or "".

It may be called again for a duty that was done or half done, here or on another machine.
"""

Registry: TypeAlias = Mapping[str, Work]
"""The work of each kind of duty: the part of its name before the first colon."""

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
"""Seconds between a duty's failure and its next try; the pause doubles with each failure."""

SOUND = 120.0
"""A duty that has run for this many seconds begins anew with the first pause."""

CANCELLED_AGAIN = 1.0
"""Seconds after which a task that has not ended is cancelled again."""

_logger = logging.getLogger(__name__)


class Duties(Protocol):
    """Sees to it that each duty is done by a worker."""

    async def ensure(self, names: Collection[str]) -> None:
        """Make sure that each named duty is done, or will be; one that is done already goes on.

        Call it whenever a duty arises, and for all that are due from time to time: a duty is over
        when its work returns. Raises `StoreUnavailable` if the duties cannot be written down.
        """
        ...

    async def run(self, stop: asyncio.Event) -> None:
        """Be a worker until `stop` is set: then every duty is cancelled here, and handed on."""
        ...

    @property
    def running(self) -> Collection[str]:
        """The names of the duties that this process does now."""
        ...


class HandedOn(Exception):
    """A duty has failed here too often: another worker may do better."""


def work_of(registry: Registry, name: str) -> tuple[Work, str]:
    """Return the work of a duty and its argument; raises `UsageError` for an unknown kind."""
    kind, _, rest = name.partition(":")
    if kind not in registry:
        raise UsageError(f"No duty is of the kind `{kind}`: start a newer version of this program.")
    return registry[kind], rest


async def keep_doing(registry: Registry, name: str, *, failures: int | None = None) -> None:
    """Do a duty until it is over, again after each error, with growing pauses.

    Raises `HandedOn` after this many failures in a row (None: never).
    """
    failed = 0
    while True:
        began = time.monotonic()
        try:
            work, rest = work_of(registry, name)
            await work(rest)
        except asyncio.CancelledError as error:
            if _is_cancelled():
                raise
            fault: BaseException = error  # a cancellation that leaked out of the work itself
        except Exception as error:  # noqa: BLE001 - a fault of one duty must not end the others
            fault = error
        else:
            return
        failed = 1 if time.monotonic() - began > SOUND else failed + 1
        pause = pause_after(failed)
        _tell(name, fault, pause)
        del fault
        await asyncio.sleep(pause)
        if failed == failures:
            raise HandedOn


def pause_after(failures: int) -> float:
    """Seconds to wait after so many failures in a row; a quarter is random, to spread the load."""
    longest = min(LONGEST_PAUSE, FIRST_PAUSE * float(2 ** min(failures - 1, 20)))
    return longest * (0.75 + below(system, 1024) / 4096)


async def cancel(tasks: Iterable["asyncio.Task[None]"]) -> None:
    """Cancel tasks and wait until they have ended.

    They are cancelled again and again: before Python 3.12 `asyncio.wait_for`, by which psycopg's
    pool waits for a connection, loses a cancellation that comes together with its result.
    """
    ended = tuple(tasks)
    left = set(ended)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=CANCELLED_AGAIN)
    await asyncio.gather(*ended, return_exceptions=True)


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _tell(name: str, fault: BaseException, pause: float) -> None:
    """Log an expected error by its sentence; another one's message may quote anything (P4)."""
    kind = type(fault).__name__
    if isinstance(fault, DovetailError):
        _logger.warning("%s: %s It is tried again in %.0f s.", name, fault, pause)
        return
    where = "".join(traceback.format_tb(fault.__traceback__))
    _logger.error(
        "%s: a fault of the program, %s. It is tried again in %.0f s.\n%s", name, kind, pause, where
    )
