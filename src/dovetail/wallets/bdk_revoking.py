"""Spend one coin back to its wallet, so that nobody else can (BIP 125)."""

from bdkpython import Wallet as BdkCore

from dovetail.bitcoin import (
    FeeRate,
    OutPoint,
    Psbt,
    Sats,
    Script,
    ScriptType,
    Transaction,
    TxIn,
    TxOut,
    Weight,
    predicted_input_weight,
)
from dovetail.errors import InsufficientFunds, InvalidAmount, WalletError
from dovetail.wallets.bdk_errors import FEE_ERRORS
from dovetail.wallets.bdk_signing import our_output

_RBF_SEQUENCE = 0xFFFFFFFD
_BARE_INPUT_WEIGHT = 164  # outpoint, empty script_sig, sequence
_SEGWIT_MARKER_WEIGHT = 2


def revocation(core: BdkCore, outpoint: OutPoint, target: Script, fee_rate: FeeRate) -> Psbt:
    """An unsigned PSBT that spends one coin of the wallet to `target`.

    It pays `fee_rate`, or what replacing the coin's spender in the mempool takes if that is more.
    Raises `InsufficientFunds` when that leaves dust, `WalletError` when the coin is not ours.
    """
    coin = our_output(core, outpoint)
    if coin is None:
        raise WalletError("This coin is not known to the wallet; sync it or use the right one.")
    transaction = _to(target, Sats(0), outpoint)
    weight = (
        transaction.weight
        + predicted_input_weight(coin.script_pubkey.type)
        + _SEGWIT_MARKER_WEIGHT * (coin.script_pubkey.type is not ScriptType.P2PKH)
        + -_BARE_INPUT_WEIGHT
    )
    try:
        fee = max(fee_rate.fee(weight), _replacement_fee(core, outpoint, weight))
        value = coin.value - fee
    except InvalidAmount:
        value = Sats(0)
    if value < target.dust_limit:
        raise InsufficientFunds(
            "The coin is worth less than the fee to take it back; choose a lower fee rate or "
            "another coin."
        )
    return Psbt.from_unsigned(_to(target, value, outpoint))


def _to(script: Script, value: Sats, outpoint: OutPoint) -> Transaction:
    return Transaction(
        version=2,
        inputs=(TxIn(outpoint, sequence=_RBF_SEQUENCE),),
        outputs=(TxOut(value, script),),
        lock_time=0,
    )


def _replacement_fee(core: BdkCore, outpoint: OutPoint, weight: Weight) -> Sats:
    """The least that replaces the coin's spender, as far as the wallet knows it (BIP 125, 3, 4)."""
    for known in core.transactions():
        spender = Transaction.parse(bytes(known.transaction.serialize()))
        if spender.spends(outpoint) is not None:
            try:
                replaced = Sats(core.calculate_fee(known.transaction).to_sat())
            except FEE_ERRORS:
                break  # foreign inputs of unknown value: the caller's fee rate must do
            return FeeRate.BROADCAST_MIN.fee(weight) + replaced
    return Sats(0)
