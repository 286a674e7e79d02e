"""Invoices a second over the API, beside bare commits to the same database."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from multiprocessing.connection import Connection
from time import perf_counter

import psycopg
from benchmarks.processes import process
from benchmarks.till import world
from tests.merchant.till import open_parts
from tests.shop.processes import Shop as Till

from dovetail.bitcoin import Network
from dovetail.merchant.api.limits import Limits, Rate
from dovetail.merchant.client import Shop
from dovetail.merchant.data.database import Database
from dovetail.merchant.messages import NewInvoice
from dovetail.merchant.server import serving
from dovetail.merchant.signer.place import SignerPlace
from dovetail.wallets.esplora.chain import EsploraChain

_CLIENTS = 8
_FREE = Rate(burst=1_000_000, per_second=1_000_000)
_AMOUNT = 50_000


def report(store: str, *, quick: bool) -> None:
    """Measure both, with as many clients."""
    count = 40 if quick else 1_000
    print(f"\n{count:,} invoices from {_CLIENTS} clients on {store}, each with its payjoin session")
    print("  baseline: a transaction of one row on the same database, durable, as many clients")
    print(f"  {'':46}{'invoices':>18}{'commits':>22}  ratio")
    with world.till(store, waiting=count, coins=2) as till:
        place = str(till.folder / "shop.db")
        if store == world.POSTGRESQL:
            place = till.database.url
        place_of_signer = str(till.folder / "regtest" / "merchant" / "signer.sock")
        told = (place, till.regtest.url, till.mailroom, till.relays, place_of_signer)
        with process(_serve, *told) as channel:
            ours = _asked(channel.recv(), till, count)
        theirs = _committed(store, till, place, count)
    rate, base = (count / took for took, _ in (ours, theirs))
    world.say("a second", f"{rate:.0f}", f"{base:.0f}", f"{rate / base:.2f}")
    for index, name in enumerate(("median", "99th percentile")):
        one, other = (world.centiles(times)[index] * 1e3 for _, times in (ours, theirs))
        world.say(f"{name}, ms", f"{one:.1f}", f"{other:.1f}", f"{one / other:.1f}")


def _serve(
    place: str, chain: str, directory: str, relays: tuple[str, ...], signer: str, told: Connection
) -> None:
    """The API without its limits of requests, which would be measured else."""
    asyncio.run(_serving(place, chain, directory, relays, SignerPlace.parse(signer), told))


async def _serving(
    place: str,
    chain_url: str,
    directory: str,
    relays: tuple[str, ...],
    signer: SignerPlace,
    told: Connection,
) -> None:
    with (
        Database.open(place, upgrade=False) as database,
        EsploraChain(chain_url, Network.REGTEST) as chain,
    ):
        async with (
            open_parts(database, chain, directory, signer, relays=relays) as parts,
            serving(parts, "127.0.0.1", 0, limits=Limits(address=_FREE, key=_FREE)) as url,
        ):
            told.send(url)
            await asyncio.Event().wait()


def _asked(url: str, till: Till, count: int) -> tuple[float, list[float]]:
    with Shop(url, till.secret) as shop:
        shop.create_invoice(till.store_id, NewInvoice(amount_sats=_AMOUNT))

        def work() -> None:
            shop.create_invoice(till.store_id, NewInvoice(amount_sats=_AMOUNT))

        return _timed(work, count)


def _committed(store: str, till: Till, place: str, count: int) -> tuple[float, list[float]]:
    if store == world.SQLITE:
        return _committed_to_file(str(till.folder / "bare.db"), count)
    own = threading.local()

    def work() -> None:
        if not hasattr(own, "connection"):
            own.connection = psycopg.connect(place)
        with own.connection.transaction():
            own.connection.execute("INSERT INTO bare VALUES ('an invoice')")

    with psycopg.connect(place) as connection:
        connection.execute("CREATE TABLE bare (row TEXT)")
    return _timed(work, count)


def _committed_to_file(path: str, count: int) -> tuple[float, list[float]]:
    lock = threading.Lock()
    with closing(sqlite3.connect(path, check_same_thread=False, isolation_level=None)) as file:
        for setting in ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL"):
            file.execute(setting)
        file.execute("CREATE TABLE bare (row TEXT)")

        def work() -> None:
            with lock:
                file.execute("INSERT INTO bare VALUES ('an invoice')")

        return _timed(work, count)


def _timed(work: Callable[[], None], count: int) -> tuple[float, list[float]]:
    """Do it so often from all clients: the seconds in all, and those of each."""

    def once(_: int) -> float:
        began = perf_counter()
        work()
        return perf_counter() - began

    began = perf_counter()
    with ThreadPoolExecutor(_CLIENTS) as clients:
        times = list(clients.map(once, range(count)))
    return perf_counter() - began, times
