"""Hot coins go to cold storage, by the signer's own rule."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.merchant.signer.deals import SignersHouse, cold_descriptor
from tests.merchant.signer.served import serving
from tests.support.keys import Keys

from dovetail.bitcoin import FeeRate, Network, OutPoint, Psbt, Sats, TxOut, UnixTime
from dovetail.bitcoin.transaction import Transaction, TxIn
from dovetail.errors import CoinsTaken, ConfigurationError, InsufficientFunds
from dovetail.merchant.data import coins, wallets
from dovetail.merchant.data.database import Database
from dovetail.merchant.data.wallets import WalletRow
from dovetail.merchant.services import sweeping
from dovetail.merchant.services.spending import psbt_of
from dovetail.merchant.services.sweeping import prepare_sweep
from dovetail.merchant.signer.client import RemoteSigner
from dovetail.merchant.signer.place import SignerPlace
from dovetail.merchant.signer.policy import SignerRefused
from dovetail.merchant.wallet.descriptors import script_at
from dovetail.merchant.wallet.merchant_wallet import MerchantWallet
from dovetail.protocol.verification import Verdict, verify
from dovetail.sessions import receiver

RATE = FeeRate.from_sat_per_vb(2)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[SignersHouse]:
    made = SignersHouse(tmp_path / "signer")
    yield made
    made.log.close()


@pytest.fixture
def signer(house: SignersHouse, tmp_path: Path) -> Iterator[RemoteSigner]:
    place = SignerPlace(path=tmp_path / "signer.sock")
    with serving(house, place), closing(RemoteSigner(place)) as remote:
        yield remote


def add_wallet(database: Database, house: SignersHouse, *, cold: str | None) -> WalletRow:
    return database.write(
        lambda c: wallets.add_wallet(
            c,
            name="main",
            network=Network.REGTEST,
            descriptor=house.keys.hot,
            cold_descriptor=cold,
            now=database.now(),
        )
    )


@pytest.fixture
def row(database: Database, house: SignersHouse) -> WalletRow:
    return add_wallet(database, house, cold=cold_descriptor())


def fund(database: Database, row: WalletRow, *values: int) -> dict[int, OutPoint]:
    """Confirmed hot coins of these values."""
    wallet = MerchantWallet(database, row, None)
    outputs = tuple(TxOut(Sats(each), wallet.new_address().script_pubkey) for each in values)
    spent = TxIn(Keys("somebody").coin(1, 10_000_000).outpoint)
    paid = Transaction(2, (spent,), outputs, 0)
    database.write(lambda c: coins.see_outputs(c, row.id, paid, 100))
    return {value: OutPoint(paid.txid, vout) for vout, value in enumerate(values)}


def test_all_but_the_smallest_coins_go_to_the_next_cold_address(
    database: Database, row: WalletRow, signer: RemoteSigner
):
    found = fund(database, row, 90_000, 20_000, 50_000, 70_000)
    swept = prepare_sweep(database, row, signer, keep=2, fee_rate=RATE)
    assert set(swept.transaction.contested()) == {found[90_000], found[70_000]}
    (output,) = swept.transaction.outputs
    assert output.script_pubkey == script_at(cold_descriptor(), Network.REGTEST, 0)
    assert (swept.coins, swept.amount) == (2, output.value)
    assert swept.amount + swept.fee == 160_000
    needed = RATE.fee(swept.transaction.weight)
    assert needed <= swept.fee <= needed + 4
    known = {each.outpoint: TxOut(each.value, each.script) for each in _rows(database, row)}
    spent = [known[outpoint] for outpoint in swept.transaction.contested()]
    assert verify(swept.transaction, spent) is Verdict.VALID
    again = prepare_sweep(database, row, signer, keep=2, fee_rate=RATE)
    assert again.transaction.outputs[0].script_pubkey != output.script_pubkey


def _rows(database: Database, row: WalletRow) -> tuple[coins.CoinRow, ...]:
    return database.read(lambda c: coins.coins_of(c, row.id))


def test_coins_of_live_sessions_stay(database: Database, row: WalletRow, signer: RemoteSigner):
    found = fund(database, row, 90_000, 70_000)
    log = database.sessions.new_receiver()
    receiver.create_v1(
        address=MerchantWallet(database, row, None).new_address(),
        url="https://shop.example/pj",
        expires_at=UnixTime(database.now() + 600),
    ).save(log)
    database.sessions.reserve(log.session_id, [found[90_000]])
    swept = prepare_sweep(database, row, signer, keep=0, fee_rate=RATE)
    assert set(swept.transaction.contested()) == {found[70_000]}


def test_a_coin_whose_session_is_over_is_released_at_the_signer_first(
    database: Database, row: WalletRow, signer: RemoteSigner, house: SignersHouse
):
    found = fund(database, row, 90_000)
    house.opened("over", 1)
    house.log.reserve("over", [str(found[90_000])])
    swept = prepare_sweep(database, row, signer, keep=0, fee_rate=RATE)
    assert swept.coins == 1


@pytest.mark.parametrize("moment", ["before the signer is asked", "while it signs"])
def test_a_coin_that_a_session_takes_meanwhile_is_not_swept(
    database: Database, row: WalletRow, signer: RemoteSigner, monkeypatch, moment: str
):
    found = fund(database, row, 90_000)

    def takes(*_: object) -> None:
        log = database.sessions.new_receiver()
        receiver.create_v1(
            address=MerchantWallet(database, row, None).new_address(),
            url="https://shop.example/pj",
            expires_at=UnixTime(database.now() + 600),
        ).save(log)
        database.sessions.reserve(log.session_id, [found[90_000]])

    if moment == "while it signs":
        monkeypatch.setattr(sweeping, "release", takes)
    else:

        def late(draft: Transaction, chosen: tuple[coins.CoinRow, ...]) -> Psbt:
            takes()
            return psbt_of(draft, chosen)

        monkeypatch.setattr("dovetail.merchant.services.sweeping.psbt_of", late)
    with pytest.raises(CoinsTaken, match="sweep again"):
        prepare_sweep(database, row, signer, keep=0, fee_rate=RATE)


def test_dust_is_not_swept(database: Database, row: WalletRow, signer: RemoteSigner):
    fund(database, row, 90_000, 100)
    assert prepare_sweep(database, row, signer, keep=0, fee_rate=RATE).coins == 1


@pytest.mark.parametrize(("values", "keep"), [((), 0), ((90_000,), 1), ((100,), 0)])
def test_where_nothing_is_left_to_sweep_it_says_so(
    database: Database, row: WalletRow, signer: RemoteSigner, values: tuple[int, ...], keep: int
):
    fund(database, row, *values) if values else None
    with pytest.raises(InsufficientFunds, match="nothing is swept"):
        prepare_sweep(database, row, signer, keep=keep, fee_rate=RATE)


def test_coins_that_only_pay_their_own_way_are_not_swept(
    database: Database, row: WalletRow, signer: RemoteSigner
):
    fund(database, row, 400)
    with pytest.raises(InsufficientFunds, match="worth less than a sweep"):
        prepare_sweep(database, row, signer, keep=0, fee_rate=RATE)


def test_a_fee_above_the_signers_limit_is_refused(
    database: Database, row: WalletRow, signer: RemoteSigner
):
    fund(database, row, 900_000)
    with pytest.raises(SignerRefused, match="fee is above"):
        prepare_sweep(database, row, signer, keep=0, fee_rate=FeeRate.from_sat_per_vb(51))
    assert (
        prepare_sweep(database, row, signer, keep=0, fee_rate=FeeRate.from_sat_per_vb(50)).fee > 0
    )


def test_many_coins_are_swept_in_several_transactions(
    database: Database, row: WalletRow, signer: RemoteSigner, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sweeping, "MOST_COINS", 2)
    found = fund(database, row, 50_000, 60_000, 70_000)
    swept = prepare_sweep(database, row, signer, keep=0, fee_rate=RATE)
    assert set(swept.transaction.contested()) == {found[60_000], found[70_000]}


def test_without_a_cold_descriptor_there_is_nowhere_to_sweep(
    database: Database, house: SignersHouse, signer: RemoteSigner
):
    row = add_wallet(database, house, cold=None)
    fund(database, row, 90_000)
    with pytest.raises(ConfigurationError, match="no cold descriptor"):
        prepare_sweep(database, row, signer, keep=0, fee_rate=RATE)
