"""Whether `dovetail run` takes the sessions forward, and what other commands say then."""

from dovetail.actions import Action
from dovetail.cli.actions import sentence
from dovetail.cli.hints import repeated
from dovetail.cli.output import local_time
from dovetail.explain.explanation import DeadlineKind, Explanation
from dovetail.sessions.status import SessionStatus
from dovetail.stores.ports import SessionId

WORKING = "`dovetail run` is working on it."
NOT_RUNNING = "`dovetail run` is not running"


def go_on(number: SessionId, found: Explanation, *, running: bool, listening: str = "") -> str:
    """Say that `dovetail run` works on an open session, or which command a person has to run."""
    if running:
        return WORKING
    command = f"`dovetail resume {number}{listening}`"
    due = found.deadline
    if found.status is SessionStatus.EXPIRED and due is None:
        return f"Run {command} now: it {_at_expiry(found)}."
    if due is not None and due.kind is DeadlineKind.FALLBACK:
        return f"{NOT_RUNNING}: keep {command} open, or run it after {local_time(due.at)}."
    return f"{NOT_RUNNING}: keep {command} open until this is done."


def _at_expiry(found: Explanation) -> str:
    if found.pays_next:
        return "broadcasts the ordinary payment"
    return "ends the payjoin, and asks about the payment" if found.unpaid else "ends the session"


def next_words(number: SessionId, found: Explanation, *, running: bool) -> str:
    """The next steps: the advice, the commands, and whether `dovetail run` works on it."""
    goes_on = go_on(number, found, running=running) if Action.RESUME in found.actions else ""
    chosen = sentence(found.actions - {Action.RESUME, Action.CANCEL}, number)
    return " ".join(filter(None, (found.advice, chosen, repeated(goes_on))))
