"""What a receiver's inputs spend is proven, not believed (M4)."""

import pytest
from tests.protocol.builders import (
    ALL_KINDS,
    NESTED,
    P2TR,
    P2WPKH,
    P2WSH,
    PAYEE,
    UNKNOWN,
    coin,
    funding,
    input_pairs,
    original,
    out,
    params,
    propose,
    with_inputs,
    with_outputs,
)
from tests.protocol.signer import ecdsa_of, signed_again

from dovetail.bitcoin.hashes import hash160
from dovetail.bitcoin.psbt import PsbtInput
from dovetail.bitcoin.script import Script
from dovetail.bitcoin.sighash import ALL, SignatureHashes
from dovetail.bitcoin.transaction import TxIn
from dovetail.crypto.secp256k1 import SecretKey
from dovetail.errors import ProposalRejected
from dovetail.protocol.draft import begin_draft
from dovetail.protocol.proposal import check_proposal

UNSIGNED, UNPROVEN = "receiver-input-signature", "receiver-input-utxo"


def signed(proposal):
    """The proposal as its receiver would have signed it."""
    psbt = original()
    known = dict(zip(psbt.unsigned_transaction.contested(), psbt.utxos(), strict=True))
    return signed_again(proposal, known)


def build_proposal_with(wallet_coin):
    return propose(begin_draft(original(), params(680), (0,)), wallet_coin)


def check(proposal):
    """The check of a proposal as it is, not signed again."""
    return check_proposal(
        original=original(),
        proposal=proposal,
        params=params(680),
        payee=PAYEE,
        output_substitution=True,
    )


def rule_of(proposal):
    with pytest.raises(ProposalRejected) as caught:
        check(proposal)
    return caught.value.rule


@pytest.mark.parametrize("script", ALL_KINDS)
def test_a_receivers_input_of_every_kind_is_verified(script):
    proposal = build_proposal_with(coin(script=script))
    check(signed(proposal))
    signed_for_another = signed(with_outputs(proposal, out(1, PAYEE)))
    theirs = signed_for_another.inputs[1]
    assert rule_of(proposal.with_input(1, theirs)) == UNSIGNED


@pytest.mark.parametrize("script", [P2WPKH, NESTED, P2TR, P2WSH])
@pytest.mark.parametrize("lie", [-1, 1, 2_000])
def test_the_amount_that_a_receiver_claims_for_its_coin_is_the_one_it_signed(script, lie):
    # The lie would hide a fee below the one that was demanded.
    proposal = signed(build_proposal_with(coin(script=script)))
    claimed = proposal.inputs[1].with_witness_utxo(out(70_000 + lie, script))
    assert rule_of(proposal.with_input(1, claimed)) == UNSIGNED


def test_an_input_that_cannot_be_verified_must_prove_its_amount(proposal):
    scripted = coin(script=UNKNOWN)
    ours, theirs = input_pairs(proposal)
    spending = TxIn(scripted.outpoint, sequence=ours[0].sequence)
    previous = funding(70_000, UNKNOWN, 99)
    final = PsbtInput().with_final(b"\x51")
    told = final.with_witness_utxo(scripted.utxo)
    assert rule_of(signed(with_inputs(proposal, ours, theirs, (spending, told)))) == UNPROVEN
    proven = final.with_non_witness_utxo(previous)
    check(signed(with_inputs(proposal, ours, theirs, (spending, proven))))


def test_a_key_that_may_also_be_a_script_must_prove_its_amount(proposal):
    # The true output may be P2WSH with the "key" for its script, and no signature be run at all:
    # two bytes, OP_2DROP, and the other 28 are pushed.
    secret = SecretKey((294_512).to_bytes(32, "big"))
    key = secret.public_key.compressed
    assert key[:1] + key[3:5] == b"\x02\x6d\x1c"
    script = Script(b"\x00\x14" + hash160(key))
    theirs = coin(script=script)
    ours, _ = input_pairs(proposal)
    spending = TxIn(theirs.outpoint, sequence=ours[0].sequence)
    unsigned = with_inputs(proposal, ours, (spending, theirs.psbt_input))
    hashes = SignatureHashes(unsigned.unsigned_transaction, (out(0, P2WPKH), theirs.utxo))
    code = b"\x76\xa9" + script[1:] + b"\x88\xac"
    signature = ecdsa_of(hashes.witness_v0(1, code, ALL), secret=secret)
    final = theirs.psbt_input.with_final(b"", (signature, key))
    assert rule_of(unsigned.with_input(1, final)) == UNPROVEN
    proven = final.with_non_witness_utxo(funding(70_000, script, 99))
    check(unsigned.with_input(1, proven))
