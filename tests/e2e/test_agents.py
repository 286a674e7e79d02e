import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.loopback import Loopback, open_loopback

from dovetail import Agent, Success
from dovetail.runtime.policy import Policy
from dovetail.sessions import receiver, sender

EAGER = Policy(watch_interval=0.05, poll_pause=0.05)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Loopback]:
    with open_loopback(tmp_path) as world:
        yield world


async def test_two_agents_make_a_payjoin(world: Loopback) -> None:
    url = world.mailroom.url
    sending = world.wallet("sender", 1_000_000)
    receiving = world.wallet("receiver", 200_000)
    async with (
        Agent.open(
            world.folder / "receiver",
            wallet=receiving,
            chain=world.chain,
            directory=url,
            relays=[url],
            policy=EAGER,
        ) as payee,
        Agent.open(
            world.folder / "sender",
            wallet=sending,
            chain=world.chain,
            relays=[url],
            policy=EAGER,
        ) as payer,
    ):
        asked = await payee.receive(50_000, label="coffee")
        paid = await payer.send(asked.uri)
        async for update in paid.updates():
            if isinstance(update.state, sender.Monitor):
                break
        world.regtest.node.mine()
        outcomes = await asyncio.gather(asked.wait_closed(), paid.wait_closed())
    assert isinstance(asked.state, receiver.Closed)
    txids = {outcome.txid for outcome in outcomes if isinstance(outcome, Success)}
    assert len(txids) == 1
    assert asked.state.payjoin is not None
    assert len(asked.state.payjoin.inputs) == 2
