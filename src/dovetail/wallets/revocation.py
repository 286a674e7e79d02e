"""Spend one coin back to its wallet, so that nobody else can spend it (BIP 125)."""

from collections.abc import Callable

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

_RBF_SEQUENCE = 0xFFFFFFFD
_BARE_INPUT_WEIGHT = 164  # outpoint, empty script_sig, sequence
_SEGWIT_MARKER_WEIGHT = 2


def revocation(
    outpoint: OutPoint,
    coin: TxOut | None,
    target: Script,
    fee_rate: FeeRate,
    *,
    replacing: Callable[[Weight], Sats],
) -> Psbt:
    """Return an unsigned PSBT that spends one coin of the wallet to `target`.

    It pays `fee_rate`, or the fee that `replacing` returns if that is more: it replaces the coin's
    spender in the mempool. Raises `InsufficientFunds` if only dust would be left, and
    `WalletError` if the coin is not the wallet's.
    """
    if coin is None:
        raise WalletError("The wallet does not know this coin; sync it or use another wallet.")
    transaction = _to(target, Sats(0), outpoint)
    weight = (
        transaction.weight
        + predicted_input_weight(coin.script_pubkey.type)
        + _SEGWIT_MARKER_WEIGHT * (coin.script_pubkey.type is not ScriptType.P2PKH)
        + -_BARE_INPUT_WEIGHT
    )
    try:
        fee = max(fee_rate.fee(weight), replacing(weight))
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
