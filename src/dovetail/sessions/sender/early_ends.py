"""The moves of each state before the receiver's answer: cancel, fail, expire, fall back."""

from dataclasses import dataclass, replace
from typing import ClassVar

from dovetail.bitcoin.units import UnixTime
from dovetail.sessions.reasons import Reason
from dovetail.sessions.sender import events
from dovetail.sessions.sender.base import State
from dovetail.sessions.sender.events import SenderEvent
from dovetail.sessions.sender.settling import PendingFallback
from dovetail.sessions.transition import Transition


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Stopping(State):
    """States in which the payjoin can be given up, which leads to the fallback (M3)."""

    _expiry: ClassVar[Reason] = Reason.EXPIRED_BEFORE_POSTING
    _left: ClassVar[bool] = True
    """Whether the receiver may hold the Original PSBT."""

    def cancel(self) -> Transition[SenderEvent, PendingFallback]:
        """Stop the payjoin, not the payment, which is still to be decided.

        The receiver may hold it already, unless the session is still `WithReplyKey`.
        """
        event = events.Cancelled()
        return self._transition(event, self._on_cancelled(event))

    def request_fallback(self) -> Transition[SenderEvent, PendingFallback]:
        """Decide on the fallback: save it, then broadcast `fallback_transaction` (M4)."""
        event = events.FallbackRequested()
        return self._transition(event, self._on_fallback_requested(event))

    def fail(self, reason: Reason) -> Transition[SenderEvent, PendingFallback]:
        """Give the payjoin up, for instance because no relay is left to try."""
        event = events.ProtocolFailed(reason=reason)
        return self._transition(event, self._on_protocol_failed(event))

    def expire(self, now: UnixTime) -> Transition[SenderEvent, PendingFallback]:
        """Give up at the expiration; raises `UsageError` before."""
        self._require_expired(now)
        event = events.Expired()
        return self._transition(event, self._on_expired(event))

    def _on_cancelled(self, _event: events.Cancelled) -> PendingFallback:
        return self._owe_fallback(Reason.CANCELLED_BY_US)

    def _on_fallback_requested(self, _event: events.FallbackRequested) -> PendingFallback:
        return replace(self._owe_fallback(Reason.FALLBACK_REQUESTED), requested=True)

    def _on_protocol_failed(self, event: events.ProtocolFailed) -> PendingFallback:
        return self._owe_fallback(event.reason, event.rule)

    def _on_expired(self, _event: events.Expired) -> PendingFallback:
        return self._owe_fallback(self._expiry)

    def _owe_fallback(self, reason: Reason, rule: str | None = None) -> PendingFallback:
        return PendingFallback(
            seq=self.seq + 1,
            terms=self.terms,
            reason=reason,
            rule=rule,
            original_out=self._left,
        )
