"""The sender's checks of a Proposal PSBT (BIP 78, Sender's payjoin proposal checklist)."""

from collections.abc import Collection
from contextlib import suppress

from dovetail.bitcoin.psbt import GlobalField, Psbt
from dovetail.bitcoin.psbt.psbt import signed_by
from dovetail.bitcoin.script import Script, ScriptType
from dovetail.bitcoin.sighash import SignatureHashes
from dovetail.bitcoin.transaction import Transaction
from dovetail.bitcoin.units import MAX_SATS, Sats
from dovetail.bitcoin.weights import predicted_input_weight
from dovetail.errors import InvalidPsbt, ProposalRejected, UsageError
from dovetail.protocol.disclosure import (
    EMPTY_OUTPUT,
    bare_psbt,
    for_counterparty,
    has_signatures,
    without_signatures,
)
from dovetail.protocol.fees import (
    meets_minimum,
    most_for_inputs,
    shared_weight,
    signed_weight,
    total,
)
from dovetail.protocol.output_proofs import proves_output
from dovetail.protocol.params import FeeContribution, SenderParams
from dovetail.protocol.signature_scope import asks_for_whole_signatures, commits_to_everything
from dovetail.protocol.verification import Verdict, verify_input

_RULES = {
    "version": "changes the transaction's version",
    "lock-time": "changes the transaction's lock time",
    "global-keys": "holds extended public keys",
    "sender-inputs": "lacks one of our inputs or has them in another order",
    "sender-sequence": "changes the sequence of one of our inputs",
    "mixed-sequences": "has inputs of different sequences",
    "input-key-paths": "holds key paths of an input",
    "input-signatures": "holds partial signatures of an input",
    "sender-input-final": "has final scripts in one of our inputs",
    "sender-input-sighash": "asks us to sign less than the whole transaction",
    "receiver-input-not-final": "has an input of the receiver's that is not signed",
    "receiver-input-signature": "has an input of the receiver's with an invalid signature",
    "receiver-input-utxo": "does not prove what an input of the receiver's spends",
    "output-key-paths": "holds key paths of an output",
    "sender-outputs": "lacks one of our outputs or has them in another order",
    "sender-output-value": "takes money from one of our outputs",
    "output-substitution": "changes the payment although that is not allowed",
    "fee-decreased": "pays a lower fee than the Original",
    "contribution-above-maximum": "takes more from our fee output than we offered",
    "contribution-not-fee": "takes more from our fee output than the fee grows",
    "contribution-not-inputs": "takes more from our fee output than the added inputs cost",
    "minimum-fee-rate": "pays a lower fee rate than we demand",
}

RULES = tuple(_RULES)
"""The stable names of all rules; `ProposalRejected.rule` is one of them."""


def rule_words(rule: str) -> str:
    """Return a sentence about the broken `rule`; a rule of a newer release has no sentence."""
    broken = _RULES.get(rule)
    return "It broke a rule that is not known here." if broken is None else f"It {broken}."


def check_proposal(
    *,
    original: Psbt,
    proposal: Psbt,
    params: SenderParams,
    payee: Script,
    output_substitution: bool,
) -> Psbt:
    """Check a proposal by all rules and return the PSBT to sign.

    `params` are those sent with the Original PSBT, `payee` is the script of the URI's address,
    `output_substitution` is what the URI allows. Our inputs get the UTXOs of our own Original; of
    the receiver's inputs only final scripts and UTXOs are kept. Sign only the inputs of the
    Original, and pass the result to `complete`. Raises `ProposalRejected` with the first broken
    rule.
    """
    ours, theirs = original.unsigned_transaction, proposal.unsigned_transaction
    _require("version", holds=theirs.version == ours.version)
    _require("lock-time", holds=theirs.lock_time == ours.lock_time)
    _require("global-keys", holds=not proposal.global_map.map.all(GlobalField.XPUB))
    origins = _check_inputs(original, proposal)
    _check_signatures(original, proposal, origins)

    may_substitute = output_substitution and params.output_substitution
    fee_index = _fee_output(ours, payee, params)
    outputs = _check_outputs(original, proposal, payee, may_substitute=may_substitute)
    taken = 0
    for position, index in outputs.items():
        lost = int(ours.outputs[index].value) - int(theirs.outputs[position].value)
        if index == fee_index:
            taken = max(lost, 0)
        elif ours.outputs[index].script_pubkey == payee:
            _require("output-substitution", holds=lost <= 0)
        else:
            _require("sender-output-value", holds=lost <= 0)
    _check_fees(original, proposal, params, origins, taken)
    return bare_psbt(
        theirs,
        tuple(
            without_signatures(original.inputs[origins[position]])
            if position in origins
            else for_counterparty(psbt_input, proposal.utxo(position))
            for position, psbt_input in enumerate(proposal.inputs)
        ),
        tuple(
            original.outputs[outputs[position]] if position in outputs else EMPTY_OUTPUT
            for position in range(len(theirs.outputs))
        ),
    )


def complete(accepted: Psbt, signed: Psbt, *, params: SenderParams) -> Transaction:
    """Return the payjoin to broadcast, from the PSBT of `check_proposal` and the signed one.

    Only the signatures of our own inputs are used, so that other signatures of the wallet can do
    no harm. Raises `UsageError` when the wallet changed the transaction, left one of our inputs
    unsigned or signed less than the whole transaction; `ProposalRejected` when the signed
    transaction pays a lower rate than `minfeerate`.
    """
    if signed.unsigned_transaction != accepted.unsigned_transaction:
        raise UsageError("The wallet changed the transaction; have it sign the proposal as it is.")
    inputs = list(accepted.inputs)
    for position, psbt_input in enumerate(accepted.inputs):
        if psbt_input.is_finalized:
            continue
        final = signed.inputs[position]
        if not final.is_finalized:
            raise UsageError("The wallet did not finalize all of our inputs; sign them again.")
        if not commits_to_everything(final, accepted.utxo(position)):
            raise UsageError("The wallet signed less than the whole transaction; sign it again.")
        inputs[position] = psbt_input.with_final(
            final.final_script_sig or b"", final.final_script_witness or ()
        )
    transaction = signed_by(accepted.unsigned_transaction, inputs)
    minimum = params.min_fee_rate
    _require("minimum-fee-rate", holds=meets_minimum(accepted.fee, transaction, minimum))
    return transaction


def fee_contribution(
    original: Psbt, payee: Script, *, change: Collection[Script] | None = None
) -> FeeContribution | None:
    """Return the fee contribution to offer: `cost_of_input`, taken from our change.

    `change` are the scripts of our change. By default the other one of exactly two outputs counts
    as change, so pass it if the Original pays somebody else too. The offer keeps the change above
    dust; None if there is no such change. Raises `InvalidPsbt` when the Original is not final (BIP
    78, Fee output).
    """
    outputs = original.unsigned_transaction.outputs
    indices = [
        index
        for index, txout in enumerate(outputs)
        if txout.script_pubkey != payee and (change is None or txout.script_pubkey in change)
    ]
    cost = cost_of_input(original, payee)
    if not indices or (change is None and len(outputs) != 2):
        return None
    index = max(indices, key=lambda index: outputs[index].value)
    spare = int(outputs[index].value) - int(outputs[index].script_pubkey.dust_limit)
    amount = min(cost, spare)
    return FeeContribution(Sats(amount), index) if amount > 0 else None


def cost_of_input(original: Psbt, payee: Script) -> int:
    """Return the fee of one more input at the Original's rate, in satoshis.

    The input is of our kind or of the payee's output's kind, whichever costs more: a receiver's
    coins usually have the kind of its address. The shared weight of the transaction is included.
    Raises `InvalidPsbt` when the Original is not final.
    """
    transaction = original.extract()
    pairs = zip(original.inputs, original.utxos(), strict=True)
    before = [bool(psbt_input.final_script_witness) for psbt_input in original.inputs]
    kinds = [
        (signed_weight(psbt_input, utxo), segwit)
        for (psbt_input, utxo), segwit in zip(pairs, before, strict=True)
    ]
    with suppress(InvalidPsbt):  # the weight for other scripts is unknown
        kinds.append((predicted_input_weight(payee.type), payee.type is not ScriptType.P2PKH))
    return max(
        most_for_inputs(original.fee, transaction, [weight], shared_weight(before, [segwit]))
        for weight, segwit in kinds
    )


def _require(rule: str, *, holds: bool) -> None:
    if not holds:
        raise ProposalRejected(
            rule, f"The proposal {_RULES[rule]}; do not sign it, broadcast the Original instead."
        )


def _check_inputs(original: Psbt, proposal: Psbt) -> dict[int, int]:
    """Check all inputs; map our inputs' positions to their indices in the Original."""
    ours, theirs = original.unsigned_transaction, proposal.unsigned_transaction
    where = {txin.previous_output: position for position, txin in enumerate(theirs.inputs)}
    positions = [where.get(outpoint, -1) for outpoint in ours.contested()]
    _require("sender-inputs", holds=positions[0] >= 0 and positions == sorted(positions))
    origins = {position: index for index, position in enumerate(positions)}
    for position, index in origins.items():
        unchanged = theirs.inputs[position].sequence == ours.inputs[index].sequence
        _require("sender-sequence", holds=unchanged)
    _require("mixed-sequences", holds=len({txin.sequence for txin in theirs.inputs}) == 1)
    for position, psbt_input in enumerate(proposal.inputs):
        has_paths = psbt_input.bip32_derivations or psbt_input.tap_bip32_derivations
        _require("input-key-paths", holds=not has_paths)
        _require("input-signatures", holds=not has_signatures(psbt_input))
        if position in origins:
            finals = psbt_input.final_script_sig, psbt_input.final_script_witness
            _require("sender-input-final", holds=finals == (None, None))
            _require("sender-input-sighash", holds=asks_for_whole_signatures(psbt_input))
        else:
            _require("receiver-input-not-final", holds=psbt_input.is_finalized)
            _require("receiver-input-utxo", holds=_tells_utxo(proposal, position))
    return origins


def _tells_utxo(proposal: Psbt, position: int) -> bool:
    try:
        proposal.utxo(position)
    except InvalidPsbt:
        return False
    return True


def _check_signatures(original: Psbt, proposal: Psbt, origins: dict[int, int]) -> None:
    """Check the UTXOs of the receiver's inputs, on which all fee rules depend (M4).

    A signature that commits to the amount is valid only for the true amount, so it proves it. For
    other inputs the previous transaction must prove it.
    """
    spent = [
        original.utxo(origins[position]) if position in origins else proposal.utxo(position)
        for position in range(len(proposal.inputs))
    ]
    hashes = SignatureHashes(proposal.unsigned_transaction, spent)
    for position, psbt_input in enumerate(proposal.inputs):
        if position in origins:
            continue
        script_sig = psbt_input.final_script_sig or b""
        witness = psbt_input.final_script_witness or ()
        verdict = verify_input(hashes, position, script_sig, witness)
        _require("receiver-input-signature", holds=verdict is not Verdict.INVALID)
        proven = verdict is Verdict.VALID and proves_output(psbt_input, spent[position])
        proven = proven or psbt_input.non_witness_utxo is not None
        _require("receiver-input-utxo", holds=proven)


def _fee_output(original: Transaction, payee: Script, params: SenderParams) -> int | None:
    """Return the index of the offered fee output, if the offer is valid."""
    offer = params.fee_contribution
    if offer is None or offer.output_index >= len(original.outputs):
        return None
    if original.outputs[offer.output_index].script_pubkey == payee:
        return None
    return offer.output_index


def _check_outputs(
    original: Psbt, proposal: Psbt, payee: Script, *, may_substitute: bool
) -> dict[int, int]:
    """Check the order of our outputs; return a map from positions to the Original's indices.

    If substitution is allowed, the payment output may change, move or be missing.
    """
    for psbt_output in proposal.outputs:
        has_paths = psbt_output.bip32_derivations or psbt_output.tap_bip32_derivations
        _require("output-key-paths", holds=not has_paths)
    outputs = proposal.unsigned_transaction.outputs
    found: dict[int, int] = {}
    start = 0
    for index, txout in enumerate(original.unsigned_transaction.outputs):
        is_payment = txout.script_pubkey == payee
        if is_payment and may_substitute:
            continue
        places = range(start, len(outputs))
        same = (place for place in places if outputs[place].script_pubkey == txout.script_pubkey)
        place = next(same, -1)
        _require("output-substitution" if is_payment else "sender-outputs", holds=place >= 0)
        found[place] = index
        start = place + 1
    return found


def _check_fees(
    original: Psbt, proposal: Psbt, params: SenderParams, origins: dict[int, int], taken: int
) -> None:
    transaction = proposal.unsigned_transaction
    added = {
        position: proposal.utxo(position)
        for position in range(len(transaction.inputs))
        if position not in origins
    }
    brought = total((*original.utxos(), *added.values()))
    _require("receiver-input-utxo", holds=brought <= MAX_SATS)
    fee = brought - total(transaction.outputs)
    growth = fee - int(original.fee)
    _require("fee-decreased", holds=growth >= 0)
    if taken:
        offer = params.fee_contribution
        _require(
            "contribution-above-maximum", holds=offer is not None and taken <= offer.max_amount
        )
        _require("contribution-not-fee", holds=taken <= growth)
        weights = [signed_weight(proposal.inputs[at], utxo) for at, utxo in added.items()]
        shared = shared_weight(
            [bool(each.final_script_witness) for each in original.inputs],
            [bool(proposal.inputs[at].final_script_witness) for at in added],
        )
        most = most_for_inputs(original.fee, original.extract(), weights, shared)
        _require("contribution-not-inputs", holds=taken <= most)
    expected = signed_by(
        transaction,
        [
            original.inputs[origins[position]] if position in origins else psbt_input
            for position, psbt_input in enumerate(proposal.inputs)
        ],
    )
    holds = meets_minimum(Sats(fee), expected, params.min_fee_rate)
    _require("minimum-fee-rate", holds=holds)
