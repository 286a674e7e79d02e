"""A shop that refunds: an invoice with a confirmed payment, hot coins, a signer and a chain."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, cast
from uuid import UUID

from tests.merchant import builders
from tests.merchant.shop import add_one
from tests.merchant.signer.deals import SignersHouse
from tests.merchant.signer.served import serving
from tests.support.clock import Clock
from tests.support.keys import Keys

from dovetail.bitcoin import Address, Network, Sats, Transaction, TxOut, UnixTime
from dovetail.merchant.data import coins, events, record, refund_payments, refunds, stores, wallets
from dovetail.merchant.data.database import Database
from dovetail.merchant.data.invoices import InvoiceRow
from dovetail.merchant.data.refund_payments import PaymentRow
from dovetail.merchant.data.refunds import RefundRow
from dovetail.merchant.data.stores import StoreRow
from dovetail.merchant.data.wallets import Purpose
from dovetail.merchant.engine.chain_watcher import ChainWatcher
from dovetail.merchant.invoices.payments import Found, Look
from dovetail.merchant.keychains import Keychain
from dovetail.merchant.messages import StorePolicy
from dovetail.merchant.services.parts import Parts
from dovetail.merchant.services.refund_payments import RefundPayments
from dovetail.merchant.services.refunds import Refunds
from dovetail.merchant.signer.client import RemoteSigner
from dovetail.merchant.signer.place import SignerPlace
from dovetail.merchant.wallet.descriptors import script_at
from dovetail.merchant.wallet.ports import Signer
from dovetail.regtest import RegtestServer
from dovetail.wallets.esplora.chain import EsploraChain

CUSTOMER = Keys("customer").address(3)
WEEK = 7 * 86_400
_number = count(1)


def add_store(database: Database, hot: str) -> StoreRow:
    """A store whose wallet has this descriptor."""

    def write(connection: Any) -> StoreRow:
        row = wallets.add_wallet(
            connection,
            name="hot",
            network=Network.REGTEST,
            descriptor=hot,
            cold_descriptor=None,
            now=database.now(),
        )
        return stores.add_store(
            connection, wallet_id=row.id, name="Shop", policy=StorePolicy(), now=database.now()
        )

    return database.write(write)


def credited(
    database: Database, store: StoreRow, hot: str, value: int, *, depth: int = 1
) -> InvoiceRow:
    """An invoice of 50,000 sats to which a payment of this value came."""
    number = next(_number)
    script = script_at(hot, Network.REGTEST, 100_000 + number)
    now = int(database.now())
    row = database.write(lambda c: add_one(c, store, now=now, script=script))
    see(database, row, builders.pay(number, to=script, value=value), depth=depth)
    return row


def see(database: Database, row: InvoiceRow, *found: Transaction, depth: int = 1) -> None:
    """Let the invoice's record have a look at the chain that finds these."""
    now = database.now()

    def write(connection: Any) -> None:
        number = record.next_look(connection)
        look = Look(number, now, tuple(Found(each, depth) for each in found))
        events.change(
            connection, row.id, lambda: record.add_look(connection, row.id, look), now=now
        )

    database.write(write)


def parts_of(database: Database, chain: Any, signer: Signer | None, clock: Clock) -> Parts:
    """The parts that refunds use; they need no directory."""
    unused = cast("Any", None)
    return Parts(
        database=database,
        chain=chain,
        signer=signer,
        transport=unused,
        relays=unused,
        directories=(),
        keys=unused,
        rates=unused,
        clock=lambda: UnixTime(int(clock.now)),
    )


@dataclass
class RefundShop:
    """The parts of a shop that refunds are paid with."""

    database: Database
    clock: Clock
    regtest: RegtestServer
    chain: EsploraChain
    house: SignersHouse
    parts: Parts
    store: StoreRow

    @property
    def signer(self) -> Signer:
        assert self.parts.signer is not None
        return self.parts.signer

    @property
    def payments(self) -> RefundPayments:
        return RefundPayments(self.parts)

    @property
    def service(self) -> Refunds:
        return Refunds(self.database, self.parts.clock)

    def invoice(self, value: int = builders.AMOUNT + 20_000, **given: Any) -> InvoiceRow:
        return credited(self.database, self.store, self.house.keys.hot, value, **given)

    def fund(self, *values: int) -> None:
        """Confirmed hot coins, as the chain watcher sees them."""
        wallet_id, node = self.store.wallet_id, self.regtest.node
        wallet = self.parts.wallet(wallet_id)
        outputs = [TxOut(Sats(each), wallet.new_address().script_pubkey) for each in values]
        paid = node.fund_many(outputs)
        self.database.write(lambda c: coins.see_outputs(c, wallet_id, paid, node.height))

    def look(self) -> None:
        wallet_id = self.store.wallet_id
        ChainWatcher(self.database, self.chain, wallet_id, every=1).look()

    def claimed(self, invoice: InvoiceRow, amount: int | None = None) -> RefundRow:
        wanted = None if amount is None else Sats(amount)
        made = self.service.create(invoice.id, by="shop", amount=wanted, expires_in=WEEK)
        _, token = asyncio.run(made)
        claim = asyncio.run(self.service.give_address(token, str(CUSTOMER)))
        assert claim is not None
        return claim.refund

    def approved(self, invoice: InvoiceRow | None = None, amount: int | None = None) -> RefundRow:
        row = self.claimed(invoice or self.invoice(), amount)
        return self.service.approve(row.id, by="owner")

    def paying(self, *values: int, amount: int | None = None) -> RefundRow:
        """A refund whose transaction is on its way, from coins of these values."""
        self.fund(*(values or (60_000,)))
        row = self.work(self.approved(amount=amount), 2)
        assert self.house.log.approve(str(row.id))
        row = self.work(row, 2)
        assert row.status == "paying"
        return row

    def work(self, row: RefundRow, rounds: int = 1) -> RefundRow:
        for _ in range(rounds):
            self.payments.work()
        return self.row(row.id)

    def row(self, refund_id: UUID) -> RefundRow:
        found = self.database.read(lambda c: refunds.refund(c, refund_id))
        assert found is not None
        return found

    def sent(self, row: RefundRow) -> tuple[PaymentRow, ...]:
        return self.database.read(lambda c: refund_payments.payments_of(c, row.id))

    def steps(self, row: RefundRow) -> list[str]:
        found = self.database.read(lambda c: refunds.steps_of(c, row.id))
        return [each.step.value for each in found]

    def waiting(self) -> list[Transaction]:
        return [each.transaction for each in self.regtest.node.mempool]

    def coins(self) -> int:
        return self.parts.free_coins(self.store.wallet_id)

    def give_hot(self) -> Address:
        wallet = self.parts.wallet(self.store.wallet_id)
        script = self.database.write(lambda c: wallet.give(c, Keychain.HOT, Purpose.DEPOSIT))
        return Address.from_script(script, Network.REGTEST)


@contextmanager
def open_refund_shop(
    database: Database, clock: Clock, folder: Path, regtest: RegtestServer
) -> Iterator[RefundShop]:
    """A shop with a signer at its socket."""
    clock.now = regtest.node.median_time + 10
    with ExitStack() as opened:
        house = SignersHouse(folder / "signer")
        opened.callback(house.log.close)
        place = SignerPlace(path=folder / "signer.sock")
        opened.enter_context(serving(house, place))
        remote = opened.enter_context(closing(RemoteSigner(place)))
        chain = opened.enter_context(EsploraChain(regtest.url, Network.REGTEST))
        parts = parts_of(database, chain, remote, clock)
        store = add_store(database, house.keys.hot)
        yield RefundShop(database, clock, regtest, chain, house, parts, store)
