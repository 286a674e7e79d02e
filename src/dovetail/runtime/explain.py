"""What a session's state means to a person: where it stands, how it ended, what to do next."""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeAlias

from dovetail.bitcoin import Sats, UnixTime
from dovetail.protocol.settlement import paid_to
from dovetail.protocol.uri import V1Endpoint
from dovetail.runtime.amounts import Paid, Received, amounts_of
from dovetail.runtime.duties import due_at
from dovetail.runtime.endings import code_of, ending, reason_of
from dovetail.sessions import receiver, sender
from dovetail.sessions.reasons import Reason
from dovetail.sessions.receiver import ReceiverSession
from dovetail.sessions.sender import SenderSession
from dovetail.sessions.status import SessionStatus

State: TypeAlias = ReceiverSession | SenderSession

NOTHING = "Nothing is to be decided; `resume` takes it on where it is not running."


_BY_US = "The payment: by the payjoin, or else by the ordinary transaction, and never by both."
_PLAINLY = "The payment, by the ordinary transaction."
_TO_US = "The payment to you: by the payjoin, or else by the ordinary transaction."


class DeadlineKind(StrEnum):
    """What happens when a time has come and nothing else did."""

    EXPIRES = "expires"
    """Posting and polling end."""
    FALLBACK = "fallback"
    """The ordinary payment is broadcast, by the policy."""
    WATCHING = "watching"
    """A receiver whom nobody has paid stops looking for a payment."""
    SIGNING = "signing"
    """A proposal that was not signed gives way to the ordinary payment."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """The next moment at which time alone moves a session."""

    kind: DeadlineKind
    at: UnixTime


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A session's state in stable codes and in words; the words name no address and no key."""

    status: SessionStatus
    words: str
    """Where it stands, in one sentence."""
    next: str
    """What to do, in one sentence."""
    owed: str
    """What is owed now, in one sentence."""
    amount: Sats | None
    expires_at: UnixTime
    reason: Reason | None = None
    """Why there is no payjoin, where that is known."""
    rule: str | None = None
    """The rule of BIP 78 that the receiver's proposal broke, where that was why."""
    outcome: str | None = None
    """The code of how it ended, such as `success`; None while it is open."""
    paid: bool = False
    """Whether the payment of this session was made; meaningful once there is an outcome."""
    txid: str | None = None
    """The transaction that was seen or broadcast last."""
    asks: bool = False
    """Whether the session waits for the user's word."""
    deadline: Deadline | None = None
    """What time alone does next."""
    takable: bool = False
    """Whether the receiver can still take a payment that was cancelled or declined here."""
    amounts: Received | Paid | None = None
    """What the payment costs, once it is known how it is made."""


def explain(state: State, now: UnixTime, *, ask: bool = False) -> Explanation:
    """What `state` means at `now`; `ask` is whether the policy asks before a fallback."""
    return replace(_explained(state, now, ask=ask), amounts=amounts_of(state))


def _explained(state: State, now: UnixTime, *, ask: bool) -> Explanation:
    match state:
        case receiver.Closed() | sender.Closed():
            return _closed(state)
        case receiver.PendingFallback():
            return _receiver_pending(state, now, ask=ask)
        case sender.PendingFallback():
            return _sender_pending(state, now, ask=ask)
        case receiver.Monitor():
            return _receiver_monitor(state, now, ask=ask)
        case sender.Monitor():
            return _sender_monitor(state)
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
            return _TO_US if state.owed else "Nothing that is safe to count on."
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
            return _TO_US
        case _:
            return _BY_US


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


def _receiver_pending(state: receiver.PendingFallback, now: UnixTime, *, ask: bool) -> Explanation:
    due = due_at(state, ask=ask)
    cancelled = state.reason is Reason.CANCELLED_BY_US
    asks = due is None or (cancelled and due > now)
    advice = "Take it by `fallback`, or decline it by `release`." if asks else NOTHING
    if state.paid_twice:
        words = "Another transaction paid the address in full; the sender's payment is held back."
        advice = "Nothing; `fallback` would charge the sender a second time."
    elif state.due_at is None:
        words = "No payjoin came about, and the sender's own payment is not safe to count on."
        advice = "Broadcast it by `fallback` only if you know the sender, else `release` it."
    elif asks and cancelled and state.proposal_out:
        words = (
            "You cancelled, but the sender has the payjoin and can still make it; their ordinary"
            " payment waits for your word."
        )
    elif asks and cancelled:
        words = "You cancelled the payjoin; the sender's ordinary payment waits for your word."
    elif asks:
        words = "No payjoin came about; the sender's ordinary payment waits for your word."
    elif due is not None and due > now:
        words = "No payjoin has been seen; the ordinary payment falls due after the grace."
    else:
        words = "No payjoin came about; the sender's ordinary payment is due, and is made once."
    return Explanation(
        status=SessionStatus.FALLBACK_PENDING,
        words=words,
        next=advice,
        owed=_TO_US if state.owed else "Nothing that is safe to count on.",
        amount=amount_of(state),
        expires_at=state.expires_at,
        reason=state.reason,
        asks=asks,
        deadline=_fallback_at(due, now),
    )


def _sender_pending(state: sender.PendingFallback, now: UnixTime, *, ask: bool) -> Explanation:
    due = due_at(state, ask=ask)
    cancelled = state.reason is Reason.CANCELLED_BY_US
    asks = due is None or (cancelled and due > now)
    advice = (
        "Pay by `fallback`, or decline by `release`; only `revoke` takes back what was declined."
    )
    if not asks:
        words, advice = _being_paid(state), NOTHING
    elif not state.original_out:
        words = "The payjoin has ended before anything left; the ordinary payment is yours to make."
        advice = "Pay by `fallback`, or end it by `release`."
    elif cancelled:
        words = (
            "You cancelled the payjoin, but the receiver can still take the payment, which waits"
            " for your word."
        )
    else:
        words = (
            "No payjoin came about; the ordinary payment waits for your word, and the receiver can"
            " still take it."
        )
    return Explanation(
        status=SessionStatus.FALLBACK_PENDING,
        words=words,
        next=advice,
        owed=_PLAINLY if state.payment.is_plain else _BY_US,
        amount=amount_of(state),
        expires_at=state.expires_at,
        reason=state.reason,
        rule=state.rule,
        asks=asks,
        deadline=_fallback_at(due, now),
        takable=asks and state.original_out,
    )


def _being_paid(state: sender.PendingFallback) -> str:
    if state.bumped is not None:
        return "The ordinary payment is being broadcast, with its fee raised."
    if state.payment.is_plain:
        return "The ordinary payment is being broadcast."
    if state.reason in _SPENT and not state.requested:
        return "The payment's coins have been seen spent; what spends them is being looked at."
    return "No payjoin came about; the ordinary payment is being broadcast."


_SPENT = (Reason.INPUTS_ALREADY_SPENT, Reason.RECEIVER_TOOK_FALLBACK)


def _receiver_monitor(state: receiver.Monitor, now: UnixTime, *, ask: bool) -> Explanation:
    status, advice, deadline = SessionStatus.CONFIRMING, NOTHING, None
    if state.released:
        status = SessionStatus.RELEASED
        words = "You declined the ordinary payment; the sender can still make it."
        advice = "Nothing; `fallback` takes the payment after all."
    elif state.fallback_broadcast:
        words = f"The ordinary payment is broadcast and waits for {_confirmations(state.depth)}."
    elif state.seen_spent:
        words = f"The payment has been seen and waits for {_confirmations(state.depth)}."
    else:
        status = SessionStatus.PROPOSAL_SENT
        words = "The sender has the payjoin; waiting for it to confirm."
        deadline = _fallback_at(due_at(state, ask=ask), now)
    return Explanation(
        status=status,
        words=words,
        next=advice,
        owed="Nothing that you still count on." if state.released else _TO_US,
        amount=amount_of(state),
        expires_at=state.expires_at,
        reason=state.reason,
        txid=None if state.expected is None else str(state.expected),
        deadline=deadline,
    )


def _sender_monitor(state: sender.Monitor) -> Explanation:
    status, advice = SessionStatus.CONFIRMING, NOTHING
    owed = _PLAINLY if state.payment.is_plain else _BY_US
    confirmations = _confirmations(state.depth)
    if state.released:
        status = SessionStatus.RELEASED
        words = "You declined the ordinary payment, but the receiver can still take it."
        advice = "Take the coins back by `revoke`, pay by `fallback`, or wait."
        owed = "Nothing from you, but the receiver can still take it until its coins are spent."
    elif state.payjoin is not None and state.expected == state.payjoin.txid:
        words = f"The payjoin is broadcast and waits for {confirmations}."
    elif state.expected == state.fallback.txid:
        words = f"The ordinary payment is broadcast and waits for {confirmations}."
    else:
        words = f"Another transaction spends the payment's coins; it waits for {confirmations}."
    if state.requested and state.expected != state.fallback.txid:
        advice = "Replace it by `fallback --fee-rate`, or wait: exactly one of the two confirms."
    return Explanation(
        status=status,
        words=words,
        next=advice,
        owed=owed,
        amount=amount_of(state),
        expires_at=state.expires_at,
        reason=state.reason,
        rule=state.rule,
        txid=None if state.expected is None else str(state.expected),
        takable=state.released,
    )


def _closed(state: receiver.Closed | sender.Closed) -> Explanation:
    outcome = state.outcome
    paying = isinstance(state, sender.Closed)
    asked = None if isinstance(state, sender.Closed) else state.created.amount
    words, advice, paid = ending(outcome, paying=paying, asked=asked)
    return Explanation(
        status=SessionStatus.CLOSED,
        words=words,
        next=advice,
        owed="Nothing.",
        amount=amount_of(state),
        expires_at=state.expires_at,
        reason=reason_of(state),
        rule=state.rule if isinstance(state, sender.Closed) else None,
        outcome=code_of(outcome),
        paid=paid,
        txid=getattr(outcome, "txid", None),
    )


def _confirmations(depth: int) -> str:
    return "its confirmation" if depth == 1 else f"{depth} confirmations"


def _fallback_at(due: UnixTime | None, now: UnixTime) -> Deadline | None:
    return None if due is None or due <= now else Deadline(DeadlineKind.FALLBACK, due)


def amount_of(state: State) -> Sats | None:
    """What is paid in the session; None for a receiver that named no amount and was not paid."""
    match state:
        case (
            sender.WithReplyKey()
            | sender.PostingOriginal()
            | sender.PollingForProposal()
            | sender.ProposalReceived()
            | sender.PendingBroadcast()
            | sender.PendingFallback()
            | sender.Monitor()
            | sender.Closed()
        ):
            return paid_to(state.fallback, state.payment.address.script_pubkey)
        case _ if state.created.amount is not None:
            return Sats(state.created.amount)
        case _:
            payload = getattr(state, "payload", None)
            script = state.address.script_pubkey
            return None if payload is None else paid_to(payload.fallback, script)
