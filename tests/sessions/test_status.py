"""A session's status from the summary in its row."""

from typing import Any, get_args

import pytest
from tests.eventlogs.logs import NAMES
from tests.sessions.test_standing import states

from dovetail.bitcoin.units import UnixTime
from dovetail.sessions import outcomes
from dovetail.sessions.ended import Ending
from dovetail.sessions.standing import EDITION, Standing, StateName, Summary, status_of, summary_of
from dovetail.sessions.status import SessionStatus

EXPIRES_AT = UnixTime(1000)
BEFORE, AFTER = UnixTime(999), EXPIRES_AT


def status(found: Summary, *, paying: bool = False, now: UnixTime = BEFORE) -> SessionStatus:
    return status_of(found, paying=paying, expires_at=EXPIRES_AT, now=now)


def standing(state: StateName, **facts: Any) -> Standing:
    return Standing(edition=EDITION, state=state, **facts)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("Initialized", SessionStatus.WAITING_FOR_PAYMENT),
        ("WantsInputs", SessionStatus.NEGOTIATING),
        ("PayjoinProposal", SessionStatus.SENDING_PROPOSAL),
        ("HasReplyableError", SessionStatus.SENDING_ERROR),
        ("WithReplyKey", SessionStatus.READY_TO_SEND),
        ("PollingForProposal", SessionStatus.WAITING_FOR_PROPOSAL),
        ("PendingFallback", SessionStatus.FALLBACK_PENDING),
    ],
)
def test_the_status_says_where_a_session_stands(state: StateName, expected: SessionStatus) -> None:
    assert status(standing(state)) is expected


def test_what_a_party_knows_of_a_payment_under_way() -> None:
    assert status(standing("Monitor"), paying=True) is SessionStatus.CONFIRMING
    assert status(standing("Monitor")) is SessionStatus.PROPOSAL_SENT
    assert status(standing("Monitor", broadcast=True)) is SessionStatus.CONFIRMING
    assert status(standing("Monitor", seen_spent=True)) is SessionStatus.CONFIRMING
    for paying in (True, False):
        released = standing("Monitor", released=True)
        assert status(released, paying=paying) is SessionStatus.RELEASED
        missing = standing("PendingFallback", missing=True)
        assert status(missing, paying=paying) is SessionStatus.COINS_MISSING


KEPT: tuple[StateName, ...] = (
    "PayjoinProposal",
    "ProposalReceived",
    "PendingBroadcast",
    "PendingFallback",
    "Monitor",
)


@pytest.mark.parametrize("state", sorted({*get_args(StateName)} - {*KEPT}))
def test_expiry_ends_waiting_and_negotiating(state: StateName) -> None:
    assert status(standing(state)) is not SessionStatus.EXPIRED
    assert status(standing(state), now=AFTER) is SessionStatus.EXPIRED


@pytest.mark.parametrize("paying", [True, False])
@pytest.mark.parametrize("state", KEPT)
def test_expiry_moves_nothing_that_has_money_at_stake(state: StateName, *, paying: bool) -> None:
    late = status(standing(state), paying=paying, now=AFTER)
    assert late is status(standing(state), paying=paying)
    assert late is not SessionStatus.EXPIRED


def test_a_closed_session_is_closed_whatever_its_outcome() -> None:
    for now in (BEFORE, AFTER):
        assert (
            status(Ending(outcome=outcomes.Revoked(txid="0a" * 32)), now=now)
            is SessionStatus.CLOSED
        )


@pytest.mark.parametrize("name", NAMES)
def test_every_state_of_a_kept_log_has_a_status(name: str) -> None:
    found = [summary_of(state) for state in states(name)]
    seen = [status(each, paying=name.startswith("sender/")) for each in found if each is not None]
    assert len(seen) == len(found)
