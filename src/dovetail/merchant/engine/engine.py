"""The engine: the duties of a shop, done in this process."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from uuid import UUID

from dovetail.errors import InfrastructureError, StoreError
from dovetail.merchant.data import wallets
from dovetail.merchant.engine import session_duties
from dovetail.merchant.engine.chain_watcher import ChainWatcher, Looked
from dovetail.merchant.engine.duties import Duties, cancel
from dovetail.merchant.engine.local_duties import LocalDuties
from dovetail.merchant.engine.refund_duty import RefundDuty
from dovetail.merchant.engine.session_duties import SessionDuties
from dovetail.merchant.engine.upkeep import Upkeep
from dovetail.merchant.services.parts import Parts
from dovetail.stores.ports import SessionId

logger = logging.getLogger(__name__)

LOOK = 0.5
"""Seconds between two looks at what others have written."""

WHOLE = 60.0
"""Seconds after which all duties are ensured again, whether or not anything was written."""

Work = Callable[[str], Awaitable[None]]


class Engine:
    """Sees to it that every open session, wallet and delivery is taken care of.

    With SQLite the duties are tasks of this process. With PostgreSQL they are shared with the
    other workers, and this process does those that it gets.
    """

    def __init__(
        self,
        parts: Parts,
        deliveries: Work,
        *,
        look: float = LOOK,
        looked: Looked | None = None,
    ) -> None:
        """`deliveries` sends webhooks; `looked` hears of each look at the chain."""
        self._looked = looked
        self._duties: Duties | None = None
        self._parts = parts
        self._look = look
        self.sessions = SessionDuties(parts)
        upkeep = Upkeep(parts.database)
        refunds = RefundDuty(parts)
        self.registry: Mapping[str, Work] = {
            session_duties.PREFIX: self.sessions.run,
            "watch": self._watch,
            "deliveries": deliveries,
            "upkeep": lambda _: upkeep.run(),
            "refunds": lambda _: refunds.run(),
        }

    @property
    def running(self) -> int:
        """How many duties this process does now."""
        return 0 if self._duties is None else len(self._duties.running)

    @asynccontextmanager
    async def duties(self) -> AsyncGenerator[Duties]:
        """The duties of this shop's kind of database."""
        if not self._parts.database.is_shared:
            yield LocalDuties(self.registry)
            return
        from dovetail.merchant.engine.procrastinate_duties import (  # noqa: PLC0415 - PostgreSQL's
            ProcrastinateDuties,
        )

        async with ProcrastinateDuties.open(self._parts.database.url, self.registry) as shared:
            yield shared

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set; then sessions stay as they are, and others go on with them."""
        async with self.duties() as duties:
            self._duties = duties
            beside = [
                asyncio.create_task(self._ensure(duties)),
                asyncio.create_task(self.sessions.watch_requests(self._look)),
            ]
            try:
                await duties.run(stop)
            finally:
                await cancel(beside)
                await self.sessions.stop()

    async def _ensure(self, duties: Duties) -> None:
        """Make sure that each duty is done, whoever began it and whoever died."""
        loop = asyncio.get_running_loop()
        pulse, whole_at = None, float("-inf")
        heads: dict[SessionId, int] = {}
        while True:
            try:
                now = await asyncio.to_thread(self._parts.database.pulse)
                if now != pulse or loop.time() >= whole_at + WHOLE:
                    if loop.time() >= whole_at + WHOLE:
                        heads.clear()
                        whole_at = loop.time()
                    await duties.ensure(await asyncio.to_thread(self._wanted, heads))
                    pulse = now
            except (InfrastructureError, StoreError) as error:
                heads.clear()  # what was found may not be ensured
                logger.warning("Duties could not be looked for: %s", error)
            await asyncio.sleep(self._look)

    def _wanted(self, heads: dict[SessionId, int]) -> list[str]:
        """The names of the duties that may not be done yet: those of sessions by their `heads`."""
        database = self._parts.database
        changed = database.sessions.refresh_heads(heads)
        watched = (f"watch:{row.id}" for row in database.read(wallets.all_wallets))
        sessions = map(session_duties.name_of, changed)
        return sorted({*sessions, *watched, "deliveries", "upkeep", "refunds"})

    async def _watch(self, name: str) -> None:
        watcher = ChainWatcher(
            self._parts.database,
            self._parts.chain,
            UUID(name),
            every=self._parts.policy.watch_interval,
            looked=self._looked,
        )
        await watcher.run()
