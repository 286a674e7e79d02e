"""Raise the fee of a fallback: the same payment, from the same coins, for more (BIP 125)."""

from dataclasses import dataclass, replace
from typing import TypeAlias

from dovetail.bitcoin import FeeRate, Sats, Transaction, TxOut, Weight
from dovetail.bitcoin.psbt import InputField, Psbt
from dovetail.errors import InsufficientFunds, InvalidAmount, UsageError
from dovetail.runtime.async_ports import AsyncWallet
from dovetail.sessions import sender
from dovetail.wallets.ports import Spend

Paying: TypeAlias = (
    sender.WithReplyKey
    | sender.PostingOriginal
    | sender.PollingForProposal
    | sender.ProposalReceived
    | sender.PendingBroadcast
    | sender.PendingFallback
    | sender.Monitor
)
"""Every state that holds a fallback."""

_SIGNATURE_SLACK = 4
"""Weight units by which an input may grow when signed anew, as ECDSA signatures vary."""


@dataclass(frozen=True, slots=True, repr=False)
class Raised:
    """A fallback with its fee raised, signed; nothing is stored or sent yet."""

    original: Psbt
    replaces: bool
    """Whether it replaces an unconfirmed spend in the mempool."""

    def __repr__(self) -> str:
        return "<Raised>"


async def raised(
    state: Paying, rival: Spend | None, wallet: AsyncWallet, *, fee_rate: FeeRate
) -> Raised:
    """Build and sign the fallback of `state` anew; `rival` is the present spend of its coins.

    It pays `fee_rate`, or the rate that replaces `rival` if higher, out of the wallet's change.
    Raises `UsageError` where the payment has confirmed or pays as much already, and
    `InsufficientFunds` where the change is too small.
    """
    if rival is not None and rival.depth:
        raise UsageError("The payment's coins are spent in a block already: no fee can be raised.")
    await wallet.sync()
    outputs = state.original.unsigned_transaction.outputs
    payee = state.terms.due.payee
    scripts = [output.script_pubkey for output in outputs if output.script_pubkey != payee]
    owned = await wallet.owned(scripts)
    change = next((i for i, each in enumerate(outputs) if each.script_pubkey in owned), None)
    if change is None:
        raise InsufficientFunds("The payment has no change that could pay a higher fee.")
    unsigned = _with_fee(state.original, change, _fee(state, rival, fee_rate))
    signed = await wallet.sign(unsigned, inputs=state.contested)
    return Raised(signed if signed.is_finalized else signed.finalize(), rival is not None)


def _fee(state: Paying, rival: Spend | None, fee_rate: FeeRate) -> Sats:
    """The whole fee: the chosen rate, and enough to replace `rival` (BIP 125, rules 3 and 4).

    The new transaction should be mined before the one it replaces, so its rate must be higher.
    """
    inputs = len(state.fallback_transaction.inputs)
    weight = Weight(state.fallback_transaction.weight + _SIGNATURE_SLACK * inputs)
    if fee_rate.fee(weight) <= state.original.fee:
        raise UsageError("The ordinary payment pays that rate already: choose a higher `fee_rate`.")
    known = None if rival is None else _known_fee(state, rival.transaction)
    if rival is None or known is None:
        return fee_rate.fee(weight)
    beaten = FeeRate(FeeRate.of(known, rival.transaction.weight).sat_per_kwu + 1)
    least = FeeRate.BROADCAST_MIN.fee(weight) + known
    return max(fee_rate.fee(weight), beaten.fee(weight), least)


def _known_fee(state: Paying, rival: Transaction) -> Sats | None:
    """The fee of `rival`; None unless the session knows all coins that it spends."""
    skeleton = rival.without_signatures()
    known = (state.original, state.terms.original, getattr(state, "proposal", None))
    for psbt in known:
        if psbt is not None and psbt.unsigned_transaction == skeleton:
            return psbt.fee
    return None


def _with_fee(original: Psbt, change: int, fee: Sats) -> Psbt:
    """The unsigned payment whose change pays `fee`."""
    transaction = original.unsigned_transaction
    output = transaction.outputs[change]
    try:
        rest = Sats(output.value + original.fee - fee)
    except InvalidAmount:
        rest = Sats(0)
    if rest < output.script_pubkey.dust_limit:
        raise InsufficientFunds(
            f"The payment's change is too small for a fee of {fee:,} sats: choose a lower"
            " `fee_rate`."
        )
    outputs = list(transaction.outputs)
    outputs[change] = TxOut(rest, output.script_pubkey)
    psbt = Psbt.from_unsigned(replace(transaction, outputs=tuple(outputs)))
    for index, psbt_input in enumerate(original.inputs):
        kept = psbt_input.only(InputField.NON_WITNESS_UTXO, InputField.WITNESS_UTXO)
        psbt = psbt.with_input(index, kept)
    return psbt
