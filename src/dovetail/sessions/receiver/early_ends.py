"""The moves of each state between the Original and the Proposal: refuse, stop, fail, expire."""

from dataclasses import dataclass, replace
from typing import ClassVar

from dovetail.bitcoin.transaction import Transaction, Txid
from dovetail.bitcoin.units import UnixTime
from dovetail.errors import InvalidEvent
from dovetail.protocol.error_replies import ErrorReply
from dovetail.sessions.other_payments import Receipts
from dovetail.sessions.reasons import Reason
from dovetail.sessions.receiver import events
from dovetail.sessions.receiver.base import WithPayload
from dovetail.sessions.receiver.closing import observed
from dovetail.sessions.receiver.events import ReceiverEvent
from dovetail.sessions.receiver.payload import Finalized
from dovetail.sessions.receiver.replying import HasReplyableError, error_code
from dovetail.sessions.receiver.settling import Monitor, PendingFallback
from dovetail.sessions.transition import Transition


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Refusing(WithPayload):
    """States that may tell the sender there will be no payjoin."""

    holds_fallback: ClassVar[bool] = True
    """Whether the Original may be broadcast if the negotiation ends here."""
    owed: ClassVar[bool] = False
    """Whether the Original is known to pay us and to spend no coin of ours or another session."""

    def refuse(self, reason: Reason) -> Transition[ReceiverEvent, HasReplyableError]:
        """End the negotiation for this reason; the sender is told by the next state."""
        event = events.GotReplyableError(code=error_code(reason), reason=reason)
        return self._transition(event, self._on_got_replyable_error(event))

    def refuse_as_paid(self, txid: Txid) -> Transition[ReceiverEvent, HasReplyableError]:
        """End the negotiation because transaction `txid` has paid the address (M4)."""
        event = events.GotReplyableError(
            code=error_code(Reason.PAID_DIRECTLY), reason=Reason.PAID_DIRECTLY, paid_by=str(txid)
        )
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
            mark=self.payload.mark,
            refused=self.payload.refused,
        )


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Stopping(WithPayload):
    """States that hold a fallback, so that every early end leads to it (M3).

    Check `contested` and the address before coins are committed, and again before the proposal
    is signed and posted: save a spend of the former with `record_spend`, a full payment to the
    latter with `record_payment`. So no coin is shown for a payment that is dead or already made.
    """

    owed: ClassVar[bool] = False

    def settles(self, spend: Transaction) -> bool:
        """Whether this spend of a contested outpoint is the payment: nothing competes with it."""
        return self._pending(Reason.ORIGINAL_INPUTS_SPENT).settles(spend)

    def cancel(self) -> Transition[ReceiverEvent, PendingFallback]:
        """Stop the payjoin, not the payment."""
        event = events.Cancelled()
        return self._transition(event, self._on_cancelled(event))

    def fail(self, reason: Reason) -> Transition[ReceiverEvent, PendingFallback]:
        """Give up, where the payjoin cannot go on and the sender cannot be told."""
        event = events.ProtocolFailed(reason=reason)
        return self._transition(event, self._on_protocol_failed(event))

    def expire(self, now: UnixTime) -> Transition[ReceiverEvent, PendingFallback]:
        """Stop because the expiration has passed; raises `UsageError` before that."""
        self._require_expired(now)
        event = events.Expired()
        return self._transition(event, self._on_expired(event))

    def request_fallback(self) -> Transition[ReceiverEvent, PendingFallback]:
        """Stop the payjoin for the fallback: save it, then broadcast `fallback_transaction`.

        With a proposal in the sender's hands the two compete, and one of them is paid (M4).
        """
        event = events.FallbackRequested()
        return self._transition(event, self._on_fallback_requested(event))

    def record_spend(self, spend: Transaction) -> Transition[ReceiverEvent, Monitor]:
        """Say that this transaction, confirmed or not, spends a contested outpoint.

        The negotiation is over, and a proposal that is not posted is never sent. Raises
        `UsageError` if it spends none.
        """
        self.payload.require_spend(spend)
        event = events.ObservedSpend(txid=str(spend.txid))
        return self._transition(event, self._on_observed_spend(event))

    def record_payment(self, received: Receipts) -> Transition[ReceiverEvent, PendingFallback]:
        """Say that other transactions have paid the address in full: no proposal may leave (M4).

        Where the sender can be told, call `refuse_as_paid` instead. Raises `UsageError` for less
        than was asked for.
        """
        event = observed(received)
        return self._transition(event, self._on_observed_payment(event))

    def _on_fallback_requested(self, _event: events.FallbackRequested) -> PendingFallback:
        return replace(self._pending(Reason.FALLBACK_REQUESTED), requested=True)

    def _on_observed_spend(self, event: events.ObservedSpend) -> Monitor:
        pending = self._pending(Reason.ORIGINAL_INPUTS_SPENT)
        return replace(pending.watching(Txid.from_hex(event.txid)), seq=self.seq + 1)

    def _on_observed_payment(self, event: events.ObservedPayment) -> PendingFallback:
        if not event.txids:
            raise InvalidEvent("A payment to the address is recorded with its transactions.")
        return replace(self._pending(Reason.PAID_DIRECTLY), paid_by=event.txids)

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
