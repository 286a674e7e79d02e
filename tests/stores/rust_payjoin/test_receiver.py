import json

import pytest
from tests.stores.rust_payjoin.recorded import NOW, PAYJOINS, log_of, recorded

from dovetail.errors import InvalidPsbt, ParseError, UsageError
from dovetail.sessions import receiver
from dovetail.sessions.reasons import Reason
from dovetail.sessions.receiver.events import (
    Channel,
    CommittedInputs,
    RetrievedOriginalPayload,
)
from dovetail.stores.rust_payjoin import receiver_events


def taken_over(log):
    return receiver.replay(receiver_events(log, now=NOW))


def changed(log, index, change):
    """The log with something else in one of its events."""
    event = json.loads(log[index])
    change(next(iter(event.values())))
    return [*log[:index], json.dumps(event), *log[index + 1 :]]


@pytest.mark.parametrize("kind", PAYJOINS)
def test_it_shows_the_same_uri(kind):
    session = taken_over(log_of(f"payjoin-{kind}", "receiver", 1))
    assert isinstance(session, receiver.Initialized)
    assert session.payjoin_uri.serialize() == recorded(f"payjoin-{kind}")["uri"]


@pytest.mark.parametrize("kind", PAYJOINS)
@pytest.mark.parametrize("length", range(2, 10))
def test_until_a_proposal_is_signed_the_original_is_checked_anew(kind, length):
    session = taken_over(log_of(f"payjoin-{kind}", "receiver", length))
    assert isinstance(session, receiver.UncheckedOriginalPayload)


@pytest.mark.parametrize("kind", PAYJOINS)
def test_a_signed_proposal_is_posted_as_it_is(kind):
    log = log_of(f"payjoin-{kind}", "receiver", 10)
    session = taken_over(log)
    assert isinstance(session, receiver.PayjoinProposal)
    proposal = json.loads(log[-1])["FinalizedProposal"]["unsigned_tx"]
    transaction = session.proposal.unsigned_transaction
    assert [int(each.value) for each in transaction.outputs] == [
        each["value"] for each in proposal["output"]
    ]
    assert [str(each.previous_output) for each in transaction.inputs] == [
        each["previous_output"] for each in proposal["input"]
    ]


@pytest.mark.parametrize("kind", PAYJOINS)
def test_a_proposal_that_is_out_is_watched(kind):
    session = taken_over(log_of(f"payjoin-{kind}", "receiver"))
    assert isinstance(session, receiver.Monitor)
    assert session.due_at is not None


def test_our_coins_are_where_they_are_in_the_proposal():
    events = receiver_events(log_of("payjoin-p2pkh", "receiver"), now=NOW)
    (coin,) = next(each for each in events if isinstance(each, CommittedInputs)).coins
    (place,) = (
        index
        for index, each in enumerate(
            recorded("payjoin-p2pkh")["receiver"][9]["FinalizedProposal"]["unsigned_tx"]["input"]
        )
        if each["previous_output"] == coin.outpoint
    )
    assert (coin.position, coin.value) == (place, 200_000)


def test_a_cancelled_session_keeps_what_was_decided():
    session = taken_over(log_of("cancelled", "receiver"))
    assert isinstance(session, receiver.PendingFallback)
    assert session.reason is Reason.CANCELLED_BY_US
    assert session.due_at is not None


def test_a_proposal_that_the_directory_refused_is_none():
    session = taken_over([*log_of("payjoin-p2wpkh", "receiver", 10), '"ProtocolFailed"'])
    assert isinstance(session, receiver.PendingFallback)
    assert session.reason is Reason.DIRECTORY_REFUSED


def test_an_original_that_was_refused_is_judged_by_our_rules():
    log = [*log_of("payjoin-p2wpkh", "receiver", 3), _error(), '"ProtocolFailed"']
    assert isinstance(taken_over(log), receiver.UncheckedOriginalPayload)


def test_an_error_before_a_cancellation_is_left_out():
    session = taken_over([*log_of("payjoin-p2wpkh", "receiver", 6), _error(), '"Cancelled"'])
    assert isinstance(session, receiver.PendingFallback)


def test_a_session_that_ended_is_left_where_it_is():
    with pytest.raises(UsageError, match="has ended where it comes from"):
        taken_over(log_of("refused", "receiver"))


def test_a_v1_sender_is_answered_in_the_receivers_own_mailbox():
    events = receiver_events(log_of("version-one", "receiver"), now=NOW)
    retrieved = events[1]
    assert isinstance(retrieved, RetrievedOriginalPayload)
    assert (retrieved.channel, retrieved.reply_key) == (Channel.V1_DIRECTORY, None)
    assert isinstance(receiver.replay(events), receiver.Monitor)


@pytest.mark.parametrize(
    "log",
    [[], ["[]"], ['"PostedPayjoinProposal"'], ['{"Created": {"address": 1}}']],
)
def test_what_is_no_log_of_rust_payjoin_is_refused(log):
    with pytest.raises(ParseError):
        taken_over(log)


def test_a_coin_that_is_not_told_is_refused():
    def untold(inputs):
        inputs["receiver_inputs"][0]["psbtin"]["witness_utxo"] = None

    with pytest.raises(InvalidPsbt, match="does not tell a coin"):
        taken_over(changed(log_of("payjoin-p2wpkh", "receiver"), 7, untold))


def test_a_coin_that_the_proposal_leaves_out_is_refused():
    def left_out(inputs):
        inputs["receiver_inputs"][0]["txin"]["previous_output"] = f"{'00' * 32}:7"

    with pytest.raises(InvalidPsbt, match="does not tell a coin"):
        taken_over(changed(log_of("payjoin-p2wpkh", "receiver"), 7, left_out))


def test_an_output_that_is_not_there_is_refused():
    def beyond(outputs):
        outputs["change_vout"] = 9

    with pytest.raises(ParseError):
        taken_over(changed(log_of("payjoin-p2wpkh", "receiver"), 6, beyond))


def _error():
    error = {"error_code": "OriginalPsbtRejected", "message": "no", "extra": {}}
    return json.dumps({"GotReplyableError": error})
