"""The wallet of a shop's sessions: coins and addresses in the database, keys with the signer."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from tests.merchant.shop import add_one
from tests.merchant.signer.deals import SignersHouse, cold_descriptor, hot_secret
from tests.merchant.signer.served import serving
from tests.support.keys import Keys
from tests.support.stepping import Receiving, Side, paid_into
from tests.support.world import World

from dovetail.bitcoin import Address, FeeRate, Network, OutPoint, Psbt, Sats, Script
from dovetail.bitcoin.transaction import Transaction, Txid, TxIn, TxOut
from dovetail.errors import WalletError
from dovetail.merchant.data import coins, invoices, stores, wallets
from dovetail.merchant.data.database import Database
from dovetail.merchant.messages import StorePolicy
from dovetail.merchant.signer.client import RemoteSigner
from dovetail.merchant.signer.place import SignerPlace
from dovetail.merchant.signer.policy import SignerRefused
from dovetail.merchant.wallet.descriptors import script_at
from dovetail.merchant.wallet.merchant_wallet import MerchantWallet
from dovetail.runtime.relays import Relays
from dovetail.runtime.services import Services
from dovetail.sessions import receiver
from dovetail.wallets import SettlingWallet
from dovetail.wallets.bdk.keys import public

HOT = public(hot_secret())[0]


def add_wallet(database: Database, *, cold: bool = True, name: str = "main") -> MerchantWallet:
    row = database.write(
        lambda c: wallets.add_wallet(
            c,
            name=name,
            network=Network.REGTEST,
            descriptor=HOT if name == "main" else public(hot_secret())[1],
            cold_descriptor=cold_descriptor() if cold else None,
            now=database.now(),
        )
    )
    return MerchantWallet(database, row, None)


@pytest.fixture
def wallet(database: Database) -> MerchantWallet:
    return add_wallet(database)


def add_invoice(
    database: Database, wallet: MerchantWallet, *, index: int = 0
) -> invoices.InvoiceRow:
    def write(connection: Any) -> invoices.InvoiceRow:
        store = stores.add_store(
            connection,
            wallet_id=wallet.id,
            name="Shop",
            policy=StorePolicy(),
            now=database.now(),
        )
        script = script_at(HOT, Network.REGTEST, index)
        return add_one(connection, store, now=int(database.now()), script=script)

    return database.write(write)


def paying(*scripts: Script, value: int = 50_000) -> Transaction:
    """A transaction with an output for each script."""
    spent = Keys("somebody").coin(len(scripts), value).outpoint
    return Transaction(2, (TxIn(spent),), tuple(TxOut(Sats(value), each) for each in scripts), 0)


# addresses and coins


def test_each_new_address_has_the_next_index(database: Database, wallet: MerchantWallet):
    given = [wallet.new_address().script_pubkey for _ in range(3)]
    assert given == [script_at(HOT, Network.REGTEST, index) for index in range(3)]
    assert wallet.owned([*given, Keys("somebody").script(1)]) == frozenset(given)


def test_no_address_is_given_twice_by_threads_at_once(database: Database, wallet: MerchantWallet):
    with ThreadPoolExecutor(8) as pool:
        given = list(pool.map(lambda _: wallet.new_address(), range(24)))
    assert len(set(given)) == 24


def test_only_confirmed_coins_that_nothing_spends_are_offered(
    database: Database, wallet: MerchantWallet
):
    scripts = [wallet.new_address().script_pubkey for _ in range(4)]
    found = paying(*scripts)
    database.write(lambda c: coins.see_outputs(c, wallet.id, found, 100))
    confirmed, spent, absent, unconfirmed = (OutPoint(found.txid, vout) for vout in range(4))
    database.write(lambda c: coins.set_spend(c, spent, by=found.txid, height=None))
    database.write(lambda c: coins.set_place(c, absent, height=100, absent=True))
    database.write(lambda c: coins.set_place(c, unconfirmed, height=None, absent=False))
    (coin,) = wallet.coins()
    assert coin.outpoint == confirmed
    assert coin.psbt_input.witness_utxo == TxOut(Sats(50_000), scripts[0])
    assert coin.psbt_input.non_witness_utxo is None
    assert wallet.balance().confirmed == 50_000
    assert wallet.balance().unconfirmed == 50_000
    assert wallet.owned_coins([spent, OutPoint(Txid(bytes(32)), 0)]) == {spent}
    wallet.sync()
    wallet.hold(list)


def test_coins_of_another_wallet_are_not_offered(database: Database, wallet: MerchantWallet):
    other = add_wallet(database, name="other")
    found = paying(other.new_address().script_pubkey)
    database.write(lambda c: coins.see_outputs(c, other.id, found, 100))
    assert wallet.coins() == ()
    assert len(other.coins()) == 1
    assert wallet.owned([found.outputs[0].script_pubkey]) == frozenset()


def test_the_server_spends_nothing(wallet: MerchantWallet):
    script = Keys("somebody").script(1)
    with pytest.raises(WalletError, match="by its signer alone"):
        wallet.pay(script, Sats(1000), fee_rate=FeeRate(250))
    with pytest.raises(WalletError, match="by its signer alone"):
        wallet.revoke(OutPoint(Txid(bytes(32)), 0), fee_rate=FeeRate(250))


def test_its_repr_shows_no_keys(wallet: MerchantWallet):
    assert repr(wallet) == f"<MerchantWallet {wallet.id}>"


# settlement


def test_an_invoice_has_one_cold_script_for_good(database: Database, wallet: MerchantWallet):
    assert isinstance(wallet, SettlingWallet)
    row = add_invoice(database, wallet)
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: wallet.settlement_script(row.script), range(8)))
    (cold,) = found
    assert cold == script_at(cold_descriptor(), Network.REGTEST, 0)
    stored = database.read(lambda c: invoices.invoice(c, row.id))
    assert stored is not None
    assert stored.settlement_script == cold
    assert stored.scripts == {row.script, cold}
    reopened = MerchantWallet(database, wallet._row, None)
    assert reopened.settlement_script(row.script) == cold


def test_workers_at_once_give_an_invoice_one_cold_script(
    database: Database, wallet: MerchantWallet
):
    rows = [add_invoice(database, wallet, index=index) for index in range(6)]
    together = Barrier(4)

    def settle(row: invoices.InvoiceRow) -> Script | None:
        together.wait(10)
        return wallet.settlement_script(row.script)

    with ThreadPoolExecutor(4) as pool:
        for row in rows:
            assert len(set(pool.map(settle, [row] * 4))) == 1


def test_each_invoice_has_a_cold_script_of_its_own(database: Database, wallet: MerchantWallet):
    first = add_invoice(database, wallet)
    deposit = wallet.new_address().script_pubkey
    assert wallet.settlement_script(first.script) is not None
    assert wallet.settlement_script(deposit) is None, "a deposit stays hot"
    assert wallet.settlement_script(Keys("somebody").script(1)) is None


def test_without_a_cold_descriptor_the_address_is_paid(database: Database):
    wallet = add_wallet(database, cold=False)
    row = add_invoice(database, wallet)
    assert wallet.settlement_script(row.script) is None


def test_a_cold_script_is_not_a_coin_to_contribute(database: Database, wallet: MerchantWallet):
    row = add_invoice(database, wallet)
    cold = wallet.settlement_script(row.script)
    assert cold is not None
    database.write(lambda c: coins.see_outputs(c, wallet.id, paying(cold), 100))
    assert wallet.coins() == ()


# signing


def test_without_a_signer_nothing_is_signed(wallet: MerchantWallet):
    psbt = Psbt.from_unsigned(paying(Keys("somebody").script(1)))
    with pytest.raises(WalletError, match="No signer is set"):
        wallet.sign(psbt, inputs=psbt.unsigned_transaction.contested())


@pytest.fixture
def house(tmp_path: Path) -> Iterator[SignersHouse]:
    made = SignersHouse(tmp_path / "signer")
    yield made
    made.log.close()


@pytest.fixture
def signing(
    database: Database, wallet: MerchantWallet, house: SignersHouse, tmp_path: Path
) -> Iterator[MerchantWallet]:
    """The wallet with a real signer at a socket."""
    place = SignerPlace(path=tmp_path / "signer.sock")
    with serving(house, place), closing(RemoteSigner(place)) as remote:
        yield MerchantWallet(database, wallet._row, remote)


@dataclass
class Shop:
    """An invoice of a wallet with one coin, whose session a test takes step by step."""

    row: invoices.InvoiceRow
    coin: OutPoint
    receiving: Receiving


@pytest.fixture
def shop(world: World, database: Database, signing: MerchantWallet, house: SignersHouse) -> Shop:
    world.clock.now = int(database.now())
    paid = world.node.fund_many([TxOut(Sats(70_000), signing.new_address().script_pubkey)])
    database.write(lambda c: coins.see_outputs(c, signing.id, paid, 100))
    row = add_invoice(database, signing, index=1)
    services = Services(
        wallet=signing,
        chain=world.bob.chain,
        store=database.sessions,
        transport=world.wire,
        relays=Relays(world.relays, clock=world.clock),
        clock=world.clock,
        policy=world.policy,
    )
    log = database.sessions.new_receiver()
    state = receiver.create(
        address=Address.parse(row.address),
        directory=world.wire.directory.origin,
        ohttp_keys=world.wire.directory.config,
        expires_at=row.expires_at,
        amount=row.amount,
    ).save(log)
    database.write(lambda c: invoices.set_session(c, row.id, log.session_id))
    (coin,) = signing.coins()
    return Shop(row, coin.outpoint, Receiving(services, log, state))


async def test_the_signer_signs_for_the_invoice_whose_session_holds_the_coin(
    world: World, alice: Side, house: SignersHouse, shop: Shop
):
    house.opened(str(shop.row.id), int(shop.row.amount))
    await paid_into(world, shop.receiving, alice)
    monitor = await shop.receiving.to(receiver.Monitor)
    assert monitor.exposed == (shop.coin,)
    assert house.log.holders([str(shop.coin)]) == {str(shop.coin): str(shop.row.id)}


async def test_a_coin_of_a_session_that_is_over_is_released_at_the_signer(
    world: World, alice: Side, house: SignersHouse, shop: Shop
):
    house.opened("over", 1)
    house.log.reserve("over", [str(shop.coin)])
    house.opened(str(shop.row.id), int(shop.row.amount))
    await paid_into(world, shop.receiving, alice)
    await shop.receiving.to(receiver.Monitor)
    assert house.log.holders([str(shop.coin)]) == {str(shop.coin): str(shop.row.id)}


async def test_what_the_signer_refuses_is_not_posted(
    world: World, alice: Side, house: SignersHouse, shop: Shop
):
    house.opened(str(shop.row.id), int(shop.row.amount) + 1)
    await paid_into(world, shop.receiving, alice)
    await shop.receiving.to(receiver.ProvisionalProposal)
    with pytest.raises(SignerRefused, match="less than the invoice demands"):
        await shop.receiving.step()
    assert "FinalizedProposal" not in shop.receiving.tags()
    assert house.log.holders([str(shop.coin)]) == {}


async def test_coins_that_no_session_holds_are_not_signed(shop: Shop, signing: MerchantWallet):
    psbt = Psbt.from_unsigned(paying(Keys("somebody").script(1)))
    with pytest.raises(WalletError, match="not held by one session"):
        signing.sign(psbt, inputs=psbt.unsigned_transaction.contested())
    with pytest.raises(WalletError, match="not held by one session"):
        signing.sign(psbt, inputs=[shop.coin])
