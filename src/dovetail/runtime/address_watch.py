"""Watch the addresses of all sessions of an agent by shared chain queries (ADR 0038)."""

import asyncio
import logging
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

from dovetail.bitcoin import Script
from dovetail.errors import ChainError
from dovetail.runtime.async_ports import AsyncChain
from dovetail.wallets.ports import Payment

Paid: TypeAlias = tuple[Payment, ...]
Tell: TypeAlias = Callable[[Paid | None], None]

TOGETHER = 0.01
"""Seconds for which a query waits for others, to be asked together with them."""

logger = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Follower:
    """A follower of a script; `looked_at`: when it was last told of it, in loop time."""

    script: Script
    seen: Paid
    tell: Tell
    looked_at: float


class Addresses:
    """Queries scripts for many sessions at once, in one thread.

    Queries that are wanted at the same time become one, and every `every` seconds one asks for all
    scripts that are followed. Each result is compared with what the follower saw last, so that a
    missed change shows in the next one.
    """

    def __init__(self, chain: AsyncChain, *, every: float) -> None:
        """Ask `chain`, but only once a script is queried or followed."""
        self._chain = chain
        self._every = every
        self._wanted: dict[Script, list[asyncio.Future[Paid | None]]] = {}
        self._followers: set[Follower] = set()
        self._round_at = 0.0
        self._something = asyncio.Event()
        self._working: asyncio.Task[None] | None = None

    async def look(self, script: Script) -> Paid:
        """The payments to a script, by a query that begins from now on; raises `ChainError`."""
        answer: asyncio.Future[Paid | None] = asyncio.get_running_loop().create_future()
        self._wanted.setdefault(script, []).append(answer)
        self._work()
        self._something.set()
        paid = await answer
        # A script that has no answer among others is asked for alone, which raises the cause.
        return await self._chain.payments_to(script) if paid is None else paid

    @contextmanager
    def following(
        self, script: Script, seen: Paid, tell: Tell, *, looked_at: float
    ) -> Generator[Follower]:
        """In the block, `tell` is called with payments that differ from `seen`; None: unknown.

        `looked_at` is when they were `seen`. A change is told within `every` seconds, as far as the
        chain source shows it; a block that ends sooner may have had no query.
        """
        follower = Follower(script, seen, tell, looked_at)
        if not self._followers:
            self._round_at = asyncio.get_running_loop().time() + self._every
        self._followers.add(follower)
        self._work()
        try:
            yield follower
        finally:
            self._followers.discard(follower)
            if not self._followers:
                self._something.set()

    def is_fresh(self, looked_at: float) -> bool:
        """Whether a result of that time is recent enough, so that no query is due."""
        return asyncio.get_running_loop().time() < looked_at + self._every

    async def stop(self) -> None:
        """Stop asking."""
        if self._working is not None:
            self._working.cancel()
            await asyncio.gather(self._working, return_exceptions=True)

    def _work(self) -> None:
        if self._working is None or self._working.done():
            self._something = asyncio.Event()
            self._working = asyncio.create_task(self._look_on(), name="addresses")

    async def _look_on(self) -> None:
        while self._wanted or self._followers:
            if await self._due():
                await self._round()
            else:
                await self._answer()

    async def _due(self) -> bool:
        """Wait until something is wanted, for all of it together, or until a round is due."""
        self._something.clear()
        left = self._round_at - asyncio.get_running_loop().time()
        if not self._wanted and left > 0:
            try:
                async with asyncio.timeout(left):
                    await self._something.wait()
            except TimeoutError:
                return bool(self._followers)
        await asyncio.sleep(TOGETHER if self._wanted else 0)
        return bool(self._followers) and left <= 0

    async def _answer(self) -> None:
        wanted, self._wanted = self._wanted, {}
        failure: Exception | None = None
        told: Mapping[Script, Paid] = {}
        try:
            told = await self._told(wanted)
        except Exception as error:  # noqa: BLE001 - those who wait raise it, whatever it is
            failure = error
        for script, waiting in wanted.items():
            for answer in waiting:
                if answer.done():
                    continue  # the caller has gone
                if failure is None:
                    answer.set_result(told.get(script))
                else:
                    answer.set_exception(_copied(failure))

    async def _round(self) -> None:
        told: Mapping[Script, Paid] = {}
        looked_at = asyncio.get_running_loop().time()
        try:
            told = await self._told({each.script for each in self._followers})
        except Exception as error:  # noqa: BLE001 - each follower looks alone, and raises it
            logger.info("The chain could not be checked: %s", type(error).__name__)
        self._round_at = asyncio.get_running_loop().time() + self._every
        for follower in tuple(self._followers):
            paid = told.get(follower.script)
            if paid is not None:
                follower.looked_at = looked_at
            if paid != follower.seen:
                follower.seen = follower.seen if paid is None else paid
                follower.tell(paid)

    async def _told(self, scripts: Iterable[Script]) -> Mapping[Script, Paid]:
        wanted = tuple(scripts)
        return await self._chain.payments_to_each(wanted) if wanted else {}


def _copied(failure: Exception) -> Exception:
    """A copy for each waiter, as each adds its own traceback."""
    return ChainError(str(failure)) if isinstance(failure, ChainError) else failure
