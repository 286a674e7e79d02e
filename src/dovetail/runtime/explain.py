"""What a session's state means to a person: where it stands, how it ended, what to do next."""

from dataclasses import replace

from dovetail.bitcoin import Sats, UnixTime
from dovetail.protocol.uri import V1Endpoint
from dovetail.runtime.endings import ending
from dovetail.runtime.explain_settling import (
    coins_missing,
    receiver_monitor,
    receiver_pending,
    sender_monitor,
    sender_pending,
)
from dovetail.runtime.explanation import (
    BY_US,
    NOTHING,
    TO_US,
    Deadline,
    DeadlineKind,
    Explanation,
    State,
)
from dovetail.sessions import receiver, sender
from dovetail.sessions.amounts import amount_of, amounts_of
from dovetail.sessions.ending import Ending, ending_of
from dovetail.sessions.outcomes import code_of
from dovetail.sessions.reasons import Reason
from dovetail.sessions.sightings import Sighting
from dovetail.sessions.status import SessionStatus


def explain(
    state: State, now: UnixTime, *, ask: bool = False, seen: Sighting | None = None
) -> Explanation:
    """What `state` means at `now`; `ask` is whether the policy asks before a fallback.

    `seen` is what the chain showed last: a log does not say what all that was seen is.
    """
    found = _explained(state, now, ask=ask, seen=None if seen is None or seen.gone else seen)
    explained = found if found.outcome else replace(found, amounts=amounts_of(state))
    match state:
        case (
            receiver.PendingFallback()
            | receiver.Monitor()
            | sender.PendingFallback()
            | sender.Monitor()
        ) if state.coins.missed_at is not None:
            return coins_missing(explained, depth=state.depth)
        case _:
            return explained


def _explained(state: State, now: UnixTime, *, ask: bool, seen: Sighting | None) -> Explanation:
    match state:
        case receiver.Closed() | sender.Closed():
            paying = isinstance(state, sender.Closed)
            return explain_ending(ending_of(state), paying=paying, expires_at=state.expires_at)
        case receiver.PendingFallback():
            return receiver_pending(state, now, ask=ask)
        case sender.PendingFallback():
            return sender_pending(state, now, ask=ask, seen=seen)
        case receiver.Monitor():
            return receiver_monitor(state, now, ask=ask, seen=seen)
        case sender.Monitor():
            return sender_monitor(state)
        case receiver.HasReplyableError():
            return _open(state, now, SessionStatus.SENDING_ERROR, reason=state.reason)
        case receiver.Initialized() if state.expires_at <= now < state.watched_until:
            return _last_look(state)
        case _:
            return _open(state, now, _STATUS[type(state)])


_STATUS: dict[type[State], SessionStatus] = {
    receiver.Initialized: SessionStatus.WAITING_FOR_PAYMENT,
    receiver.UncheckedOriginalPayload: SessionStatus.NEGOTIATING,
    receiver.MaybeInputsOwned: SessionStatus.NEGOTIATING,
    receiver.MaybeInputsSeen: SessionStatus.NEGOTIATING,
    receiver.OutputsUnknown: SessionStatus.NEGOTIATING,
    receiver.WantsOutputs: SessionStatus.NEGOTIATING,
    receiver.WantsInputs: SessionStatus.NEGOTIATING,
    receiver.WantsFeeRange: SessionStatus.NEGOTIATING,
    receiver.ProvisionalProposal: SessionStatus.NEGOTIATING,
    receiver.PayjoinProposal: SessionStatus.SENDING_PROPOSAL,
    sender.WithReplyKey: SessionStatus.READY_TO_SEND,
    sender.PostingOriginal: SessionStatus.SENDING_ORIGINAL,
    sender.PollingForProposal: SessionStatus.WAITING_FOR_PROPOSAL,
    sender.ProposalReceived: SessionStatus.READY_TO_SIGN,
    sender.PendingBroadcast: SessionStatus.READY_TO_BROADCAST,
}

_WORDS = {
    SessionStatus.WAITING_FOR_PAYMENT: "Waiting for the sender.",
    SessionStatus.NEGOTIATING: "The sender's payment has come in; a payjoin is being made of it.",
    SessionStatus.SENDING_PROPOSAL: "The payjoin is signed here and goes to the sender.",
    SessionStatus.SENDING_ERROR: "No payjoin can be made; the sender is being told.",
    SessionStatus.READY_TO_SEND: "The payment is signed; nothing has left yet.",
    SessionStatus.SENDING_ORIGINAL: "The payment is on its way to the receiver's mailbox.",
    SessionStatus.WAITING_FOR_PROPOSAL: "The receiver has been asked; waiting for the answer.",
    SessionStatus.READY_TO_SIGN: "The receiver has answered; the payjoin has to be signed.",
    SessionStatus.READY_TO_BROADCAST: "The payjoin is signed and is being broadcast.",
    SessionStatus.EXPIRED: "It has expired; its next step ends it.",
}

_ASKING_V1 = "The payment goes to the receiver's server, which answers with the payjoin at once."

_ENDS_BY_EXPIRY = frozenset(
    {
        SessionStatus.WAITING_FOR_PAYMENT,
        SessionStatus.NEGOTIATING,
        SessionStatus.SENDING_ERROR,
        SessionStatus.READY_TO_SEND,
        SessionStatus.SENDING_ORIGINAL,
        SessionStatus.WAITING_FOR_PROPOSAL,
    }
)


def _open(
    state: State, now: UnixTime, status: SessionStatus, *, reason: Reason | None = None
) -> Explanation:
    if now >= state.expires_at and status in _ENDS_BY_EXPIRY:
        status = SessionStatus.EXPIRED
    v1 = isinstance(state, sender.PostingOriginal) and isinstance(
        state.payment.endpoint, V1Endpoint
    )
    return Explanation(
        status=status,
        words=_ASKING_V1 if v1 and status is SessionStatus.SENDING_ORIGINAL else _WORDS[status],
        next=NOTHING,
        owed=_owed(state),
        amount=amount_of(state),
        expires_at=state.expires_at,
        reason=reason,
        deadline=_next(state, status, now),
    )


def _last_look(state: receiver.Initialized) -> Explanation:
    return Explanation(
        status=SessionStatus.EXPIRED,
        words="It has expired; an ordinary payment is still looked for.",
        next=NOTHING,
        owed=_owed(state),
        amount=amount_of(state),
        expires_at=state.expires_at,
        deadline=Deadline(DeadlineKind.WATCHING, state.watched_until),
    )


def _owed(state: State) -> str:
    match state:
        case receiver.Initialized():
            return "Nothing: no payment has come through the link yet."
        case receiver.HasReplyableError() if state.held is None:
            return "Nothing: what came is no payment to count on."
        case receiver.HasReplyableError():
            return TO_US if state.owed else "Nothing that is safe to count on."
        case (
            receiver.UncheckedOriginalPayload()
            | receiver.MaybeInputsOwned()
            | receiver.MaybeInputsSeen()
            | receiver.OutputsUnknown()
        ):
            return "Nothing yet: the sender's payment is still being checked."
        case (
            receiver.WantsOutputs()
            | receiver.WantsInputs()
            | receiver.WantsFeeRange()
            | receiver.ProvisionalProposal()
            | receiver.PayjoinProposal()
        ):
            return TO_US
        case _:
            return BY_US


def _next(state: State, status: SessionStatus, now: UnixTime) -> Deadline | None:
    match state:
        case sender.ProposalReceived(signing_deadline=deadline):
            if deadline is None or deadline <= now:
                return None
            return Deadline(DeadlineKind.SIGNING, deadline)
        case receiver.PayjoinProposal() if now < state.expires_at:
            return Deadline(DeadlineKind.EXPIRES, state.expires_at)
        case _ if status in _ENDS_BY_EXPIRY:
            return Deadline(DeadlineKind.EXPIRES, state.expires_at)
        case _:
            return None


def explain_ending(found: Ending, *, paying: bool, expires_at: UnixTime) -> Explanation:
    """What a closed session means; `paying` is whether it was the sender's."""
    words, advice, paid = ending(found.outcome, paying=paying, asked=found.asked)
    return Explanation(
        status=SessionStatus.CLOSED,
        words=words,
        next=advice,
        owed="Nothing.",
        amount=None if found.amount is None else Sats(found.amount),
        expires_at=expires_at,
        reason=found.reason,
        rule=found.rule,
        outcome=code_of(found.outcome),
        paid=paid,
        txid=getattr(found.outcome, "txid", None),
        amounts=found.amounts,
    )
