"""The sender's states from the signed payjoin, or the owed fallback, to the end (BIP 77).

Payjoin and fallback spend the same inputs, so at most one of them can confirm (M4). The session
closes on what the chain shows, or where nothing ever left and the user declined (M3).
"""

from collections.abc import Collection
from dataclasses import dataclass, replace

from dovetail.bitcoin.psbt import Psbt
from dovetail.bitcoin.transaction import Transaction, Txid
from dovetail.bitcoin.units import UnixTime
from dovetail.errors import InvalidEvent, UsageError
from dovetail.protocol.settlement import Settlement
from dovetail.sessions import outcomes
from dovetail.sessions.coin_presence import Presence
from dovetail.sessions.outcomes import Outcome
from dovetail.sessions.reasons import Reason
from dovetail.sessions.sender import events
from dovetail.sessions.sender.base import State
from dovetail.sessions.sender.closing import Closed, are_gone, classify_spend, why_spent
from dovetail.sessions.sender.contested import Contested, make_bump, read_bump
from dovetail.sessions.sender.events import SenderEvent
from dovetail.sessions.sender.terms import Terms
from dovetail.sessions.sender.watched import Watched
from dovetail.sessions.settlement import HoldsFallback, Watches
from dovetail.sessions.transition import Transition


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PendingBroadcast(State):
    """The payjoin is signed: broadcast it, again and again until the network has taken it."""

    proposal: Psbt
    payjoin: Transaction
    since: UnixTime | None = None
    """From when it is broadcast; None in logs that are older than this field."""
    looked: Presence | None = None
    """The presence of its coins as recorded before it was dropped; None: nothing."""

    def record_broadcast(self, txid: Txid) -> Transition[SenderEvent, "Monitor"]:
        """The network took the payjoin; "already known" counts. `txid` must be the payjoin's."""
        if txid != self.payjoin.txid:
            raise UsageError("This is not the txid of the payjoin; broadcast `payjoin` unchanged.")
        return self._broadcast()

    def record_spend(
        self, spend: Transaction
    ) -> Transition[SenderEvent, "Monitor | PendingFallback"]:
        """A contested outpoint was seen spent: by the payjoin, or by something else.

        Raises `UsageError` when `spend` spends no contested outpoint.
        """
        self.terms.require_spend(spend)
        return self.refused(spends=(spend,))

    def refused(
        self, *, spends: Collection[Transaction]
    ) -> Transition[SenderEvent, "Monitor | PendingFallback"]:
        """The network refused the payjoin; `spends` are the spends of contested outpoints, if any.

        Check the chain before you call: an input may be missing because the payjoin itself has
        confirmed, which is no failure (M4). Transactions in `spends` that spend no contested
        outpoint are ignored.
        """
        rivals = [spend for spend in spends if self.terms.spent_by(spend)]
        if any(
            classify_spend(self, spend, self.proposal) is Settlement.PAYJOIN for spend in rivals
        ):
            return self._broadcast()
        if rivals:
            return self.fail(why_spent(self, rivals[0], self.proposal))
        return self.fail(Reason.PAYJOIN_REFUSED_BY_NETWORK)

    def fail(self, reason: Reason) -> Transition[SenderEvent, "PendingFallback"]:
        """Give up the payjoin; it may be on its way, and then competes with the fallback (M4)."""
        event = events.ProtocolFailed(reason=reason)
        return self._transition(event, self._on_protocol_failed(event))

    def request_fallback(self) -> Transition[SenderEvent, "PendingFallback"]:
        """Decide on the fallback: save it, then broadcast `fallback_transaction` (M4)."""
        event = events.FallbackRequested()
        return self._transition(event, self._on_fallback_requested(event))

    def _broadcast(self) -> Transition[SenderEvent, "Monitor"]:
        event = events.BroadcastPayjoin()
        return self._transition(event, self._on_broadcast_payjoin(event))

    def _on_broadcast_payjoin(self, _event: events.BroadcastPayjoin) -> "Monitor":
        return Monitor(
            seq=self.seq + 1,
            terms=self.terms,
            proposal=self.proposal,
            payjoin=self.payjoin,
            expected=self.payjoin.txid,
            looked=self.looked,
        )

    def _on_protocol_failed(self, event: events.ProtocolFailed) -> "PendingFallback":
        return self._owe_fallback(event.reason)

    def _on_fallback_requested(self, _event: events.FallbackRequested) -> "PendingFallback":
        return replace(self._owe_fallback(Reason.FALLBACK_REQUESTED), requested=True)

    def _owe_fallback(self, reason: Reason) -> "PendingFallback":
        return PendingFallback(
            seq=self.seq + 1,
            terms=self.terms,
            reason=reason,
            original_out=True,
            proposal=self.proposal,
            payjoin=self.payjoin,
            looked=self.looked,
        )


@dataclass(frozen=True, kw_only=True, repr=False)
class PendingFallback(Contested, HoldsFallback[SenderEvent, Terms, Closed, "Monitor"]):
    """No payjoin will be made here: broadcast `fallback_transaction`, or have the user release it.

    `original_out` says that the receiver may hold the Original PSBT and can broadcast it too:
    the sender can prevent that only by spending an input elsewhere. The coins stay reserved
    until the session is closed.
    """

    reason: Reason
    original_out: bool

    @property
    def _may_be_paid(self) -> bool:
        return self.original_out

    def bump(self, original: Psbt) -> Transition[SenderEvent, "PendingFallback"]:
        """Pay by `original`, signed, which pays the same for a higher fee, as the user decided.

        Save it, then broadcast `fallback_transaction`. It spends the same coins, so at most one of
        the two is ever paid (M4). Raises `UsageError` where it is not such a payment.
        """
        event = make_bump(self, original)
        return self._transition(event, self._on_fallback_bumped(event))

    def record_broadcast(self, txid: Txid) -> Transition[SenderEvent, "Monitor"]:
        """The network took the fallback; "already known" counts. `txid` must be the fallback's."""
        self._require_fallback(txid)
        event = events.BroadcastFallback()
        return self._transition(event, self._on_broadcast_fallback(event))

    def _on_broadcast_fallback(self, _event: events.BroadcastFallback) -> "Monitor":
        return self._watch(expected=self.fallback_transaction.txid)

    def _on_fallback_bumped(self, event: events.FallbackBumped) -> "PendingFallback":
        bumped = read_bump(self, event)
        return replace(self, seq=self.seq + 1, requested=True, bumped=bumped)

    def _on_released(self, event: events.Released) -> "Monitor":
        if self.requested:
            raise InvalidEvent("A fallback that was requested cannot be released.")
        return super()._on_released(event)

    def _may_end_as(self, outcome: Outcome) -> bool:
        # M3: no transaction that anyone else could broadcast may be left behind.
        return are_gone(outcome) or (
            isinstance(outcome, outcomes.Cancelled) and self.may_end_unpaid
        )

    def _watch(self, **changes: object) -> "Monitor":
        return self._become(Monitor, **changes)


@dataclass(frozen=True, kw_only=True, repr=False)
class Monitor(Watched, Watches[SenderEvent, Terms, Closed, PendingFallback]):
    """A payment is, or may be, on its way; one that is dropped is made again or owed again."""

    def payjoin_dropped(
        self, *, now: UnixTime | None = None
    ) -> Transition[SenderEvent, "PendingBroadcast | PendingFallback"]:
        """The payjoin was evicted or reorganised away, and nothing else spends its inputs.

        It is broadcast again. Where the negotiation had been given up before the payjoin was seen,
        the fallback is owed instead. Raises `UsageError` where no payjoin was expected.
        """
        if self.payjoin is None or self.expected != self.payjoin.txid:
            raise UsageError(
                "The payjoin is not what this session expected last; request the fallback."
            )
        if self.reason is not None:
            return self.spend_dropped()
        event = events.PayjoinDropped(at=now)
        return self._transition(event, self._on_payjoin_dropped(event))

    def spend_dropped(self) -> Transition[SenderEvent, "PendingFallback"]:
        """The spend that was seen was evicted or reorganised away: the fallback is owed again.

        A fallback that the user requested stays requested; else it has to be decided again.
        """
        event = events.SpendDropped()
        return self._transition(event, self._on_spend_dropped(event))

    def bump(self, original: Psbt) -> Transition[SenderEvent, "PendingFallback"]:
        """As `PendingFallback.bump`: it replaces the unconfirmed transaction, even the payjoin."""
        event = make_bump(self, original)
        return self._transition(event, self._on_fallback_bumped(event))

    def _on_payjoin_dropped(self, event: events.PayjoinDropped) -> "PendingBroadcast":
        if self.proposal is None or self.payjoin is None or self.reason is not None:
            raise InvalidEvent("A payjoin that was not broadcast cannot have been dropped.")
        return PendingBroadcast(
            seq=self.seq + 1,
            terms=self.terms,
            proposal=self.proposal,
            payjoin=self.payjoin,
            since=None if event.at is None else UnixTime(event.at),
            looked=self.looked,
        )

    def _on_spend_dropped(self, _event: events.SpendDropped) -> "PendingFallback":
        return self._owe_fallback(Reason.FALLBACK_REQUESTED)

    def _on_fallback_bumped(self, event: events.FallbackBumped) -> "PendingFallback":
        bumped = read_bump(self, event)
        return self._owe_fallback(Reason.FALLBACK_REQUESTED, requested=True, bumped=bumped)

    def _owe_fallback(self, reason: Reason, **changes: object) -> PendingFallback:
        reset = {"reason": self.reason or reason, "released": False, "original_out": True}
        return self._become(PendingFallback, **(reset | changes))
