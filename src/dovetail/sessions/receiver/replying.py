"""An error the sender can act on, before the session goes on to its end (BIP 78, errors)."""

from dataclasses import dataclass, replace

from dovetail.bitcoin.transaction import Transaction, Txid
from dovetail.bitcoin.units import UnixTime
from dovetail.crypto.entropy import Entropy, system
from dovetail.errors import InvalidEvent, UsageError
from dovetail.protocol.error_replies import ErrorCode, ErrorReply
from dovetail.protocol.requests import OhttpContext, Request
from dovetail.sessions import outcomes
from dovetail.sessions.other_payments import Receipts
from dovetail.sessions.outcomes import Outcome
from dovetail.sessions.reasons import Reason
from dovetail.sessions.receiver import events
from dovetail.sessions.receiver.base import State
from dovetail.sessions.receiver.closing import Closed, observed, paid_directly
from dovetail.sessions.receiver.events import ReceiverEvent
from dovetail.sessions.receiver.payload import Payload, RefusedOriginal, ReplyTo
from dovetail.sessions.receiver.settling import Monitor, NoPayjoin, PendingFallback
from dovetail.sessions.transition import Transition

_CODES = {
    Reason.FEE_CAP: ErrorCode.NOT_ENOUGH_MONEY,
    Reason.ORIGINAL_VERSION_UNSUPPORTED: ErrorCode.VERSION_UNSUPPORTED,
    Reason.ORIGINAL_MALFORMED: ErrorCode.ORIGINAL_PSBT_REJECTED,
    Reason.ORIGINAL_NOT_BROADCASTABLE: ErrorCode.ORIGINAL_PSBT_REJECTED,
    Reason.ORIGINAL_INPUTS_MISSING: ErrorCode.ORIGINAL_PSBT_REJECTED,
    Reason.ORIGINAL_INPUTS_MISSTATED: ErrorCode.ORIGINAL_PSBT_REJECTED,
    Reason.ORIGINAL_SIGNATURE_INVALID: ErrorCode.ORIGINAL_PSBT_REJECTED,
    Reason.ORIGINAL_NOT_VERIFIABLE: ErrorCode.ORIGINAL_PSBT_REJECTED,
    Reason.ORIGINAL_SPENDS_OUR_COINS: ErrorCode.ORIGINAL_PSBT_REJECTED,
    Reason.ORIGINAL_INPUTS_SEEN_BEFORE: ErrorCode.ORIGINAL_PSBT_REJECTED,
    Reason.ORIGINAL_DOES_NOT_PAY_US: ErrorCode.ORIGINAL_PSBT_REJECTED,
    Reason.ORIGINAL_PAYS_TOO_LITTLE: ErrorCode.ORIGINAL_PSBT_REJECTED,
    Reason.ORIGINAL_UNCONFIRMED_INPUTS: ErrorCode.ORIGINAL_PSBT_REJECTED,
    Reason.ORIGINAL_INPUTS_SPENT: ErrorCode.ORIGINAL_PSBT_REJECTED,
    Reason.COINS_GONE: ErrorCode.ORIGINAL_PSBT_REJECTED,
}

_WORTHLESS = (
    Reason.ORIGINAL_SPENDS_OUR_COINS,
    Reason.ORIGINAL_INPUTS_SEEN_BEFORE,
    Reason.ORIGINAL_DOES_NOT_PAY_US,
    Reason.ORIGINAL_PAYS_TOO_LITTLE,
    Reason.ORIGINAL_INPUTS_SPENT,
    Reason.COINS_GONE,
)
"""The reasons that make an Original no valid payment, in any session."""


def error_code(reason: Reason) -> ErrorCode:
    """The code the sender is told for a reason; `unavailable` where it is not theirs to know."""
    return _CODES.get(reason, ErrorCode.UNAVAILABLE)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class HasReplyableError(State):
    """There will be no payjoin, and the sender is to be told why instead of polling on.

    Send what `reply` returns and save `process_reply`; over HTTP, answer with `v1_body` and save
    `record_replied`. If it cannot be sent, save `reply_failed`. Where `reopens` is true, save
    `dovetail.sessions.receiver.reopen` instead of these: the URI takes another payment.
    """

    reason: Reason
    error: ErrorReply
    reply_to: ReplyTo
    held: Payload | None
    """The Original, if it is a fallback; None where its broadcast was never in question."""
    owed: bool
    paid_by: str | None
    mark: bytes
    """The mark by which the Original is recognized if it comes again."""
    refused: tuple[RefusedOriginal, ...] = ()
    """The Originals that came before it and were refused."""

    @property
    def fallback_transaction(self) -> Transaction | None:
        """The sender's own payment; None where its broadcast was never in question."""
        return None if self.held is None else self.held.fallback_transaction

    @property
    def reopens(self) -> bool:
        """Whether its Original was no valid payment, so that another may still come.

        Anybody who has the URI can send one: it must not keep out the real sender (M4).
        """
        return self.held is None or (not self.owed and self.reason in _WORTHLESS)

    def validate(self) -> None:
        """Parse again what the log holds; raises where it is not valid."""
        State.validate(self)
        if self.held is not None:
            _ = self.held.fallback_transaction, self.held.params

    @property
    def v1_body(self) -> bytes:
        """The JSON body for a v1 sender who waits for an HTTP response."""
        return self.error.serialize()

    def reply(
        self, relay: str | None, *, now: UnixTime, entropy: Entropy = system
    ) -> tuple[Request, OhttpContext]:
        """The request that tells the sender; send it once, a retry calls `reply` again (P1).

        Without a relay it goes straight to the gateway. Raises `UsageError` when expired or when
        the sender waits for an HTTP response.
        """
        self._require_unexpired(now)
        body = self.error.serialize()
        return self.reply_to.post(body, body, self.terms, relay, entropy)

    def process_reply(
        self, body: bytes, context: OhttpContext
    ) -> Transition[ReceiverEvent, NoPayjoin]:
        """Read the directory's answer; raises `TransportError` where another try may help.

        Like each move that ends this state, it raises `UsageError` where the address was paid and
        no fallback is held: call `check_reply`, and `dovetail.sessions.receiver.reopen`.
        """
        self._require_settled()
        return self._replied() if self.check_reply(body, context) else self.reply_failed()

    def _require_settled(self) -> None:
        """Raise `UsageError` where the address was paid, at any depth: no fallback is held here.

        A payment that was only seen may still vanish, so no end may rest on it (M3).
        """
        if self.held is None and self.paid_by is not None:
            raise UsageError(
                "The payment to the address must confirm first: reopen the session, keep watching."
            )

    def _require_held(self) -> Payload:
        """The Original that is held as a fallback; raises `UsageError` where none is."""
        if self.held is None:
            raise UsageError("No payment is held that could be broadcast: wait for another.")
        return self.held

    def check_reply(self, body: bytes, context: OhttpContext) -> bool:
        """Whether the directory took the reply; raises `TransportError` as `process_reply` does."""
        return self.reply_to.accepted(context.open(body))

    def record_replied(self) -> Transition[ReceiverEvent, NoPayjoin]:
        """Say that `v1_body` is the HTTP response."""
        self.reply_to.require_http()
        return self._replied()

    def reply_failed(self) -> Transition[ReceiverEvent, NoPayjoin]:
        """Give up telling the sender."""
        self._require_settled()
        event = events.ReplyFailed()
        return self._transition(event, self._on_reply_failed(event))

    def cancel(self) -> Transition[ReceiverEvent, NoPayjoin]:
        """Stop without telling the sender."""
        self._require_settled()
        event = events.Cancelled()
        return self._transition(event, self._on_cancelled(event))

    def request_fallback(self) -> Transition[ReceiverEvent, PendingFallback]:
        """Decide on the fallback without telling the sender: save it, then broadcast it.

        Raises `UsageError` where none is held.
        """
        self._require_held()
        event = events.FallbackRequested()
        return self._transition(event, self._on_fallback_requested(event))

    def expire(self, now: UnixTime) -> Transition[ReceiverEvent, NoPayjoin]:
        """Stop because the sender has stopped polling; raises `UsageError` before that."""
        self._require_expired(now)
        self._require_settled()
        event = events.Expired()
        return self._transition(event, self._on_expired(event))

    def record_payment(self, received: Receipts) -> Transition[ReceiverEvent, NoPayjoin]:
        """Say that other transactions have paid the address in full.

        The session closes; if a fallback is held, it is not broadcast instead. Raises `UsageError`
        for less than was asked for.
        """
        if self.held is None:
            closed = events.Closed(outcome=paid_directly(received, depth=self.created.depth))
            return self._transition(closed, self._on_closed(closed))
        event = observed(received)
        return self._transition(event, self._on_observed_payment(event))

    def record_spend(self, spend: Transaction) -> Transition[ReceiverEvent, Monitor]:
        """Say that this transaction, confirmed or not, spends a contested outpoint.

        Raises `UsageError` if it spends none, or where no fallback is held.
        """
        self._require_held().require_spend(spend)
        event = events.ObservedSpend(txid=str(spend.txid))
        return self._transition(event, self._on_observed_spend(event))

    def _replied(self) -> Transition[ReceiverEvent, NoPayjoin]:
        self._require_settled()
        event = events.RepliedWithError()
        return self._transition(event, self._on_replied_with_error(event))

    def _on_replied_with_error(self, _event: events.RepliedWithError) -> NoPayjoin:
        return self._go_on(outcomes.Cancelled(why=self.reason))

    def _on_reply_failed(self, _event: events.ReplyFailed) -> NoPayjoin:
        return self._go_on(outcomes.Cancelled(why=self.reason))

    def _on_fallback_requested(self, _event: events.FallbackRequested) -> PendingFallback:
        insisted = self.paid_by is not None
        return replace(self._pending(), requested=True, insisted=insisted)

    def _on_observed_payment(self, event: events.ObservedPayment) -> PendingFallback:
        if self.paid_by is not None or not event.txids:
            raise InvalidEvent("A payment to the address is recorded once, with its transactions.")
        return replace(self._pending(), paid_by=event.txids)

    def _on_observed_spend(self, event: events.ObservedSpend) -> Monitor:
        pending = self._pending()
        return replace(pending.watching(Txid.from_hex(event.txid)), seq=self.seq + 1)

    def _on_cancelled(self, _event: events.Cancelled) -> NoPayjoin:
        return self._go_on(outcomes.Cancelled(why=self.reason))

    def _on_expired(self, _event: events.Expired) -> NoPayjoin:
        return self._go_on(outcomes.Expired())

    def _on_closed(self, event: events.Closed) -> Closed:
        if self.held is not None or not isinstance(event.outcome, outcomes.PaidDirectly):
            raise InvalidEvent("A session that owes a reply cannot end like this (M3).")
        return Closed(seq=self.seq + 1, terms=self.terms, outcome=event.outcome, reason=self.reason)

    def _go_on(self, outcome: Outcome) -> NoPayjoin:
        if self.held is None:
            if self.paid_by is not None:
                outcome = outcomes.PaidDirectly(txid=self.paid_by)
            return Closed(seq=self.seq + 1, terms=self.terms, outcome=outcome, reason=self.reason)
        return self._pending()

    def _pending(self) -> PendingFallback:
        if self.held is None:
            raise InvalidEvent("No payment is held here.")
        return PendingFallback(
            seq=self.seq + 1,
            terms=self.terms,
            payload=self.held,
            reason=self.reason,
            owed=self.owed,
            finalized=None,
            paid_by=() if self.paid_by is None else (self.paid_by,),
        )
