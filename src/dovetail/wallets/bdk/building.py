"""How a BDK wallet's payments are built and signed."""

from collections.abc import Collection

from bdkpython import FeeRate as BdkFeeRate
from bdkpython import TxBuilder
from bdkpython import Wallet as BdkCore

from dovetail.bitcoin import FeeRate, OutPoint, Psbt, PsbtOutput
from dovetail.wallets.bdk.signing import bdk_outpoint, sign_ours

_RBF_SEQUENCE = 0xFFFFFFFD


def building_from(fee_rate: FeeRate, unspendable: Collection[OutPoint]) -> TxBuilder:
    """A payment without outputs yet: from confirmed coins, replaceable (BIP 125)."""
    return (
        TxBuilder()
        .unspendable([bdk_outpoint(outpoint) for outpoint in unspendable])
        .exclude_unconfirmed()
        .fee_rate(BdkFeeRate.from_sat_per_kwu(fee_rate.sat_per_kwu))
        .set_exact_sequence(_RBF_SEQUENCE)
        .only_witness_utxo()
    )


def signed(core: BdkCore, builder: TxBuilder) -> Psbt:
    """What was built, signed and finalized; it tells no key paths. Raises `WalletError`."""
    built = Psbt.from_base64(str(builder.finish(core).serialize()))
    done = sign_ours(core, built, built.unsigned_transaction.contested())
    for index in range(len(done.outputs)):
        done = done.with_output(index, PsbtOutput())
    return done
