"""M3: a session closes only when no owed fallback and no signed payjoin is left that is neither
confirmed to the configured depth nor released by the user.
"""

import pytest
from tests.sessions.receiver.play import SENDER_COINS, Play, spend_to
from tests.sessions.receiver.scenarios import play_all
from tests.sessions.sender import play as sending
from tests.support.log import MemoryLog

from dovetail.errors import InvalidEvent
from dovetail.sessions import outcomes, receiver, sender
from dovetail.sessions.reasons import Reason

UNPAID = (
    outcomes.Cancelled(why=Reason.CANCELLED_BY_US),
    outcomes.Expired(),
    outcomes.PayjoinProposalSent(),
)
OWING = (
    receiver.WantsOutputs,
    receiver.WantsInputs,
    receiver.WantsFeeRange,
    receiver.ProvisionalProposal,
    receiver.PayjoinProposal,
)


@pytest.fixture(scope="module")
def plays() -> tuple[Play, ...]:
    return play_all()


def test_a_sender_closes_only_from_where_the_chain_or_the_user_spoke() -> None:
    last = {state for state, _, after in sender.TRANSITIONS if after is sender.Closed}
    assert last == {sender.PendingFallback, sender.Monitor}


@pytest.mark.parametrize("place", sending.PLACES)
@pytest.mark.parametrize("outcome", UNPAID, ids=lambda outcome: type(outcome).__name__)
def test_no_log_makes_a_sender_forget_a_payment_that_left(
    place: str, outcome: outcomes.Outcome
) -> None:
    session = sending.PLACES[place](sending.Log())
    never_left = isinstance(session, sender.PendingFallback) and session.may_end_unpaid
    if never_left and isinstance(outcome, outcomes.Cancelled):
        assert sender.apply(session, sender.events.Closed(outcome=outcome)).closed
        return
    with pytest.raises(InvalidEvent):
        sender.apply(session, sender.events.Closed(outcome=outcome))


@pytest.mark.parametrize("depth", [0, 1])
def test_a_shallow_confirmation_closes_nothing(depth: int) -> None:
    log = sending.Log()
    session = sending.payjoin_monitored(log)
    assert session.payjoin is not None
    assert session.depth == 2
    assert session.record_settlement(session.payjoin, depth=depth).save(log) is session
    assert not log.is_closed


def test_a_released_payment_is_watched_for_as_long_as_it_may_be_taken() -> None:
    session = sending.released(sending.Log())
    assert session.released
    assert not session.closed


def test_a_receiver_that_is_owed_a_payment_cannot_simply_stop(plays: tuple[Play, ...]) -> None:
    owing = [(p, state) for p in plays for state in p.states if isinstance(state, OWING)]
    assert {type(state) for _, state in owing} == set(OWING)
    for play, state in owing:
        log = MemoryLog(list(play.log.events[: state.seq]))
        assert isinstance(state.cancel().save(log), receiver.PendingFallback)
        assert not log.closed
        for outcome in UNPAID:
            with pytest.raises(InvalidEvent):
                receiver.apply(state, receiver.events.Closed(outcome=outcome))


def test_only_a_release_closes_a_receivers_fallback_unpaid(plays: tuple[Play, ...]) -> None:
    for play in plays:
        pairs = zip(play.states, play.states[1:], strict=False)
        for before, after in pairs:
            if isinstance(before, receiver.PendingFallback) and isinstance(after, receiver.Closed):
                if isinstance(after.outcome, outcomes.PaidDirectly):
                    continue
                assert isinstance(after.outcome, outcomes.Cancelled)
                assert not before.proposal_out
                assert not before.seen_spent


def test_a_receiver_watches_to_the_configured_depth() -> None:
    play = Play()
    monitor = play.monitor()
    spend = spend_to(SENDER_COINS[0].utxo.script_pubkey)
    assert monitor.depth == 2
    assert play.save(monitor.record_settlement(spend, depth=1)) is monitor
    assert play.save(monitor.record_settlement(spend, depth=2)).closed
