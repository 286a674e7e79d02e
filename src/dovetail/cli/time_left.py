"""The next deadline of a session, and the time left until then."""

from collections.abc import Mapping

from dovetail.cli.clock import clock
from dovetail.cli.output import span
from dovetail.explain.explanation import DeadlineKind, Explanation

DEADLINES = {
    DeadlineKind.EXPIRES: "expires",
    DeadlineKind.FALLBACK: "ordinary payment",
    DeadlineKind.WATCHING: "ends",
    DeadlineKind.SIGNING: "to be signed",
}
BRIEFLY = {**DEADLINES, DeadlineKind.FALLBACK: "due", DeadlineKind.SIGNING: "sign"}
"""The same for a column."""


def time_left(explanation: Explanation, names: Mapping[DeadlineKind, str] | None = None) -> str:
    """The next deadline and the time left, such as `expires in 23h 59m`; empty without one."""
    deadline = explanation.deadline
    if deadline is None:
        return ""
    return f"{(names or DEADLINES)[deadline.kind]} in {span(deadline.at - clock())}"
