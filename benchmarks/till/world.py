"""A shop of real processes, of any size, and what they cost."""

import asyncio
import os
import resource
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from benchmarks import customers, shop
from benchmarks.processes import mailroom
from tests.merchant.till import open_parts
from tests.shop.processes import Process, Shop, open_shop

from dovetail import open_files
from dovetail.bitcoin import OutPoint
from dovetail.merchant.messages import NewInvoice
from dovetail.merchant.services.invoices import Invoices
from dovetail.merchant.signer.place import SignerPlace
from dovetail.runtime.transport import HttpTransport

POSTGRESQL, SQLITE = "postgresql", "sqlite"
_AT_ONCE = 16
_BETWEEN = 0.2
"""Seconds between two customers who come one by one."""
_EXPIRY = 86_400
"""Seconds in which an invoice is to be paid: more than it takes to make ten thousand of them."""
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = resource.getpagesize()


@contextmanager
def till(
    store: str, *, waiting: int, coins: int, workers: int = 1, pace: str = "15s"
) -> Iterator[Shop]:
    """A shop with room for so many waiting invoices, and with this many hot coins.

    Its directory and its two relays are processes of their own. One process that is all of them
    would need three open files for each waiting invoice, which the system may not allow.
    """
    open_files.raise_limit()
    room = waiting + coins + 200
    with (
        TemporaryDirectory(prefix="dovetail-till-") as name,
        mailroom(Path(name) / "directory", room) as url,
        mailroom(Path(name) / "one", room, directory=False, relay=True) as one,
        mailroom(Path(name) / "other", room, directory=False, relay=True) as other,
        open_shop(
            Path(name),
            postgresql=store == POSTGRESQL,
            workers=workers,
            grace=600,
            coins=coins,
            pace=pace,
            mailroom=url,
            relays=(one, other),
            durable=True,
            expiry=_EXPIRY,
        ) as opened,
    ):
        for each in opened.workers[1:]:
            each.start()
        yield opened


async def ask(opened: Shop, count: int) -> list[str]:
    """Make so many invoices with their sessions; their URIs."""
    place = SignerPlace(path=opened.folder / "regtest" / "merchant" / "signer.sock")
    async with open_parts(
        opened.database, opened.chain, opened.mailroom, place, relays=opened.relays
    ) as parts:
        invoices = Invoices(parts)
        room = asyncio.Semaphore(_AT_ONCE)

        async def make() -> str:
            async with room:
                wanted = NewInvoice(amount_sats=shop.AMOUNT)
                made = await invoices.create(opened.store_id, wanted)
                return await invoices.payment_uri(made.id)

        return await asyncio.gather(*(make() for _ in range(count)))


def coins(opened: Shop, count: int) -> tuple[OutPoint, ...]:
    """A coin for each customer."""
    return customers.fund(opened.regtest.node, customers.NAME, shop.COIN, count)


async def pay(
    uris: list[str], theirs: tuple[OutPoint, ...], *, between: float = _BETWEEN
) -> list[float]:
    """Pay invoices all over the list; the seconds from each Original to its Proposal."""
    web, step = HttpTransport(), len(uris) // len(theirs)
    try:
        paying: list[asyncio.Task[float]] = []
        for index, coin in enumerate(theirs):
            one = customers.pay(uris[index * step], index, coin, web)
            paying.append(asyncio.create_task(one))
            await asyncio.sleep(between)
        return await asyncio.gather(*paying)
    finally:
        await web.aclose()


@dataclass(frozen=True, slots=True)
class Cost:
    """What a process used for a while: bytes of memory, and of one core which part."""

    resident: int
    cores: float


def costs(processes: list[Process], seconds: float) -> list[Cost]:
    """Look at processes for so many seconds."""
    before, began = [_core_seconds(each) for each in processes], perf_counter()
    asyncio.run(asyncio.sleep(seconds))
    took = perf_counter() - began
    return [
        Cost(_resident(each), (_core_seconds(each) - used) / took)
        for each, used in zip(processes, before, strict=True)
    ]


def _core_seconds(process: Process) -> float:
    """Its own time and the system's for it: fields 14 and 15 of `stat` (proc(5))."""
    fields = _read(process, "stat").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _resident(process: Process) -> int:
    return int(_read(process, "statm").split()[1]) * _PAGE


def _read(process: Process, name: str) -> str:
    return Path(f"/proc/{process.pid}/{name}").read_text(encoding="ascii")


def centiles(times: list[float]) -> tuple[float, float]:
    """The median, and the 99th percentile."""
    found = statistics.quantiles(times, n=100, method="inclusive")
    return found[49], found[98]


def say(name: str, ours: str, baseline: str = "", told: str = "") -> None:
    """Print a row."""
    print(f"  {name:46}{ours:>18}{baseline:>22}  {told}", flush=True)


def verdict(value: float, most: float) -> str:
    """Whether a target was met."""
    return f"<= {most:g} {'met' if value <= most else 'MISSED'}"
