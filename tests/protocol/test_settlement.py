from dataclasses import replace

import pytest
from tests.protocol.builders import (
    ALL_KINDS,
    NESTED,
    P2PKH,
    P2WPKH,
    build_proposal,
    coin,
    ecdsa,
    original,
    params,
    sign,
)

from dovetail.bitcoin.transaction import TxOut
from dovetail.bitcoin.units import Sats
from dovetail.errors import InvalidPsbt, UsageError
from dovetail.protocol.settlement import (
    Due,
    Settlement,
    classify,
    paid_to,
    rebuild,
    sender_signatures,
)


def exchange(script):
    psbt = original((100_000, script))
    proposal = build_proposal(psbt, params(), coin())
    position = next(i for i, each in enumerate(proposal.inputs) if not each.is_finalized)
    signed = proposal.with_input(position, proposal.inputs[position].with_final(*sign(script)))
    return psbt.extract(), proposal, signed.extract()


@pytest.mark.parametrize("script", ALL_KINDS)
def test_payjoin_and_fallback_are_told_apart(script):
    fallback, proposal, payjoin = exchange(script)
    known = {"payjoin": proposal.unsigned_transaction, "fallback": fallback}
    assert classify(payjoin, **known) is Settlement.PAYJOIN
    assert classify(fallback, **known) is Settlement.FALLBACK


@pytest.mark.parametrize("script", [P2PKH, NESTED])
def test_a_malleated_fallback_is_recognized_though_its_txid_differs(script):
    fallback, proposal, _ = exchange(script)
    malleated = original((100_000, script), signature=ecdsa(71)).extract()
    if script == P2PKH:
        assert malleated.txid != fallback.txid
    found = classify(malleated, payjoin=proposal.unsigned_transaction, fallback=fallback)
    assert found is Settlement.FALLBACK


def test_any_other_spend_is_not_recognized():
    fallback, proposal, _ = exchange(P2WPKH)
    other = replace(fallback, outputs=(TxOut(Sats(1), P2PKH),))
    known = {"payjoin": proposal.unsigned_transaction, "fallback": fallback}
    assert classify(other, **known) is Settlement.UNRECOGNIZED
    assert classify(fallback, payjoin=None, fallback=None) is Settlement.UNRECOGNIZED


def test_what_pays_the_invoice_in_full_is_a_payment_whatever_else_it_does():
    """M4: a wallet's `bumpfee` gives another transaction and the same payment."""
    fallback, proposal, _ = exchange(P2WPKH)
    paid, change = fallback.outputs
    due = Due(paid.script_pubkey, paid.value)
    known = {"payjoin": proposal.unsigned_transaction, "fallback": fallback}
    bumped = replace(fallback, outputs=(paid, TxOut(Sats(change.value - 1), change.script_pubkey)))
    half = TxOut(Sats(paid.value // 2), paid.script_pubkey)
    for outputs in (bumped.outputs, (paid,), (paid, half), (half, half)):
        assert classify(replace(fallback, outputs=outputs), **known, due=due) is Settlement.PAYMENT
    short = TxOut(Sats(paid.value - 1), paid.script_pubkey)
    for outputs in ((short, change), (change,), ()):
        spend = replace(fallback, outputs=outputs)
        assert classify(spend, **known, due=due) is Settlement.UNRECOGNIZED
    assert classify(bumped, **known) is Settlement.UNRECOGNIZED
    assert paid_to(replace(fallback, outputs=(paid, change, half)), paid.script_pubkey) == (
        paid.value + half.value
    )


def test_identity_goes_before_effect():
    fallback, proposal, payjoin = exchange(P2WPKH)
    due = Due(fallback.outputs[0].script_pubkey, Sats(1))
    known = {"payjoin": proposal.unsigned_transaction, "fallback": fallback}
    assert classify(fallback, **known, due=due) is Settlement.FALLBACK
    assert classify(payjoin, **known, due=due) is Settlement.PAYJOIN


def test_a_proposal_that_changes_nothing_counts_as_the_payjoin():
    fallback, _, _ = exchange(P2WPKH)
    assert classify(fallback, payjoin=fallback, fallback=fallback) is Settlement.PAYJOIN


@pytest.mark.parametrize("script", ALL_KINDS)
def test_a_payjoin_is_rebuilt_from_the_proposal_and_the_senders_signatures(script):
    _, proposal, payjoin = exchange(script)
    signatures = sender_signatures(payjoin, proposal)
    assert signatures == (sign(script),)
    assert rebuild(proposal, signatures) == payjoin


def test_signatures_are_not_taken_from_another_transaction():
    fallback, proposal, _ = exchange(P2WPKH)
    with pytest.raises(UsageError):
        sender_signatures(fallback, proposal)


def test_a_payjoin_is_not_rebuilt_from_too_few_too_many_or_empty_signatures():
    _, proposal, _ = exchange(P2WPKH)
    for signatures in ((), (sign(P2WPKH),) * 2):
        with pytest.raises(UsageError):
            rebuild(proposal, signatures)
    with pytest.raises(InvalidPsbt):
        rebuild(proposal, ((b"", ()),))
