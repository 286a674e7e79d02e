"""A whole shop in one process, on loopback: chain, mailroom, signer, database, engine."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from tests.support.bdk import bdk_wallet
from tests.support.loopback import Loopback

from dovetail import Agent, LiveSender
from dovetail.bitcoin import Network, Sats
from dovetail.merchant.data import events, invoices, stores, wallets
from dovetail.merchant.data.database import Database
from dovetail.merchant.data.invoices import InvoiceRow
from dovetail.merchant.data.stores import StoreRow
from dovetail.merchant.engine.engine import Engine
from dovetail.merchant.messages import NewInvoice, StorePolicy
from dovetail.merchant.services.invoices import Invoices
from dovetail.merchant.services.metrics import Metrics
from dovetail.merchant.services.parts import Parts
from dovetail.merchant.services.rates import PublicRates
from dovetail.merchant.signer.client import RemoteSigner
from dovetail.merchant.signer.keys import Keys
from dovetail.merchant.signer.log import SignerLog
from dovetail.merchant.signer.place import SignerPlace
from dovetail.merchant.signer.policy import Limits
from dovetail.merchant.signer.server import SignerServer
from dovetail.merchant.signer.service import SignerService
from dovetail.runtime.agent import now
from dovetail.runtime.ohttp_keys import OhttpKeys
from dovetail.runtime.policy import Policy
from dovetail.runtime.relays import Relays
from dovetail.runtime.transport import HttpTransport
from dovetail.wallets.esplora.chain import EsploraChain

EAGER = Policy(watch_interval=0.1, poll_pause=0.05, log_interval=0.1, grace=2)


@dataclass
class Till:
    """The parts of a shop, and its one store."""

    world: Loopback
    parts: Parts
    store: StoreRow
    invoices: Invoices

    async def ask(self, amount: int = 50_000, **terms: Any) -> InvoiceRow:
        return await self.invoices.create(self.store.id, NewInvoice(amount_sats=amount, **terms))

    def row(self, invoice_id: UUID) -> InvoiceRow:
        found = self.parts.database.read(lambda c: invoices.invoice(c, invoice_id))
        assert found is not None
        return found

    def told(self, invoice_id: UUID) -> list[tuple[str, str]]:
        found = self.parts.database.read(lambda c: events.events_of(c, invoice_id))
        return [(each.kind.partition(".")[2], each.cause) for each in found]

    async def until(self, invoice_id: UUID, status: str, *, seconds: float = 30) -> InvoiceRow:
        """Wait until the invoice has this status."""
        async with asyncio.timeout(seconds):
            while True:
                row = await asyncio.to_thread(self.row, invoice_id)
                if row.status == status:
                    return row
                await asyncio.sleep(0.05)


@asynccontextmanager
async def open_parts(
    database: Database,
    chain: EsploraChain,
    mailroom: str,
    signer: SignerPlace,
    *,
    relays: Sequence[str] = (),
    metrics: Metrics | None = None,
) -> AsyncIterator[Parts]:
    """The parts of a shop on loopback; without relays of their own the mailroom is one."""
    heard = None if metrics is None else metrics.heard
    transport, asked = HttpTransport(), RemoteSigner(signer, patience=5, heard=heard)
    known = Relays(relays or [mailroom], clock=now)
    try:
        yield Parts(
            database=database,
            chain=chain,
            signer=asked,
            transport=transport,
            relays=known,
            directories=(mailroom,),
            keys=OhttpKeys(transport, known, clock=now),
            rates=PublicRates(transport, (), now),
            clock=now,
            policy=EAGER,
        )
    finally:
        asked.close()
        await transport.aclose()


@asynccontextmanager
async def open_till(
    world: Loopback,
    database: Database,
    *,
    coins: tuple[int, ...] = (80_000, 90_000),
    cold: str | None = None,
    signs: bool = True,
    works: bool = True,
    metrics: Metrics | None = None,
    **policy: Any,
) -> AsyncIterator[Till]:
    """A store whose hot wallet has these coins, and an engine that works for it."""
    folder = world.folder / "shop"
    wallet = bdk_wallet(folder / "wallet", world.regtest)
    keys = Keys(wallet.secret(), cold=cold)
    place = SignerPlace(path=Path(folder / "signer.sock"))
    url = world.mailroom.url
    async with AsyncExitStack() as opened:
        if signs:
            log = SignerLog.open(folder / "signer.db")
            opened.callback(log.close)
            server = SignerServer(SignerService(keys, log, Limits()))
            await opened.enter_async_context(server.listening(place))
        parts = await opened.enter_async_context(
            open_parts(database, world.chain, url, place, metrics=metrics)
        )
        store = database.write(lambda c: _add(c, keys, StorePolicy(**policy)))
        await asyncio.to_thread(_fund, world, parts, store, coins)
        if works:
            await opened.enter_async_context(engine_at_work(parts, metrics=metrics))
            await asyncio.to_thread(_wait_for_coins, parts, store, len(coins))
        yield Till(world, parts, store, Invoices(parts))


@asynccontextmanager
async def engine_at_work(parts: Parts, *, metrics: Metrics | None = None) -> AsyncIterator[None]:
    """An engine that works for a shop until the block ends."""
    stop = asyncio.Event()
    engine = Engine(
        parts, _no_deliveries, look=0.05, looked=None if metrics is None else metrics.looked
    )
    if metrics is not None:
        metrics.follow_duties(lambda: engine.running)
    working = asyncio.create_task(engine.run(stop))
    try:
        yield
    finally:
        stop.set()
        await working


def _add(connection, keys: Keys, policy: StorePolicy) -> StoreRow:
    row = wallets.add_wallet(
        connection,
        name="hot",
        network=Network.REGTEST,
        descriptor=keys.hot,
        cold_descriptor=keys.cold,
        now=now(),
    )
    return stores.add_store(connection, wallet_id=row.id, name="Shop", policy=policy, now=now())


def _fund(world: Loopback, parts: Parts, store: StoreRow, coins: tuple[int, ...]) -> None:
    for value in coins:
        address = parts.wallet(store.wallet_id).new_address()
        world.regtest.node.fund(address.script_pubkey, Sats(value))


def _wait_for_coins(parts: Parts, store: StoreRow, count: int) -> None:
    deadline = time.monotonic() + 20
    while parts.free_coins(store.wallet_id) < count:
        assert time.monotonic() < deadline, "the coins of the shop are not seen"
        time.sleep(0.05)


@asynccontextmanager
async def customer(till: Till, row: InvoiceRow) -> AsyncIterator[LiveSender]:
    """A customer who pays the invoice from a coin of a wallet of their own."""
    home = till.world.folder / f"customer-{row.id}"
    wallet = await asyncio.to_thread(bdk_wallet, home / "wallet", till.world.regtest, 1_000_000)
    async with Agent.open(
        home / "agent",
        wallet=wallet,
        chain=till.world.chain,
        relays=[till.world.mailroom.url],
        policy=EAGER,
    ) as payer:
        yield await payer.send(row.uri or "")


async def pay(till: Till, row: InvoiceRow) -> InvoiceRow:
    """Let a customer pay the invoice, until a block has settled it."""
    async with customer(till, row) as paid:
        await till.until(row.id, "processing")
        till.world.regtest.node.mine()
        await paid.wait_closed()
    return await till.until(row.id, "settled")


async def _no_deliveries(_: str) -> None:
    await asyncio.Event().wait()
