"""Logs of earlier releases, which every later release reads (the policy in `codec.py`)."""

from pathlib import Path
from typing import get_args

import pytest

from dovetail.sessions import outcomes, receiver
from dovetail.sessions.reasons import Reason

LOGS = Path(__file__).parents[2] / "eventlogs" / "v1" / "receiver"
FALLBACK = "1859e17cc936d7437d98218c583837f7b3972ce42ef34fbd94e614ec1b544e33"
STRANGER = "77" * 32

OUTCOMES: dict[str, outcomes.Outcome | None] = {
    "paid-by-payjoin": outcomes.Success(
        txid="582dc30584b62c6060a9095bf3e5cd5fca6a54efe5b66110dc3780e38029c298"
    ),
    "paid-by-payjoin-of-v1-directory": outcomes.Success(
        txid="37c52f93e8cd0777bdaa771326cad248648fb040773186ead3492b4bdfa50d33"
    ),
    "paid-by-payjoin-of-v1-http": outcomes.Success(
        txid="944882444022ea6e0cded2a2b0ad63c9c8588bb16eb02dff09a2b1389287b241"
    ),
    "paid-by-fallback-when-due": outcomes.FallbackBroadcasted(
        txid=FALLBACK, why=Reason.FALLBACK_DUE
    ),
    "paid-by-fallback-on-request": outcomes.FallbackBroadcasted(
        txid=FALLBACK, why=Reason.FALLBACK_REQUESTED
    ),
    "paid-directly": outcomes.PaidDirectly(txid=STRANGER),
    "refused-as-paid": outcomes.PaidDirectly(txid=STRANGER),
    "malformed-original": outcomes.Cancelled(why=Reason.ORIGINAL_MALFORMED),
    "expired-unpaid": outcomes.Expired(),
    "replied-with-error": outcomes.Cancelled(why=Reason.ORIGINAL_NOT_BROADCASTABLE),
    "reply-failed-then-broadcast": outcomes.Unrecognized(
        txid="623b2ccabae9e386e2141c5a65251c568854f23cc4e328050b75f02f450770d3"
    ),
    "released-while-proposal-is-out": outcomes.PaidDirectly(
        txid="a2b60fa50cc4070a8373cf2ef6ffe02a8a246067974b4231ba7d7147e42d7808"
    ),
    "nobody-can-tell": outcomes.PayjoinProposalSent(),
    "reply-expired-with-fallback": None,
    "post-given-up": None,
    "reply-cancelled-with-fallback": None,
}
"""None: the log ends with a pending fallback."""


def test_every_log_is_named_here() -> None:
    assert {path.stem for path in LOGS.iterdir()} == set(OUTCOMES)


@pytest.mark.parametrize("name", OUTCOMES)
def test_a_log_of_version_1_still_ends_as_it_did(name: str) -> None:
    lines = (LOGS / f"{name}.jsonl").read_bytes().splitlines()
    session = receiver.replay(map(receiver.decode_event, lines))
    assert session.seq == len(lines)
    expected = OUTCOMES[name]
    if expected is None:
        assert isinstance(session, receiver.PendingFallback)
        return
    assert isinstance(session, receiver.Closed)
    if isinstance(session.outcome, outcomes.Success):
        assert session.payjoin is not None
        assert str(session.payjoin.txid) == session.outcome.txid
        assert outcomes.Success(txid=session.outcome.txid) == expected
    else:
        assert session.outcome == expected


def test_every_kind_of_event_occurs() -> None:
    kinds = {
        type(receiver.decode_event(line))
        for path in LOGS.iterdir()
        for line in path.read_bytes().splitlines()
    }
    assert kinds == set(get_args(receiver.ReceiverEvent))
