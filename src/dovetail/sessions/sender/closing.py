"""The end of a session, and how a spend of its coins is classified (M3, M4)."""

from dataclasses import dataclass
from typing import ClassVar

from dovetail.bitcoin.psbt import Psbt
from dovetail.bitcoin.transaction import Transaction
from dovetail.protocol.settlement import Settlement, classify
from dovetail.sessions import outcomes
from dovetail.sessions.outcomes import Outcome
from dovetail.sessions.reasons import Reason
from dovetail.sessions.sender.base import State


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Closed(State):
    """The session is over; nothing can be appended (M1)."""

    closed: ClassVar[bool] = True

    outcome: Outcome
    reason: Reason | None = None
    """The reason that had stopped the payjoin before the end; None where nothing had."""
    rule: str | None = None
    """The rule of BIP 78 that the proposal broke, where that was the reason."""
    proposal: Psbt | None = None
    payjoin: Transaction | None = None
    """The payjoin as it was signed here; None where it was not."""
    bumped: Psbt | None = None
    """The fallback with its fee raised, where it was."""


def classify_spend(state: State, spend: Transaction, proposal: Psbt | None) -> Settlement:
    """Classify a spend of a contested outpoint: payjoin, fallback, the same payment, or none."""
    terms = state.terms
    payjoin = None if proposal is None else proposal.unsigned_transaction
    found = classify(spend, payjoin=payjoin, fallback=terms.fallback_transaction, due=terms.due)
    if found is Settlement.PAYMENT:
        return classify(spend, payjoin=payjoin, fallback=state.fallback_transaction, due=terms.due)
    return found


def why_spent(state: State, spend: Transaction, proposal: Psbt | None) -> Reason:
    """Why a spend ends the payjoin: it is the fallback, or another transaction."""
    if classify_spend(state, spend, proposal) is Settlement.FALLBACK:
        return Reason.RECEIVER_TOOK_FALLBACK
    return Reason.INPUTS_ALREADY_SPENT


def are_gone(outcome: Outcome) -> bool:
    """Whether the payment ended because its coins are gone."""
    return isinstance(outcome, outcomes.Cancelled) and outcome.why is Reason.COINS_GONE
