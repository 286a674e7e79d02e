"""The last states explained: a fallback that waits, and a payment that is watched."""

from msgspec.structs import replace

from dovetail.actions import Action
from dovetail.explain.explanation import EITHER, PLAINLY, Explanation, Moment
from dovetail.sessions.coin_presence import BLOCKS_WITHOUT
from dovetail.sessions.reasons import Reason
from dovetail.sessions.sightings import Sighting, SpendKind
from dovetail.sessions.standing import Standing


def receiver_pending(found: Standing, at: Moment) -> Explanation:
    """The sender's ordinary payment is held: whether it is due, asked about or held back."""
    due = at.due(found)
    cancelled = found.reason is Reason.CANCELLED_BY_US
    undecided = due is None or (cancelled and due > at.now)
    advice = "Decide whether to take the ordinary payment." if undecided else ""
    if found.paid_twice:
        words = "Another transaction paid the address in full; the sender's payment is held back."
        advice = "Decline the ordinary payment, unless the sender wants to pay a second time."
    elif not found.safe:
        words = "The payjoin did not happen, and the sender's own payment is not safe to count on."
        advice = "Take the ordinary payment only if you know the sender; else decline it."
    elif undecided and cancelled and found.out:
        words = (
            "You cancelled, but the sender has the payjoin and can still make it; their ordinary"
            " payment waits for your decision."
        )
    elif undecided and cancelled:
        words = "You cancelled the payjoin; the sender's ordinary payment waits for your decision."
    elif undecided:
        words = "The payjoin did not happen; the sender's ordinary payment waits for your decision."
    elif due is not None and due > at.now:
        words = "No payjoin has been seen; the ordinary payment falls due after the grace period."
    else:
        words = (
            "The payjoin did not happen; the sender's ordinary payment is due and is broadcast"
            " next."
        )
    if _has_rival(at) and not found.paid_twice:
        words = _RIVAL_OF_SENDERS
    return at.explanation(
        found,
        words=words,
        actions=_TO_DECIDE if undecided else _GOES_ON,
        advice=advice,
        owed=EITHER if found.owed else "Nothing that is safe to count on.",
        unpaid=found.owed,
        needs_decision=undecided,
        deadline=at.fallback_at(due),
    )


_GOES_ON = frozenset({Action.RESUME})
_TO_DECIDE = frozenset({Action.FALLBACK, Action.RELEASE})


def sender_pending(found: Standing, at: Moment) -> Explanation:
    """No payjoin came about: the ordinary payment is being made, or waits for a decision."""
    seen = at.shown
    beside = seen is not None and seen.kind is SpendKind.DIRECT and not found.requested
    due = at.due(found, ask=beside)
    cancelled = found.reason is Reason.CANCELLED_BY_US
    undecided = due is None or (cancelled and due > at.now)
    advice = f"Decide whether to pay.{_REVOCABLE if found.out else ''}"
    if not undecided:
        words, advice = _being_paid(found), ""
    elif beside:
        words = (
            "Another transaction paid the address that amount; the ordinary payment waits for"
            " your decision."
        )
        advice = "Decline the ordinary payment, unless you want to pay a second time."
    elif not found.out:
        words = "The payjoin ended before anything was sent; you decide about the ordinary payment."
    elif cancelled:
        words = (
            "You cancelled the payjoin, but the receiver can still take the payment, which waits"
            " for your decision."
        )
    else:
        words = (
            "The payjoin did not happen; the ordinary payment waits for your decision, and the"
            " receiver can still take it."
        )
    return at.explanation(
        found,
        words=words,
        actions=_TO_DECIDE if undecided else _GOES_ON,
        advice=advice,
        owed=PLAINLY if found.plain else EITHER,
        unpaid=True,
        needs_decision=undecided,
        deadline=at.fallback_at(due),
        receiver_can_take=undecided and found.out,
    )


_REVOCABLE = " After you decline it, revoke the payment to keep the receiver from taking it."


def _being_paid(found: Standing) -> str:
    if found.raised:
        return "The ordinary payment is being broadcast, with its fee raised."
    if found.plain:
        return "The ordinary payment is being broadcast."
    if found.reason in _SPENT and not found.requested:
        return "The payment's coins are spent; Dovetail is checking which transaction spends them."
    return "The payjoin did not happen; the ordinary payment is being broadcast."


_SPENT = (Reason.INPUTS_ALREADY_SPENT, Reason.RECEIVER_TOOK_FALLBACK)


def receiver_monitor(found: Standing, at: Moment) -> Explanation:
    """A payment to us is, or may be, on its way."""
    deadline, actions, advice = None, _GOES_ON, ""
    seen, confirmations = at.shown, _confirmations(found.depth)
    if found.released:
        words = "You declined the ordinary payment; the sender can still make it."
        advice = "You can still take the ordinary payment."
        actions = _GOES_ON | {Action.FALLBACK}
    elif found.broadcast:
        words = f"The ordinary payment is broadcast and waits for {confirmations}."
    elif found.seen_spent and _is_payment(found, seen):
        words = f"The payment has been seen and waits for {confirmations}."
    elif found.seen_spent:
        words = (
            "A transaction that may not pay you spends the sender's coins; it waits for"
            f" {confirmations}."
        )
    elif seen is not None and seen.kind in _PAYING:
        words = f"The payment has been seen and waits for {confirmations}."
    else:
        actions = _GOES_ON if _has_rival(at) else _GOES_ON | {Action.CANCEL}
        words = "The sender has the payjoin; waiting for it to confirm."
        deadline = at.fallback_at(at.due(found))
    if _has_rival(at) and not (found.released or found.seen_spent):
        words = _RIVAL_OF_SENDERS
    return at.explanation(
        found,
        words=words,
        actions=actions,
        advice=advice,
        owed="Nothing: you declined it." if found.released else EITHER,
        unpaid=not found.released,
        deadline=deadline,
    )


_RIVAL_OF_SENDERS = (
    "Another transaction spends the sender's coins; the payment to you can confirm only if that one"
    " does not."
)


def _has_rival(at: Moment) -> bool:
    """Whether what spends the sender's coins was seen last, and is no payment."""
    return at.shown is not None and at.shown.kind is SpendKind.UNRECOGNIZED


_PAYING = (SpendKind.PAYJOIN, SpendKind.FALLBACK, SpendKind.PAYMENT)


def _is_payment(found: Standing, seen: Sighting | None) -> bool:
    """Whether what spends the sender's coins is known to pay us."""
    if seen is not None and seen.kind is not SpendKind.DIRECT:
        return seen.kind in _PAYING
    return found.expected is not None


def sender_monitor(found: Standing, at: Moment) -> Explanation:
    """Our payment is on its way, or was declined and can still be taken."""
    actions, advice = _GOES_ON, ""
    owed = PLAINLY if found.plain else EITHER
    confirmations = _confirmations(found.depth)
    if found.released:
        words = "You declined the ordinary payment, but the receiver can still take it."
        advice = "Pay after all, take the coins back, or wait."
        actions = _GOES_ON | {Action.FALLBACK, Action.REVOKE}
        owed = "Nothing from you, but the receiver can still take it until its coins are spent."
    elif found.expected is SpendKind.PAYJOIN and not _has_rival(at):
        words = f"The payjoin is broadcast and waits for {confirmations}."
    elif found.expected is SpendKind.FALLBACK and not _has_rival(at):
        words = f"The ordinary payment is broadcast and waits for {confirmations}."
    else:
        words = f"Another transaction spends the payment's coins; it waits for {confirmations}."
    if found.requested and found.expected is not SpendKind.FALLBACK:
        advice = "Raise the fee, or wait: exactly one of the two payments confirms."
        actions = _GOES_ON | {Action.RAISE_FEE}
    return at.explanation(
        found,
        words=words,
        actions=actions,
        advice=advice,
        owed=owed,
        unpaid=not found.released,
        receiver_can_take=found.released,
    )


def coins_missing(explained: Explanation, *, depth: int) -> Explanation:
    """The explanation instead, while a coin of the payment is missing."""
    blocks = max(depth, BLOCKS_WITHOUT)
    return replace(
        explained,
        words=(
            "A coin that the payment spends is gone: its transaction was replaced or left the"
            " chain. It may come back."
        ),
        advice=f"You can wait: the session ends once {blocks} blocks have passed without it.",
    )


def _confirmations(depth: int) -> str:
    return "its confirmation" if depth == 1 else f"{depth} confirmations"
