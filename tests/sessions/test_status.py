"""A session's status from its last event."""

from typing import Literal, get_args

import pytest

from dovetail.bitcoin.units import UnixTime
from dovetail.errors import ReplayError
from dovetail.sessions.receiver import ReceiverEvent
from dovetail.sessions.sender import SenderEvent
from dovetail.sessions.status import SessionStatus, status_of

EXPIRES_AT = UnixTime(1000)
BEFORE, AFTER = UnixTime(999), EXPIRES_AT


@pytest.mark.parametrize(("role", "union"), [("receiver", ReceiverEvent), ("sender", SenderEvent)])
def test_every_event_has_a_status(role: Literal["receiver", "sender"], union: object) -> None:
    for kind in get_args(union):
        status = status_of(role, kind.__name__, expires_at=EXPIRES_AT, now=BEFORE)
        assert status is not SessionStatus.EXPIRED


@pytest.mark.parametrize(
    ("role", "tag", "status"),
    [
        ("receiver", "Created", SessionStatus.WAITING_FOR_PAYMENT),
        ("receiver", "CommittedInputs", SessionStatus.NEGOTIATING),
        ("receiver", "PostedPayjoinProposal", SessionStatus.PROPOSAL_SENT),
        ("sender", "Created", SessionStatus.READY_TO_SEND),
        ("sender", "PostedOriginalPsbt", SessionStatus.WAITING_FOR_PROPOSAL),
        ("sender", "Released", SessionStatus.RELEASED),
    ],
)
def test_the_status_says_where_a_session_stands(
    role: Literal["receiver", "sender"], tag: str, status: SessionStatus
) -> None:
    assert status_of(role, tag, expires_at=EXPIRES_AT, now=BEFORE) is status


@pytest.mark.parametrize("tag", ["Created", "RetrievedOriginalPayload", "GotReplyableError"])
def test_expiry_ends_waiting_and_negotiating(tag: str) -> None:
    status = status_of("receiver", tag, expires_at=EXPIRES_AT, now=AFTER)
    assert status is SessionStatus.EXPIRED


@pytest.mark.parametrize(
    ("role", "tag"),
    [
        ("receiver", "FinalizedProposal"),
        ("receiver", "PostedPayjoinProposal"),
        ("receiver", "Cancelled"),
        ("sender", "ReceivedProposal"),
        ("sender", "SignedPayjoin"),
        ("sender", "BroadcastPayjoin"),
    ],
)
def test_expiry_moves_nothing_that_has_money_at_stake(
    role: Literal["receiver", "sender"], tag: str
) -> None:
    late = status_of(role, tag, expires_at=EXPIRES_AT, now=AFTER)
    assert late is status_of(role, tag, expires_at=EXPIRES_AT, now=BEFORE)


def test_a_closed_log_is_closed_whatever_closed_it() -> None:
    for now in (BEFORE, AFTER):
        status = status_of(
            "receiver", "RepliedWithError", expires_at=EXPIRES_AT, now=now, closed=True
        )
        assert status is SessionStatus.CLOSED


def test_an_unknown_event_is_not_guessed_at() -> None:
    with pytest.raises(ReplayError, match="unknown to this release"):
        status_of("sender", "PostedPayjoinProposal", expires_at=EXPIRES_AT, now=BEFORE)
