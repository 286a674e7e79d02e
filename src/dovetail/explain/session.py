"""A session's state explained: where it stands, how it ended, which actions make sense."""

from typing import Any

from msgspec.structs import replace

from dovetail.actions import Action
from dovetail.bitcoin import Sats, UnixTime
from dovetail.errors import ReplayError
from dovetail.explain.chain import describe_sighting
from dovetail.explain.explanation import (
    EITHER,
    Deadline,
    DeadlineKind,
    Explanation,
    Moment,
)
from dovetail.explain.outcome import ending
from dovetail.explain.settling import (
    coins_missing,
    receiver_monitor,
    receiver_pending,
    sender_monitor,
    sender_pending,
)
from dovetail.sessions import sender
from dovetail.sessions.ended import Ending
from dovetail.sessions.outcomes import code_of
from dovetail.sessions.overpayment import surplus_of, surplus_seen
from dovetail.sessions.sightings import Sighting, SpendKind
from dovetail.sessions.standing import ENDED_BY_EXPIRY, AnySession, Standing, Summary, summary_of
from dovetail.sessions.status import SessionStatus
from dovetail.stores.ports import SessionRow


def explain(
    state: AnySession, now: UnixTime, *, ask: bool = False, seen: Sighting | None = None
) -> Explanation:
    """Explain `state` at `now`; `ask` is whether the policy asks before a fallback.

    `seen` is the last sighting on the chain, which the log does not hold. Raises `ReplayError` for
    a state whose log holds a value that cannot be read.
    """
    found = summary_of(state)
    if found is None:
        raise ReplayError("The log holds a value that cannot be read; restore it from a backup.")
    paying = isinstance(state, sender.SenderSession)
    at = Moment(paying=paying, now=now, ask=ask, seen=seen, expires_at=state.expires_at)
    return explain_summary(found, at)


def explain_summary(found: Summary, at: Moment) -> Explanation:
    """Explain the summary in a row."""
    if isinstance(found, Ending):
        ended = _ended(found, at)
        return ended if at.paying else _with_surplus(ended, found, at)
    explained = _explained(found, at)
    if not at.paying:
        explained = replace(explained, surplus=surplus_seen(at.seen))
    if found.missing:
        return coins_missing(explained, depth=found.depth)
    return explained


def explain_row(row: SessionRow, now: UnixTime, *, ask: bool) -> Explanation | None:
    """Explain a stored session by its row alone; None where only its log can tell.

    Only the log can tell of a session that a newer release has taken further.
    """
    try:
        row.status(now)
    except ReplayError:
        return None
    if row.summary is None:
        return None
    at = Moment.of_row(row, now, ask=ask)
    return _as_seen(explain_summary(row.summary, at), row.sighting)


def explain_stored(state: AnySession, row: SessionRow, now: UnixTime, *, ask: bool) -> Explanation:
    """Explain a stored session by the state of its log; raises what `explain` raises."""
    return _as_seen(explain(state, now, ask=ask, seen=row.sighting), row.sighting)


def _as_seen(found: Explanation, seen: Sighting | None) -> Explanation:
    """Take the chain's sentence where it says more than the log's."""
    if (
        seen is None
        or seen.gone
        or not seen.depth
        or found.needs_decision
        or found.status not in _BEING_PAID
    ):
        return found
    return replace(found, words=describe_sighting(seen))


_BEING_PAID = frozenset(
    {
        SessionStatus.CONFIRMING,
        SessionStatus.FALLBACK_PENDING,
        SessionStatus.READY_TO_BROADCAST,
    }
)


def _with_surplus(explained: Explanation, found: Ending, at: Moment) -> Explanation:
    """Add what came beside the payment, by the end or later."""
    payment = found.received[0] if found.received else found.amount
    by_then = surplus_of(found.outcome, asked=found.asked, payment=payment)
    later = surplus_seen(at.seen)
    surplus = later if by_then is None or (later and later.received > by_then.received) else by_then
    if surplus is None or not explained.paid:
        return explained if surplus is None else replace(explained, surplus=surplus)
    return replace(explained, surplus=surplus, advice=surplus.advice or explained.advice)


def _explained(found: Standing, at: Moment) -> Explanation:
    match found.state, at.paying:
        case "PendingFallback", False:
            return receiver_pending(found, at)
        case "PendingFallback", True:
            return sender_pending(found, at)
        case "Monitor", False:
            return receiver_monitor(found, at)
        case "Monitor", True:
            return sender_monitor(found, at)
        case "Initialized", _ if at.expires_at <= at.now < (found.until or 0):
            return _last_look(found, at)
        case _:
            return _open(found, at)


_CHECKING = ("UncheckedOriginalPayload", "MaybeInputsOwned", "MaybeInputsSeen", "OutputsUnknown")

_WORDS = {
    SessionStatus.WAITING_FOR_PAYMENT: "Waiting for the sender.",
    SessionStatus.NEGOTIATING: "The sender's payment is here; Dovetail is making a payjoin of it.",
    SessionStatus.SENDING_PROPOSAL: "You signed the payjoin; it is on its way to the sender.",
    SessionStatus.SENDING_ERROR: "The payjoin cannot be made; Dovetail is telling the sender.",
    SessionStatus.READY_TO_SEND: "The payment is signed; nothing has been sent yet.",
    SessionStatus.SENDING_ORIGINAL: "The payment is on its way to the receiver's mailbox.",
    SessionStatus.WAITING_FOR_PROPOSAL: (
        "The payment is in the receiver's mailbox; waiting for the answer."
    ),
    SessionStatus.READY_TO_SIGN: "The receiver answered; your wallet signs the payjoin next.",
    SessionStatus.READY_TO_BROADCAST: "The payjoin is signed and is being broadcast.",
    SessionStatus.EXPIRED: "Expired.",
}

_WAITING_FOR_ANOTHER = "A payment came that does not count; waiting for another one."
_ASKING_V1 = "The payment goes to the receiver's server, which answers with the payjoin at once."

_GOES_ON = frozenset({Action.RESUME})


def _can_be_cancelled(found: Standing) -> bool:
    """Not a payjoin that is signed; nor where nothing is held: the next step ends or reopens it."""
    if found.state == "HasReplyableError":
        return found.held
    return found.state != "PendingBroadcast"


def _open(found: Standing, at: Moment) -> Explanation:
    status, owed = at.status(found), _owed(found, at)
    return at.explanation(
        found,
        words=_words(found, status, at),
        actions=_GOES_ON | {Action.CANCEL} if _can_be_cancelled(found) else _GOES_ON,
        **owed,
        pays_next=status is SessionStatus.EXPIRED and "unpaid" in owed and not at.ask,
        deadline=_next(found, status, at),
    )


def _words(found: Standing, status: SessionStatus, at: Moment) -> str:
    if found.v1 and status is SessionStatus.SENDING_ORIGINAL:
        return _ASKING_V1
    if status is SessionStatus.WAITING_FOR_PAYMENT and _was_refused(found, at):
        return _WAITING_FOR_ANOTHER
    return _WORDS[status]


def _was_refused(found: Standing, at: Moment) -> bool:
    """Whether what came last does not count, and nothing came to the address beside it."""
    direct = at.shown is not None and at.shown.kind is SpendKind.DIRECT
    return found.reason is not None and not direct


def _last_look(found: Standing, at: Moment) -> Explanation:
    return at.explanation(
        found,
        words="Expired. Dovetail still looks for an ordinary payment.",
        actions=_GOES_ON | {Action.CANCEL},
        **_owed(found, at),
        deadline=Deadline(DeadlineKind.WATCHING, UnixTime(found.until or 0)),
    )


def _owed(found: Standing, at: Moment) -> dict[str, Any]:
    """How the payment is still to be made, or why there is none to wait for."""
    why = _why_nothing(found, at)
    return {"owed": EITHER, "unpaid": True} if why is None else {"owed": why}


def _why_nothing(found: Standing, at: Moment) -> str | None:
    match found.state:
        case "Initialized" if _was_refused(found, at):
            return "Nothing: the payment that came does not count."
        case "Initialized":
            return "Nothing yet: no payment has come through the Payjoin URI."
        case "HasReplyableError" if not found.held:
            return "Nothing: the payment that came does not count."
        case "HasReplyableError" if not found.owed:
            return "Nothing that is safe to count on."
        case state if state in _CHECKING:
            return "Nothing yet: the sender's payment is still being checked."
        case _:
            return None


def _next(found: Standing, status: SessionStatus, at: Moment) -> Deadline | None:
    if status is SessionStatus.READY_TO_SIGN:
        if found.until is None or found.until <= at.now:
            return None
        return Deadline(DeadlineKind.SIGNING, UnixTime(found.until))
    waits = status is SessionStatus.SENDING_PROPOSAL and at.now < at.expires_at
    if waits or status in ENDED_BY_EXPIRY:
        return Deadline(DeadlineKind.EXPIRES, at.expires_at)
    return None


def _ended(found: Ending, at: Moment) -> Explanation:
    words, advice, paid = ending(found.outcome, paying=at.paying, asked=found.asked)
    return Explanation(
        status=SessionStatus.CLOSED,
        words=words,
        actions=frozenset(),
        advice=advice,
        owed="Nothing.",
        amount=None if found.amount is None else Sats(found.amount),
        expires_at=at.expires_at,
        reason=found.reason,
        rule=found.rule,
        outcome=code_of(found.outcome),
        paid=paid,
        txid=getattr(found.outcome, "txid", None),
        amounts=found.amounts,
    )
