"""Agents that share their sessions through PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import text
from tests.support.fixtures import alice, bob, node, pair, world
from tests.support.world import World, until

from dovetail import Agent
from dovetail.errors import StoreUnavailable
from dovetail.sessions import receiver
from dovetail.stores.ports import Appended, Rows
from dovetail.stores.sql import PostgresStore

__all__ = ["alice", "bob", "node", "pair", "world"]

AMOUNT = 50_000


@asynccontextmanager
async def shop(world: World, url: str, *, rows: Rows | None = None) -> AsyncIterator[Agent]:
    """Bob's agent, in one of his processes."""
    with PostgresStore.open(url, rows=rows) as store:
        async with Agent(
            store=store,
            wallet=world.bob.wallet,
            chain=world.bob.chain,
            transport=world.wire,
            directory=world.wire.directory.origin,
            relays=world.relays,
            clock=world.clock,
            policy=world.policy,
        ) as agent:
            yield agent


async def test_a_payjoin_that_one_process_began_another_ends(pair: World, url: str) -> None:
    async with pair.agent(pair.alice) as alice:
        async with shop(pair, url) as bob:
            receiving = await bob.receive(AMOUNT)
            session_id = receiving.session_id
            sending = await alice.send(receiving.uri)
            await until(receiving, receiver.Monitor)
        async with shop(pair, url) as bob:
            (row,) = bob.services.store.live()
            assert row.session_id == session_id
            while bob.services.store.live() or sending.running:
                await asyncio.sleep(0.02)
                if pair.node.mempool_txids():
                    pair.node.mine()
    with PostgresStore.open(url) as store:
        row = store.row(session_id)
        assert row.outcome == "success"
        assert store.reserved() == frozenset()
        assert store.exposed()


async def test_a_process_sees_what_another_decides(pair: World, url: str) -> None:
    async with shop(pair, url) as bob, shop(pair, url) as elsewhere:
        receiving = await bob.receive(AMOUNT)
        await elsewhere.cancel(receiving.session_id)
        await asyncio.wait_for(receiving.wait_closed(), 20)
        assert isinstance(receiving.state, receiver.Closed)


async def test_an_event_waits_for_its_row_and_goes_with_it(pair: World, url: str) -> None:
    broken = True

    def rows(connection: Any, appended: Appended) -> None:
        if broken and appended.seq > 0:
            raise LookupError("the shop has a fault")
        connection.execute(text("CREATE TABLE IF NOT EXISTS notes (tag text)"))
        tag = {"tag": type(appended.event).__name__}
        connection.execute(text("INSERT INTO notes VALUES (:tag)"), tag)

    async with shop(pair, url, rows=rows) as bob, pair.agent(pair.alice) as alice:
        receiving = await bob.receive(AMOUNT)
        await alice.send(receiving.uri)
        async for update in receiving.updates():
            if isinstance(update.trouble, StoreUnavailable):
                break
        broken = False
        await until(receiving, receiver.Monitor)
        store = bob.services.store
        assert isinstance(store, PostgresStore)
        with store.reading() as connection:
            notes = list(connection.execute(text("SELECT tag FROM notes")).scalars())
        assert notes == [entry.tag for entry in store.stored(receiving.session_id).events]
