"""How a shop's coins leave its hot wallet: sweeps, and payments that the owner approves."""

import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.cli.in_process import Cli
from tests.merchant.signer.deals import SignersHouse, cold_descriptor
from tests.merchant.signer.served import serving
from tests.support.keys import Keys, unsigned

from dovetail.bitcoin import Address, Network, Sats, Script
from dovetail.bitcoin.transaction import TxOut
from dovetail.cli import json_keys
from dovetail.merchant.data import audit, coins, wallets
from dovetail.merchant.data.database import Database
from dovetail.merchant.signer import keys
from dovetail.merchant.signer.client import RemoteSigner
from dovetail.merchant.signer.log import SignerLog
from dovetail.merchant.signer.place import SignerPlace
from dovetail.merchant.signer.policy import Limits
from dovetail.merchant.signer.service import SignerService
from dovetail.merchant.wallet.descriptors import script_at
from dovetail.protocol.coin import Coin
from dovetail.regtest import RegtestServer
from dovetail.wallets.bdk.wallet import BdkWallet

CUSTOMER = Keys("customer").address(3)


@dataclass
class Shop:
    cli: Cli
    place: SignerPlace
    keys: keys.Keys

    def __call__(self, *words: str, **options: str):
        return self.cli("merchant", *words, "--signer", str(self.place), **options)

    @property
    def folder(self) -> Path:
        return self.cli.folder / "regtest" / "merchant"


@pytest.fixture
def shop(person, tmp_path) -> Iterator[Shop]:
    """A signer at its socket, on the wallet of a person."""
    cli = person("shop", 50_000)
    wallet = BdkWallet.open(cli.folder / "regtest" / "wallet", server="http://127.0.0.1:1")
    with tempfile.TemporaryDirectory() as short:
        place = SignerPlace(path=Path(short) / "signer.sock")
        made = Shop(cli, place, keys.Keys(wallet.secret(), cold=cold_descriptor()))
        house = SignersHouse(tmp_path / "unused")
        house.log.close()
        house.log = SignerLog.open(made.folder / "signer.db")
        house.service = SignerService(made.keys, house.log, Limits())
        with serving(house, place):
            yield made
        house.log.close()


def funded(shop: Shop, chain: RegtestServer, *values: int) -> None:
    """Give the shop's hot wallet coins, and its database what the chain watcher would see."""
    scripts = [Address.parse(shop("deposit").out.strip()).script_pubkey for _ in values]
    outputs = [TxOut(Sats(value), each) for value, each in zip(values, scripts, strict=True)]
    paid = chain.node.fund_many(outputs)
    with Database.open(shop.folder / "shop.db") as database:
        (row,) = database.read(wallets.all_wallets)
        database.write(lambda c: coins.see_outputs(c, row.id, paid, chain.node.height))


def test_a_sweep_pays_cold_storage(shop: Shop, chain: RegtestServer):
    assert shop("store", "Shop").code == 0
    funded(shop, chain, 70_000, 90_000)
    said = shop("sweep", "--keep", "1", "--fee-rate", "2", "--yes")
    assert said.code == 0, said.err
    assert "To cold storage: 1 of the hot coins" in said.err
    with Database.open(shop.folder / "shop.db") as database:
        acts = database.read(lambda c: audit.page(c, limit=9))
    assert [(each.who, each.what) for each in acts] == [
        ("command line", "wallet.sweep"),
        ("command line", "store.create"),
    ]
    assert acts[0].subject in said.out
    (swept,) = [
        each.transaction for each in chain.node.mempool if str(each.transaction.txid) in said.out
    ]
    assert [each.script_pubkey for each in swept.outputs] == [
        script_at(cold_descriptor(), Network.REGTEST, 0)
    ]
    chain.node.mine(1)


def test_nothing_is_swept_before_there_is_a_store_or_a_coin(shop: Shop):
    assert "make one with `merchant store`" in shop("sweep", "--yes").err
    assert shop("store", "Shop").code == 0
    said = shop("sweep", "--yes", "--fee-rate", "2")
    assert said.code == 1
    assert "nothing is swept" in said.err


def test_a_sweep_asks_a_person(shop: Shop):
    said = shop("sweep")
    assert said.code != 0
    assert "--yes" in said.err


def queue(shop: Shop, script: Script = CUSTOMER.script_pubkey) -> None:
    at = script_at(shop.keys.hot, Network.REGTEST, 0)
    known = Keys("a payment to the shop").coin(1, 80_000)
    coin = Coin(
        known.outpoint, known.psbt_input.with_witness_utxo(TxOut(Sats(80_000), at)), known.utxo
    )
    psbt = unsigned([coin], TxOut(Sats(79_000), script))
    with closing(RemoteSigner(shop.place)) as remote:
        remote.queue("refund-1", psbt, inputs={coin.outpoint: 0}, outputs={})


def test_a_payment_is_listed_and_approved(shop: Shop):
    assert "No payment waits" in shop.cli("merchant", "approve").err
    queue(shop)
    listed = shop.cli("merchant", "approve")
    assert listed.out.splitlines() == [
        f"refund-1: 79,000 sats to {CUSTOMER}",
        "refund-1: 1,000 sats as fee",
    ]
    told = shop.cli("merchant", "approve", "--json").json
    assert set(told) == set(json_keys.MERCHANT_APPROVE)
    (waiting,) = told["waiting"]
    assert waiting["fee_sats"] == 1000
    assert waiting["recipients"][0]["address"] == str(CUSTOMER)
    with closing(RemoteSigner(shop.place)) as remote:
        assert remote.queued("refund-1") is None
        said = shop.cli("merchant", "approve", "refund-1", "--yes")
        assert said.code == 0, said.err
        assert f"79,000 sats to {CUSTOMER}" in said.err
        signed = remote.queued("refund-1")
    assert signed is not None
    assert signed.is_finalized
    assert shop.cli("merchant", "approve").out == ""


def test_an_unknown_payment_is_not_approved(shop: Shop):
    assert "No payment of this id waits" in shop.cli("merchant", "approve", "x", "--yes").err


def test_a_payment_is_not_approved_without_a_word(shop: Shop):
    queue(shop, Script(b"\x6a\x01a"))
    said = shop.cli("merchant", "approve", "refund-1")
    assert said.code != 0
    assert "79,000 sats to the script 6a0161" in said.err
    assert "refund-1" in shop.cli("merchant", "approve").out
