"""Sweeps: hot coins go to cold storage, by a transaction that the signer signs by itself."""

from collections.abc import Collection
from dataclasses import dataclass

from dovetail.bitcoin import FeeRate, OutPoint, Sats, Transaction
from dovetail.bitcoin.transaction import TxIn, TxOut
from dovetail.errors import CoinsTaken, InsufficientFunds, WalletError
from dovetail.merchant.data import coins, refund_payments
from dovetail.merchant.data.coins import CoinRow
from dovetail.merchant.data.database import Database
from dovetail.merchant.data.wallets import Purpose, WalletRow, address_at
from dovetail.merchant.keychains import Keychain
from dovetail.merchant.services.spending import (
    REPLACEABLE,
    input_weight,
    psbt_of,
    signed_weight,
)
from dovetail.merchant.wallet.merchant_wallet import MerchantWallet
from dovetail.merchant.wallet.ports import Signer

MOST_COINS = 100
"""Coins of one sweep; the next sweep takes more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """A signed transaction that pays the cold wallet; it is not broadcast."""

    transaction: Transaction
    coins: int
    amount: Sats
    fee: Sats


def prepare_sweep(
    database: Database, row: WalletRow, signer: Signer, *, keep: int, fee_rate: FeeRate
) -> Sweep:
    """Return a signed sweep of all free hot coins but the `keep` smallest.

    Coins of live sessions stay, and those that cost more than their value. Raises
    `InsufficientFunds` where nothing is left to sweep, `ConfigurationError` without a cold
    descriptor, `CoinsTaken` where a session or a refund was faster, and `WalletError`.
    """
    chosen = _chosen(database, row, keep=keep, fee_rate=fee_rate)
    wallet = MerchantWallet(database, row, signer)
    script = database.write(lambda c: wallet.give(c, Keychain.COLD, Purpose.SETTLEMENT))
    at = database.read(lambda connection: address_at(connection, script))
    if at is None:
        raise WalletError("The cold address was not recorded: try again.")
    total = Sats.sum(each.value for each in chosen)
    inputs = tuple(TxIn(each.outpoint, sequence=REPLACEABLE) for each in chosen)
    draft = Transaction(2, inputs, (TxOut(total, script),), 0)
    fee = fee_rate.fee(signed_weight(draft, chosen))
    if fee + script.dust_limit > total:
        raise InsufficientFunds("The free coins are worth less than a sweep of them costs.")
    outputs = (TxOut(total - fee, script),)
    psbt = psbt_of(Transaction(2, inputs, outputs, 0), chosen)
    _require_free(database, chosen)
    release(signer, [each.outpoint for each in chosen])
    indexes = {each.outpoint: each.index for each in chosen}
    signed = signer.sweep(psbt, inputs=indexes, outputs={0: (Keychain.COLD, at.index)})
    _require_free(database, chosen)
    return Sweep(transaction=signed.extract(), coins=len(chosen), amount=total - fee, fee=fee)


def _chosen(
    database: Database, row: WalletRow, *, keep: int, fee_rate: FeeRate
) -> tuple[CoinRow, ...]:
    """The coins that no session or refund holds, without the smallest ones that stay hot."""
    known = database.read(lambda connection: coins.coins_of(connection, row.id))
    held = _held(database)  # read after the coins: a new holder's coin stays
    free = [each for each in known if each.is_usable and each.outpoint not in held]
    free.sort(key=lambda each: (each.value, each.outpoint))
    worth = [each for each in free[keep:] if each.value > fee_rate.fee(input_weight(each))]
    if not worth:
        raise InsufficientFunds("No free coin is beyond those that are kept hot: nothing is swept.")
    return tuple(worth[-MOST_COINS:])


def _held(database: Database) -> frozenset[OutPoint]:
    return database.sessions.reserved() | database.read(refund_payments.held_coins)


def _require_free(database: Database, chosen: tuple[CoinRow, ...]) -> None:
    if not _held(database).isdisjoint(each.outpoint for each in chosen):
        raise CoinsTaken("A session or a refund has taken one of the coins: sweep again.")


def release(signer: Signer, coins: Collection[OutPoint]) -> None:
    """Have the signer give back coins whose sessions are over, as the store has done."""
    for session in set(signer.holders(coins).values()):
        signer.release(session)
