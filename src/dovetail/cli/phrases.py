"""What is said of a session in the same words by several commands."""

from collections.abc import Mapping

from dovetail.cli.clock import clock
from dovetail.cli.output import span
from dovetail.protocol.proposal import rule_words
from dovetail.runtime.explanation import DeadlineKind, Explanation
from dovetail.sessions.reasons import Reason

UNREADABLE = "Its log cannot be read; it is left as it is."
RESTORE = "Upgrade Dovetail, or restore the database from a backup."
TAKABLE = "The receiver can still take this payment."


def tells_why(explanation: Explanation) -> bool:
    """Whether it is news why there is no payjoin: not where an ordinary payment was wanted."""
    return explanation.reason not in (None, Reason.PLAIN_PAYMENT)


def reason_words(explanation: Explanation) -> str | None:
    """Why there is no payjoin, with the rule that was broken; None where no reason is known."""
    if explanation.reason is None:
        return None
    rule = "" if explanation.rule is None else f" {rule_words(explanation.rule)}"
    return f"{explanation.reason.words}{rule}"


DEADLINES = {
    DeadlineKind.EXPIRES: "expires",
    DeadlineKind.FALLBACK: "ordinary payment",
    DeadlineKind.WATCHING: "ends",
    DeadlineKind.SIGNING: "to be signed",
}
BRIEFLY = {**DEADLINES, DeadlineKind.FALLBACK: "due", DeadlineKind.SIGNING: "sign"}
"""The same for a column."""


def time_left(explanation: Explanation, names: Mapping[DeadlineKind, str] | None = None) -> str:
    """What time alone does next, and in how long, such as `expires in 23h 59m`; else empty."""
    deadline = explanation.deadline
    if deadline is None:
        return ""
    return f"{(names or DEADLINES)[deadline.kind]} in {span(deadline.at - clock())}"
