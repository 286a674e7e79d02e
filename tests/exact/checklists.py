"""What other senders let be taken from their change, restated: rust-payjoin, and BIP 78 itself."""

from dovetail.bitcoin import FeeRate, Psbt, TxOut, input_weight, predicted_input_weight
from dovetail.protocol.params import SenderParams


def rust_payjoin_allows(original: Psbt, proposal: Psbt, params: SenderParams, taken: int) -> bool:
    """payjoin 1.2.0: added inputs at full length, at the Original's rate in whole sat/kwu.

    The minimum is asked of the proposal as it comes, without the sender's scripts.
    """
    added = _added(original, proposal)
    weight = sum(predicted_input_weight(utxo.script_pubkey.type) for utxo in added.values())
    rate = FeeRate.of(original.fee, original.extract().weight)
    fee = sum(int(utxo.value) for utxo in (*original.utxos(), *added.values())) - sum(
        int(txout.value) for txout in proposal.unsigned_transaction.outputs
    )
    new_entries = fee - int(original.fee)
    offer = 0 if params.fee_contribution is None else int(params.fee_contribution.max_amount)
    bare = proposal.unsigned_transaction.weight + sum(
        input_weight(proposal.inputs[at], utxo) - 4 * 41 for at, utxo in added.items()
    )
    paid = fee * 1000 // bare
    return (
        0 <= taken <= min(new_entries, offer, -(-rate.sat_per_kwu * weight // 1000))
        and paid >= params.min_fee_rate.sat_per_kwu
    )


def bip78_allows(original: Psbt, proposal: Psbt, params: SenderParams, taken: int) -> bool:
    """BIP 78's reference sender, which is of version 1: added inputs weigh as its own do."""
    if params.version > 1:
        return True
    pairs = zip(original.inputs, original.utxos(), strict=True)
    vbytes = min(predicted_input_weight(utxo.script_pubkey.type).vbytes for _, utxo in pairs)
    number = len(proposal.inputs) - len(original.inputs)
    return taken * original.extract().weight.vbytes <= int(original.fee) * vbytes * number


def _added(original: Psbt, proposal: Psbt) -> dict[int, TxOut]:
    ours = frozenset(original.unsigned_transaction.contested())
    outpoints = enumerate(proposal.unsigned_transaction.contested())
    return {at: proposal.utxo(at) for at, outpoint in outpoints if outpoint not in ours}
