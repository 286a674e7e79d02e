"""Invoices that wait, and customers who come among them, beside a shop that has few."""

import asyncio

from benchmarks.till import world
from benchmarks.till.world import Cost

FEW = 10
_REST = 10.0
"""Seconds for what was begun last to come to rest."""

Found = tuple[dict[str, Cost], list[float]]


def report(store: str, *, quick: bool) -> None:
    """Measure a small shop, then a large one, and print both."""
    many, customers, seconds = (40, 4, 2.0) if quick else (10_000, 100, 60.0)
    print(f"\n{many:,} invoices wait on {store}; {customers} of them are paid")
    print(f"  baseline: the same processes with {FEW} invoices and as many customers")
    print(f"  {'':46}{f'{many:,} invoices':>18}{f'{FEW} invoices':>22}  target")
    small, large = (_measure(store, each, customers, seconds) for each in (FEW, many))
    for name, cost in large[0].items():
        most = (500, 1) if name in {"worker", "server"} else (float("inf"), float("inf"))
        few = small[0][name]
        memory = cost.resident / 1e6
        world.say(
            f"{name}: resident memory, MB",
            f"{memory:.0f}",
            f"{few.resident / 1e6:.0f}",
            world.verdict(memory, most[0]),
        )
        world.say(
            f"{name}: cores",
            f"{cost.cores:.2f}",
            f"{few.cores:.2f}",
            world.verdict(cost.cores, most[1]),
        )
    for place, name in enumerate(("median", "99th percentile")):
        ours, theirs = (world.centiles(each)[place] for each in (large[1], small[1]))
        told = world.verdict(ours, 2)
        world.say(f"Original to Proposal, {name}, s", f"{ours:.2f}", f"{theirs:.2f}", told)


def _measure(store: str, invoices: int, customers: int, seconds: float) -> Found:
    with world.till(store, waiting=invoices + customers, coins=customers) as shop:
        uris = asyncio.run(world.ask(shop, max(invoices, customers)))
        asyncio.run(asyncio.sleep(min(_REST, seconds)))
        processes = [shop.server, *shop.workers]
        names = [each.name.split()[0] for each in processes]
        costs = dict(zip(names, world.costs(processes, seconds), strict=True))
        times = asyncio.run(world.pay(uris, world.coins(shop, customers)))
        return costs, times
