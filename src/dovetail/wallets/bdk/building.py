"""Build and sign a BDK wallet's payments."""

from collections.abc import Collection

from bdkpython import Amount, TxBuilder
from bdkpython import FeeRate as BdkFeeRate
from bdkpython import Script as BdkScript
from bdkpython import Wallet as BdkCore

from dovetail.bitcoin import FeeRate, OutPoint, Psbt, PsbtOutput, Sats, Script
from dovetail.wallets.bdk.coins import uneconomical_coins, usable_value
from dovetail.wallets.bdk.errors import building
from dovetail.wallets.bdk.signing import bdk_outpoint, sign_ours

_RBF_SEQUENCE = 0xFFFFFFFD


def payment(
    core: BdkCore,
    script: Script,
    amount: Sats,
    change: Script,
    fee_rate: FeeRate,
    unspendable: Collection[OutPoint],
) -> Psbt:
    """Build a signed payment of `amount` to `script`; the rest goes to `change`."""
    builder = (
        _building_from(fee_rate, unspendable)
        .add_recipient(BdkScript(bytes(script)), Amount.from_sat(int(amount)))
        .drain_to(BdkScript(bytes(change)))
    )
    free = usable_value(core, unspendable)
    with building(
        f"The wallet has {free:,} sats confirmed and free, too few to pay {amount:,} and"
        " the fee; fund it, or wait for its other coins."
    ):
        return _signed(core, builder)


def payment_of_all(
    core: BdkCore, script: Script, fee_rate: FeeRate, unspendable: Collection[OutPoint]
) -> Psbt:
    """Build a signed payment of all coins that are worth their fee, with one output."""
    excluded = frozenset(unspendable) | uneconomical_coins(core, fee_rate)
    builder = _building_from(fee_rate, excluded).drain_wallet().drain_to(BdkScript(bytes(script)))
    with building(
        "The wallet has no coin that is confirmed, free and worth its fee; fund it, or wait"
        " for its other coins."
    ):
        return _signed(core, builder)


def _building_from(fee_rate: FeeRate, unspendable: Collection[OutPoint]) -> TxBuilder:
    """Return a builder for a replaceable payment from confirmed coins (BIP 125)."""
    return (
        TxBuilder()
        .unspendable([bdk_outpoint(outpoint) for outpoint in unspendable])
        .exclude_unconfirmed()
        .fee_rate(BdkFeeRate.from_sat_per_kwu(fee_rate.sat_per_kwu))
        .set_exact_sequence(_RBF_SEQUENCE)
        .only_witness_utxo()
    )


def _signed(core: BdkCore, builder: TxBuilder) -> Psbt:
    """Build, sign and finalize the payment, without key paths. Raises `WalletError`."""
    built = Psbt.from_base64(str(builder.finish(core).serialize()))
    done = sign_ours(core, built, built.unsigned_transaction.contested())
    for index in range(len(done.outputs)):
        done = done.with_output(index, PsbtOutput())
    return done
