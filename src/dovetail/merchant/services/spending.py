"""Transactions that spend hot coins: what they weigh, which coins they take, what they return."""

from collections.abc import Collection
from dataclasses import dataclass

from dovetail.bitcoin import FeeRate, Psbt, PsbtInput, Sats, Script, Transaction, Weight
from dovetail.bitcoin.transaction import TxIn, TxOut
from dovetail.bitcoin.weights import predicted_input_weight
from dovetail.errors import InsufficientFunds
from dovetail.merchant.data.coins import CoinRow

REPLACEABLE = 0xFFFFFFFD
"""The sequence of each input (BIP 125)."""

_BARE_INPUT_WEIGHT = 4 * 41
_MARKER_AND_FLAG_WEIGHT = 2
_PER_VBYTE = FeeRate.from_sat_per_vb(1)
"""What a replacement pays for its own relay, beyond the fee before (BIP 125, rule 4)."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Choice:
    """The coins of a payment, and what is left for change; None: the fee takes the rest."""

    coins: tuple[CoinRow, ...]
    change: Sats | None
    fee: Sats


def input_weight(coin: CoinRow) -> Weight:
    """Return what a coin's input weighs once it is signed."""
    return predicted_input_weight(coin.script.type)


def signed_weight(draft: Transaction, chosen: Collection[CoinRow]) -> Weight:
    """Return what an unsigned transaction weighs once these coins, its inputs, are signed."""
    signed = sum(input_weight(each) - _BARE_INPUT_WEIGHT for each in chosen)
    return Weight(draft.weight + signed + _MARKER_AND_FLAG_WEIGHT)


def choose(
    coins: Collection[CoinRow], recipient: TxOut, fee_rate: FeeRate, *, most: FeeRate
) -> Choice:
    """Return the coins that pay a recipient in full, and the fee beside: one coin if one will do.

    The change has a script of the coins' kind. A rest that would be dust goes to the fee, as long
    as its rate is at most `most`. Raises `InsufficientFunds`.
    """
    worth = sorted(
        (each for each in coins if each.value > fee_rate.fee(input_weight(each))),
        key=lambda each: (each.value, each.outpoint),
    )
    for each in worth:
        found = _enough((each,), recipient, fee_rate, most)
        if found is not None:
            return found
    taken: tuple[CoinRow, ...] = ()
    for each in reversed(worth):
        taken += (each,)
        found = _enough(taken, recipient, fee_rate, most)
        if found is not None:
            return found
    raise InsufficientFunds("The free coins do not pay this: send coins to the hot wallet.")


def transaction_of(choice: Choice, recipient: TxOut, change: Script | None) -> Transaction:
    """Return the transaction without signatures; its outputs are ordered by their scripts."""
    outputs = [recipient]
    if change is not None and choice.change is not None:
        outputs.append(TxOut(choice.change, change))
    outputs.sort(key=lambda each: each.script_pubkey)
    inputs = tuple(TxIn(each.outpoint, sequence=REPLACEABLE) for each in choice.coins)
    return Transaction(2, inputs, tuple(outputs), 0)


def psbt_of(transaction: Transaction, coins: Collection[CoinRow]) -> Psbt:
    """Return the PSBT to sign; `coins` are the inputs', in any order."""
    known = {each.outpoint: each for each in coins}
    psbt = Psbt.from_unsigned(transaction)
    for index, outpoint in enumerate(transaction.contested()):
        utxo = TxOut(known[outpoint].value, known[outpoint].script)
        psbt = psbt.with_input(index, PsbtInput().with_witness_utxo(utxo))
    return psbt


def with_higher_fee(
    before: Transaction, coins: Collection[CoinRow], change: Script, fee: Sats, fee_rate: FeeRate
) -> tuple[Transaction, Sats] | None:
    """Return the same transaction with a fee of this rate, which the change pays, and the fee.

    None where that is not higher by enough, or the change would be dust.
    """
    weight = signed_weight(before, coins)
    wanted = fee_rate.fee(weight)
    if wanted < fee + _PER_VBYTE.fee(weight):
        return None
    outputs: list[TxOut] = []
    for each in before.outputs:
        if each.script_pubkey != change:
            outputs.append(each)
            continue
        left = int(each.value) + int(fee) - int(wanted)
        if left < change.dust_limit:
            return None
        outputs.append(TxOut(Sats(left), change))
    if outputs == list(before.outputs):
        return None
    return Transaction(before.version, before.inputs, tuple(outputs), before.lock_time), wanted


def _enough(
    coins: tuple[CoinRow, ...], recipient: TxOut, fee_rate: FeeRate, most: FeeRate
) -> Choice | None:
    """The choice of these coins; None where they do not pay it."""
    total, amount = Sats.sum(each.value for each in coins), recipient.value
    like = coins[0].script
    inputs = tuple(TxIn(each.outpoint, sequence=REPLACEABLE) for each in coins)
    lone = signed_weight(Transaction(2, inputs, (recipient,), 0), coins)
    both = signed_weight(Transaction(2, inputs, (recipient, TxOut(amount, like)), 0), coins)
    fee = fee_rate.fee(both)
    if total >= amount + fee + like.dust_limit:
        return Choice(coins=coins, change=total - amount - fee, fee=fee)
    if amount + fee_rate.fee(lone) <= total <= amount + most.fee(lone):
        return Choice(coins=coins, change=None, fee=total - amount)
    return None
