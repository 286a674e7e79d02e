"""The agent of a command."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from dovetail.cli import open_parts
from dovetail.cli.open_parts import Start
from dovetail.cli.paths import make_folder
from dovetail.runtime.agent import Agent
from dovetail.stores.ports import SessionId


@asynccontextmanager
async def open_agent(start: Start) -> AsyncGenerator[Agent]:
    """The agent, with no session under way yet."""
    place = start.place
    with open_parts.open_chain(place) as source:
        make_folder(place.folder)
        async with Agent.open(
            place.folder,
            wallet=start.wallet,
            chain=source,
            directory=start.directories,
            relays=start.relays,
            direct=place.settings.direct,
            tor=place.tor,
            v1_only=start.v1_only,
            policy=place.policy,
            resume=False,
        ) as agent:
            try:
                yield agent
            finally:
                await agent.stop()
                # A look at the chain that a thread has begun ends before its connection closes.
                await asyncio.get_running_loop().shutdown_default_executor()


async def call_off(agent: Agent, session_id: SessionId) -> None:
    """Cancel a session that has just begun and that no sender was told of."""
    await agent.cancel(session_id)
