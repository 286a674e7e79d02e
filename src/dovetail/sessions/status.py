"""A session's status from its last event alone: lists need no replay."""

from enum import StrEnum
from types import MappingProxyType
from typing import Literal

from dovetail.bitcoin.units import UnixTime
from dovetail.errors import ReplayError


class SessionStatus(StrEnum):
    """Where a session stands, in words a list can show; the values are stable."""

    # receiver
    WAITING_FOR_PAYMENT = "waiting-for-payment"
    NEGOTIATING = "negotiating"
    SENDING_PROPOSAL = "sending-proposal"
    PROPOSAL_SENT = "proposal-sent"
    SENDING_ERROR = "sending-error"
    # sender
    READY_TO_SEND = "ready-to-send"
    SENDING_ORIGINAL = "sending-original"
    WAITING_FOR_PROPOSAL = "waiting-for-proposal"
    READY_TO_SIGN = "ready-to-sign"
    READY_TO_BROADCAST = "ready-to-broadcast"
    # both
    FALLBACK_PENDING = "fallback-pending"
    CONFIRMING = "confirming"
    COINS_MISSING = "coins-missing"
    RELEASED = "released"
    EXPIRED = "expired"
    CLOSED = "closed"


_BOTH = {
    "Cancelled": SessionStatus.FALLBACK_PENDING,
    "ProtocolFailed": SessionStatus.FALLBACK_PENDING,
    "Expired": SessionStatus.FALLBACK_PENDING,
    "FallbackRequested": SessionStatus.FALLBACK_PENDING,
    "BroadcastFallback": SessionStatus.CONFIRMING,
    "ObservedSpend": SessionStatus.CONFIRMING,
    "Released": SessionStatus.RELEASED,
    "CoinsMissed": SessionStatus.COINS_MISSING,
    "CoinsFound": SessionStatus.CONFIRMING,
    "Closed": SessionStatus.CLOSED,
}

_BY_TAG = MappingProxyType(
    {
        "receiver": _BOTH
        | {
            "Created": SessionStatus.WAITING_FOR_PAYMENT,
            "RetrievedOriginalPayload": SessionStatus.NEGOTIATING,
            "CheckedBroadcastSuitability": SessionStatus.NEGOTIATING,
            "CheckedInputsNotOwned": SessionStatus.NEGOTIATING,
            "CheckedNoInputsSeenBefore": SessionStatus.NEGOTIATING,
            "IdentifiedReceiverOutputs": SessionStatus.NEGOTIATING,
            "CommittedOutputs": SessionStatus.NEGOTIATING,
            "CommittedInputs": SessionStatus.NEGOTIATING,
            "AppliedFeeRange": SessionStatus.NEGOTIATING,
            "FinalizedProposal": SessionStatus.SENDING_PROPOSAL,
            "PostedPayjoinProposal": SessionStatus.PROPOSAL_SENT,
            "GotReplyableError": SessionStatus.SENDING_ERROR,
            "RepliedWithError": SessionStatus.FALLBACK_PENDING,
            "ReplyFailed": SessionStatus.FALLBACK_PENDING,
            "FallbackDue": SessionStatus.FALLBACK_PENDING,
            "ObservedPayment": SessionStatus.CONFIRMING,
            "Reopened": SessionStatus.WAITING_FOR_PAYMENT,
        },
        "sender": _BOTH
        | {
            "Created": SessionStatus.READY_TO_SEND,
            "StartedPosting": SessionStatus.SENDING_ORIGINAL,
            "PostedOriginalPsbt": SessionStatus.WAITING_FOR_PROPOSAL,
            "ReceivedProposal": SessionStatus.READY_TO_SIGN,
            "SignedPayjoin": SessionStatus.READY_TO_BROADCAST,
            "BroadcastPayjoin": SessionStatus.CONFIRMING,
            "PayjoinDropped": SessionStatus.READY_TO_BROADCAST,
            "SpendDropped": SessionStatus.FALLBACK_PENDING,
            "CreatedPlain": SessionStatus.FALLBACK_PENDING,
            "FallbackBumped": SessionStatus.FALLBACK_PENDING,
            "SigningDeadlinePassed": SessionStatus.FALLBACK_PENDING,
        },
    }
)

# EX ends waiting and negotiating; it never moves what has a proposal or a fallback at stake.
_ENDED_BY_EXPIRY = frozenset(
    {
        SessionStatus.WAITING_FOR_PAYMENT,
        SessionStatus.NEGOTIATING,
        SessionStatus.SENDING_ERROR,
        SessionStatus.READY_TO_SEND,
        SessionStatus.SENDING_ORIGINAL,
        SessionStatus.WAITING_FOR_PROPOSAL,
    }
)


def status_of(
    role: Literal["sender", "receiver"],
    last_tag: str,
    *,
    expires_at: UnixTime,
    now: UnixTime,
    closed: bool = False,
) -> SessionStatus:
    """The status of a session whose last event has the tag `last_tag`.

    `closed` says that the log is closed: several events close a session that holds no fallback.
    `EXPIRED` is a session that its next step will end. Raises `ReplayError` for an unknown tag.
    """
    status = _BY_TAG[role].get(last_tag)
    if status is None:
        raise ReplayError(
            "The session's last event is unknown to this release; upgrade Dovetail to read it."
        )
    if closed:
        return SessionStatus.CLOSED
    if now >= expires_at and status in _ENDED_BY_EXPIRY:
        return SessionStatus.EXPIRED
    return status
