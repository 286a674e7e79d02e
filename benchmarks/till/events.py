"""From a payment in the mempool to `processing` over the event stream."""

import threading
from collections.abc import Callable
from time import perf_counter, sleep

from benchmarks.till import world
from tests.regtest.spending import SOME_SCRIPT, open_coins, spend
from tests.shop.processes import Shop as Till

from dovetail.bitcoin import OutPoint
from dovetail.merchant.client import Shop
from dovetail.merchant.messages import NewInvoice

_PACE = 1.0
_AMOUNT = 20_000


def report(store: str, *, quick: bool) -> None:
    """Measure payments one after the other."""
    count = 3 if quick else 40
    print(f"\n{count} payments on {store}: from the mempool to `processing` over the event stream")
    print(f"  baseline: a program that asks the chain for the address each {_PACE:g} s")
    print(f"  {'':46}{'event stream':>18}{'asking':>22}  ratio")
    with world.till(store, waiting=count, coins=1, pace=f"{_PACE:g}s") as till:
        coins = open_coins(till.regtest.node, *([_AMOUNT + 5_000] * count))
        with Shop(till.url, till.secret) as shop:
            both = [_paid(till, shop, coin) for coin in coins]
    for index, name in enumerate(("median", "99th percentile")):
        ours, theirs = (world.centiles([pair[side] for pair in both])[index] for side in (0, 1))
        world.say(f"{name}, s", f"{ours:.2f}", f"{theirs:.2f}", f"{ours / theirs:.2f}")


def _paid(till: Till, shop: Shop, coin: OutPoint) -> tuple[float, float]:
    """The seconds until each of the two has heard of one payment."""
    invoice = shop.create_invoice(till.store_id, NewInvoice(amount_sats=_AMOUNT))
    script = till.row(invoice.id).script

    def follow() -> None:
        for event in shop.events(invoice.id, after=invoice.sequence):
            if event.status == "processing":
                return

    def look() -> None:
        while not till.chain.payments_to(script):
            sleep(_PACE)

    waits = [_Waiting(work) for work in (follow, look)]
    sleep(0.3)  # for the stream to be open
    began = perf_counter()
    till.regtest.node.send(spend([coin], [(_AMOUNT, script), (1_000, SOME_SCRIPT)]))
    return waits[0].ended() - began, waits[1].ended() - began


class _Waiting:
    """Work that waits for something, and the time at which it ended."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self._ended = 0.0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def ended(self) -> float:
        self._thread.join(60)
        return self._ended

    def _run(self) -> None:
        self._work()
        self._ended = perf_counter()
