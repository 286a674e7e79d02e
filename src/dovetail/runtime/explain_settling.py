"""What the last states mean: a fallback that waits, and a payment that is watched."""

from dataclasses import replace

from dovetail.bitcoin import UnixTime
from dovetail.runtime.duties import due_at
from dovetail.runtime.explanation import (
    BY_US,
    NOTHING,
    PLAINLY,
    TO_US,
    Deadline,
    DeadlineKind,
    Explanation,
)
from dovetail.sessions import receiver, sender
from dovetail.sessions.amounts import amount_of
from dovetail.sessions.presence import BLOCKS_WITHOUT
from dovetail.sessions.reasons import Reason
from dovetail.sessions.sightings import Kind, Sighting
from dovetail.sessions.status import SessionStatus


def receiver_pending(state: receiver.PendingFallback, now: UnixTime, *, ask: bool) -> Explanation:
    """The sender's ordinary payment is held: whether it is due, asked about or held back."""
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
        owed=TO_US if state.owed else "Nothing that is safe to count on.",
        amount=amount_of(state),
        expires_at=state.expires_at,
        reason=state.reason,
        asks=asks,
        deadline=_fallback_at(due, now),
    )


def sender_pending(
    state: sender.PendingFallback, now: UnixTime, *, ask: bool, seen: Sighting | None
) -> Explanation:
    """No payjoin came about: the ordinary payment is being made, or waits for a word."""
    beside = seen is not None and seen.kind is Kind.DIRECT and not state.requested
    due = due_at(state, ask=ask or beside)
    cancelled = state.reason is Reason.CANCELLED_BY_US
    asks = due is None or (cancelled and due > now)
    advice = (
        "Pay by `fallback`, or decline by `release`; only `revoke` takes back what was declined."
    )
    if not asks:
        words, advice = _being_paid(state), NOTHING
    elif beside:
        words = (
            "Another transaction paid the address that amount; the ordinary payment waits for your"
            " word."
        )
        advice = "Decline it by `release`, or pay a second time by `fallback`."
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
        owed=PLAINLY if state.payment.is_plain else BY_US,
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


def receiver_monitor(
    state: receiver.Monitor, now: UnixTime, *, ask: bool, seen: Sighting | None
) -> Explanation:
    """A payment to us is, or may be, on its way."""
    status, advice, deadline = SessionStatus.CONFIRMING, NOTHING, None
    if state.released:
        status = SessionStatus.RELEASED
        words = "You declined the ordinary payment; the sender can still make it."
        advice = "Nothing; `fallback` takes the payment after all."
    elif state.fallback_broadcast:
        words = f"The ordinary payment is broadcast and waits for {_confirmations(state.depth)}."
    elif state.seen_spent and _is_payment(state, seen):
        words = f"The payment has been seen and waits for {_confirmations(state.depth)}."
    elif state.seen_spent:
        words = (
            "A transaction that may not pay you spends the sender's coins; it waits for"
            f" {_confirmations(state.depth)}."
        )
    elif seen is not None and seen.kind in _PAYING:
        status = SessionStatus.PROPOSAL_SENT
        words = f"The payment has been seen and waits for {_confirmations(state.depth)}."
    else:
        status = SessionStatus.PROPOSAL_SENT
        words = "The sender has the payjoin; waiting for it to confirm."
        deadline = _fallback_at(due_at(state, ask=ask), now)
    return Explanation(
        status=status,
        words=words,
        next=advice,
        owed="Nothing that you still count on." if state.released else TO_US,
        amount=amount_of(state),
        expires_at=state.expires_at,
        reason=state.reason,
        txid=None if state.expected is None else str(state.expected),
        deadline=deadline,
    )


_PAYING = (Kind.PAYJOIN, Kind.FALLBACK, Kind.PAYMENT)


def _is_payment(state: receiver.Monitor, seen: Sighting | None) -> bool:
    """Whether what spends the sender's coins is known to pay us."""
    if seen is not None and seen.kind is not Kind.DIRECT:
        return seen.kind in _PAYING
    known = (state.fallback, state.payjoin_skeleton)
    return state.expected in {each.txid for each in known if each is not None}


def sender_monitor(state: sender.Monitor) -> Explanation:
    """Our payment is on its way, or was declined and can still be taken."""
    status, advice = SessionStatus.CONFIRMING, NOTHING
    owed = PLAINLY if state.payment.is_plain else BY_US
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


def coins_missing(explained: Explanation, *, depth: int) -> Explanation:
    """What is told instead while a coin of the payment is missed."""
    blocks = max(depth, BLOCKS_WITHOUT)
    return replace(
        explained,
        status=SessionStatus.COINS_MISSING,
        words=(
            "A coin that the payment spends is gone: what had made it was replaced, or left the"
            " chain, and may come back."
        ),
        next=f"Wait: the session ends once {blocks} blocks have come without it.",
    )


def _confirmations(depth: int) -> str:
    return "its confirmation" if depth == 1 else f"{depth} confirmations"


def _fallback_at(due: UnixTime | None, now: UnixTime) -> Deadline | None:
    return None if due is None or due <= now else Deadline(DeadlineKind.FALLBACK, due)
