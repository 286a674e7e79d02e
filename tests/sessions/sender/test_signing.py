"""Signing the payjoin, or not in time."""

import pytest
from tests.sessions.sender import play
from tests.sessions.sender.play import OURS, SIGNING_DEADLINE

from dovetail.bitcoin.units import FeeRate, UnixTime
from dovetail.errors import UsageError
from dovetail.protocol.params import SenderParams
from dovetail.sessions import sender
from dovetail.sessions.reasons import Reason

# signing


@pytest.mark.parametrize("finalize", [True, False])
def test_the_signed_payjoin_is_durable_before_it_is_broadcast(log, finalize):
    session = play.proposal_received(log)
    signed = play.sign(session.psbt_to_sign, finalize=finalize)
    after = session.record_signed(signed).save(log)
    assert isinstance(after, sender.PendingBroadcast)
    assert after.payjoin.contested() == (*play.COINS, play.RECEIVER_OUTPOINT)
    assert all(txin.witness for txin in after.payjoin.inputs)
    assert log.replay() == after
    assert not log.is_closed


def test_only_our_own_inputs_are_taken_from_the_wallet(log):
    session = play.proposal_received(log)
    signed = play.sign(session.psbt_to_sign)
    meddled = signed.with_input(2, signed.inputs[2].with_final(witness=(b"\x01",)))
    after = session.record_signed(meddled).save(log)
    assert isinstance(after, sender.PendingBroadcast)
    assert after.payjoin.inputs[2].witness == session.proposal.inputs[2].final_script_witness


def test_a_wallet_that_signs_another_transaction_is_refused(log):
    session = play.proposal_received(log)
    with pytest.raises(UsageError, match="another transaction"):
        session.record_signed(play.original())


def test_a_wallet_that_signs_too_little_may_try_again(log):
    session = play.proposal_received(log)
    with pytest.raises(UsageError, match="every input"):
        session.record_signed(session.psbt_to_sign)
    session.record_signed(play.sign(session.psbt_to_sign)).save(log)


def test_a_payjoin_below_the_fee_rate_we_demanded_is_not_broadcast(log):
    """BIP 78, minfeerate: checked on the signed transaction."""
    generous = SenderParams(min_fee_rate=FeeRate.from_sat_per_vb("6"))
    session = sender.create(
        uri=play.URI, original=play.original(), params=generous, now=play.NOW
    ).save(log)
    polling = play.process_post(session.start_posting().save(log), 200).save(log)
    assert isinstance(polling, sender.PollingForProposal)
    received = play.process_answer(polling, play.proposal().serialize()).save(log)
    assert isinstance(received, sender.ProposalReceived)
    signed = received.psbt_to_sign
    bulky = play.SIGNATURE[:-1] + b"\x01"
    for index in range(2):
        script_sig = b"\x16" + OURS if index else b""
        signed = signed.with_input(
            index,
            signed.inputs[index].with_final(script_sig, (b"\x00" * 200, bulky, play.SENDER_KEY)),
        )
    after = received.record_signed(signed).save(log)
    assert isinstance(after, sender.PendingFallback)
    assert (after.reason, after.rule) == (Reason.PROPOSAL_BROKE_RULE, "minimum-fee-rate")
    assert log.replay() == after


def test_a_received_proposal_outlives_the_expiration(log):
    """EX ends posting and polling, and nothing else."""
    session = play.proposal_received(log)
    assert not hasattr(session, "expire")
    after = session.record_signed(play.sign(session.psbt_to_sign)).save(log)
    assert isinstance(after, sender.PendingBroadcast)
    assert not hasattr(after, "expire")


def test_an_unsigned_proposal_is_given_up_at_the_signing_deadline(log):
    session = play.proposal_received(log)
    with pytest.raises(UsageError, match="has not passed"):
        session.signing_deadline_passed(UnixTime(SIGNING_DEADLINE - 1))
    after = session.signing_deadline_passed(SIGNING_DEADLINE).save(log)
    assert after.reason is Reason.SIGNING_DEADLINE_PASSED
    assert after.original_out


def test_without_a_signing_deadline_a_proposal_waits_for_ever(log):
    session = sender.create(
        uri=play.V1_URI, original=play.original(), params=play.PARAMS, now=play.NOW
    ).save(log)
    received = (
        session.start_posting()
        .save(log)
        .process_v1(200, play.proposal().to_base64().encode())
        .save(log)
    )
    assert isinstance(received, sender.ProposalReceived)
    assert received.signing_deadline is None
    with pytest.raises(UsageError, match="has not passed"):
        received.signing_deadline_passed(UnixTime(2**40))


def test_a_proposal_can_be_cancelled_or_given_up():
    for decide, reason in [
        (sender.ProposalReceived.cancel, Reason.CANCELLED_BY_US),
        (lambda session: session.fail(Reason.WALLET_CANNOT_SIGN), Reason.WALLET_CANNOT_SIGN),
    ]:
        log = play.Log()
        after = decide(play.proposal_received(log)).save(log)
        assert (after.reason, after.original_out) == (reason, True)
        assert log.replay() == after


def test_a_payjoin_signed_elsewhere_is_taken_over(log):
    session = play.proposal_received(log)
    seen = play.payjoin()
    after = session.record_spend(seen).save(log)
    assert isinstance(after, sender.PendingBroadcast)
    assert isinstance(after.record_spend(seen).save(log), sender.Monitor)


def test_a_proposal_is_void_once_its_inputs_are_spent_otherwise(log):
    after = play.proposal_received(log).record_spend(play.fallback()).save(log)
    assert isinstance(after, sender.PendingFallback)
    assert after.reason is Reason.RECEIVER_TOOK_FALLBACK
