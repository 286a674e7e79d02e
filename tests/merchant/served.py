"""A shop that serves its API in a thread of its own, for callers that block."""

import asyncio
import threading
from collections.abc import Coroutine, Generator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

from tests.merchant.till import Till, open_till
from tests.support.loopback import open_loopback

from dovetail.merchant.api.limits import Limits, Rate
from dovetail.merchant.data import api_keys
from dovetail.merchant.data.database import Database
from dovetail.merchant.messages import Scope
from dovetail.merchant.public_url import PublicUrl
from dovetail.merchant.server import serving

T = TypeVar("T")
LARGE = Rate(burst=1_000_000, per_second=1_000_000)
WIDE = Limits(address=LARGE, key=LARGE, body_seconds=2)


@dataclass
class ServedTill:
    """Where the shop is served, and its parts."""

    url: str
    till: Till
    loop: asyncio.AbstractEventLoop

    @property
    def store_id(self) -> UUID:
        return self.till.store.id

    def key(self, *scopes: Scope, store_ids: list[UUID] | None = None) -> str:
        """The secret of a new key; with all scopes if none is named."""
        database = self.till.parts.database
        return database.write(
            lambda c: api_keys.add_key(
                c,
                name="test",
                scopes=scopes or tuple(Scope),
                store_ids=store_ids,
                now=database.now(),
            )
        )[1]

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run something in the shop's own loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)


@contextmanager
def open_served(
    folder: Path, place: str, *, limits: Limits = WIDE, public: PublicUrl | None = None
) -> Generator[ServedTill]:
    """Serve a shop with this database in the block."""
    ready: Future[ServedTill] = Future()
    stop = asyncio.Event()
    with open_loopback(folder) as world, Database.open(place) as database:

        async def serve() -> None:
            async with (
                open_till(world, database, works=False) as till,
                serving(till.parts, "127.0.0.1", 0, limits=limits, public=public) as url,
            ):
                ready.set_result(ServedTill(url, till, asyncio.get_running_loop()))
                await stop.wait()

        def work() -> None:
            try:
                asyncio.run(serve())
            except BaseException as error:
                if ready.done():
                    raise
                ready.set_exception(error)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        served = ready.result(60)
        try:
            yield served
        finally:
            served.loop.call_soon_threadsafe(stop.set)
            thread.join(30)
