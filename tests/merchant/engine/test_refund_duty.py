"""A whole shop refunds a customer: the engine pays what the owner has approved."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from tests.merchant.till import Till, open_till
from tests.support.keys import Keys
from tests.support.loopback import Loopback

from dovetail.bitcoin import Sats
from dovetail.merchant.data import refunds
from dovetail.merchant.data.database import Database
from dovetail.merchant.data.refunds import RefundRow
from dovetail.merchant.services.refunds import Refunds
from dovetail.merchant.signer.log import SignerLog

CUSTOMER = Keys("customer").address(3)


@pytest.fixture
def database(place) -> Iterator[Database]:
    with Database.open(place) as opened:
        yield opened


async def until(till: Till, row: RefundRow, status: str) -> RefundRow:
    """Wait until the refund has this status."""
    async with asyncio.timeout(30):
        while True:
            found = await till.parts.database.aread(lambda c: refunds.refund(c, row.id))
            if found is not None and found.status == status:
                return found
            await asyncio.sleep(0.05)


async def becomes(met: Callable[[], object]) -> None:
    """Wait until it is met."""
    async with asyncio.timeout(30):
        while True:
            if await asyncio.to_thread(met):
                return
            await asyncio.sleep(0.05)


async def test_an_overpaid_invoice_is_refunded(world: Loopback, database: Database) -> None:
    async with open_till(world, database) as till:
        invoice = await till.ask(50_000)
        await asyncio.to_thread(world.regtest.node.fund, invoice.script, Sats(62_000))
        await till.until(invoice.id, "settled")
        service = Refunds(database)
        row, token = await service.create(invoice.id, by="shop", expires_in=3600)
        assert row.amount == 12_000
        await service.give_address(token, str(CUSTOMER))
        await asyncio.to_thread(service.approve, row.id, by="owner")
        await until(till, row, "queued")
        with closing(SignerLog.open(world.folder / "shop" / "signer.db")) as log:
            await becomes(lambda: log.approve(str(row.id)))
        row = await until(till, row, "paying")
        await becomes(world.regtest.node.mempool_txids)
        await asyncio.to_thread(world.regtest.node.mine, 1)
        row = await until(till, row, "paid")
        (paid,) = await asyncio.to_thread(world.chain.payments_to, CUSTOMER.script_pubkey)
        assert (str(paid.txid), paid.amount) == (row.txid, 12_000)
        told = [kind for kind, _ in till.told(invoice.id)]
        assert told[-6:] == ["created", "claimed", "approved", "queued", "paying", "paid"]
