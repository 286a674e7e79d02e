"""One watcher for all invoices of a wallet: what it records, and what a round costs."""

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from tests.merchant.shop import add_one, add_shop, script_at
from tests.regtest.spending import OPEN_SCRIPT, SOME_SCRIPT, open_coins, spend

from dovetail.bitcoin import Network, Sats
from dovetail.errors import ChainError
from dovetail.merchant.data import coins, events
from dovetail.merchant.data.wallets import Purpose, give_address
from dovetail.merchant.engine.chain_watcher import ChainWatcher
from dovetail.merchant.keychains import Keychain
from dovetail.regtest import RegtestServer
from dovetail.regtest.policy import Accepted
from dovetail.wallets.esplora.chain import EsploraChain

ANYONE = OPEN_SCRIPT


@pytest.fixture(scope="module")
def regtest() -> Iterator[RegtestServer]:
    with RegtestServer() as server:
        yield server


@pytest.fixture
def shop(database, regtest, clock) -> Iterator[SimpleNamespace]:
    clock.now = regtest.node.median_time + 10
    store = database.write(lambda c: add_shop(c, now=clock.now))
    with EsploraChain(regtest.url, Network.REGTEST) as chain:
        watcher = ChainWatcher(database, chain, store.wallet_id, every=0.01)
        yield SimpleNamespace(
            database=database,
            node=regtest.node,
            store=store,
            chain=chain,
            watcher=watcher,
            clock=clock,
            add=lambda **columns: database.write(
                lambda c: add_one(
                    c, store, now=clock.now, script=_fresh(store, len(columns)), **columns
                )
            ),
        )


_count = iter(range(10**6))


def _fresh(store, _):
    return script_at(next(_count), of=store.id.int & 0xFFFFFF)


def _told(shop, row):
    found = shop.database.read(lambda c: events.events_of(c, row.id))
    return [(each.kind.partition(".")[2], each.cause) for each in found[1:]]


def _pay(shop, script, value, *, spends=None, change=1_000):
    """A transaction in the mempool that pays the script."""
    (coin,) = (spends,) if spends else open_coins(shop.node, value + change + 5_000)
    paid = spend([coin], [(value, script), (change, SOME_SCRIPT)])
    assert isinstance(shop.node.send(paid), Accepted)
    return paid, coin


def test_a_payment_is_recorded_once_in_the_mempool_and_once_in_a_block(shop):
    row = shop.add()
    _pay(shop, row.script, int(row.amount))
    assert shop.watcher.look() == 1
    assert shop.watcher.look() == 0
    shop.node.mine(1)
    assert shop.watcher.look() == 1
    assert _told(shop, row) == [("processing", "payment-seen"), ("settled", "confirmed")]


def test_an_invoice_that_nobody_pays_costs_no_write(shop):
    for _ in range(5):
        shop.add()
    before = shop.database.pulse()
    assert shop.watcher.look() == 0
    assert shop.database.pulse() == before


def test_a_payment_that_came_while_nobody_looked_is_in_time_by_its_block(shop):
    row = shop.add()
    _pay(shop, row.script, int(row.amount))
    shop.node.mine(1)
    shop.clock.now = row.expires_at + 100
    shop.watcher.look()
    assert _told(shop, row) == [("settled", "confirmed")]


def test_a_replacement_takes_the_place_of_a_payment(shop):
    row = shop.add()
    _, coin = _pay(shop, row.script, int(row.amount))
    shop.watcher.look()
    _pay(shop, ANYONE, 20_000, spends=coin)
    shop.watcher.look()
    assert _told(shop, row) == [("processing", "payment-seen"), ("new", "replaced")]


def test_a_reorganisation_takes_a_settlement_back_until_it_is_mined_again(shop):
    row = shop.add()
    _pay(shop, row.script, int(row.amount))
    shop.node.mine(1)
    shop.watcher.look()
    shop.node.reorg(1)
    shop.watcher.look()
    assert _told(shop, row)[0] == ("settled", "confirmed")
    assert _told(shop, row)[-1][1] == "reorganised"
    shop.node.mine(1)
    shop.watcher.look()
    assert _told(shop, row)[-1] == ("settled", "confirmed")


def test_coins_of_invoices_and_deposits_are_kept_until_they_are_spent(shop):
    row = shop.add()
    deposit = shop.database.write(
        lambda c: give_address(
            c, shop.store.wallet_id, Keychain.HOT, Purpose.DEPOSIT, lambda _: _fresh(shop.store, 0)
        )
    )
    shop.node.fund(deposit.script, Sats(30_000))
    _pay(shop, row.script, int(row.amount))
    shop.watcher.look()
    found = {each.script: each for each in _coins(shop)}
    assert found[deposit.script].is_usable
    assert not found[row.script].is_usable
    shop.node.mine(1)
    shop.watcher.look()
    assert all(each.is_usable for each in _coins(shop))


def test_a_coin_that_was_spent_is_not_usable(shop):
    (coin,) = open_coins(shop.node, 40_000)
    purpose = Keychain.HOT, Purpose.DEPOSIT
    shop.database.write(lambda c: give_address(c, shop.store.wallet_id, *purpose, lambda _: ANYONE))
    shop.watcher.look()
    assert coin in {each.outpoint for each in _coins(shop) if each.is_usable}
    _pay(shop, script_at(1, of=77), 5_000, spends=coin)
    shop.watcher.look()
    assert coin not in {each.outpoint for each in _coins(shop) if each.is_usable}


def _coins(shop):
    return shop.database.read(lambda c: coins.coins_of(c, shop.store.wallet_id))


def test_a_chain_source_that_is_away_changes_nothing(shop):
    row = shop.add()
    with EsploraChain("http://127.0.0.1:9", Network.REGTEST) as away:
        watcher = ChainWatcher(shop.database, away, shop.store.wallet_id, every=0.01)
        with pytest.raises(ChainError):
            watcher.look()
    assert _told(shop, row) == []
