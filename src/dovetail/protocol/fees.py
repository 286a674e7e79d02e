"""Fees for the larger transaction, and their limits for both parties (BIP 78, Fee output)."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from dovetail.bitcoin.encoding import compact_size
from dovetail.bitcoin.psbt import Psbt, PsbtInput
from dovetail.bitcoin.transaction import Transaction, TxOut
from dovetail.bitcoin.units import FeeRate, Sats, Weight
from dovetail.bitcoin.weights import input_weight, output_weight, predicted_input_weight
from dovetail.errors import FeeTooHigh, InvalidPsbt, UsageError
from dovetail.protocol.draft import Draft

_VERSION_AND_LOCK_TIME_SIZE = 8
_MARKER_AND_FLAG_WEIGHT = 2
_SLACK_PER_INPUT = 4  # ECDSA signatures vary in length by a byte or two


def apply_fees(
    draft: Draft,
    *,
    min_fee_rate: FeeRate,
    max_fee_rate: FeeRate,
    relay_fee_rate: FeeRate = FeeRate.RELAY_MIN,
) -> Draft:
    """Pay for the weight that the receiver has added.

    The sender's fee contribution pays for the added inputs at the Original's rate, so that the
    payjoin is neither slower nor easy to recognize. The receiver pays the rest from the drain:
    enough that the whole transaction meets the sender's minimum and `min_fee_rate`, never more
    than these rates or `max_fee_rate` for the added weight, and nothing for rounding. Only
    `relay_fee_rate` is met to the satoshi, because the receiver's node would refuse less. Raises
    `FeeTooHigh` if a minimum cannot be met, and `UsageError` if fees were applied before or the
    receiver's outputs are not yet paid for.
    """
    original, original_fee = draft.original.extract(), draft.original.fee
    brought = total(placed.coin.utxo for placed in draft.inputs)
    if total(draft.outputs) != total(original.outputs) + brought:
        raise UsageError("Fees can be applied once, after the coins; start the proposal again.")
    weight = expected_weight(draft)
    bill = _Bill(
        draft=draft,
        original=original,
        original_fee=int(original_fee),
        min_fee_rate=min_fee_rate,
        relay_fee_rate=relay_fee_rate,
        weight=weight,
        longest=weight + _shorter_signatures(draft.original),
    )
    position, available = _sender_contribution(draft, original, original_fee)
    from_sender = min(available, bill.wanted)
    limit = min(fee_at(max_fee_rate, bill.added), _spare_in_drain(draft))
    from_receiver = min(bill.left_to_receiver(from_sender), limit)
    if from_sender + from_receiver < bill.required:
        raise FeeTooHigh(
            "The proposal needs a higher fee than the receiver accepts or can pay; "
            "accept a higher one or choose other coins."
        )
    paid = draft.with_value(draft.drain, draft.outputs[draft.drain].value - from_receiver)
    if not from_sender:
        return paid
    return paid.with_value(position, paid.outputs[position].value - from_sender)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bill:
    """The cost of a draft beyond the Original's fee."""

    draft: Draft
    original: Transaction
    original_fee: int
    min_fee_rate: FeeRate
    relay_fee_rate: FeeRate
    weight: Weight
    longest: Weight
    """The weight with the longest possible signatures of the sender."""

    @property
    def added(self) -> int:
        """The weight that the receiver adds."""
        return max(0, self.weight - self.original.weight)

    @property
    def wanted(self) -> int:
        """The fee for the Original's rate, and for the sender's minimum with any signatures."""
        grown = self.weight.vbytes - self.original.weight.vbytes
        # Use virtual bytes, in which observers would notice a round rate.
        same_rate = -(-self.original_fee * grown // self.original.weight.vbytes)
        return max(same_rate, self._missing(self._demanded, self.longest), self._due)

    @property
    def required(self) -> int:
        """The least additional fee that the sender, the receiver and nodes accept.

        The sender checks the whole transaction; the receiver does not pay what the Original lacks.
        """
        demanded, own = map(self._least, (self._demanded, self.min_fee_rate))
        return max(demanded, min(own, fee_at(self.min_fee_rate, self.added)), self._due_to_relay)

    def left_to_receiver(self, from_sender: int) -> int:
        """Return the fee that the sender did not offer, without rounding differences."""
        left = max(0, self._due - from_sender)
        highest = max(self._demanded, self.min_fee_rate)
        if from_sender and left <= fee_at(highest, self._rounding):
            return max(0, self.required - from_sender)
        return left

    @property
    def _demanded(self) -> FeeRate:
        return self.draft.params.min_fee_rate

    @property
    def _due(self) -> int:
        """The minimum fee of the added weight, minus what the Original pays above its minimum."""
        demanded, own = (
            min(self._missing(rate, self.weight), fee_at(rate, self.added))
            for rate in (self._demanded, self.min_fee_rate)
        )
        return max(0, demanded, own, self._due_to_relay)

    @property
    def _due_to_relay(self) -> int:
        """The same at the relay minimum, for which nodes count whole virtual bytes."""
        missing = self._missing(self.relay_fee_rate, 4 * self.weight.vbytes)
        return min(missing, fee_at(self.relay_fee_rate, self.added))

    @property
    def _rounding(self) -> int:
        """The weight that offers omit: a virtual byte for each coin, and the shared weight."""
        before = [bool(each.final_script_witness) for each in self.draft.original.inputs]
        coins = [placed.coin.is_segwit for placed in self.draft.inputs]
        return _SLACK_PER_INPUT * len(coins) + shared_weight(before, coins)

    def _least(self, rate: FeeRate) -> int:
        """Return the additional fee for a rate of the whole transaction, without rounding."""
        inputs = len(self.original.inputs) + len(self.draft.inputs)
        return _least_fee(rate, self.weight, inputs) - self.original_fee

    def _missing(self, rate: FeeRate, weight: int) -> int:
        return fee_at(rate, weight) - self.original_fee


def _shorter_signatures(original: Psbt) -> int:
    """Return how much the sender's signatures may grow in the payjoin."""
    pairs = zip(original.inputs, original.utxos(), strict=True)
    return sum([signed_weight(*pair) - input_weight(*pair) for pair in pairs])


def expected_weight(draft: Draft) -> Weight:
    """Predict the payjoin's weight: the sender's inputs as they are, ours as predicted."""
    utxos = draft.original.utxos()
    pairs = zip(draft.original.inputs, utxos, strict=True)
    weights = [input_weight(psbt_input, utxo) for psbt_input, utxo in pairs]
    segwit = [bool(psbt_input.final_script_witness) for psbt_input in draft.original.inputs]
    weights += [placed.coin.weight for placed in draft.inputs]
    segwit += [placed.coin.is_segwit for placed in draft.inputs]
    return Weight(
        4 * (_VERSION_AND_LOCK_TIME_SIZE + len(compact_size(len(draft.outputs))))
        + sum(weights)
        + sum(map(output_weight, draft.outputs))
        + shared_weight((), segwit)
    )


def shared_weight(before: Sequence[bool], added: Sequence[bool]) -> int:
    """Return the additional shared weight of added inputs; each is True if it has a witness.

    That is the transaction's marker and flag, an empty witness of one byte for each input without
    one beside a witness, and the count of inputs (BIP 144).
    """
    return _shared_by((*before, *added)) - (_shared_by(before) if before else 0)


def _shared_by(segwit: Collection[bool]) -> int:
    witnesses = _MARKER_AND_FLAG_WEIGHT + tuple(segwit).count(False) if any(segwit) else 0
    return 4 * len(compact_size(len(segwit))) + witnesses


def signed_weight(psbt_input: PsbtInput, utxo: TxOut) -> Weight:
    """The weight of a final input, with its signature at full length.

    Fees are set before all have signed, and a signature may become a byte shorter.
    """
    actual = input_weight(psbt_input, utxo)
    try:
        return max(actual, predicted_input_weight(utxo.script_pubkey.type))
    except InvalidPsbt:
        return actual


def meets_minimum(fee: Sats, transaction: Transaction, minimum: FeeRate) -> bool:
    """Whether a signed transaction pays a rate, with a tolerance for signatures and rounding.

    Each input may be a virtual byte heavier than when the fee was set.
    """
    return fee >= _least_fee(minimum, transaction.weight, len(transaction.inputs))


def total(txouts: Iterable[TxOut]) -> int:
    """Return the sum of some values; peers may claim more than 21 million bitcoins."""
    return sum(int(txout.value) for txout in txouts)


def fee_at(rate: FeeRate, weight: int) -> int:
    """Return the fee for a weight, rounded up; unlike `FeeRate.fee` without an upper limit.

    Peers choose rates, and an absurd rate must give a too high fee, not an error.
    """
    return -(-rate.sat_per_kwu * weight // 1000)


def most_for_inputs(
    original_fee: int, original: Transaction, added: Iterable[Weight], shared: int = 0
) -> int:
    """Return the most a sender pays for added inputs: whole virtual bytes at the Original's rate.

    `shared` is their `shared_weight`. One virtual byte more is allowed, because a receiver that
    weighs the whole transaction may assume the longest signatures of the sender. The rate is exact
    and the sum rounded up, so that no honest receiver's rounding is refused (BIP 78, Sender's
    payjoin proposal checklist).
    """
    each = [weight.vbytes for weight in added]
    vbytes = sum(each) + Weight(shared).vbytes + 1 if each else 0
    return -(-int(original_fee) * vbytes * 4 // original.weight)


def _least_fee(minimum: FeeRate, weight: Weight, inputs: int) -> int:
    return fee_at(minimum, max(0, weight - _SLACK_PER_INPUT * inputs))


def _sender_contribution(
    draft: Draft, original: Transaction, original_fee: Sats
) -> tuple[int, int]:
    """Return the fee output's position in the draft, and the most to take from it, perhaps 0."""
    offer = draft.params.fee_contribution
    outputs, ours = original.outputs, frozenset(draft.receiver_outputs)
    if (
        offer is None
        or offer.output_index >= len(outputs)
        or offer.output_index in ours
        or offer.max_amount > outputs[offer.output_index].value
    ):
        return 0, 0
    senders = [index for index in range(len(outputs)) if index not in ours]
    position = draft.sender_positions()[senders.index(offer.output_index)]
    fee_output = draft.outputs[position]
    above_dust = int(fee_output.value) - int(fee_output.script_pubkey.dust_limit)
    return position, min(
        int(offer.max_amount),
        max(0, above_dust),  # nodes would not relay a payjoin with a dust output
        _most_to_take(draft, original, original_fee),
    )


def _most_to_take(draft: Draft, original: Transaction, original_fee: Sats) -> int:
    """Return the most that all known senders allow for our inputs.

    They round the Original's rate down to sat per 1000 weight units and count only the inputs. By
    BIP 78 each input weighs as much as the sender's, in whole virtual bytes, and senders of
    version 1 require this.
    """
    weight = sum(placed.coin.weight for placed in draft.inputs)
    most = fee_at(FeeRate.of(original_fee, original.weight), weight)
    if draft.params.version > 1:
        return most
    pairs = zip(draft.original.inputs, draft.original.utxos(), strict=True)
    vbytes = min(signed_weight(each, utxo).vbytes for each, utxo in pairs) * len(draft.inputs)
    return min(most, int(original_fee) * vbytes // original.weight.vbytes)


def _spare_in_drain(draft: Draft) -> int:
    """Return what the drain can pay: it must stay above dust, and perhaps keep its value."""
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
