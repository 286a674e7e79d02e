"""What a session's state means to a person: where it stands, how it ended, what to do next."""

from dataclasses import dataclass
from typing import TypeAlias

from dovetail.bitcoin import Sats, Script, Transaction, UnixTime
from dovetail.sessions import outcomes, receiver, sender
from dovetail.sessions.outcomes import Outcome
from dovetail.sessions.reasons import Reason
from dovetail.sessions.receiver import ReceiverSession
from dovetail.sessions.sender import SenderSession
from dovetail.sessions.status import SessionStatus

State: TypeAlias = ReceiverSession | SenderSession

NOTHING = "Nothing: it goes on by itself while Dovetail runs."


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A session's state in stable codes and in words; the words name no address and no key."""

    status: SessionStatus
    words: str
    """Where it stands, in one sentence."""
    next: str
    """What to do, in one sentence."""
    amount: Sats | None
    expires_at: UnixTime
    reason: Reason | None = None
    """Why there is no payjoin, where that is known."""
    outcome: str | None = None
    """The code of how it ended, such as `success`; None while it is open."""
    paid: bool = False
    """Whether the payment of this session was made; meaningful once there is an outcome."""
    txid: str | None = None
    """The transaction that was seen or broadcast last."""
    asks: bool = False
    """Whether the session waits for the user's word and nothing else."""


def explain(state: State, now: UnixTime, *, ask: bool = False) -> Explanation:
    """What `state` means at `now`; `ask` is whether the policy asks before a fallback."""
    match state:
        case receiver.Closed() | sender.Closed():
            return _closed(state)
        case receiver.PendingFallback():
            return _receiver_pending(state, now, ask=ask)
        case sender.PendingFallback():
            return _sender_pending(state, ask=ask)
        case receiver.Monitor():
            return _receiver_monitor(state)
        case sender.Monitor():
            return _sender_monitor(state)
        case receiver.HasReplyableError():
            return _open(state, now, SessionStatus.SENDING_ERROR, reason=state.reason)
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
    return Explanation(
        status=status,
        words=_WORDS[status],
        next=NOTHING,
        amount=amount_of(state),
        expires_at=state.expires_at,
        reason=reason,
    )


def _receiver_pending(state: receiver.PendingFallback, now: UnixTime, *, ask: bool) -> Explanation:
    due = state.due_at
    asks = due is None or (ask and not state.requested)
    if asks and due is None:
        words = "No payjoin came about, and the sender's own payment is not safe to count on."
        advice = "Broadcast it by `fallback` only if you know the sender, else `release` it."
    elif asks:
        words = "No payjoin came about; the sender's ordinary payment waits for your word."
        advice = "Take it by `fallback`, or decline it by `release`."
    elif due is not None and due > now:
        words = "No payjoin has been seen; the ordinary payment falls due after the grace."
        advice = NOTHING
    else:
        words = "No payjoin came about; the sender's ordinary payment is being broadcast."
        advice = NOTHING
    return Explanation(
        status=SessionStatus.FALLBACK_PENDING,
        words=words,
        next=advice,
        amount=amount_of(state),
        expires_at=state.expires_at,
        reason=state.reason,
        asks=asks,
    )


def _sender_pending(state: sender.PendingFallback, *, ask: bool) -> Explanation:
    asks = ask or state.reason is Reason.CANCELLED_BY_US
    if not asks:
        words, advice = "No payjoin came about; the ordinary payment is being broadcast.", NOTHING
    elif state.original_out:
        words = "The payjoin has ended; the ordinary payment waits for your word."
        advice = (
            "Pay by `fallback`, or decline by `release`; the receiver can still take the payment"
            " until you `revoke` it."
        )
    else:
        words = "The payjoin has ended before anything left; the ordinary payment is yours to make."
        advice = "Pay by `fallback`, or end it by `release`."
    return Explanation(
        status=SessionStatus.FALLBACK_PENDING,
        words=words,
        next=advice,
        amount=amount_of(state),
        expires_at=state.expires_at,
        reason=state.reason,
        asks=asks,
    )


def _receiver_monitor(state: receiver.Monitor) -> Explanation:
    status = SessionStatus.CONFIRMING
    if state.released:
        status = SessionStatus.RELEASED
        words = "You declined the ordinary payment; the sender can still make it."
        advice = "Nothing; `fallback` takes the payment after all."
    elif state.seen_spent:
        words, advice = "The payment has been seen and waits for its confirmation.", NOTHING
    else:
        status = SessionStatus.PROPOSAL_SENT
        words = "The sender has the payjoin; waiting for it to confirm."
        advice = NOTHING
    return Explanation(
        status=status,
        words=words,
        next=advice,
        amount=amount_of(state),
        expires_at=state.expires_at,
        reason=state.reason,
    )


def _sender_monitor(state: sender.Monitor) -> Explanation:
    status, advice = SessionStatus.CONFIRMING, NOTHING
    if state.released:
        status = SessionStatus.RELEASED
        words = "You declined the ordinary payment, but the receiver can still take it."
        advice = "Take the coins back by `revoke`, pay by `fallback`, or wait."
    elif state.payjoin is not None and state.expected == state.payjoin.txid:
        words = "The payjoin is broadcast and waits for its confirmation."
    elif state.expected == state.fallback.txid:
        words = "The ordinary payment is broadcast and waits for its confirmation."
    else:
        words = "Another transaction spends the payment's coins; it waits for its confirmation."
    return Explanation(
        status=status,
        words=words,
        next=advice,
        amount=amount_of(state),
        expires_at=state.expires_at,
        reason=state.reason,
        txid=None if state.expected is None else str(state.expected),
    )


def _closed(state: receiver.Closed | sender.Closed) -> Explanation:
    outcome = state.outcome
    paying = isinstance(state, sender.Closed)
    words, advice, paid = _ending(outcome, paying=paying)
    return Explanation(
        status=SessionStatus.CLOSED,
        words=words,
        next=advice,
        amount=amount_of(state),
        expires_at=state.expires_at,
        reason=reason_of(outcome),
        outcome=code_of(outcome),
        paid=paid,
        txid=getattr(outcome, "txid", None),
    )


_NO_MORE = "Nothing is left to do."


def _ending(outcome: Outcome, *, paying: bool) -> tuple[str, str, bool]:
    """What happened, what to do, and whether the payment was made."""
    match outcome:
        case outcomes.Success():
            return "Paid by payjoin.", _NO_MORE, True
        case outcomes.FallbackBroadcasted():
            return "Paid by the ordinary transaction, without a payjoin.", _NO_MORE, True
        case outcomes.PaidDirectly():
            return "Paid to the address directly, without a payjoin.", _NO_MORE, True
        case outcomes.PayjoinProposalSent():
            return (
                "The payjoin was sent to the sender; whether it was broadcast is not known.",
                "Look for the payment in your wallet.",
                True,
            )
        case outcomes.Revoked():
            return "Revoked: the coins went back to the wallet.", _NO_MORE, False
        case outcomes.Expired():
            return "Expired: nobody paid.", "Make a new URI if the payment is still wanted.", False
        case outcomes.Cancelled():
            return "Cancelled: no payment was made here.", _NO_MORE, False
        case outcomes.Unrecognized():
            whose = "coins" if paying else "sender's coins"
            return (
                f"The {whose} were spent by a transaction that is no part of this session.",
                "Look at that transaction, and settle the payment with the other party.",
                False,
            )


_CODES: dict[type[Outcome], str] = {
    outcomes.Success: "success",
    outcomes.FallbackBroadcasted: "fallback",
    outcomes.Unrecognized: "unrecognized",
    outcomes.PaidDirectly: "paid-directly",
    outcomes.PayjoinProposalSent: "proposal-sent",
    outcomes.Revoked: "revoked",
    outcomes.Cancelled: "cancelled",
    outcomes.Expired: "expired",
}


def ended(outcome: Outcome, *, paying: bool) -> str:
    """How a session ended, in a sentence; `paying` is whether it was the sender's."""
    return _ending(outcome, paying=paying)[0]


def code_of(outcome: Outcome) -> str:
    """The stable code of an outcome."""
    return _CODES[type(outcome)]


def reason_of(outcome: Outcome) -> Reason | None:
    """Why there was no payjoin, where the outcome says so."""
    match outcome:
        case outcomes.FallbackBroadcasted(why=why) | outcomes.Cancelled(why=why):
            return why
        case _:
            return None


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
            return _paid(state.fallback, state.payjoin_uri.address.script_pubkey)
        case _ if state.created.amount is not None:
            return Sats(state.created.amount)
        case _:
            payload = getattr(state, "payload", None)
            script = state.address.script_pubkey
            return None if payload is None else _paid(payload.fallback, script)


def _paid(transaction: Transaction, script: Script) -> Sats:
    return Sats.sum(
        output.value for output in transaction.outputs if output.script_pubkey == script
    )
