"""What other senders ask of a proposal.

Restated from BIP 78's reference sender and from rust-payjoin's behaviour.
"""

from typing import NamedTuple

from hypothesis import assume
from tests.protocol.builders import P2PKH, P2WPKH, PAYEE

from dovetail.bitcoin import FeeRate, Psbt, PsbtInput, TxOut, input_weight, predicted_input_weight
from dovetail.protocol import Coin, SenderParams
from dovetail.protocol.fees import fee_at


class Case(NamedTuple):
    """One negotiation: what the sender sends and what the receiver decides."""

    original: Psbt
    params: SenderParams
    receiver_output: int
    coins: tuple[Coin, ...]
    replacement: tuple[TxOut, ...] | None
    min_fee_rate: FeeRate
    max_fee_rate: FeeRate
    seed: bytes


def rust_payjoin_accepts(case: Case, proposal: Psbt) -> bool:
    """What rust-payjoin's sender asks of a proposal."""
    ours, theirs = case.original.unsigned_transaction, proposal.unsigned_transaction
    if (theirs.version, theirs.lock_time) != (ours.version, ours.lock_time):
        return False
    waiting = list(ours.contested())
    added = 0
    for index, txin in enumerate(theirs.inputs):
        psbt_input = proposal.inputs[index]
        if psbt_input.bip32_derivations or psbt_input.partial_signatures:
            return False
        if txin.sequence != ours.inputs[0].sequence:
            return False
        if waiting and txin.previous_output == waiting[0]:
            waiting.pop(0)
            if psbt_input.map.entries:
                return False
        else:
            if not psbt_input.is_finalized or proposal.utxo(index).value == 0:
                return False
            added += predicted(psbt_input, proposal.utxo(index))
    if waiting:
        return False
    taken = take_outputs(case, proposal)
    if taken is None:
        return False
    new_entries = int(spent(case, proposal)) - int(case.original.fee)
    rate = FeeRate.of(case.original.fee, case.original.extract().weight)
    return 0 <= taken <= new_entries and taken <= fee_at(rate, added)


def predicted(psbt_input: PsbtInput, utxo: TxOut) -> int:
    if utxo.script_pubkey in (P2PKH, P2WPKH):
        return predicted_input_weight(utxo.script_pubkey.type)
    return input_weight(psbt_input, utxo)


def spent(case: Case, proposal: Psbt) -> int:
    """The proposal's fee."""
    brought = sum(int(utxo.value) for utxo in case.original.utxos())
    brought += sum(int(each.utxo.value) for each in case.coins)
    return brought - sum(int(txout.value) for txout in proposal.unsigned_transaction.outputs)


def take_outputs(case: Case, proposal: Psbt) -> int | None:
    """rust-payjoin walks the outputs once; any output may stand for a substituted payment."""
    offer = case.params.fee_contribution
    fee_index = None if offer is None else offer.output_index
    if fee_index == case.receiver_output:
        fee_index = None  # no peer offers what is not its own
    waiting = list(enumerate(case.original.unsigned_transaction.outputs))
    taken = 0
    for txout in proposal.unsigned_transaction.outputs:
        if not waiting:
            break
        index, expected = waiting[0]
        same_script = txout.script_pubkey == expected.script_pubkey
        if same_script and index == fee_index:
            taken = max(0, int(expected.value) - int(txout.value))
            if offer is not None and taken > offer.max_amount:
                return None
        elif expected.script_pubkey == PAYEE:
            kept = same_script and txout.value >= expected.value
            if not (case.params.output_substitution or kept):
                return None
        elif same_script:
            if txout.value < expected.value:
                return None
        else:
            continue
        waiting.pop(0)
    return None if waiting else taken


def reference_sender_accepts(case: Case, proposal: Psbt) -> bool:
    """BIP 78's bound on the contribution: vbytes of the sender's input type for each new input.

    Such senders are of version 1.
    """
    offer = case.params.fee_contribution
    if (
        case.params.version > 1
        or offer is None
        or offer.output_index in (case.receiver_output, len(case.original.outputs))
    ):
        return True
    before = case.original.unsigned_transaction.outputs[offer.output_index]
    same = [txout for txout in case.original.unsigned_transaction.outputs if txout == before]
    assume(len(same) == 1)
    after = [
        txout
        for txout in proposal.unsigned_transaction.outputs
        if txout.script_pubkey == before.script_pubkey
    ]
    taken = min(abs(int(before.value) - int(txout.value)) for txout in after)
    vbytes = max(
        input_weight(each, utxo).vbytes
        for each, utxo in zip(case.original.inputs, case.original.utxos(), strict=True)
    )
    count = len(proposal.inputs) - len(case.original.inputs)
    return taken * case.original.extract().weight.vbytes <= int(case.original.fee) * vbytes * count
