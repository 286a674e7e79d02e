"""A party that dies: it goes on with its sessions until it is killed at a chosen effect.

`python -m dovetail.cli.demo.crashing_party AT JOURNAL [URI]`. It does what `resume` or `send` do,
with the ports wrapped by the public test kit; those commands know nothing of it.
"""

import asyncio
import sys
from pathlib import Path

import click

from dovetail.cli import context, open_parts
from dovetail.cli.app import app
from dovetail.runtime.agent import Agent
from dovetail.runtime.transport import HttpTransport
from dovetail.stores.sql import SqliteStore
from dovetail.testing.counting import (
    CountingChain,
    CountingStore,
    CountingTransport,
    CountingWallet,
)
from dovetail.testing.kill import Killer


async def live(killer: Killer, uri: str | None) -> None:
    """Pay `uri`, or go on with every session, to the end or to the kill."""
    place = context.home()
    web = HttpTransport()
    with open_parts.open_chain(place) as chain, SqliteStore.open(place.database) as store:
        agent = Agent(
            store=CountingStore(store, killer),
            wallet=CountingWallet(open_parts.open_wallet(place), killer),
            chain=CountingChain(chain, killer),
            transport=CountingTransport(web, killer),
            relays=place.relays,
            direct=place.settings.direct,
            policy=place.policy,
        )
        for session in agent.resume() if uri is None else (await agent.send(uri),):
            await session.wait_closed()
    await web.aclose()


if __name__ == "__main__":
    at, journal, *more = sys.argv[1:]
    with click.Context(app):  # in which the settings are looked up
        asyncio.run(live(Killer(Path(journal), at=int(at)), more[0] if more else None))
