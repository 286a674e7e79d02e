"""The guide's sender on the bare states pays once, whatever the receiver does."""

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2 as httpx
import pytest
from tests.guides.pages import ROOT
from tests.support.loopback import Loopback, open_loopback
from tests.typing.own_payer import Log, Purse

from dovetail import Agent, FallbackBroadcasted, Policy, Reason, Success
from dovetail.bip78 import V1Server, serving
from dovetail.bitcoin import FeeRate, Sats, UnixTime
from dovetail.errors import DuplicateSession, TransportError
from dovetail.protocol import PayjoinUri, Request
from dovetail.runtime.live_session import LiveReceiver
from dovetail.sessions import sender
from dovetail.stores.memory import MemoryStore

EAGER = Policy(watch_interval=0.05, poll_pause=0.05)
RATE = FeeRate.from_sat_per_vb(2)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Loopback]:
    with open_loopback(tmp_path) as world:
        yield world


@pytest.fixture
def purse(world: Loopback) -> Iterator[Purse]:
    with httpx.Client(timeout=45) as client:

        def post(request: Request) -> tuple[int, bytes]:
            headers = {"content-type": request.content_type}
            reply = client.post(request.url, content=request.body, headers=headers)
            return reply.status_code, reply.content

        yield Purse(
            wallet=world.wallet("payer", 600_000, 400_000),
            chain=world.chain,
            store=MemoryStore(),
            post=post,
            now=lambda: UnixTime(int(time.time())),
        )


def later(seconds: int) -> Callable[[], UnixTime]:
    return lambda: UnixTime(int(time.time()) + seconds)


def paid_to_the_end(
    world: Loopback, purse: Purse, session: sender.SenderSession, log: Log
) -> sender.Closed:
    while not isinstance(session, sender.Closed):
        if isinstance(session, sender.Monitor):
            world.regtest.node.mine()
        session = purse.step(session, log)
        assert sender.replay(log.load()) == session
    assert purse.reopen() == []
    return session


def begun(purse: Purse, link: str) -> tuple[sender.SenderSession, Log]:
    return purse.begin(PayjoinUri.parse(link), Sats(50_000), RATE)


async def asking(world: Loopback, *, then: Callable[[LiveReceiver], object]) -> object:
    """What `then` gives, while a receiver waits for its payment."""
    async with Agent.open(
        world.folder / "shop",
        wallet=world.wallet("shop", 200_000),
        chain=world.chain,
        directory=world.mailroom.url,
        direct=True,
        policy=EAGER,
    ) as shop:
        return await asyncio.to_thread(then, await shop.receive(50_000))


async def test_it_pays_by_payjoin_at_a_receivers_own_server(world: Loopback, purse: Purse) -> None:
    async with (
        Agent.open(
            world.folder / "shop",
            wallet=world.wallet("shop", 200_000),
            chain=world.chain,
            v1_only=True,
            policy=EAGER,
        ) as shop,
        serving(V1Server(shop), "127.0.0.1", 0) as url,
    ):
        asked = await shop.receive(50_000, endpoint=url)
        session, log = begun(purse, asked.uri)
        closed = await asyncio.to_thread(paid_to_the_end, world, purse, session, log)
        sold = await asked.wait_closed()
    assert isinstance(closed.outcome, Success)
    assert isinstance(sold, Success)
    assert sold.txid == closed.outcome.txid


def test_it_pays_plainly_once_the_link_has_expired_without_an_answer(
    world: Loopback, purse: Purse
) -> None:
    async def link() -> str:
        async with Agent.open(
            world.folder / "gone",
            wallet=world.wallet("gone", 200_000),
            chain=world.chain,
            directory=world.mailroom.url,
            direct=True,
        ) as shop:
            return (await shop.receive(50_000)).uri

    session, log = begun(purse, asyncio.run(link()))
    while not isinstance(session, sender.PollingForProposal):
        session = purse.step(session, log)
    purse.now = later(2 * 86_400)
    ((session, log),) = purse.reopen()  # another process goes on with it
    closed = paid_to_the_end(world, purse, session, log)
    assert isinstance(closed.outcome, FallbackBroadcasted)
    assert closed.outcome.why is Reason.EXPIRED_WAITING_FOR_PROPOSAL


def test_it_pays_a_link_once_and_waits_for_a_word_where_it_was_cancelled(
    world: Loopback, purse: Purse
) -> None:
    def refused(live: LiveReceiver) -> None:
        session, log = begun(purse, live.uri)
        with pytest.raises(DuplicateSession):
            begun(purse, live.uri)
        assert isinstance(session, sender.WithReplyKey)
        pending = session.cancel().save(log)
        assert purse.step(pending, log) is pending
        pending.release(spends=()).save(log)
        assert purse.reopen() == []

    asyncio.run(asking(world, then=refused))


def test_a_directory_that_is_away_leaves_the_session_where_it_was(
    world: Loopback, purse: Purse
) -> None:
    def away(_: Request) -> tuple[int, bytes]:
        raise TransportError("No answer came.")

    def kept(live: LiveReceiver) -> None:
        session, log = begun(purse, live.uri)
        session = purse.step(session, log)
        reached, purse.post = purse.post, away
        with pytest.raises(TransportError):
            purse.step(session, log)
        assert sender.replay(log.load()) == session
        purse.post = reached
        assert isinstance(paid_to_the_end(world, purse, session, log).outcome, Success)

    asyncio.run(asking(world, then=kept))


def test_the_guide_shows_the_payer_as_it_is() -> None:
    source = (ROOT / "tests/typing/own_payer.py").read_text()
    _, shown = source.split('"""\n', 1)
    assert f"```python\n{shown.strip()}\n```" in (ROOT / "docs/guides/wallets.md").read_text()
