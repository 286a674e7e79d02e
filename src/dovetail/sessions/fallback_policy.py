"""When the user's policy broadcasts a fallback that is owed, without asking again."""

from typing import TypeAlias

from dovetail.bitcoin import UnixTime
from dovetail.sessions import receiver, sender
from dovetail.sessions.reasons import Reason

Owing: TypeAlias = (
    receiver.PendingFallback | receiver.Monitor | sender.PendingFallback | sender.Monitor
)

AT_ONCE = UnixTime(0)


def due_at(state: Owing, *, ask: bool = False) -> UnixTime | None:
    """From when the policy broadcasts the fallback of `state`; None: only if the user requests it.

    `ask` is whether the policy asks first. A user who cancelled has decided about the payjoin and
    not yet about the payment: they may still decide until the session would have expired.
    """
    match state:
        case sender.Monitor():
            return None
        case receiver.PendingFallback(paid_twice=True) | receiver.Monitor(paid_twice=True):
            return None  # the address was paid in full by other transactions (M4)
        case (
            receiver.PendingFallback(requested=True)
            | receiver.Monitor(requested=True)
            | sender.PendingFallback(requested=True)
        ):
            return AT_ONCE
        case _ if ask:
            return None
        case sender.PendingFallback():
            return state.expires_at if state.reason is Reason.CANCELLED_BY_US else AT_ONCE
        case receiver.PendingFallback() if state.reason is Reason.CANCELLED_BY_US and state.owed:
            return UnixTime(state.expires_at + state.created.grace)
        case _:
            return state.due_at
