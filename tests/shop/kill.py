"""`make kill-shop`: each part of a shop is killed at each moment of each path of an invoice.

A moment is an event of the invoice's session, or a status of the invoice; the victim is killed as
soon as it shows in the database, and started again at once. Whatever it was doing then, the invoice
has to be credited once, by what the chain has.
"""

import argparse
import asyncio
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path as Folder

from tests.merchant.till import open_parts
from tests.shop.paths import AMOUNT, PATHS, Path, Scene
from tests.shop.processes import EAGER, Process, Shop, open_shop, wait
from tests.support.bdk import bdk_wallet

from dovetail import Agent
from dovetail.bitcoin import UnixTime
from dovetail.errors import DovetailError
from dovetail.merchant.messages.invoices import NewInvoice
from dovetail.merchant.services.invoices import Invoices
from dovetail.merchant.services.parts import Parts
from dovetail.merchant.signer.place import SignerPlace
from dovetail.stores.ports import SessionId

COINS = 12
"""A payjoin gives its hot coin back, unless it settles in cold storage."""

RESTART = 15
"""Seconds in which a whole shop starts again on a busy machine, and takes up its sessions."""

VICTIMS = ("server", "worker", "signer", "connections", "all")


@dataclass(frozen=True)
class Result:
    """What came of one invoice."""

    path: str
    victim: str
    fault: str | None


class Sweep:
    """A shop, and the invoices whose parts are killed."""

    def __init__(self, shop: Shop, parts: Parts, customer: Agent) -> None:
        self._shop = shop
        self._parts = parts
        self._customer = customer
        self._invoices = Invoices(parts)

    async def run(self, path: Path, victim: str, moment: str) -> Result:
        """Play a path once, and kill the victim at the moment."""
        row = await self._ask(path, more=RESTART if victim == "all" else 0)
        held = await self._hold_coins(path) if path.without_coins else None
        scene = Scene(self._shop, self._invoices, self._customer, row, moment)
        killing = threading.Thread(target=self._kill_at, args=(scene, victim), daemon=True)
        killing.start()
        fault = None
        try:
            await asyncio.wait_for(path.play(scene), 120)
            await asyncio.to_thread(killing.join, 60)
            await asyncio.to_thread(self._require, scene, path)
        except (AssertionError, TimeoutError, RuntimeError, LookupError, DovetailError) as error:
            fault = f"{type(error).__name__}: {error} {self._shop.told(row.id)}"
        finally:
            if held is not None:
                self._shop.database.sessions.release(held)
        return Result(path.name, victim, fault)

    async def _hold_coins(self, path: Path) -> SessionId:
        """Give all coins to the session of another invoice; returns its id."""
        other = await self._ask(path)
        return await asyncio.to_thread(self._shop.hold_coins, other.id)

    async def _ask(self, path: Path, *, more: int = 0):
        draft = await self._invoices.draft(self._shop.store_id, NewInvoice(amount_sats=AMOUNT))
        if path.expires is not None:
            draft = replace(draft, expires_at=UnixTime(draft.created_at + path.expires + more))
        made = await self._parts.database.awrite(lambda c: self._invoices.add(c, draft))
        for _ in range(100):
            ready = await self._parts.readiness(made.wallet_id).obstacle(made.amount, minimum=0)
            if ready is None:
                break
            await asyncio.sleep(0.1)
        await self._invoices.payment_uri(made.id)
        return self._shop.row(made.id)

    def _kill_at(self, scene: Scene, victim: str) -> None:
        try:
            wait(lambda: self._shows(scene), "")
        except TimeoutError:
            return
        targets = self._targets(victim)
        if victim == "connections":
            self._cut_connections()
        for each in targets:
            each.kill()
        scene.killed.set()
        for each in targets:
            each.start()
        for each in targets:
            if each is not self._shop.server and each in self._shop.workers:
                continue
            each.wait_ready()

    def _shows(self, scene: Scene) -> bool:
        moment = scene.moment
        if moment[0].isupper():
            return moment in self._shop.tags(scene.row.id)
        return scene.status() == moment

    def _targets(self, victim: str) -> list[Process]:
        shop = self._shop
        return {
            "server": [shop.server],
            "worker": list(shop.workers[:1]) or [shop.server],
            "signer": [shop.signer],
            "connections": [],
            "all": list(shop.processes),
        }[victim]

    def _cut_connections(self) -> None:
        """End every connection of the shop to its database."""
        if not self._parts.database.is_shared:
            self._shop.server.kill()
            self._shop.server.start().wait_ready()
            return
        import psycopg  # noqa: PLC0415

        with psycopg.connect(self._parts.database.url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        wait(lambda: self._parts.database.pulse() >= 0, "the database cannot be reached")

    def _require(self, scene: Scene, path: Path) -> None:
        """The invoice has what the chain has, once, although somebody was killed."""
        if not scene.killed.is_set():
            raise RuntimeError(f"nobody was killed: it never came to {scene.moment}")
        wanted = "expired" if path.name == "late" else "settled"
        wait(lambda: scene.status() == wanted, f"it is {scene.status()}, not {wanted}")
        deadline = time.monotonic() + 20
        while True:
            kinds = tuple(sorted(kind for kind, _ in self._shop.counted(scene.row.id)))
            if kinds in path.kinds or time.monotonic() > deadline:
                break
            time.sleep(0.1)
        if kinds not in path.kinds:
            raise AssertionError(f"it is credited with {kinds}")
        row = self._shop.row(scene.row.id)
        if row.paid != path.total:
            raise AssertionError(f"{row.paid} of {path.total} sats are credited")
        settled = [each for each in self._shop.told(row.id) if each[0] == "invoice.settled"]
        most = 2 if path.name == "reorganised" else 1
        if not len(settled) <= most:
            raise AssertionError(f"it settled {len(settled)} times")


def main() -> int:
    """Run all, print the table, and fail where an invoice was lost or credited twice."""
    parser = argparse.ArgumentParser(prog="python -m tests.shop.kill", description=__doc__)
    parser.add_argument("--store", choices=("postgresql", "sqlite"), action="append")
    parser.add_argument("--paths", help="only paths whose name contains one of these, by comma")
    parser.add_argument("--stride", type=int, default=1, help="only each n-th kill")
    parser.add_argument("--shops", type=int, default=2, help="shops at once (default: 2)")
    given = parser.parse_args()
    stores = given.store or ("postgresql", "sqlite")
    with ProcessPoolExecutor(given.shops, get_context("spawn")) as pool:
        sweeps = [
            pool.submit(_sweep, store, given.paths or "", cold=cold, stride=given.stride)
            for store in stores
            for cold in (False, True)
        ]
        return _report([result for sweep in sweeps for result in sweep.result()])


def _sweep(store: str, names: str, *, cold: bool, stride: int) -> list[Result]:
    """The results of a shop on this database, whose payments go to cold storage or stay hot."""
    shared = store == "postgresql"
    paths = [
        path
        for path in PATHS
        if path.cold is cold and any(each in path.name for each in names.split(","))
    ]
    victims = VICTIMS if shared else ("server", "signer", "all")
    tasks = [
        (path, victim, moment) for path in paths for victim in victims for moment in path.moments
    ][::stride]
    if not tasks:
        return []
    with tempfile.TemporaryDirectory(prefix="dovetail-shop-") as folder:
        world, coins = Folder(folder), COINS + len(tasks) * cold
        with open_shop(world, postgresql=shared, coins=coins, grace=2, cold=cold) as shop:
            for each in shop.workers[1:]:
                each.start()
            return asyncio.run(_run_all(store, shop, tasks))


async def _run_all(store: str, shop: Shop, tasks: list[tuple[Path, str, str]]) -> list[Result]:
    home = shop.folder / "customer"
    coins = [60_000] * (len(tasks) + 5)
    wallet = await asyncio.to_thread(bdk_wallet, home / "wallet", shop.regtest, *coins)
    place = SignerPlace(path=shop.folder / "regtest" / "merchant" / "signer.sock")
    results: list[Result] = []
    async with (
        open_parts(shop.database, shop.chain, shop.mailroom, place) as parts,
        Agent.open(
            home / "agent",
            wallet=wallet,
            chain=shop.chain,
            relays=shop.relays,
            policy=EAGER,
        ) as customer,
    ):
        sweep = Sweep(shop, parts, customer)
        for path, victim, moment in tasks:
            began = time.monotonic()
            found = await sweep.run(path, victim, moment)
            results.append(replace(found, path=f"{store}, {path.name}"))
            say = "ok" if found.fault is None else f"FAULT {found.fault}"
            _say(
                f"{len(results)}/{len(tasks)} {store}: {path.name}, {victim} killed at {moment}:"
                f" {say} ({time.monotonic() - began:.1f} s)"
            )
    return results


def _report(results: list[Result]) -> int:
    kills = Counter((each.path, each.victim) for each in results)
    for path in dict.fromkeys(each.path for each in results):
        told = ", ".join(
            f"{victim} {kills[path, victim]}" for victim in VICTIMS if kills[path, victim]
        )
        _say(f"{path}: {told}")
    faults = [each for each in results if each.fault is not None]
    doubled = sum(
        "credited with" in (each.fault or "") or "times" in (each.fault or "") for each in faults
    )
    for each in faults:
        _say(f"{each.path}, {each.victim}: {each.fault}")
    good = len(results) - len(faults)
    _say(
        f"{len(results)} kills: {good} invoices credited once, {len(faults) - doubled} lost,"
        f" {doubled} doubled"
    )
    return bool(faults)


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
