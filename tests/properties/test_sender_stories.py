"""Random lives of a sender's session: crashes at every save, retries, spends by anyone."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sessions.sender import play

from dovetail.bitcoin.transaction import Transaction
from dovetail.errors import StaleSession
from dovetail.sessions import outcomes, sender
from dovetail.sessions.reasons import Reason
from dovetail.sessions.transition import Transition

pytestmark = pytest.mark.property

NOW, LATE = play.NOW, play.SIGNING_DEADLINE
PROPOSAL = play.proposal()
PAYJOIN = play.pending_broadcast(play.Log()).payjoin
FALLBACK = play.fallback()
REVOCATION = play.spend_elsewhere(play.OURS)
STRANGER = play.spend_elsewhere(play.ELSEWHERE)
RAISED = play.raised().extract()
SPENDS = (PAYJOIN, FALLBACK, RAISED, REVOCATION, STRANGER)

Step = Transition[sender.SenderEvent, sender.SenderSession]


class PowerCut(Exception):
    """The process ends in the middle of a save."""


class CrashingLog(play.Log):
    """A log that may lose power just before or just after the write."""

    def __init__(self, crash: str | None) -> None:
        super().__init__()
        self.crash = crash

    def append(self, event, /, *, seq, closes):
        if self.crash == "before":
            raise PowerCut
        super().append(event, seq=seq, closes=closes)
        if self.crash == "after":
            raise PowerCut


def steps(session: sender.SenderSession, spend: Transaction) -> list[Step]:
    """What could happen next; `spend` is the one that appears, if one does."""
    match session:
        case sender.WithReplyKey():
            return [
                session.start_posting(),
                session.cancel(),
                session.request_fallback(),
                session.fail(Reason.DIRECTORY_UNREACHABLE),
                session.expire(LATE),
            ]
        case sender.PostingOriginal():
            return [
                play.process_post(session, 200),
                play.process_post(session, 400),
                session.cancel(),
                session.request_fallback(),
                session.fail(Reason.DIRECTORY_UNREACHABLE),
                session.expire(LATE),
                session.record_spend(spend),
            ]
        case sender.PollingForProposal():
            return [
                play.process_poll(session, 202),
                play.process_answer(session, PROPOSAL.serialize()),
                play.process_answer(session, play.proposal(change_value=1_000).serialize()),
                session.cancel(),
                session.request_fallback(),
                session.expire(LATE),
                session.record_spend(spend),
            ]
        case sender.ProposalReceived():
            return [
                session.record_signed(play.sign(session.psbt_to_sign)),
                session.cancel(),
                session.request_fallback(),
                session.signing_deadline_passed(LATE),
                session.record_spend(spend),
            ]
        case sender.PendingBroadcast():
            return [
                session.record_broadcast(session.payjoin.txid),
                session.refused(spends=()),
                session.refused(spends=(spend,)),
                session.request_fallback(),
                session.fail(Reason.PAYJOIN_UNANSWERED),
            ]
        case sender.PendingFallback():
            declined = [] if session.requested else [session.release(spends=())]
            return [
                session.record_broadcast(session.fallback_transaction.txid),
                session.record_spend(spend),
                session.request_fallback(),
                session.release(spends=(spend,)),
                *declined,
                *raising(session),
            ]
        case sender.Monitor():
            expected = session.payjoin is not None and session.expected == session.payjoin.txid
            dropped = [session.payjoin_dropped()] if expected else []
            settled = session.record_settlement(spend, depth=2, owned=(play.OURS,))
            shallow = session.record_settlement(spend, depth=1)
            asked = [session.request_fallback(), session.spend_dropped()]
            return [*asked, shallow, settled, *dropped, *raising(session)]
        case _:
            return []


def raising(session: sender.PendingFallback | sender.Monitor) -> list[Step]:
    return [session.bump(play.raised())] if session.bumped is None else []


@pytest.mark.filterwarnings("ignore::dovetail.sessions.transition.UnsavedTransitionWarning")
@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.data())
def test_every_life_replays_and_ends_only_as_the_chain_or_the_user_says(data):
    """M1, M2, M3, M5 in whatever order things happen."""
    log = CrashingLog(None)
    session: sender.SenderSession = play.create(log)
    for _ in range(12):
        spend = data.draw(st.sampled_from(SPENDS))
        choices = steps(session, spend)
        if not choices:
            break
        stale = session
        log.crash = data.draw(st.sampled_from([None, None, "before", "after"]))
        step = choices[data.draw(st.integers(0, len(choices) - 1))]
        try:
            session = step.save(log)
        except PowerCut:
            session = log.replay()
        log.crash = None
        assert log.replay() == session
        assert session.seq == len(log.entries)
        check_end(log, session)
        if session is not stale and session.seq > stale.seq:
            check_stale(log, stale, spend)


def check_end(log: play.Log, session: sender.SenderSession) -> None:
    assert log.is_closed == isinstance(session, sender.Closed)
    if not isinstance(session, sender.Closed):
        return
    tags = log.tags()
    match session.outcome:
        case outcomes.Cancelled():
            assert "StartedPosting" not in tags
            assert "BroadcastFallback" not in tags
        case outcomes.Success(txid=txid):
            assert txid == str(PAYJOIN.txid)
            assert "ReceivedProposal" in tags
        case outcomes.FallbackBroadcasted(txid=txid, why=why):
            assert txid == str(FALLBACK.txid) or "FallbackBumped" in tags
            assert txid in {str(FALLBACK.txid), str(RAISED.txid)}
            assert why is not None
        case outcomes.Revoked(txid=txid):
            assert txid == str(REVOCATION.txid)
        case outcomes.PaidDirectly(txid=txid):
            assert txid in {str(RAISED.txid), str(PAYJOIN.txid)}
        case outcomes.Unrecognized(txid=txid):
            assert txid == str(STRANGER.txid)
        case _:
            pytest.fail("a sender's session cannot end like this")


def check_stale(log: play.Log, stale: sender.SenderSession, spend: Transaction) -> None:
    before = list(log.entries)
    for step in steps(stale, spend):
        try:
            step.save(log)
        except StaleSession:
            continue
        # Stasis appends nothing, so that it may be saved whenever it is.
        assert log.entries == before
    assert log.entries == before
