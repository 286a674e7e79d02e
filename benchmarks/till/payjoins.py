"""Many customers at once: how many proposals a second one worker posts, and how many two do."""

import asyncio
from time import perf_counter

from benchmarks.till import world


def report(store: str, *, quick: bool) -> None:
    """Measure one worker, then two; SQLite has the server alone."""
    customers = 4 if quick else 50
    print(f"\n{customers} customers at once on {store}: proposals a second")
    if store == world.SQLITE:
        world.say("the server alone", f"{_measure(store, customers, 1):.1f}")
        return
    one, two = (_measure(store, customers, workers) for workers in (1, 2))
    print(f"  {'':46}{'two workers':>18}{'one worker':>22}  ratio")
    world.say("proposals a second", f"{two:.1f}", f"{one:.1f}", f"{two / one:.2f}")


def _measure(store: str, customers: int, workers: int) -> float:
    with world.till(store, waiting=customers, coins=customers, workers=workers) as shop:
        uris = asyncio.run(world.ask(shop, customers))
        theirs = world.coins(shop, customers)
        began = perf_counter()
        asyncio.run(world.pay(uris, theirs, between=0))
        return customers / (perf_counter() - began)
