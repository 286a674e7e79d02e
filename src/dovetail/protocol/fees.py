"""Who pays for a larger transaction, and how much at most (BIP 78, Fee output)."""

from collections.abc import Iterable

from dovetail.bitcoin.encoding import compact_size
from dovetail.bitcoin.transaction import Transaction, TxOut
from dovetail.bitcoin.units import FeeRate, Sats, Weight
from dovetail.bitcoin.weights import input_weight, output_weight
from dovetail.errors import FeeTooHigh, UsageError
from dovetail.protocol.drafts import Draft

_VERSION_AND_LOCK_TIME_SIZE = 8
_MARKER_AND_FLAG_WEIGHT = 2
_SLACK_PER_INPUT = 4  # ECDSA signatures vary in length by a byte or two


def apply_fees(draft: Draft, *, min_fee_rate: FeeRate, max_fee_rate: FeeRate) -> Draft:
    """Pay for the weight that the receiver has added.

    The aim is the Original's own rate, so that the payjoin is neither slower nor easy to spot,
    and at least `min_fee_rate` and the sender's minimum. The sender's fee contribution pays
    first, for added inputs alone; the rest comes out of the drain, never more than
    `max_fee_rate` on all the added weight. Within that limit a shortfall against the Original's
    rate is accepted, one against a minimum is not. Raises `FeeTooHigh`, and `UsageError` when
    fees were applied before or the receiver's outputs are not paid for yet.
    """
    original, original_fee = draft.original.extract(), draft.original.fee
    brought = total(placed.coin.utxo for placed in draft.inputs)
    if total(draft.outputs) != total(original.outputs) + brought:
        raise UsageError("Fees can be applied once, after the coins; start the proposal again.")
    weight = expected_weight(draft)
    added = Weight(max(0, weight - original.weight))
    minimum = max(min_fee_rate, draft.params.min_fee_rate)
    # The sender checks its minimum on the whole transaction, not only on what was added.
    inputs = len(original.inputs) + len(draft.inputs)
    shortfall = _least_fee(draft.params.min_fee_rate, weight, inputs) - int(original_fee)
    required = max(fee_at(minimum, added), shortfall)
    # Virtual bytes, as that is where a round rate shows.
    grown = max(0, weight.vbytes - original.weight.vbytes)
    wanted = max(-(-int(original_fee) * grown // original.weight.vbytes), required)

    position, available = _sender_contribution(draft, original, original_fee)
    from_sender = min(available, wanted)
    from_receiver = min(wanted - from_sender, fee_at(max_fee_rate, added), _spare_in_drain(draft))
    if from_sender + from_receiver < required:
        raise FeeTooHigh(
            "The proposal needs a higher fee than the receiver accepts or can pay; "
            "accept a higher one or choose other coins."
        )
    paid = draft.with_value(draft.drain, draft.outputs[draft.drain].value - from_receiver)
    if not from_sender:
        return paid
    return paid.with_value(position, paid.outputs[position].value - from_sender)


def expected_weight(draft: Draft) -> Weight:
    """What the payjoin will weigh: the sender's inputs as they are now, ours as predicted."""
    utxos = draft.original.utxos()
    pairs = zip(draft.original.inputs, utxos, strict=True)
    weights = [input_weight(psbt_input, utxo) for psbt_input, utxo in pairs]
    segwit = [bool(psbt_input.final_script_witness) for psbt_input in draft.original.inputs]
    weights += [placed.coin.weight for placed in draft.inputs]
    segwit += [placed.coin.is_segwit for placed in draft.inputs]
    counts = len(compact_size(len(weights))) + len(compact_size(len(draft.outputs)))
    # With any witness, an input without one still writes an empty one of one byte.
    witness_overhead = _MARKER_AND_FLAG_WEIGHT + segwit.count(False) if any(segwit) else 0
    return Weight(
        4 * (_VERSION_AND_LOCK_TIME_SIZE + counts)
        + sum(weights)
        + sum(map(output_weight, draft.outputs))
        + witness_overhead
    )


def meets_minimum(fee: Sats, transaction: Transaction, minimum: FeeRate) -> bool:
    """Whether a signed transaction pays a rate, but for the length of its signatures and rounding.

    Each input may turn out a virtual byte heavier than it was when the fee was set.
    """
    return fee >= _least_fee(minimum, transaction.weight, len(transaction.inputs))


def total(txouts: Iterable[TxOut]) -> int:
    """The sum of some values; peers may claim more than there is money."""
    return sum(int(txout.value) for txout in txouts)


def fee_at(rate: FeeRate, weight: int) -> int:
    """The fee for a weight, rounded up; unlike `FeeRate.fee` it may be more than there is money.

    Peers choose rates, and an absurd one is not an error but too high a fee.
    """
    return -(-rate.sat_per_kwu * weight // 1000)


def most_for_inputs(original_fee: int, original: Transaction, added: Iterable[Weight]) -> int:
    """The most a sender pays for these added inputs: whole virtual bytes at the Original's rate.

    The rate is exact and the sum rounded up, so that no way of rounding makes an honest receiver
    a cheat (BIP 78, Sender's payjoin proposal checklist).
    """
    vbytes = sum(weight.vbytes for weight in added)
    return -(-int(original_fee) * vbytes * 4 // original.weight)


def _least_fee(minimum: FeeRate, weight: Weight, inputs: int) -> int:
    return fee_at(minimum, max(0, weight - _SLACK_PER_INPUT * inputs))


def _sender_contribution(
    draft: Draft, original: Transaction, original_fee: Sats
) -> tuple[int, int]:
    """The fee output's position in the draft, and what may be taken from it; 0 if nothing."""
    offer = draft.params.fee_contribution
    outputs = original.outputs
    if (
        offer is None
        or offer.output_index >= len(outputs)
        or offer.output_index in draft.receiver_outputs
        or offer.max_amount > outputs[offer.output_index].value
    ):
        return 0, 0
    senders = [index for index in range(len(outputs)) if index not in draft.receiver_outputs]
    position = draft.sender_positions()[senders.index(offer.output_index)]
    fee_output = draft.outputs[position]
    above_dust = int(fee_output.value) - int(fee_output.script_pubkey.dust_limit)
    return position, min(
        int(offer.max_amount),
        max(0, above_dust),  # a dust output would keep the payjoin from relaying
        _strictest_allowance(draft, original, original_fee),
    )


def _strictest_allowance(draft: Draft, original: Transaction, original_fee: Sats) -> int:
    """What every known sender allows to be taken for our inputs.

    BIP 78 has them weigh as much as the sender's; some senders hold them to their own weight,
    and some round the rate down to virtual bytes, others to 1000 weight units.
    """
    pairs = zip(draft.original.inputs, draft.original.utxos(), strict=True)
    sender_weight = 4 * min(input_weight(each, utxo).vbytes for each, utxo in pairs)
    weight = sum(min(placed.coin.weight, sender_weight) for placed in draft.inputs)
    return min(
        int(original_fee) * weight // (4 * original.weight.vbytes),
        fee_at(FeeRate.of(original_fee, original.weight), weight),
    )


def _spare_in_drain(draft: Draft) -> int:
    """What the drain can give: not below dust, nor below its value where it must not shrink."""
    drain = draft.outputs[draft.drain]
    keep = drain.script_pubkey.dust_limit
    if not draft.params.output_substitution:
        originals = draft.original.unsigned_transaction.outputs
        fixed = [originals[index] for index in draft.receiver_outputs]
        same = [txout.value for txout in fixed if txout.script_pubkey == drain.script_pubkey]
        keep = max([keep, *same])
    if drain.value < keep:
        raise FeeTooHigh("The receiver's output would be too small to relay; choose other coins.")
    return int(drain.value) - int(keep)
