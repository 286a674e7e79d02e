"""Spend one coin back to its BDK wallet, at the cost of a replacement (BIP 125)."""

from bdkpython import Wallet as BdkCore

from dovetail.bitcoin import FeeRate, OutPoint, Psbt, Sats, Script, Transaction, Weight
from dovetail.wallets.bdk.errors import FEE_ERRORS
from dovetail.wallets.bdk.signing import our_output
from dovetail.wallets.revocation import revocation as revocation_of


def revocation(core: BdkCore, outpoint: OutPoint, target: Script, fee_rate: FeeRate) -> Psbt:
    """Return an unsigned PSBT that spends one coin of the wallet to `target`."""
    return revocation_of(
        outpoint,
        our_output(core, outpoint),
        target,
        fee_rate,
        replacing=lambda weight: _replacement_fee(core, outpoint, weight),
    )


def _replacement_fee(core: BdkCore, outpoint: OutPoint, weight: Weight) -> Sats:
    """Return the least fee that replaces the coin's known spender (BIP 125, rules 3 and 4)."""
    for known in core.transactions():
        spender = Transaction.parse(bytes(known.transaction.serialize()))
        if spender.spends(outpoint) is not None:
            try:
                replaced = Sats(core.calculate_fee(known.transaction).to_sat())
            except FEE_ERRORS:
                break  # inputs of others have unknown values: use the caller's fee rate
            return FeeRate.BROADCAST_MIN.fee(weight) + replaced
    return Sats(0)
