"""The receiver's part of the Proposal PSBT: its outputs, inputs and signatures.

BIP 78, Protocol (what the payjoin proposal must, may and must not do) and Payment output
substitution.
"""

from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import replace

from dovetail.bitcoin.psbt import Psbt, PsbtInput
from dovetail.bitcoin.psbt.psbt import signed_by
from dovetail.bitcoin.script import Script
from dovetail.bitcoin.transaction import TxOut
from dovetail.crypto.entropy import Entropy, below, shuffled, system
from dovetail.errors import PayloadTooLarge, UsageError
from dovetail.protocol.coin import Coin, PlacedCoin
from dovetail.protocol.coin_selection import select_coins
from dovetail.protocol.disclosure import EMPTY_INPUT, bare_psbt, for_counterparty, utxo_only
from dovetail.protocol.draft import Draft, begin_draft
from dovetail.protocol.fees import apply_fees, meets_minimum, total
from dovetail.protocol.mailbox import PROPOSAL_CAPACITY

__all__ = [
    "Draft",
    "apply_fees",
    "begin_draft",
    "commit_outputs",
    "finalize",
    "place_coins",
    "select_coins",
]

_OUTPOINT_AND_SEQUENCE_WEIGHT = 160
_FINAL_SCRIPTS_OVERHEAD = 12  # two keys of two bytes each, and the lengths of their values


def commit_outputs(
    draft: Draft,
    *,
    replacement: Sequence[TxOut] | None = None,
    drain_script: Script | None = None,
    entropy: Entropy = system,
) -> Draft:
    """Fix the receiver's outputs; by default they stay as in the Original PSBT.

    `replacement` replaces all receiver outputs by at least as many; additional ones are inserted
    at random positions. If it pays less than the sender paid, the drain gets the rest; if it pays
    more, coins must pay the difference. `drain_script` selects the drain among the receiver's
    outputs; the default is the first. Without output substitution every receiver output must keep
    its script and at least its value. Raises `UsageError` (BIP 78, Payment output substitution).
    """
    if replacement is None:
        ours = list(draft.receiver_outputs)
        outputs = list(draft.original.unsigned_transaction.outputs)
    else:
        outputs, ours = _replace_outputs(draft, list(replacement), entropy)
    drains = [
        index
        for index in ours
        if drain_script is None or outputs[index].script_pubkey == drain_script
    ]
    if not drains:
        raise UsageError("No receiver output has the drain's script; name one that does.")
    committed = replace(draft, outputs=tuple(outputs), drain=drains[0])
    surplus = total(draft.original.unsigned_transaction.outputs) - total(outputs)
    if surplus <= 0:
        return committed
    return committed.with_value(drains[0], outputs[drains[0]].value + surplus)


def place_coins(draft: Draft, coins: Collection[Coin], *, entropy: Entropy = system) -> Draft:
    """Add coins at random positions; the drain grows by their value.

    Raises `UsageError` for a coin that is already in the transaction or when the coins do not pay
    for the receiver's outputs, `InvalidPsbt` for a coin of unknown weight, and `PayloadTooLarge`
    when the proposal would not fit into a mailbox message.
    """
    slots = shuffled(entropy, range(len(draft.original.inputs) + len(coins)))
    pairs = zip(coins, slots, strict=False)  # there are more slots than coins
    inputs = sorted((PlacedCoin(*pair) for pair in pairs), key=lambda placed: placed.position)
    placed = draft.with_inputs(tuple(inputs))
    if _largest_size(placed) > PROPOSAL_CAPACITY:
        raise PayloadTooLarge("With these coins the proposal is too large; choose fewer or others.")
    return placed


def finalize(draft: Draft, signed: Psbt) -> Psbt:
    """Make the Proposal PSBT of a draft with fees and the PSBT that the receiver's wallet signed.

    It holds only the final scripts and UTXOs of our inputs: no key paths, no partial signatures,
    and nothing about the sender's inputs. Raises `UsageError` when the wallet changed the
    transaction, did not finalize our inputs, or the fee rate is below the sender's minimum;
    `PayloadTooLarge` above 7088 bytes (BIP 78, Protocol).
    """
    transaction = draft.transaction()
    if signed.unsigned_transaction != transaction:
        raise UsageError("The wallet changed the transaction; have it sign the draft as it is.")
    ours = [signed.inputs[placed.position] for placed in draft.inputs]
    if not all(psbt_input.is_finalized for psbt_input in ours):
        raise UsageError("The wallet did not finalize all of our inputs; sign them again.")
    finals = tuple(
        for_counterparty(
            placed.coin.signing_input.with_final(
                final.final_script_sig or b"", final.final_script_witness or ()
            ),
            placed.coin.utxo,
        )
        for placed, final in zip(draft.inputs, ours, strict=True)
    )
    proposal = bare_psbt(
        transaction, draft.merge((EMPTY_INPUT,) * len(draft.original.inputs), finals)
    )
    expected = signed_by(transaction, draft.merge(draft.original.inputs, finals))
    if not meets_minimum(draft.fee, expected, draft.params.min_fee_rate):
        raise UsageError("Our inputs weigh more than predicted; choose other coins.")
    if len(proposal.serialize()) > PROPOSAL_CAPACITY:
        raise PayloadTooLarge("The proposal is too large; choose fewer or other coins.")
    return proposal


def _replace_outputs(
    draft: Draft, replacement: list[TxOut], entropy: Entropy
) -> tuple[list[TxOut], list[int]]:
    """Return the proposal's outputs and the positions of the receiver's."""
    originals = draft.original.unsigned_transaction.outputs
    may_substitute = draft.params.output_substitution
    if len(replacement) < len(draft.receiver_outputs):
        raise UsageError("Peers refuse fewer receiver outputs than the Original has; add some.")
    ours = frozenset(draft.receiver_outputs)
    senders = {txout.script_pubkey for at, txout in enumerate(originals) if at not in ours}
    if any(txout.script_pubkey in senders for txout in replacement):
        raise UsageError(
            "The sender pays one of these scripts too and could not distinguish the outputs; "
            "use another script."
        )
    waiting: dict[Script, deque[TxOut]] = {}
    for txout in replacement:
        waiting.setdefault(txout.script_pubkey, deque()).append(txout)
    chosen: dict[int, TxOut] = {}
    for index in draft.receiver_outputs:
        before = originals[index]
        same = waiting.get(before.script_pubkey)
        if same:
            chosen[index] = same.popleft()
        if not may_substitute and not (index in chosen and chosen[index].value >= before.value):
            raise UsageError(
                "Output substitution is not allowed here; keep every receiver output's script "
                "and at least its value."
            )
    extra = list(shuffled(entropy, [txout for same in waiting.values() for txout in same]))
    for index in draft.receiver_outputs:
        if index not in chosen:
            chosen[index] = extra.pop()
    outputs = [(chosen.get(index, txout), index in chosen) for index, txout in enumerate(originals)]
    # Peers that forbid substitution refuse a new output before the payment.
    first = 0 if may_substitute else max(ours) + 1
    for txout in extra:
        outputs.insert(first + below(entropy, len(outputs) - first + 1), (txout, True))
    positions = [position for position, (_, is_ours) in enumerate(outputs) if is_ours]
    return [txout for txout, _ in outputs], positions


def _largest_size(draft: Draft) -> int:
    """Return the largest possible size of the signed proposal in bytes."""
    size = 0
    inputs: list[PsbtInput] = []
    for placed in draft.inputs:
        coin = placed.coin
        scripts = coin.weight - _OUTPOINT_AND_SEQUENCE_WEIGHT
        stand_in = (bytes(scripts),) if coin.is_segwit else ()
        script_sig = b"" if coin.is_segwit else bytes(scripts // 4)
        final = coin.signing_input.with_final(script_sig, stand_in)
        if coin.has_only_previous:  # the key, which decides if it is included, is unknown here
            inputs.append(utxo_only(final).with_final(script_sig, stand_in))
        else:
            inputs.append(for_counterparty(final, coin.utxo))
        size += _FINAL_SCRIPTS_OVERHEAD
    senders = (EMPTY_INPUT,) * len(draft.original.inputs)
    return size + len(bare_psbt(draft.transaction(), draft.merge(senders, inputs)).serialize())
