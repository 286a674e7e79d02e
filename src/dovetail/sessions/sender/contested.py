"""What the two states share in which only the chain can end the session (M3, M4)."""

from dataclasses import dataclass, replace
from typing import Self

from dovetail.bitcoin.psbt import Psbt
from dovetail.bitcoin.transaction import Transaction
from dovetail.errors import InvalidEvent, UsageError
from dovetail.sessions import outcomes
from dovetail.sessions.coin_presence import Presence
from dovetail.sessions.reasons import Reason
from dovetail.sessions.sender import events
from dovetail.sessions.sender.base import State
from dovetail.sessions.sender.closing import Closed
from dovetail.sessions.sender.events import SenderEvent
from dovetail.sessions.transition import Transition


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Contested(State):
    """What both states know in which the fallback may be on its way."""

    reason: Reason | None
    """Why there is no payjoin; None while there may well be one."""
    rule: str | None = None
    proposal: Psbt | None = None
    payjoin: Transaction | None = None
    requested: bool = False
    """Whether the fallback was decided on: nothing is asked again, and nothing released."""
    bumped: Psbt | None = None
    """The fallback with its fee raised, which is broadcast instead of the first."""
    looked: Presence | None = None
    """What later looks at the coins have changed; None: as when the session began."""

    @property
    def coins(self) -> Presence:
        """Whether the payment's coins are still there, as far as was recorded."""
        return Presence.known(self.created.height) if self.looked is None else self.looked

    @property
    def depth(self) -> int:
        """How many confirmations settle the session."""
        return self.created.depth

    @property
    def original(self) -> Psbt:
        """The signed fallback, as it is broadcast: the Original PSBT unless its fee was raised."""
        return self.terms.original if self.bumped is None else self.bumped

    @property
    def fallback_transaction(self) -> Transaction:
        """The transaction that pays without a payjoin, with its fee raised where it was."""
        return self.terms.fallback_transaction if self.bumped is None else self.bumped.extract()

    def record_coins(self, *, missing: bool, height: int) -> Transition[SenderEvent, Self]:
        """Say whether a coin of the payment exists no more, neither in the mempool nor in a block.

        `height` is that of the source's best block; what it does not answer is no absence. Only
        what is new is noted, and nothing of a source that is behind what was known before.
        """
        if not self.coins.is_news(missing=missing, height=height):
            return Transition(None, self, seq=self.seq)
        if missing:
            missed = events.CoinsMissed(height=height)
            return self._transition(missed, self._on_coins_missed(missed))
        found = events.CoinsFound(height=height)
        return self._transition(found, self._on_coins_found(found))

    def record_gone(self, *, height: int) -> "Transition[SenderEvent, Closed]":
        """End the session because a coin of the payment has been missed for long (M3).

        Look once more whether the network would take `fallback_transaction`. Raises `UsageError`
        before that was so for as many blocks as the session's depth, and for six.
        """
        if not self.coins.are_gone(height, depth=self.depth):
            raise UsageError("The payment's coins may come back: go on looking.")
        event = events.Closed(outcome=outcomes.Cancelled(why=Reason.COINS_GONE))
        return self._transition(event, self._ended(event))

    def _on_coins_missed(self, event: events.CoinsMissed) -> Self:
        return replace(self, seq=self.seq + 1, looked=self.coins.missed(event.height))

    def _on_coins_found(self, event: events.CoinsFound) -> Self:
        return replace(self, seq=self.seq + 1, looked=self.coins.found(event.height))

    def _ended(self, event: events.Closed) -> "Closed":
        return Closed(
            seq=self.seq + 1,
            terms=self.terms,
            outcome=event.outcome,
            reason=self.reason,
            rule=self.rule,
            proposal=self.proposal,
            payjoin=self.payjoin,
            bumped=self.bumped,
        )


def require_decided(event: events.FallbackRequested) -> None:
    """Raise `InvalidEvent` unless the user asked for it: nothing had been broadcast before."""
    if not event.decided:
        raise InvalidEvent("What was never broadcast is asked for by its user.")


def make_bump(state: Contested, original: Psbt) -> events.FallbackBumped:
    """What raises the fallback's fee to that of `original`; raises `UsageError`."""
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
