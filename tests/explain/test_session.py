"""Every state that a recorded log passes through has words; what is asked of a person is said."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.sessions.receiver.scenarios import play_all

from dovetail.actions import Action
from dovetail.bitcoin import Sats, Txid, UnixTime
from dovetail.explain.explanation import Explanation
from dovetail.explain.outcome import ended, ending
from dovetail.explain.session import explain
from dovetail.runtime.decisions import require_releasable
from dovetail.sessions import outcomes, receiver, sender
from dovetail.sessions.amounts import Received
from dovetail.sessions.outcomes import code_of
from dovetail.sessions.reasons import Reason
from dovetail.sessions.sightings import Sighting, SpendKind
from dovetail.sessions.status import SessionStatus

LOGS = Path(__file__).parents[1] / "eventlogs" / "v1"
SENT = {
    path.stem: tuple(map(sender.decode_event, path.read_bytes().splitlines()))
    for path in (LOGS / "sender").iterdir()
}
EARLY, LATE = UnixTime(1_700_000_000), UnixTime(4_000_000_000)


def sent(name: str, length: int | None = None) -> sender.SenderSession:
    return sender.replay(SENT[name][:length])


def until(name: str, kind: type[sender.SenderSession]) -> sender.SenderSession:
    """The first state of this kind that a sender's log passes through."""
    states = (sent(name, length) for length in range(1, len(SENT[name]) + 1))
    return next(state for state in states if isinstance(state, kind))


def sound(found: Explanation, *, closed: bool) -> None:
    assert found.words.endswith(".")
    assert found.advice.endswith(".") or not found.advice
    assert "`" not in found.words + found.advice
    assert (found.outcome is not None) is closed
    assert (found.status is SessionStatus.CLOSED) is closed
    assert bool(found.actions) is not closed
    assert (Action.RESUME in found.actions) is not (closed or found.needs_decision)
    for secret in ("bcrt1", "bitcoin:", "http"):
        assert secret not in found.words + found.advice


def allowed(state: Any, actions: frozenset[Action]) -> None:
    """The session lets its user do what they are told they can do."""
    if Action.CANCEL in actions:
        state.cancel()
    if Action.RELEASE in actions:
        require_releasable(state)
    if Action.FALLBACK in actions:
        state.request_fallback()
    if Action.REVOKE in actions:
        assert isinstance(state, sender.Monitor)
        assert state.released
    if Action.RAISE_FEE in actions:
        assert isinstance(state, sender.Monitor)
        assert state.requested


@pytest.mark.filterwarnings("ignore::dovetail.sessions.transition.UnsavedTransitionWarning")
@pytest.mark.parametrize("name", SENT)
@pytest.mark.parametrize("now", [EARLY, LATE])
@pytest.mark.parametrize("ask", [False, True])
def test_every_state_of_a_sender_is_explained(name, now, ask):
    for length in range(1, len(SENT[name]) + 1):
        state = sent(name, length)
        found = explain(state, now, ask=ask)
        sound(found, closed=isinstance(state, sender.Closed))
        allowed(state, found.actions)
        assert found.amount is not None
        assert found.amount > 0


@pytest.mark.filterwarnings("ignore::dovetail.sessions.transition.UnsavedTransitionWarning")
@pytest.mark.parametrize("now", [EARLY, LATE])
@pytest.mark.parametrize("ask", [False, True])
def test_every_state_of_a_receiver_is_explained(now, ask):
    for play in play_all():
        events = tuple(play.log.events)
        for length in range(1, len(events) + 1):
            state = receiver.replay(events[:length])
            found = explain(state, now, ask=ask)
            sound(found, closed=isinstance(state, receiver.Closed))
            allowed(state, found.actions)


def test_what_expired_says_so_and_what_has_a_proposal_does_not():
    assert explain(sent("success", 1), LATE).status is SessionStatus.EXPIRED
    received = until("success", sender.ProposalReceived)
    assert explain(received, LATE).status is SessionStatus.READY_TO_SIGN


def test_a_sender_who_cancelled_is_asked_before_anything_is_paid():
    pending = until("cancelled", sender.PendingFallback)
    found = explain(pending, EARLY)
    assert found.needs_decision
    assert found.reason is Reason.CANCELLED_BY_US
    assert found.actions == {Action.FALLBACK, Action.RELEASE}


def test_a_sender_whose_payment_left_is_told_that_it_can_be_taken():
    pending = until("revoked", sender.PendingFallback)
    assert "revoke" in explain(pending, EARLY).advice
    released = until("revoked", sender.Monitor)
    found = explain(released, EARLY)
    assert found.status is SessionStatus.RELEASED
    assert not found.needs_decision
    assert found.receiver_can_take
    assert found.actions == {Action.RESUME, Action.FALLBACK, Action.REVOKE}


def test_a_fallback_of_policy_is_asked_for_only_where_the_policy_asks():
    pending = until("expired", sender.PendingFallback)
    found = explain(pending, EARLY)
    assert not found.needs_decision
    assert found.actions == {Action.RESUME}
    assert not found.advice
    assert explain(pending, EARLY, ask=True).needs_decision


@pytest.mark.parametrize(
    ("outcome", "code", "paid"),
    [
        (outcomes.Success(txid="t"), "success", True),
        (outcomes.FallbackBroadcasted(txid="t"), "fallback", True),
        (outcomes.PaidDirectly(txid="t"), "paid-directly", True),
        (outcomes.PayjoinProposalSent(), "proposal-sent", True),
        (outcomes.Unrecognized(txid="t"), "unrecognized", False),
        (outcomes.Revoked(txid="t"), "revoked", False),
        (outcomes.Cancelled(why=Reason.CANCELLED_BY_US), "cancelled", False),
        (outcomes.Expired(), "expired", False),
    ],
    ids=str,
)
def test_every_outcome_has_a_code_and_says_whether_it_was_paid(outcome, code, paid):
    assert code_of(outcome) == code
    assert ended(outcome, paying=True).startswith("Paid") is (paid and code != "proposal-sent")


@pytest.mark.parametrize(
    ("received", "asked", "words"),
    [
        (None, 50_000, "no payment came through the Payjoin URI."),
        (0, 50_000, "nothing had come to the address."),
        (49_000, 50_000, "49,000 of 50,000 sats had come to the address."),
        (49_000, None, "49,000 sats had come to the address."),
    ],
)
def test_a_receiver_that_ends_unpaid_says_what_came_as_far_as_it_was_looked(received, asked, words):
    expired = outcomes.Expired(received=received)
    cancelled = outcomes.Cancelled(why=Reason.CANCELLED_BY_US, received=received)
    said, advice, paid = ending(expired, paying=False, asked=asked)
    assert said == f"Expired: {words}"
    assert ("Check whether something came" in advice) is (received is None)
    assert not paid
    assert ending(cancelled, paying=False, asked=asked)[0] == f"Cancelled: {words}"


def test_who_lost_coins_to_a_stranger_is_told_whose():
    outcome = outcomes.Unrecognized(txid="t")
    assert ended(outcome, paying=True).startswith("The coins")
    assert ended(outcome, paying=False).startswith("The sender's coins")


def test_a_closed_session_names_its_transaction_and_its_reason():
    found = explain(sent("rule-broken"), EARLY)
    assert found.outcome == "fallback"
    assert found.paid
    assert found.txid is not None
    assert len(found.txid) == 64
    assert found.reason is Reason.PROPOSAL_BROKE_RULE


def sighting(kind: SpendKind, *, gone: bool = False) -> Sighting:
    return Sighting(kind=kind, txid=Txid(bytes(32)), depth=0, wanted=1, gone=gone)


def test_a_receiver_hears_that_what_came_does_not_count_unless_the_address_was_paid():
    (created, refused, *_) = map(
        receiver.decode_event,
        (LOGS / "receiver/malformed-original.jsonl").read_bytes().splitlines(),
    )
    state = receiver.replay([created, refused, receiver.events.Reopened()])
    for kind in (None, SpendKind.DOUBLE_SPEND):
        found = explain(state, EARLY, seen=None if kind is None else sighting(kind))
        assert found.words == "A payment came that does not count; waiting for another one."
        assert found.owed == "Nothing: the payment that came does not count."
        assert found.reason is Reason.ORIGINAL_MALFORMED
    assert explain(state, EARLY, seen=sighting(SpendKind.DIRECT)).words == "Waiting for the sender."


def test_a_sender_whose_invoice_was_paid_otherwise_is_asked():
    pending = until("expired", sender.PendingFallback)
    found = explain(pending, EARLY, seen=sighting(SpendKind.DIRECT))
    assert found.needs_decision
    assert "second time" in found.advice
    gone = sighting(SpendKind.DIRECT, gone=True)
    assert not explain(pending, EARLY, seen=gone).needs_decision
    assert not explain(pending, EARLY, seen=sighting(SpendKind.FALLBACK)).needs_decision


def watching(spend: Txid | None = None) -> receiver.Monitor:
    """A receiver whose proposal is out, and who saw `spend`, or else the fallback."""
    seen = (state for play in play_all() for state in states_of(play.log.events))
    monitor = next(each for each in seen if isinstance(each, receiver.Monitor) and each.finalized)
    return replace(monitor, seen_spent=True, expected=spend or monitor.fallback_transaction.txid)


def states_of(events: Sequence[Any]) -> Iterator[receiver.ReceiverSession]:
    for length in range(1, len(events) + 1):
        yield receiver.replay(tuple(events[:length]))


def test_a_stranger_that_spends_the_senders_coins_is_not_told_as_the_payment():
    stranger = watching(Txid(bytes(32)))
    found = explain(stranger, EARLY)
    assert "may not pay you" in found.words
    assert found.amounts is None
    assert explain(stranger, EARLY, seen=sighting(SpendKind.UNRECOGNIZED)).words == found.words
    assert explain(stranger, EARLY, seen=sighting(SpendKind.DIRECT)).words == found.words
    paid = explain(stranger, EARLY, seen=sighting(SpendKind.PAYMENT))
    assert "payment has been seen" in paid.words
    known = watching()
    assert "payment has been seen" in explain(known, EARLY).words
    assert known.payjoin_skeleton is not None
    payjoin = explain(watching(known.payjoin_skeleton.txid), EARLY)
    assert isinstance(payjoin.amounts, Received)


@pytest.mark.parametrize(
    "outcome",
    [
        outcomes.PaidDirectly(txid="t", others=("u",), received=50_000),
        outcomes.Expired(received=50_000, txids=("t",)),
        outcomes.Cancelled(why=Reason.CANCELLED_BY_US, received=50_000, txids=("t",)),
    ],
)
def test_what_came_to_the_address_in_all_is_told(outcome):
    waiting = next(states_of(play_all()[0].log.events))
    closed = receiver.Closed(seq=2, terms=waiting.terms, outcome=outcome)
    assert explain(closed, EARLY).amounts == Received(Sats(50_000), Sats(0))


def test_a_payment_that_is_seen_before_its_event_is_told():
    monitor = replace(watching(), seen_spent=False, expected=None)
    assert explain(monitor, EARLY).deadline is not None
    found = explain(monitor, EARLY, seen=sighting(SpendKind.PAYJOIN))
    assert "payment has been seen" in found.words
    assert found.deadline is None
    assert explain(monitor, EARLY, seen=sighting(SpendKind.UNRECOGNIZED)).deadline is not None
