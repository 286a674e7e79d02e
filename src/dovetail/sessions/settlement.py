"""The settlement: what both roles do once their negotiation is over (ADR 0052, M3, M4).

A fallback is held. It may have been requested, or released. Its coins, the contested outpoints, are
watched until one transaction that spends them is deep enough. Payjoin and fallback both spend them,
so the chain takes one at most. A session closes only on what the chain shows, or where nothing is
under way and the user declines.

`Settling` is the base of both states. `HoldsFallback` waits for a decision about the fallback;
`Watches` follows what was broadcast or seen. A role adds its own facts and says what may end it.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection
from dataclasses import dataclass, fields, replace
from typing import Any, Generic, Self, TypeVar, cast

from dovetail.actions import Action
from dovetail.bitcoin.psbt import Psbt
from dovetail.bitcoin.transaction import OutPoint, Transaction, Txid
from dovetail.errors import InvalidEvent, UsageError
from dovetail.sessions import ending_events as events
from dovetail.sessions.coin_presence import Presence
from dovetail.sessions.ending_events import EndingEvent
from dovetail.sessions.other_payments import Receipts
from dovetail.sessions.outcomes import Outcome, cancelled
from dovetail.sessions.reasons import Reason
from dovetail.sessions.state import EventT, NextT, SessionState, TermsT
from dovetail.sessions.transition import Transition

ClosedT = TypeVar("ClosedT", bound=SessionState[Any, Any])
PendingT = TypeVar("PendingT", bound="HoldsFallback[Any, Any, Any, Any]")
MonitorT = TypeVar("MonitorT", bound="Watches[Any, Any, Any, Any]")

REQUESTED = (
    "The ordinary payment was requested already and may be on its way: it cannot be declined any"
    " more."
)


@dataclass(frozen=True, kw_only=True, repr=False)
class Settling(SessionState[EventT, TermsT], ABC, Generic[EventT, TermsT, ClosedT]):
    """A fallback is held, and only the chain or the user can end the session."""

    reason: Reason | None
    """Why there is no payjoin so far; None while there may well be one."""
    requested: bool = False
    """Whether the fallback was decided on, so that it cannot be released any more."""
    released: bool = False
    """Whether the user declined the fallback: no policy broadcasts it any more."""
    looked: Presence | None = None
    """The presence of the coins by later checks; None: as when they were first checked."""

    @property
    @abstractmethod
    def fallback_transaction(self) -> Transaction:
        """The transaction that pays without a payjoin."""

    @property
    @abstractmethod
    def original(self) -> Psbt:
        """The signed PSBT of the fallback."""

    @property
    @abstractmethod
    def contested(self) -> tuple[OutPoint, ...]:
        """The sender's inputs, which payjoin and fallback both spend."""

    @property
    @abstractmethod
    def _known_at(self) -> int | None:
        """The best block's height when the coins were known to exist; None: not checked."""

    @abstractmethod
    def _may_end_as(self, outcome: Outcome) -> bool:
        """Whether the session may close like this: the one check before money is given up (M3)."""

    @property
    def depth(self) -> int:
        """How many confirmations make a payment final."""
        return self.terms.depth

    @property
    def coins(self) -> Presence:
        """Whether the payment's coins still exist, as recorded in the log."""
        return Presence.known(self._known_at) if self.looked is None else self.looked

    def require_spend(self, transaction: Transaction) -> None:
        """Raise `UsageError` unless `transaction` spends a contested outpoint."""
        require_spend(self.contested, transaction)

    def record_coins(self, *, missing: bool, height: int) -> Transition[EventT, Self]:
        """Say whether a coin of the payment is missing, that is, in neither mempool nor block.

        `height` is that of the source's best block; no answer does not mean that a coin is missing.
        Only news is recorded, and nothing from a source that is behind what was known before.
        """
        if not self.coins.is_news(missing=missing, height=height):
            return self._stay()
        if missing:
            missed = events.CoinsMissed(height=height)
            return self._move(missed, self._on_coins_missed(missed))
        found = events.CoinsFound(height=height)
        return self._move(found, self._on_coins_found(found))

    def record_gone(
        self, *, height: int, received: Receipts | None = None
    ) -> Transition[EventT, ClosedT]:
        """End the session because a coin of the payment has been missing for long (M3).

        Check first whether the network would still take `fallback_transaction`. `received` is what
        a receiver's address has received. Raises `UsageError` until the coin was missing for as
        many blocks as the session's depth, and at least six.
        """
        if not self.coins.are_gone(height, depth=self.depth):
            raise UsageError("The payment's coins may come back: keep watching.")
        return self._close(cancelled(Reason.COINS_GONE, received))

    def _on_coins_missed(self, event: events.CoinsMissed) -> Self:
        return replace(self, seq=self.seq + 1, looked=self.coins.missed(event.height))

    def _on_coins_found(self, event: events.CoinsFound) -> Self:
        return replace(self, seq=self.seq + 1, looked=self.coins.found(event.height))

    def _on_closed(self, event: events.Closed) -> ClosedT:
        if not self._may_end_as(event.outcome):
            raise InvalidEvent("A session that holds a fallback cannot end like this (M3).")
        return self._ended(event)

    @abstractmethod
    def _ended(self, event: events.Closed) -> ClosedT:
        """The closed state."""

    def _close(self, outcome: Outcome) -> Transition[EventT, ClosedT]:
        event = events.Closed(outcome=outcome)
        return self._move(event, self._on_closed(event))

    def _move(self, event: EndingEvent, successor: NextT) -> Transition[EventT, NextT]:
        # Every ending event is a member of both roles' unions.
        return self._transition(cast("EventT", event), successor)

    def _stay(self) -> Transition[EventT, Self]:
        return Transition(None, self, seq=self.seq)

    def _become(self, successor: type[NextT], **changes: object) -> NextT:
        """The next state: the fields that both states have are copied, save for these changes."""
        names = {each.name for each in fields(self)} & {each.name for each in fields(successor)}
        facts: dict[str, Any] = {name: getattr(self, name) for name in names}
        facts.update(changes, seq=self.seq + 1)
        return successor(**facts)


@dataclass(frozen=True, kw_only=True, repr=False)
class HoldsFallback(Settling[EventT, TermsT, ClosedT], Generic[EventT, TermsT, ClosedT, MonitorT]):
    """The negotiation is over and the fallback waits for a decision.

    Broadcast `fallback_transaction` and save `record_broadcast`, or save `release`. If someone
    spends a contested outpoint meanwhile, save `record_spend`.
    """

    @property
    @abstractmethod
    def _may_be_paid(self) -> bool:
        """Whether a transaction may be under way, or another party can broadcast one."""

    @abstractmethod
    def record_broadcast(self, txid: Txid) -> Transition[EventT, MonitorT]:
        """Say that the network took the fallback, or had it already.

        Raises `UsageError` if `txid` is another transaction's: that is for `record_spend`.
        """

    @abstractmethod
    def _watch(self, **changes: object) -> MonitorT:
        """The state that watches the chain, with these changes."""

    @property
    def may_end_unpaid(self) -> bool:
        """Whether `release` would close the session: then save the request before you broadcast.

        Else another process could close the session as unpaid at that moment (M4).
        """
        return not (self._may_be_paid or self.requested)

    @property
    def _word_stands(self) -> bool:
        """Whether the fallback was requested, and nothing has made that request void."""
        return self.requested

    def request_fallback(self) -> Transition[EventT, Self]:
        """Decide on the fallback: save it, then broadcast `fallback_transaction`.

        A crash between the two loses nothing, and a second call changes nothing. From then on the
        fallback cannot be released, as it may be on its way (M4).
        """
        if self._word_stands:
            return self._stay()
        event = events.FallbackRequested()
        return self._move(event, self._on_fallback_requested(event))

    def record_spend(self, spend: Transaction) -> Transition[EventT, MonitorT]:
        """Say that this transaction, confirmed or not, spends a contested outpoint.

        Raises `UsageError` if it spends none.
        """
        self.require_spend(spend)
        event = events.ObservedSpend(txid=str(spend.txid))
        return self._move(event, self._on_observed_spend(event))

    def release(
        self, *, spends: Collection[Transaction], received: Receipts | None = None
    ) -> Transition[EventT, MonitorT | ClosedT]:
        """Decline to broadcast the fallback. Ask the user first: it stops no payment already sent.

        Check the chain before you call. `spends` are the known spends of contested outpoints, if
        any: such a spend is watched instead, as a crash may have hidden our own broadcast (M4).
        `received` is what a receiver's address has received. Where nothing may be under way, the
        session closes as `Cancelled` and its coins are free; else it keeps watching, and the other
        party can still take the payment. Raises `UsageError` once the fallback was requested.
        """
        for spend in spends:
            if spends_one_of(self.contested, spend):
                return self.record_spend(spend)
        if self.requested:
            raise UsageError(REQUESTED, actions=(Action.RESUME,))
        if self._may_be_paid:
            event = events.Released()
            return self._move(event, self._on_released(event))
        return self._close(cancelled(self.reason or Reason.FALLBACK_REQUESTED, received))

    def _require_fallback(self, txid: Txid) -> None:
        """Raise `UsageError` unless this is the fallback's id."""
        if txid != self.fallback_transaction.txid:
            raise UsageError(
                "This is not the txid of the fallback: broadcast `fallback_transaction` unchanged,"
                " and record any other transaction as an observed spend."
            )

    def _on_fallback_requested(self, _event: events.FallbackRequested) -> Self:
        if self._word_stands:
            raise InvalidEvent("A pending fallback is requested once.")
        return replace(self, seq=self.seq + 1, requested=True)

    def _on_observed_spend(self, event: events.ObservedSpend) -> MonitorT:
        return self._watch(expected=Txid.from_hex(event.txid))

    def _on_released(self, _event: events.Released) -> MonitorT:
        if not self._may_be_paid:
            raise InvalidEvent("A released session with nothing under way closes instead.")
        return self._watch(expected=None, released=True, requested=False)


@dataclass(frozen=True, kw_only=True, repr=False)
class Watches(Settling[EventT, TermsT, ClosedT], Generic[EventT, TermsT, ClosedT, PendingT]):
    """A payment is, or may be, under way: watch `contested` until one of them is spent for good.

    Save `record_settlement` whenever the chain shows a spend.
    """

    reason: Reason | None = None
    expected: Txid | None = None
    """The transaction that was broadcast or seen last; None while none was."""

    @abstractmethod
    def _owe_fallback(self, reason: Reason, **changes: object) -> PendingT:
        """The state that holds the fallback; `reason` is for a session that had none."""

    def request_fallback(self) -> Transition[EventT, PendingT]:
        """Go on to the fallback, as the user decided; it may replace a payjoin under way.

        Save it, then broadcast `fallback_transaction`: a crash between the two loses nothing.
        """
        event = events.FallbackRequested()
        return self._move(event, self._on_fallback_requested(event))

    def _on_fallback_requested(self, _event: events.FallbackRequested) -> PendingT:
        return self._owe_fallback(Reason.FALLBACK_REQUESTED, requested=True)


def spends_one_of(contested: Collection[OutPoint], transaction: Transaction) -> bool:
    """Whether `transaction` spends one of these outpoints."""
    return any(transaction.spends(outpoint) is not None for outpoint in contested)


def require_spend(contested: Collection[OutPoint], transaction: Transaction) -> None:
    """Raise `UsageError` unless `transaction` spends one of these outpoints."""
    if not spends_one_of(contested, transaction):
        raise UsageError(
            "This transaction spends none of the sender's inputs; look the spender up again."
        )
