"""Every end without a payjoin has a reason of the closed list."""

from pathlib import Path

import pytest

from dovetail.sessions import outcomes, receiver, sender
from dovetail.sessions.ended import reason_of
from dovetail.sessions.reasons import Reason

LOGS = Path(__file__).parents[1] / "eventlogs" / "v1"


def ends() -> dict[str, receiver.Closed | sender.Closed]:
    found: dict[str, receiver.Closed | sender.Closed] = {}
    for path in sorted(LOGS.glob("*/*.jsonl")):
        role = sender if path.parent.name == "sender" else receiver
        lines = path.read_bytes().splitlines()
        state = role.replay([role.decode_event(line) for line in lines])
        if isinstance(state, receiver.Closed | sender.Closed):
            found[f"{path.parent.name}/{path.stem}"] = state
    return found


ENDS = ends()


@pytest.mark.parametrize("name", ENDS)
def test_an_end_has_a_reason_exactly_where_there_was_no_payjoin(name: str):
    state = ENDS[name]
    assert (reason_of(state) is None) == isinstance(state.outcome, outcomes.Success)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("sender/rule-broken", Reason.PROPOSAL_BROKE_RULE),
        ("sender/revoked", Reason.CANCELLED_BY_US),
        ("receiver/paid-directly", Reason.PAID_DIRECTLY),
        ("receiver/nobody-can-tell", Reason.PAYJOIN_UNOBSERVED),
        ("receiver/expired-unpaid", Reason.EXPIRED_WAITING_FOR_ORIGINAL),
        ("receiver/expired-unreachable", Reason.DIRECTORY_UNREACHABLE),
        ("receiver/malformed-original", Reason.ORIGINAL_MALFORMED),
        ("receiver/reply-expired", Reason.ORIGINAL_NOT_BROADCASTABLE),
    ],
)
def test_the_reason_is_what_had_stopped_the_payjoin(name: str, reason: Reason):
    assert reason_of(ENDS[name]) is reason


def test_the_rule_that_was_broken_outlives_the_session():
    state = ENDS["sender/rule-broken"]
    assert isinstance(state, sender.Closed)
    assert state.rule is not None
