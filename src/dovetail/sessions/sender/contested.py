"""The base of the two states in which only the chain can end the session (M3, M4)."""

from dataclasses import dataclass

from dovetail.bitcoin.psbt import Psbt
from dovetail.bitcoin.transaction import Transaction
from dovetail.errors import InvalidEvent, UsageError
from dovetail.sessions.sender import events
from dovetail.sessions.sender.base import State
from dovetail.sessions.sender.closing import Closed
from dovetail.sessions.sender.events import SenderEvent
from dovetail.sessions.sender.terms import Terms
from dovetail.sessions.settlement import Settling


@dataclass(frozen=True, kw_only=True, repr=False)
class Contested(State, Settling[SenderEvent, Terms, Closed]):
    """The facts of both states in which the fallback may be on its way."""

    rule: str | None = None
    proposal: Psbt | None = None
    payjoin: Transaction | None = None
    bumped: Psbt | None = None
    """The fallback with its fee raised, which is broadcast instead of the first."""

    @property
    def _known_at(self) -> int | None:
        return self.created.height

    @property
    def original(self) -> Psbt:
        """The signed fallback, as it is broadcast: the Original PSBT unless its fee was raised."""
        return self.terms.original if self.bumped is None else self.bumped

    @property
    def fallback_transaction(self) -> Transaction:
        """The transaction that pays without a payjoin, with its fee raised where it was."""
        return self.terms.fallback_transaction if self.bumped is None else self.bumped.extract()

    def _ended(self, event: events.Closed) -> Closed:
        return self._become(Closed, outcome=event.outcome)


def make_bump(state: Contested, original: Psbt) -> events.FallbackBumped:
    """The event that raises the fallback's fee to that of `original`; raises `UsageError`."""
    event = events.FallbackBumped(original=original.serialize())
    try:
        read_bump(state, event)
    except InvalidEvent as error:
        raise UsageError(
            "A raised fallback pays the same from the same coins, for a higher fee; build it so."
        ) from error
    return event


def read_bump(state: Contested, event: events.FallbackBumped) -> Psbt:
    """The fallback that `event` says; raises `InvalidEvent` unless it is the same payment."""
    bumped = Psbt.parse(event.original)
    transaction = bumped.extract()
    same_coins = frozenset(transaction.contested()) == frozenset(state.contested)
    if not (same_coins and state.terms.due.paid_by(transaction)):
        raise InvalidEvent("A raised fallback pays the same, from the same coins (M4).")
    if bumped.fee <= state.original.fee:
        raise InvalidEvent("A raised fallback pays a higher fee.")
    return bumped
