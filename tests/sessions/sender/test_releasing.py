"""A payment that its user declines: released, watched, revoked, and paid after all."""

import pytest
from tests.sessions.sender import play
from tests.sessions.sender.play import ELSEWHERE, OURS

from dovetail.errors import ReplayError, UsageError
from dovetail.sessions import outcomes, sender
from dovetail.sessions.reasons import Reason
from dovetail.sessions.sender import events

# releasing and revoking


def test_a_payment_that_never_left_can_be_released_for_good(log):
    closed = play.cancelled_before_posting(log).release(spends=()).save(log)
    assert isinstance(closed, sender.Closed)
    assert closed.outcome == outcomes.Cancelled(why=Reason.CANCELLED_BY_US)
    assert log.is_closed


def test_a_payment_that_may_have_left_is_watched_after_its_release(log):
    """M3, M4: the receiver can still take this payment, so its coins are not free."""
    session = play.released(log)
    assert session.released
    assert session.expected is None
    assert session.contested == tuple(play.COINS)
    assert not log.is_closed
    outcome = play.settle(session, play.fallback())
    assert isinstance(outcome, outcomes.FallbackBroadcasted)


@pytest.mark.parametrize("place", [play.cancelled_before_posting, play.cancelled_while_polling])
def test_a_fallback_that_is_out_already_is_not_released_but_watched(log, place):
    """M4: a crash may have come between our broadcast and its event."""
    unrelated = play.spend_elsewhere(ELSEWHERE, outpoint=play.RECEIVER_OUTPOINT)
    after = place(log).release(spends=(unrelated, play.fallback())).save(log)
    assert isinstance(after, sender.Monitor)
    assert after.expected == play.fallback().txid


def test_a_payment_broadcast_after_all_is_out_for_ever(log):
    session = play.cancelled_before_posting(log)
    watched = session.record_broadcast(session.fallback_transaction.txid).save(log)
    pending = watched.spend_dropped().save(log)
    assert pending.original_out
    assert not pending.requested
    assert pending.reason is Reason.CANCELLED_BY_US
    assert isinstance(pending.release(spends=()).save(log), sender.Monitor)


def test_a_released_payment_can_be_paid_after_all(log):
    pending = play.released(log).request_fallback().save(log)
    assert pending.reason is Reason.CANCELLED_BY_US
    watched = pending.record_broadcast(pending.fallback_transaction.txid).save(log)
    assert not watched.released


def test_a_released_payment_can_be_revoked(log):
    session = play.released(log)
    revocation = play.spend_elsewhere(OURS, play.CHANGE)
    owned = (OURS, play.CHANGE)
    session.check_revocation(revocation, owned=owned)
    outcome = play.settle(session, revocation, owned)
    assert outcome == outcomes.Revoked(txid=str(revocation.txid))


def test_a_payment_that_is_not_released_is_not_revoked(log):
    session = play.fallback_monitored(log)
    with pytest.raises(UsageError, match="released"):
        session.check_revocation(play.spend_elsewhere(OURS), owned=(OURS,))


def test_a_revocation_takes_a_contested_coin_back_to_the_wallet(log):
    session = play.released(log)
    with pytest.raises(UsageError, match="pays only back"):
        session.check_revocation(play.spend_elsewhere(OURS, ELSEWHERE), owned=(OURS,))
    unrelated = play.spend_elsewhere(OURS, outpoint=play.RECEIVER_OUTPOINT)
    with pytest.raises(UsageError, match="none of the sender's inputs"):
        session.check_revocation(unrelated, owned=(OURS,))


# what a log may not claim


@pytest.mark.parametrize("place", [play.cancelled_while_polling, play.cancelled_before_posting])
@pytest.mark.parametrize(
    "outcome",
    [outcomes.Success(txid="00" * 32), outcomes.Expired(), outcomes.PayjoinProposalSent()],
)
def test_an_owed_fallback_is_not_closed(log, place, outcome):
    """M3."""
    place(log)
    with pytest.raises(ReplayError, match="cannot end like this"):
        sender.replay((*log.events(), events.Closed(outcome=outcome)))


def test_a_fallback_that_may_have_left_is_not_cancelled(log):
    """M3."""
    play.cancelled_while_polling(log)
    ended = events.Closed(outcome=outcomes.Cancelled(why=Reason.CANCELLED_BY_US))
    with pytest.raises(ReplayError, match="cannot end like this"):
        sender.replay((*log.events(), ended))


@pytest.mark.parametrize(
    "outcome",
    [
        outcomes.Cancelled(why=Reason.CANCELLED_BY_US),
        outcomes.Expired(),
        outcomes.PayjoinProposalSent(),
    ],
)
def test_a_watched_payment_closes_only_as_the_chain_shows(log, outcome):
    """M3."""
    play.payjoin_monitored(log)
    with pytest.raises(ReplayError, match="cannot end like this"):
        sender.replay((*log.events(), events.Closed(outcome=outcome)))


def test_a_payjoin_that_was_never_proposed_has_not_confirmed(log):
    play.fallback_monitored(log)
    with pytest.raises(ReplayError, match="cannot end like this"):
        sender.replay((*log.events(), events.Closed(outcome=outcomes.Success(txid="00" * 32))))


@pytest.mark.parametrize(
    "event",
    [
        events.FallbackRequested(),
        events.Closed(outcome=outcomes.Cancelled(why=Reason.CANCELLED_BY_US)),
    ],
)
def test_no_log_asks_twice_or_cancels_what_was_asked_for(log, event):
    """M3."""
    play.asked_for_before_posting(log)
    with pytest.raises(ReplayError, match=r"requested once|cannot end like this"):
        sender.replay((*log.events(), event))


def test_no_log_releases_what_was_asked_for(log):
    """M3."""
    play.cancelled_while_polling(log).request_fallback().save(log)
    with pytest.raises(ReplayError, match="cannot be released"):
        sender.replay((*log.events(), events.Released()))


def test_no_spend_is_dropped_that_was_never_seen(log):
    play.cancelled_while_polling(log)
    with pytest.raises(ReplayError, match="cannot follow PendingFallback"):
        sender.replay((*log.events(), events.SpendDropped()))


def test_a_payment_that_never_left_is_not_released_but_closed(log):
    play.cancelled_before_posting(log)
    with pytest.raises(ReplayError, match="closes instead"):
        sender.replay((*log.events(), events.Released()))
