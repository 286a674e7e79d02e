"""The summary of a closed session, small enough to lie beside it in a list.

A closed log never grows (M1), so its summary never changes, and no list has to replay the log
again.
"""

import msgspec

from dovetail.sessions import outcomes, receiver, sender
from dovetail.sessions.amounts import Spending, amount_of, amounts_of, figures
from dovetail.sessions.outcomes import Outcome
from dovetail.sessions.reasons import Reason


class Ending(Spending, frozen=True, kw_only=True, omit_defaults=True):
    """How a session ended, why there was no payjoin, and what it cost; satoshis and sat/kwu."""

    outcome: Outcome
    """Without the signatures of a `Success`: the log has them."""
    amount: int | None = None
    """The amount that was paid, or was due; None where a receiver had named no amount."""
    asked: int | None = None
    """The amount that a receiver had asked for."""
    reason: Reason | None = None
    rule: str | None = None

    def __repr__(self) -> str:
        return "<Ending>"


def ending_of(state: receiver.Closed | sender.Closed) -> Ending:
    """The summary of a closed session."""
    outcome, amount = state.outcome, amount_of(state)
    received, paid = figures(amounts_of(state))
    if isinstance(outcome, outcomes.Success):
        outcome = msgspec.structs.replace(outcome, signatures=())
    return Ending(
        outcome=outcome,
        amount=None if amount is None else int(amount),
        asked=None if isinstance(state, sender.Closed) else state.created.amount,
        reason=reason_of(state),
        rule=state.rule if isinstance(state, sender.Closed) else None,
        received=received,
        paid=paid,
    )


_USUAL: dict[type[Outcome], Reason] = {
    outcomes.FallbackBroadcasted: Reason.SENDER_CHOSE_FALLBACK,
    outcomes.Unrecognized: Reason.SPENT_ELSEWHERE,
    outcomes.PaidDirectly: Reason.PAID_DIRECTLY,
    outcomes.PayjoinProposalSent: Reason.PAYJOIN_UNOBSERVED,
    outcomes.Revoked: Reason.TAKEN_BACK,
    outcomes.Expired: Reason.EXPIRED_WAITING_FOR_ORIGINAL,
}
"""The reason that an outcome implies, where nothing had stopped the payjoin before."""


def reason_of(state: receiver.Closed | sender.Closed) -> Reason | None:
    """Why there was no payjoin; None where there was one."""
    match state.outcome:
        case outcomes.Success():
            return None
        case outcomes.FallbackBroadcasted(why=Reason() as why) | outcomes.Cancelled(why=why):
            return why
        case outcomes.Expired(why=Reason() as why):
            return why
        case outcome:
            return state.reason or _USUAL[type(outcome)]
