"""The README's quickstarts do what the README says."""

import asyncio
import re
import textwrap
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2 as httpx
import pytest
from tests.support.loopback import Loopback, open_loopback
from tests.typing import agent as agent_quickstart
from tests.typing import paying_agent as paying_quickstart
from tests.typing.own_wallet import Till

from dovetail import Agent, FallbackBroadcasted, Success
from dovetail.bitcoin import Sats, UnixTime
from dovetail.crypto import KeyConfig
from dovetail.protocol import Request
from dovetail.runtime.policy import Policy
from dovetail.sessions import receiver, sender
from dovetail.stores.memory import MemoryStore

ROOT = Path(__file__).parents[2]
LEFT_OUT = re.compile(r"^ *\.\.\.\n", re.MULTILINE)
EAGER = Policy(watch_interval=0.05, poll_pause=0.05)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Loopback]:
    with open_loopback(tmp_path) as world:
        yield world


async def pay(world: Loopback, uri: str) -> object:
    """Pay as the other side does, and have a block mined when the payjoin is out."""
    async with Agent.open(
        world.folder / "payer",
        wallet=world.wallet("sender", 1_000_000),
        chain=world.chain,
        direct=True,
        policy=EAGER,
    ) as payer:
        paid = await payer.send(uri)
        async for update in paid.updates():
            if isinstance(update.state, sender.Monitor):
                world.regtest.node.mine()
        return await paid.wait_closed()


def keep_till(world: Loopback, client: httpx.Client) -> Till:
    def post(request: Request) -> bytes:
        headers = {"content-type": request.content_type}
        return client.post(request.url, content=request.body, headers=headers).content

    store = MemoryStore()
    return Till(
        wallet=world.wallet("receiver", 200_000),
        chain=world.chain,
        store=store,
        log=store.new_receiver(),
        post=post,
        now=lambda: UnixTime(int(time.time())),
    )


def test_the_guide_shows_the_receiver_as_it_is() -> None:
    _, shown = (ROOT / "tests/typing/own_wallet.py").read_text().split('"""\n', 1)
    assert f"```python\n{shown.strip()}\n```" in (ROOT / "docs/guides/wallets.md").read_text()


def test_a_wallet_with_its_own_io_is_paid_by_payjoin(world: Loopback) -> None:
    url = world.mailroom.url
    with httpx.Client(timeout=45) as client:
        keys = KeyConfig.parse(client.get(f"{url}/.well-known/ohttp-gateway").content)
        till = keep_till(world, client)
        session = till.open(url, keys)

        async def tend() -> receiver.ReceiverSession:
            state = session
            while not isinstance(state, receiver.Closed):
                state = await asyncio.to_thread(till.step, state)
                assert till.reopen() == state
            return state

        async def both() -> tuple[receiver.ReceiverSession, object]:
            return await asyncio.gather(tend(), pay(world, session.payjoin_uri.serialize()))

        state, outcome = asyncio.run(both())
    assert isinstance(state, receiver.Closed)
    assert isinstance(outcome, Success)
    assert isinstance(state.outcome, Success)
    assert state.outcome.txid == outcome.txid


async def start_and_leave(world: Loopback, uri: str) -> None:
    """Pay as far as the directory, and never come back."""
    async with Agent.open(
        world.folder / "payer",
        wallet=world.wallet("sender", 1_000_000),
        chain=world.chain,
        direct=True,
        policy=EAGER,
    ) as payer:
        paid = await payer.send(uri)
        async for update in paid.updates():
            if isinstance(update.state, sender.PollingForProposal):
                return


def test_a_wallet_with_its_own_io_is_paid_though_its_payer_never_returns(world: Loopback) -> None:
    url = world.mailroom.url
    with httpx.Client(timeout=45) as client:
        keys = KeyConfig.parse(client.get(f"{url}/.well-known/ohttp-gateway").content)
        till = keep_till(world, client)
        state = till.open(url, keys)
        asyncio.run(start_and_leave(world, state.payjoin_uri.serialize()))
        while not isinstance(state, receiver.Monitor):
            state = till.step(state)
    assert till.step(state) is state
    till.now = lambda: UnixTime(int(time.time()) + 2 * 86_400)
    while not (isinstance(state, receiver.Monitor) and state.fallback_broadcast):
        state = till.step(state)
        assert till.reopen() == state
    world.regtest.node.mine()
    closed = till.step(state)
    assert isinstance(closed, receiver.Closed)
    assert isinstance(closed.outcome, FallbackBroadcasted)


async def test_an_application_gives_its_wallet_to_the_agent(world: Loopback) -> None:
    shown: asyncio.Queue[str] = asyncio.Queue()
    selling = asyncio.create_task(
        agent_quickstart.sell_coffee(
            world.folder / "till",
            world.wallet("receiver", 200_000),
            world.chain,
            world.mailroom.url,
            shown.put_nowait,
        )
    )
    outcome = await pay(world, await shown.get())
    # The quickstart looks at the chain as seldom as an application does: every 15 seconds.
    assert isinstance(outcome, Success)
    assert await selling == f"paid by payjoin {outcome.txid}"


async def test_an_application_pays_once_its_user_has_agreed(
    world: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    eager = SimpleNamespace(open=partial(Agent.open, policy=EAGER))
    monkeypatch.setattr(paying_quickstart, "Agent", eager)
    wallet, asked = world.wallet("sender", 1_000_000), []

    def answer(*, says: bool) -> Callable[[Sats, Sats], bool]:
        def agrees(amount: Sats, fees: Sats) -> bool:
            asked.append((amount, fees < 1_000))
            return says

        return agrees

    async with Agent.open(
        world.folder / "till",
        wallet=world.wallet("receiver", 200_000),
        chain=world.chain,
        directory=world.mailroom.url,
        direct=True,
        policy=EAGER,
    ) as shop:
        session = await shop.receive(50_000)
        buy = partial(
            paying_quickstart.buy_coffee, world.folder / "payer", wallet, world.chain, session.uri
        )
        assert await buy(answer(says=False)) == "not paid"
        assert not world.regtest.node.mempool
        buying = asyncio.create_task(buy(answer(says=True)))
        async for update in session.updates():
            if update.sighting is not None:
                world.regtest.node.mine()
        sold = await session.wait_closed()
    assert isinstance(sold, Success)
    assert await buying == f"paid by payjoin {sold.txid}"
    assert asked == [(50_000, True)] * 2


def excerpts(text: str) -> list[str]:
    """The README's Python, cut where it leaves something out."""
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    return [
        part for block in blocks for part in re.split(r"^ *\.\.\.\n", block, flags=re.MULTILINE)
    ]


def test_the_readme_shows_the_quickstarts_as_they_are() -> None:
    sources = [
        re.sub(r"\s+$", "", path.read_text(), flags=re.MULTILINE)
        for path in (ROOT / "tests" / "typing").glob("*.py")
    ]
    dedented = [textwrap.dedent(each) for each in excerpts((ROOT / "README.md").read_text())]
    assert len(dedented) >= 2
    for part in dedented:
        lines = [line.strip() for line in part.splitlines() if line.strip()]
        wanted = "\n".join(lines)
        flat = [
            "\n".join(s.strip() for s in source.splitlines() if s.strip()) for source in sources
        ]
        assert any(wanted in source for source in flat), part


async def test_a_program_serves_bip_78_senders_as_the_guide_says(world: Loopback):
    text = (ROOT / "docs/guides/bip78.md").read_text()
    (block,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    guide: dict[str, Any] = {}
    exec(block, guide)  # noqa: S102 - the documentation's own example
    guide["Agent"] = SimpleNamespace(open=partial(Agent.open, policy=EAGER))  # but in haste
    links: asyncio.Queue[str] = asyncio.Queue()
    wallet = world.wallet("receiver", 200_000)
    selling = asyncio.create_task(
        guide["sell_tea"](world.folder / "tea", wallet, world.chain, None, links.put_nowait)
    )
    paid = await pay(world, await links.get())
    sold = await selling
    assert isinstance(paid, Success)
    assert isinstance(sold, Success)
    assert sold.txid == paid.txid
