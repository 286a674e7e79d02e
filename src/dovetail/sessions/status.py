"""The status of a session: a code for where it stands."""

from enum import StrEnum


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
