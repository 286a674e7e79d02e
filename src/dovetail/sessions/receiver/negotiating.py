"""What every state between the Original and the Proposal can do: refuse, stop, fail, expire."""

from dataclasses import dataclass
from typing import ClassVar

from dovetail.bitcoin.units import UnixTime
from dovetail.protocol.replies import ErrorReply
from dovetail.sessions.reasons import Reason
from dovetail.sessions.receiver import events
from dovetail.sessions.receiver.base import WithPayload
from dovetail.sessions.receiver.events import ReceiverEvent
from dovetail.sessions.receiver.payload import Finalized
from dovetail.sessions.receiver.replying import HasReplyableError, error_code
from dovetail.sessions.receiver.settling import PendingFallback
from dovetail.sessions.transition import Transition


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Refusing(WithPayload):
    """States that may tell the sender there will be no payjoin."""

    holds_fallback: ClassVar[bool] = True
    """Whether the Original may be broadcast if the negotiation ends here."""
    owed: ClassVar[bool] = False
    """Whether it is known to pay us and to touch neither our coins nor another session's."""

    def refuse(self, reason: Reason) -> Transition[ReceiverEvent, HasReplyableError]:
        """End the negotiation for this reason; the sender is told by the next state."""
        event = events.GotReplyableError(code=error_code(reason), reason=reason)
        return self._transition(event, self._on_got_replyable_error(event))

    def _on_got_replyable_error(self, event: events.GotReplyableError) -> HasReplyableError:
        return HasReplyableError(
            seq=self.seq + 1,
            terms=self.terms,
            reason=event.reason,
            error=ErrorReply(event.code, event.supported),
            reply_to=self.payload.reply_to,
            held=self.payload if self.holds_fallback else None,
            owed=self.owed,
            paid_by=event.paid_by,
        )


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Stopping(WithPayload):
    """States that hold a fallback, so that every early end leads to it (M3)."""

    owed: ClassVar[bool] = False

    def cancel(self) -> Transition[ReceiverEvent, PendingFallback]:
        """Stop the payjoin, not the payment."""
        event = events.Cancelled()
        return self._transition(event, self._on_cancelled(event))

    def fail(self, reason: Reason) -> Transition[ReceiverEvent, PendingFallback]:
        """Give up where nothing helps any more and the sender cannot be told."""
        event = events.ProtocolFailed(reason=reason)
        return self._transition(event, self._on_protocol_failed(event))

    def expire(self, now: UnixTime) -> Transition[ReceiverEvent, PendingFallback]:
        """Stop because the expiration has passed; raises `UsageError` before that."""
        self._require_expired(now)
        event = events.Expired()
        return self._transition(event, self._on_expired(event))

    def _on_cancelled(self, _event: events.Cancelled) -> PendingFallback:
        return self._pending(Reason.CANCELLED_BY_US)

    def _on_protocol_failed(self, event: events.ProtocolFailed) -> PendingFallback:
        return self._pending(event.reason)

    def _on_expired(self, _event: events.Expired) -> PendingFallback:
        return self._pending(Reason.EXPIRED_BEFORE_REPLY)

    def _pending(self, reason: Reason) -> PendingFallback:
        return PendingFallback(
            seq=self.seq + 1,
            terms=self.terms,
            payload=self.payload,
            reason=reason,
            owed=self.owed,
            finalized=self._proposal_out,
        )

    @property
    def _proposal_out(self) -> Finalized | None:
        return None
