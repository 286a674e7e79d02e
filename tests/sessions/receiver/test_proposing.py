"""From the Original to the Proposal."""

from base64 import b64decode
from dataclasses import replace

import msgspec
import pytest
from tests.sessions.receiver.play import (
    ALICE,
    AMOUNT,
    BOB,
    EXPIRES_AT,
    FALLBACK,
    NOW,
    ORIGINAL,
    RECEIVER_COIN,
    RECEIVER_KEY,
    RELAY,
    REPLY_KEY,
    SENDER_COINS,
    Play,
    expect,
)
from tests.support.keys import signatures_are_valid

from dovetail.bitcoin.psbt import Psbt
from dovetail.bitcoin.transaction import TxOut
from dovetail.bitcoin.units import FeeRate, Sats
from dovetail.errors import TransportError, UsageError
from dovetail.protocol.error_replies import ErrorCode
from dovetail.protocol.mailbox import ShortId, open_message_b
from dovetail.sessions import receiver
from dovetail.sessions.reasons import Reason


def test_the_outputs_stay_as_the_sender_wrote_them(play: Play) -> None:
    session = play.wants_inputs()
    assert session.draft.outputs == FALLBACK.outputs
    assert session.draft.drain == 0


def test_an_output_can_be_substituted(play: Play) -> None:
    replacement = [TxOut(AMOUNT, BOB.script(3))]
    session = play.save(play.wants_outputs().commit_outputs(replacement, BOB.script(3)))
    assert replacement[0] in session.draft.outputs


def test_an_output_cannot_be_substituted_for_a_v1_sender_of_a_directory(play: Play) -> None:
    session = play.wants_outputs(play.retrieved_v1())
    with pytest.raises(UsageError):
        session.commit_outputs([TxOut(AMOUNT, BOB.script(3))])


def test_a_coin_is_chosen_among_candidates(play: Play) -> None:
    session = play.wants_inputs()
    assert session.select_coins([RECEIVER_COIN]) == (RECEIVER_COIN,)
    assert session.select_coins([]) == ()


def test_no_coins_to_contribute_is_a_reply(play: Play) -> None:
    error = play.error_owed()
    assert error.reason is Reason.NO_COINS_TO_CONTRIBUTE
    assert error.error.code is ErrorCode.UNAVAILABLE
    assert error.owed


def test_the_drain_grows_by_our_coins(play: Play) -> None:
    session = play.wants_fee_range()
    assert session.draft.outputs[session.draft.drain].value == AMOUNT + RECEIVER_COIN.utxo.value


def test_a_fee_above_the_cap_is_a_reply(play: Play) -> None:
    session = play.wants_fee_range()
    rates = FeeRate.from_sat_per_vb(500), FeeRate.from_sat_per_vb(1)
    error = expect(play.save(session.apply_fee_range(*rates)), receiver.HasReplyableError)
    assert error.reason is Reason.FEE_CAP
    assert error.error.code is ErrorCode.NOT_ENOUGH_MONEY


def test_a_wallet_that_cannot_sign_is_a_reply(play: Play) -> None:
    error = play.save(play.provisional().cannot_sign())
    assert error.reason is Reason.WALLET_CANNOT_SIGN
    assert error.error.code is ErrorCode.UNAVAILABLE


def test_what_the_wallet_left_unsigned_changes_nothing(play: Play) -> None:
    session = play.provisional()
    with pytest.raises(UsageError):
        session.finalize_proposal(session.psbt_to_sign)


def _padded(psbt: Psbt, size: int) -> Psbt:
    """A PSBT whose first receiver input carries a witness far too large."""
    for index, psbt_input in enumerate(psbt.inputs):
        if psbt_input.is_finalized:
            return psbt.with_input(index, psbt_input.with_final(witness=(b"\1" * size,)))
    raise AssertionError


@pytest.mark.parametrize(("size", "channel"), [(8000, "v2"), (6500, "v1")])
def test_a_proposal_too_large_for_its_channel_is_a_reply(
    play: Play, size: int, channel: str
) -> None:
    session = play.provisional(play.retrieved_v1() if channel == "v1" else None)
    signed = _padded(BOB.sign(session.psbt_to_sign), size)
    error = expect(play.save(session.finalize_proposal(signed)), receiver.HasReplyableError)
    assert error.reason is Reason.PROPOSAL_TOO_LARGE
    assert error.error.code is ErrorCode.UNAVAILABLE


def test_the_proposal_reaches_the_senders_mailbox(play: Play) -> None:
    monitor = play.monitor()
    message = play.directory.mailboxes[str(ShortId.of(REPLY_KEY.public_key))]
    opened = open_message_b(message, reply_secret=REPLY_KEY, receiver_key=RECEIVER_KEY.public_key)
    assert opened == monitor.proposal


def test_the_payjoin_that_follows_is_valid(play: Play) -> None:
    session = play.proposed()
    payjoin = play.signed_payjoin(session.proposal)
    utxos = {coin.outpoint: coin.utxo for coin in (*SENDER_COINS, RECEIVER_COIN)}
    assert signatures_are_valid(payjoin, utxos)
    assert set(FALLBACK.contested()) < set(payjoin.contested())
    assert session.payjoin_skeleton == payjoin.without_signatures()


def test_every_post_is_encrypted_afresh(play: Play) -> None:  # P1
    session = play.proposed()
    bodies = {session.post(RELAY, now=NOW)[0].body for _ in range(2)}
    assert len(bodies) == 2


def test_a_failed_post_changes_nothing(play: Play) -> None:
    session = play.proposed()
    play.directory.status = 503
    request, context = session.post(RELAY, now=NOW)
    with pytest.raises(TransportError):
        session.process_post(play.directory.serve(request), context)


def test_a_v2_sender_is_never_taken_for_gone(play: Play) -> None:
    session = play.proposed()
    play.directory.status = 404
    request, context = session.post(RELAY, now=NOW)
    with pytest.raises(TransportError):
        session.process_post(play.directory.serve(request), context)


def test_an_inner_conflict_counts_as_posted(play: Play) -> None:
    session = play.proposed()
    play.directory.status = 409
    request, context = session.post(RELAY, now=NOW)
    answered = session.process_post(play.directory.serve(request), context)
    assert isinstance(play.save(answered), receiver.Monitor)


def test_a_v1_sender_who_is_gone_is_final(play: Play) -> None:
    session = play.proposed(play.retrieved_v1())
    play.directory.status = 410
    request, context = session.post(RELAY, now=NOW)
    answered = session.process_post(play.directory.serve(request), context)
    pending = expect(play.save(answered), receiver.PendingFallback)
    assert pending.reason is Reason.SENDER_GONE
    assert pending.proposal_out


@pytest.mark.parametrize("status", [503, 429, 425, 408])
def test_a_v1_sender_who_waits_at_a_busy_directory_is_tried_again(play: Play, status: int) -> None:
    session = play.proposed(play.retrieved_v1())
    play.directory.status = status
    request, context = session.post(RELAY, now=NOW)
    with pytest.raises(TransportError):
        session.process_post(play.directory.serve(request), context)


def test_the_proposal_for_a_v1_sender_is_put_into_our_own_mailbox(play: Play) -> None:
    session = play.proposed(play.retrieved_v1())
    request, context = session.post(RELAY, now=NOW)
    play.save(session.process_post(play.directory.serve(request), context))
    assert play.directory.replies[play.short_id] == session.v1_body
    assert Psbt.parse(b64decode(session.v1_body)) == session.proposal


def test_a_v1_sender_over_http_is_answered_by_the_response(play: Play) -> None:
    session = play.proposed(play.retrieved_http())
    with pytest.raises(UsageError, match="waits for an HTTP response"):
        session.post(RELAY, now=NOW)
    assert isinstance(play.save(session.record_posted()), receiver.Monitor)


def test_http_is_answered_by_http_though_the_session_has_a_mailbox_too(play: Play) -> None:
    body = ORIGINAL.to_base64().encode()
    unchecked = play.save(play.created().receive_v1(body, "v=1", now=NOW))
    session = play.proposed(unchecked)
    with pytest.raises(UsageError, match="waits for an HTTP response"):
        session.post(RELAY, now=NOW)


def test_only_an_http_response_is_recorded_by_hand(play: Play) -> None:
    with pytest.raises(UsageError, match="through the directory"):
        play.proposed().record_posted()


def test_posting_ends_with_the_expiration(play: Play) -> None:
    session = play.proposed()
    with pytest.raises(UsageError, match="has expired"):
        session.post(RELAY, now=EXPIRES_AT)


def test_the_senders_fee_contribution_is_at_most_what_they_offered(play: Play) -> None:
    session = play.provisional()
    change = next(o for o in session.draft.outputs if o.script_pubkey == ALICE.script(7))
    assert ORIGINAL.unsigned_transaction.outputs[1].value - change.value <= Sats(500)


def test_the_wallet_is_told_which_inputs_are_to_be_signed(play: Play) -> None:
    assert play.provisional().inputs_to_sign == (RECEIVER_COIN.outpoint,)


def test_a_payjoin_of_witnesses_alone_is_known_by_its_txid(play: Play) -> None:
    session = play.proposed()
    assert session.txid_is_stable
    assert play.signed_payjoin(session.proposal).txid == session.payjoin_skeleton.txid


def test_a_payjoin_with_a_script_sig_is_not_known_by_its_txid(play: Play) -> None:
    session = play.proposed()
    (ours,) = (index for index, each in enumerate(session.proposal.inputs) if each.is_finalized)
    legacy = session.proposal.inputs[ours].with_final(b"\x01\x51")
    event = msgspec.structs.replace(
        session.finalized.event, psbt=session.proposal.with_input(ours, legacy).serialize()
    )
    changed = replace(session, finalized=replace(session.finalized, event=event))
    assert not changed.txid_is_stable


def test_every_state_that_holds_the_fallback_calls_it_so(play: Play) -> None:
    assert play.maybe_inputs_owned().fallback_transaction == FALLBACK
    assert Play().monitor().fallback_transaction == FALLBACK
    assert Play().error_held().fallback_transaction == FALLBACK
    assert Play().error_without_fallback().fallback_transaction is None
    early = Play()
    closed = early.save(early.created().cancel())
    assert expect(closed, receiver.Closed).fallback_transaction is None
    held = Play()
    ended = held.save(held.pending_held().release(spends=()))
    assert expect(ended, receiver.Closed).fallback_transaction == FALLBACK
