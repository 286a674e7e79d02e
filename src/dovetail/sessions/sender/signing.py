"""The sender's state between a valid proposal and the wallet's signatures (BIP 78)."""

from dataclasses import dataclass, replace

from dovetail.bitcoin.psbt import Psbt
from dovetail.bitcoin.transaction import OutPoint, Transaction
from dovetail.bitcoin.units import UnixTime
from dovetail.errors import InvalidEvent, InvalidPsbt, ProposalRejected, UsageError
from dovetail.protocol.proposal import complete
from dovetail.protocol.settlement import Settlement
from dovetail.sessions.reasons import Reason
from dovetail.sessions.sender import events
from dovetail.sessions.sender.base import State
from dovetail.sessions.sender.closing import classify_spend, why_spent
from dovetail.sessions.sender.events import SenderEvent
from dovetail.sessions.sender.settling import PendingBroadcast, PendingFallback
from dovetail.sessions.transition import Transition


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ProposalReceived(State):
    """A proposal passed the checklist and waits for the wallet's signatures.

    It stays valid past the expiration: until it is signed, the user cancels, a signing deadline
    passes or a contested outpoint is spent.
    """

    proposal: Psbt

    @property
    def psbt_to_sign(self) -> Psbt:
        """The checked Proposal PSBT, with our own UTXO data; sign the `contested` inputs."""
        return self.proposal

    @property
    def inputs_to_sign(self) -> tuple[OutPoint, ...]:
        """The contested inputs; any other that the wallet might own was named by the receiver."""
        return self.contested

    @property
    def signing_deadline(self) -> UnixTime | None:
        """When the wallet must have signed; None: no deadline."""
        return self.terms.signing_deadline

    def record_signed(
        self, signed: Psbt, *, now: UnixTime | None = None
    ) -> Transition[SenderEvent, PendingBroadcast | PendingFallback]:
        """Take the wallet's signatures; broadcast the next state's `payjoin` once this is saved.

        `signed` is `psbt_to_sign` with the contested inputs signed, finalized or not. Only those
        inputs are taken from it. Where the signed transaction pays less than the fee rate that
        was demanded of the receiver, the fallback is owed. `now` is when its broadcast begins.
        Raises `UsageError` when the wallet
        signed another transaction, less than all of it, or not every input of ours.
        """
        if signed.unsigned_transaction != self.proposal.unsigned_transaction:
            raise UsageError(
                "The wallet signed another transaction; give it psbt_to_sign unchanged."
            )
        merged = self.proposal
        ours = frozenset(self.contested)
        for index, outpoint in enumerate(signed.unsigned_transaction.contested()):
            if outpoint in ours:
                merged = merged.with_input(index, signed.inputs[index])
        try:
            transaction = complete(self.proposal, merged.finalize(), params=self.terms.params)
        except InvalidPsbt as error:
            raise UsageError(
                "The wallet has not signed every input of ours; sign psbt_to_sign again."
            ) from error
        except ProposalRejected as rejection:
            return self._failed(Reason.PROPOSAL_BROKE_RULE, rejection.rule)
        return self._signed(transaction, now)

    def record_spend(
        self, spend: Transaction, *, now: UnixTime | None = None
    ) -> Transition[SenderEvent, PendingBroadcast | PendingFallback]:
        """A contested outpoint was seen spent: by the payjoin signed elsewhere, or otherwise.

        Raises `UsageError` when `spend` spends no contested outpoint.
        """
        self.terms.require_spend(spend)
        if self._is_payjoin(spend):
            return self._signed(spend, now)
        return self.fail(why_spent(self, spend, self.proposal))

    def cancel(self) -> Transition[SenderEvent, PendingFallback]:
        """Stop the payjoin; the payment is still owed, by the fallback."""
        event = events.Cancelled()
        return self._transition(event, self._on_cancelled(event))

    def request_fallback(self) -> Transition[SenderEvent, PendingFallback]:
        """Decide on the fallback: save it, then broadcast `fallback_transaction` (M4)."""
        event = events.FallbackRequested()
        return self._transition(event, self._on_fallback_requested(event))

    def fail(self, reason: Reason) -> Transition[SenderEvent, PendingFallback]:
        """Give up the payjoin, for instance because the wallet cannot sign it."""
        return self._failed(reason)

    def signing_deadline_passed(self, now: UnixTime) -> Transition[SenderEvent, PendingFallback]:
        """Give up an unsigned proposal; raises `UsageError` before the deadline or without one."""
        if self.signing_deadline is None or now < self.signing_deadline:
            raise UsageError("The signing deadline has not passed; cancel to end the payjoin.")
        event = events.SigningDeadlinePassed()
        return self._transition(event, self._on_signing_deadline_passed(event))

    def _is_payjoin(self, transaction: Transaction) -> bool:
        return classify_spend(self, transaction, self.proposal) is Settlement.PAYJOIN

    def _failed(
        self, reason: Reason, rule: str | None = None
    ) -> Transition[SenderEvent, PendingFallback]:
        event = events.ProtocolFailed(reason=reason, rule=rule)
        return self._transition(event, self._on_protocol_failed(event))

    def _signed(
        self, transaction: Transaction, now: UnixTime | None
    ) -> Transition[SenderEvent, PendingBroadcast]:
        event = events.SignedPayjoin(transaction=transaction.serialize(), at=now)
        return self._transition(event, self._on_signed_payjoin(event))

    def _on_signed_payjoin(self, event: events.SignedPayjoin) -> PendingBroadcast:
        transaction = Transaction.parse(event.transaction)
        if not self._is_payjoin(transaction):
            raise InvalidEvent("The signed transaction is not the proposal that was checked.")
        return PendingBroadcast(
            seq=self.seq + 1,
            terms=self.terms,
            proposal=self.proposal,
            payjoin=transaction,
            since=None if event.at is None else UnixTime(event.at),
        )

    def _on_fallback_requested(self, _event: events.FallbackRequested) -> PendingFallback:
        return replace(self._owe_fallback(Reason.FALLBACK_REQUESTED), requested=True)

    def _on_cancelled(self, _event: events.Cancelled) -> PendingFallback:
        return self._owe_fallback(Reason.CANCELLED_BY_US)

    def _on_protocol_failed(self, event: events.ProtocolFailed) -> PendingFallback:
        return self._owe_fallback(event.reason, event.rule)

    def _on_signing_deadline_passed(self, _event: events.SigningDeadlinePassed) -> PendingFallback:
        return self._owe_fallback(Reason.SIGNING_DEADLINE_PASSED)

    def _owe_fallback(self, reason: Reason, rule: str | None = None) -> PendingFallback:
        return PendingFallback(
            seq=self.seq + 1,
            terms=self.terms,
            reason=reason,
            rule=rule,
            original_out=True,
            proposal=self.proposal,
        )
