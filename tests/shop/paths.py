"""The paths on which an invoice of the killed shop is paid, and how each has to end."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from tests.regtest.spending import SOME_SCRIPT, open_coins, spend
from tests.shop.processes import PATIENCE, Shop, wait

from dovetail import Agent
from dovetail.errors import StoreUnavailable
from dovetail.merchant.data.invoices import InvoiceRow
from dovetail.merchant.services.invoices import Invoices
from dovetail.sessions import sender

AMOUNT = 20_000


@dataclass
class Scene:
    """One invoice, and those who pay it."""

    shop: Shop
    invoices: Invoices
    customer: Agent
    row: InvoiceRow
    moment: str
    """When somebody is killed."""
    killed: threading.Event = field(default_factory=threading.Event)

    def coin(self, value: int = AMOUNT) -> Any:
        """A coin that can pay this value; a block is mined for it."""
        (made,) = open_coins(self.shop.regtest.node, value + 20_000)
        return made

    def pay_directly(self, coin: Any, value: int = AMOUNT, *, change: int = 2_000) -> None:
        """Pay the address by a transaction in the mempool."""
        outputs = [(value, self.row.script), (change, SOME_SCRIPT)]
        self.shop.regtest.node.send(spend([coin], outputs))

    def status(self) -> str:
        return self.shop.row(self.row.id).status.value

    def until(self, *statuses: str) -> None:
        wait(lambda: self.status() in statuses, f"it never is {' or '.join(statuses)}")

    def mine(self, blocks: int = 1) -> None:
        """Mine, but not before the kill where that would end its moment."""
        if self.moment == "processing":
            self.killed.wait(PATIENCE)
        self.shop.regtest.node.mine(blocks)


Play = Callable[[Scene], Awaitable[None]]


@dataclass(frozen=True)
class Path:
    """A path: what happens, the moments at which somebody is killed, and the kinds it ends by."""

    name: str
    play: Play
    moments: tuple[str, ...]
    kinds: tuple[tuple[str, ...], ...]
    """The kinds of the credited transactions: one of these."""
    expires: int | None = None
    """Seconds until the invoice expires, where the path waits for it."""
    cold: bool = False
    without_coins: bool = False
    """Whether another session holds each coin of the shop, so that it refuses the payjoin."""
    total: int = AMOUNT


NEGOTIATED = (
    "Created",
    "RetrievedOriginalPayload",
    "IdentifiedReceiverOutputs",
    "CommittedInputs",
    "FinalizedProposal",
    "PostedPayjoinProposal",
    "processing",
    "settled",
)
SEEN = ("new", "processing", "settled")


async def payjoin(scene: Scene) -> None:
    """The customer's wallet makes a payjoin, or its fallback where the shop was away too long."""
    paid = await scene.customer.send(scene.row.uri or "")
    await asyncio.to_thread(scene.until, "processing", "settled")
    await asyncio.to_thread(scene.mine)
    await asyncio.wait_for(paid.wait_closed(), 60)


async def fallback(scene: Scene) -> None:
    """The customer posts an Original and goes away: the shop broadcasts the fallback."""
    paid = await scene.customer.send(scene.row.uri or "")
    async for update in paid.updates():
        if isinstance(update.state, sender.PollingForProposal):
            break
    await paid.stop()
    await asyncio.to_thread(scene.until, "processing", "settled")
    await asyncio.to_thread(
        wait,
        lambda: scene.status() == "settled" or bool(scene.shop.counted(scene.row.id)),
        "the fallback is not broadcast",
    )
    await asyncio.to_thread(scene.mine)


async def direct(scene: Scene) -> None:
    """The address is paid by an ordinary transaction."""
    await _threaded(lambda: _paid_and_mined(scene))


async def parts(scene: Scene) -> None:
    """Two transactions are enough together."""

    def work() -> None:
        first, second = scene.coin(), scene.coin()
        scene.pay_directly(first, AMOUNT // 2)
        wait(lambda: bool(scene.shop.counted(scene.row.id)), "the first part is not seen")
        scene.pay_directly(second, AMOUNT - AMOUNT // 2)
        scene.until("processing", "settled")
        scene.mine()

    await _threaded(work)


async def late(scene: Scene) -> None:
    """The payment comes after the expiration: it is credited as late, and settles nothing."""

    def work() -> None:
        scene.until("expired")
        scene.pay_directly(scene.coin())
        wait(lambda: bool(scene.shop.counted(scene.row.id)), "the late payment is not seen")
        scene.mine()

    await _threaded(work)


async def double(scene: Scene) -> None:
    """Two customers pay: both payments are credited, each once."""

    def work() -> None:
        for coin in (scene.coin(), scene.coin()):
            scene.pay_directly(coin)
        scene.until("processing", "settled")
        wait(lambda: len(scene.shop.counted(scene.row.id)) > 1, "the second is not seen")
        scene.mine()

    await _threaded(work)


async def reorganised(scene: Scene) -> None:
    """A block with the payment leaves the chain, and the payment is mined again."""

    def work() -> None:
        _paid_and_mined(scene)
        scene.until("settled")
        scene.shop.regtest.node.reorg(1)
        scene.until("processing", "settled")
        time.sleep(0.5)
        scene.mine()

    await _threaded(work)


async def replaced(scene: Scene) -> None:
    """A payment is replaced by another one that pays as much (full RBF)."""

    def work() -> None:
        coin = scene.coin()
        scene.pay_directly(coin, change=12_000)
        scene.until("processing", "settled")
        scene.pay_directly(coin)
        time.sleep(0.5)
        scene.mine()

    await _threaded(work)


async def cancelled(scene: Scene) -> None:
    """The shop closes the payjoin session, and the address is paid directly."""
    for _ in range(5):
        with suppress(StoreUnavailable):
            await scene.invoices.close(scene.row.id, by="owner")
            break
    await _threaded(lambda: _paid_and_mined(scene))


def _paid_and_mined(scene: Scene) -> None:
    scene.pay_directly(scene.coin())
    scene.until("processing", "settled")
    scene.mine()


async def _threaded(work: Callable[[], None]) -> None:
    await asyncio.to_thread(work)


_PAYJOIN = (("payjoin",), ("fallback",))
PATHS = (
    Path("payjoin", payjoin, NEGOTIATED, _PAYJOIN),
    Path("cold settlement", payjoin, NEGOTIATED, _PAYJOIN, cold=True),
    Path(
        "fallback",
        fallback,
        (
            "Created",
            "RetrievedOriginalPayload",
            "CommittedInputs",
            "FinalizedProposal",
            "processing",
        ),
        (("fallback",),),
        expires=12,
    ),
    Path(
        "refused",
        payjoin,
        (
            "Created",
            "RetrievedOriginalPayload",
            "CommittedOutputs",
            "GotReplyableError",
            "RepliedWithError",
            "processing",
            "settled",
        ),
        (("fallback",),),
        without_coins=True,
    ),
    Path("direct", direct, SEEN, (("direct",),)),
    Path("parts", parts, SEEN, (("direct", "direct"),)),
    Path("late", late, ("new", "expired"), (("direct",),), expires=6),
    Path("double", double, SEEN, (("direct", "direct"),), total=2 * AMOUNT),
    Path("reorganised", reorganised, SEEN, (("direct",),)),
    Path("replaced", replaced, SEEN, (("direct",),)),
    Path("cancelled", cancelled, SEEN, (("direct",),)),
)
