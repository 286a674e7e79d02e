"""What a session came to, small enough to lie beside it in a list.

A closed log never grows (M1): what was drawn from it once holds for ever, and no list has to replay
it again.
"""

import msgspec

from dovetail.bitcoin import FeeRate, Sats
from dovetail.errors import ReplayError
from dovetail.sessions import outcomes, receiver, sender
from dovetail.sessions.amounts import Paid, Received, amount_of, amounts_of
from dovetail.sessions.outcomes import Outcome
from dovetail.sessions.reasons import Reason


class Ending(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a session ended, why there was no payjoin, and what it cost; satoshis and sat/kwu."""

    outcome: Outcome
    """Without the signatures of a `Success`: the log has them."""
    amount: int | None = None
    """What was paid, or should have been; None where a receiver had named no amount."""
    asked: int | None = None
    """What a receiver had asked for."""
    reason: Reason | None = None
    rule: str | None = None
    received: tuple[int, int] | None = None
    paid: tuple[int, int, int] | None = None

    @property
    def amounts(self) -> Received | Paid | None:
        """What the payment cost, where that is known."""
        if self.received is not None:
            amount, paid = self.received
            return Received(Sats(amount), Sats(paid))
        if self.paid is not None:
            fee, rate, asked = self.paid
            return Paid(Sats(fee), FeeRate(rate), FeeRate(asked))
        return None

    def __repr__(self) -> str:
        return "<Ending>"


def ending_of(state: receiver.Closed | sender.Closed) -> Ending:
    """What a closed session came to."""
    outcome, amount, amounts = state.outcome, amount_of(state), amounts_of(state)
    if isinstance(outcome, outcomes.Success):
        outcome = outcomes.Success(txid=outcome.txid)
    received = paid = None
    if isinstance(amounts, Received):
        received = (int(amounts.amount), int(amounts.paid))
    elif isinstance(amounts, Paid):
        paid = (int(amounts.fee), amounts.rate.sat_per_kwu, amounts.asked.sat_per_kwu)
    return Ending(
        outcome=outcome,
        amount=None if amount is None else int(amount),
        asked=None if isinstance(state, sender.Closed) else state.created.amount,
        reason=reason_of(state),
        rule=state.rule if isinstance(state, sender.Closed) else None,
        received=received,
        paid=paid,
    )


def encode_ending(ending: Ending) -> bytes:
    """JSON."""
    return msgspec.json.encode(ending)


def decode_ending(data: bytes) -> Ending:
    """Read it back; raises `ReplayError` for one that is damaged or by a newer Dovetail."""
    try:
        return msgspec.json.decode(data, type=Ending)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ReplayError("What the session came to cannot be read; its log tells it.") from error


_USUAL: dict[type[Outcome], Reason] = {
    outcomes.FallbackBroadcasted: Reason.SENDER_CHOSE_FALLBACK,
    outcomes.Unrecognized: Reason.SPENT_ELSEWHERE,
    outcomes.PaidDirectly: Reason.PAID_DIRECTLY,
    outcomes.PayjoinProposalSent: Reason.PAYJOIN_UNOBSERVED,
    outcomes.Revoked: Reason.TAKEN_BACK,
    outcomes.Expired: Reason.EXPIRED_WAITING_FOR_ORIGINAL,
}
"""What an outcome says by itself, where nothing had stopped the payjoin before."""


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
