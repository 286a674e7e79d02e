"""Ten thousand receivers wait in one agent, at a mailroom in a process of its own.

Each process has its own core time: the shop's is measured while nothing happens, then senders
come and are timed from the POST of their Original to the Proposal in their hands.
"""

import asyncio
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from benchmarks import customers, shop
from benchmarks.chainserver import Counted, counting
from benchmarks.processes import mailroom, process

from dovetail import open_files
from dovetail.bitcoin import OutPoint
from dovetail.regtest.node import RegtestNode
from dovetail.runtime.transport import HttpTransport

_BETWEEN = 0.2
"""Seconds between two customers."""
_PACE = 60.0
_AFTER = 5
"""Seconds for what was begun last to come to rest."""


@dataclass(frozen=True, slots=True)
class Size:
    """How many wait, how many of them are paid, and for how many seconds it is looked at."""

    sessions: int
    customers: int
    seconds: int


WHOLE = Size(sessions=10_000, customers=200, seconds=90)
SMALL = Size(sessions=50, customers=4, seconds=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What was measured; times in seconds, one for each customer."""

    cost: shop.Cost
    begun_in: float
    chain_requests_a_minute: float
    times: list[float] = field(default_factory=list)


def measure(size: Size) -> Found:
    """Start everything, look, and stop it."""
    open_files.raise_limit()
    with TemporaryDirectory() as folder, RegtestNode(blocks=110) as node, counting(node) as chain:
        coins = customers.fund(node, shop.NAME, shop.COIN, size.customers)
        theirs = customers.fund(node, customers.NAME, shop.COIN, size.customers)
        with mailroom(Path(folder) / "mailroom", size.sessions + size.customers + 100) as url:
            told = shop.Shop(Path(folder) / "shop", url, chain.url, _PACE, size.sessions, coins)
            with process(shop.work, told) as channel:
                return _looked_at(size, channel, chain, theirs)


def _looked_at(
    size: Size, channel: Connection, chain: Counted, coins: tuple[OutPoint, ...]
) -> Found:
    began = perf_counter()
    uris = channel.recv()
    begun_in = perf_counter() - began
    asyncio.run(asyncio.sleep(min(_AFTER, size.seconds)))
    asked = len(chain.asked)
    channel.send(size.seconds)
    cost = channel.recv()
    asked = len(chain.asked) - asked
    times = asyncio.run(_customers(uris, coins))
    return Found(
        cost=cost,
        begun_in=begun_in,
        chain_requests_a_minute=asked * 60 / size.seconds,
        times=times,
    )


async def _customers(uris: list[str], coins: tuple[OutPoint, ...]) -> list[float]:
    """Pay invoices all over the list, one customer after the other beginning to."""
    web, step = HttpTransport(), len(uris) // len(coins)
    try:
        paying: list[asyncio.Task[float]] = []
        for index, coin in enumerate(coins):
            paying.append(asyncio.create_task(customers.pay(uris[index * step], index, coin, web)))
            await asyncio.sleep(_BETWEEN)
        return await asyncio.gather(*paying)
    finally:
        await web.aclose()


def rows(found: Found) -> Iterator[tuple[str, float, float]]:
    """What is measured, how much it is, and the most it shall be."""
    yield "resident memory, MB", found.cost.resident / 1e6, 500
    yield "cores", found.cost.cores, 0.5
    yield "requests to the chain source in a minute", found.chain_requests_a_minute, 2
    centiles = statistics.quantiles(found.times, n=100, method="inclusive")
    yield "Original posted to Proposal received, median, s", centiles[49], 2
    yield "the same, 99th percentile, s", centiles[98], 2


def report(*, quick: bool) -> None:
    """Measure and print a table."""
    size = SMALL if quick else WHOLE
    print(f"\n{size.sessions:,} receivers waiting in one agent, {size.customers} of them paid")
    found = measure(size)
    print(f"  begun in {found.begun_in:.0f} s\n  {'':52}{'ours':>10}  target")
    for name, value, most in rows(found):
        met = "met" if value <= most else "MISSED"
        print(f"  {name:52}{value:10.2f}  <= {most:<6g} {met}", flush=True)
