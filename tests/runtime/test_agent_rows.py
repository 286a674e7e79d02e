"""An application's rows go with the events of the agent's own sessions."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import text
from tests.support.world import World, until

from dovetail import Agent
from dovetail.errors import StoreUnavailable
from dovetail.sessions import receiver
from dovetail.stores.ports import Appended
from dovetail.stores.sql import SqliteStore
from dovetail.stores.sql.sqlite import reading

AMOUNT = 50_000


class Shop:
    """Keeps what it hears of its sessions, in their database; its table can be missing."""

    def __init__(self) -> None:
        self.broken = False

    def rows(self, connection: Any, appended: Appended) -> None:
        if self.broken:
            raise LookupError("the shop has a fault")
        values = {"session": str(appended.session_id), "tag": type(appended.event).__name__}
        connection.execute(text("CREATE TABLE IF NOT EXISTS heard (session, tag)"))
        connection.execute(text("INSERT INTO heard VALUES (:session, :tag)"), values)


def heard(agent: Agent) -> list[tuple[str, str]]:
    store = agent.services.store
    assert isinstance(store, SqliteStore)
    with reading(store.engine) as connection:
        return [(row.session, row.tag) for row in connection.execute(text("SELECT * FROM heard"))]


def logged(agent: Agent) -> list[tuple[str, str]]:
    store = agent.services.store
    return [
        (str(row.session_id), entry.tag)
        for row in reversed(store.history())
        for entry in store.stored(row.session_id).events
    ]


async def test_each_event_of_a_payment_is_heard_of(pair: World):
    shop = Shop()
    async with pair.agent(pair.bob, rows=shop.rows) as bob, pair.agent(pair.alice) as alice:
        receiving = await bob.receive(AMOUNT)
        sending = await alice.send(receiving.uri)
        while receiving.running or sending.running:
            await asyncio.sleep(0.02)
            if pair.node.mempool_txids():
                pair.node.mine()
        assert heard(bob) == logged(bob)
        assert heard(bob)[-1] == ("1", "Closed")


async def test_a_session_waits_while_its_rows_cannot_be_written(pair: World):
    shop = Shop()
    async with pair.agent(pair.bob, rows=shop.rows) as bob, pair.agent(pair.alice) as alice:
        receiving = await bob.receive(AMOUNT)
        shop.broken = True
        with pytest.raises(StoreUnavailable):
            await bob.receive(AMOUNT)
        await alice.send(receiving.uri)
        async with asyncio.timeout(20):
            async for update in receiving.updates():
                if isinstance(update.trouble, StoreUnavailable):
                    break
        assert logged(bob) == heard(bob) == [("1", "Created")]
        shop.broken = False
        await until(receiving, receiver.Monitor)
        assert logged(bob) == heard(bob)
