"""The receiver's checks of the Original PSBT, one state for each (BIP 78)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from dovetail.bitcoin.script import Script
from dovetail.bitcoin.transaction import OutPoint, Transaction, TxOut
from dovetail.bitcoin.units import FeeRate, UnixTime
from dovetail.errors import InvalidEvent
from dovetail.protocol.original import fee_rate, receiver_outputs
from dovetail.protocol.verification import Verdict
from dovetail.sessions.other_payments import Receipts
from dovetail.sessions.outcomes import cancelled, expired
from dovetail.sessions.reasons import Reason
from dovetail.sessions.receiver import events
from dovetail.sessions.receiver.closing import UNPAID_OUTCOMES, Closed, paid_directly
from dovetail.sessions.receiver.early_ends import Refusing, Stopping
from dovetail.sessions.receiver.events import ReceiverEvent
from dovetail.sessions.receiver.payload import Plan
from dovetail.sessions.receiver.proposing import WantsOutputs
from dovetail.sessions.receiver.replying import HasReplyableError
from dovetail.sessions.transition import Transition


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class UncheckedOriginalPayload(Refusing):
    """A sender sent an Original PSBT; next is whether it can be broadcast as it is.

    Also look at the address: if a plain payment has arrived, `refuse_as_paid`. And at
    `contested`: refuse one that is spent already, or rests on coins that are not confirmed
    where no person watches the session.
    """

    holds_fallback: ClassVar[bool] = False

    @property
    def transaction(self) -> Transaction:
        """The sender's own payment: ask a node whether it would accept it.

        Ask also for the outputs that `contested` name.
        """
        return self.payload.fallback_transaction

    @property
    def signatures(self) -> Verdict:
        """Whether the signatures hold, over what the Original says it spends.

        It is worked out once, at some cost for many inputs: ask for it in a thread first.
        """
        return self.payload.signatures

    def check_broadcast_suitability(
        self,
        accepted: bool,  # noqa: FBT001 - the answer to the one question this state asks
        *,
        tested: bool,
        spent: Mapping[OutPoint, TxOut],
        min_fee_rate: FeeRate | None = None,
        height: int | None = None,
    ) -> "Transition[ReceiverEvent, MaybeInputsOwned | HasReplyableError]":
        """Say what the chain source knows of `transaction`, which must pay at least `min_fee_rate`.

        `accepted`: whether the network would take it, as far as the source can tell. `tested`:
        whether the source had a node run its scripts and policy (`testmempoolaccept`); where it
        had not, what cannot be verified here is refused. `spent`: those of `contested`
        that exist, as the chain has them and not as the sender says, spent or not. `height`:
        that of the source's best block, asked for before.
        """
        reason = self._unsuitable(accepted, tested, spent, min_fee_rate)
        if reason is not None:
            return self.refuse(reason)
        return self._suitable(events.CheckedBroadcastSuitability(height=height))

    def _unsuitable(
        self,
        accepted: bool,  # noqa: FBT001 - as above
        tested: bool,  # noqa: FBT001 - as above
        spent: Mapping[OutPoint, TxOut],
        min_fee_rate: FeeRate | None,
    ) -> Reason | None:
        if not accepted:
            return Reason.ORIGINAL_NOT_BROADCASTABLE
        if not spent.keys() >= set(self.contested):
            return Reason.ORIGINAL_INPUTS_MISSING
        truly = [spent[outpoint] for outpoint in self.contested]
        if truly != list(self.original.utxos()):
            return Reason.ORIGINAL_INPUTS_MISSTATED
        if min_fee_rate is not None and fee_rate(self.original) < min_fee_rate:
            return Reason.ORIGINAL_NOT_BROADCASTABLE
        return self._unsigned(tested=tested)

    def _unsigned(self, *, tested: bool) -> Reason | None:
        """The fault of the signatures, if any: probing us must take a payment that is valid."""
        verdict = self.signatures
        if verdict is Verdict.INVALID:
            return Reason.ORIGINAL_SIGNATURE_INVALID
        if verdict is Verdict.UNVERIFIABLE and not tested:
            return Reason.ORIGINAL_NOT_VERIFIABLE
        return None

    def assume_interactive(
        self,
    ) -> "Transition[ReceiverEvent, MaybeInputsOwned | HasReplyableError]":
        """Skip the chain because a person approves each payment, so that nobody can probe.

        Signatures are verified all the same, over what the Original says it spends.
        """
        reason = self._unsigned(tested=True)
        if reason is not None:
            return self.refuse(reason)
        return self._suitable(events.CheckedBroadcastSuitability(interactive=True))

    def record_payment(self, received: Receipts) -> Transition[ReceiverEvent, Closed]:
        """Close because other transactions have paid the address in full."""
        return self._close(events.Closed(outcome=paid_directly(received, depth=self.created.depth)))

    def cancel(self, *, received: Receipts | None = None) -> Transition[ReceiverEvent, Closed]:
        """Close the session; nothing is owed yet. `received` is what the address had received."""
        return self._close(events.Closed(outcome=cancelled(Reason.CANCELLED_BY_US, received)))

    def expire(
        self, now: UnixTime, *, received: Receipts | None = None
    ) -> Transition[ReceiverEvent, Closed]:
        """Close the session; raises `UsageError` before the expiration."""
        self._require_expired(now)
        return self._close(events.Closed(outcome=expired(None, received)))

    def _suitable(
        self, event: events.CheckedBroadcastSuitability
    ) -> "Transition[ReceiverEvent, MaybeInputsOwned]":
        return self._transition(event, self._on_checked_broadcast_suitability(event))

    def _close(self, event: events.Closed) -> Transition[ReceiverEvent, Closed]:
        return self._transition(event, self._on_closed(event))

    def _on_checked_broadcast_suitability(
        self, event: events.CheckedBroadcastSuitability
    ) -> "MaybeInputsOwned":
        payload = replace(self.payload, known_at=event.height)
        return MaybeInputsOwned(seq=self.seq + 1, terms=self.terms, payload=payload)

    def _on_closed(self, event: events.Closed) -> Closed:
        if not isinstance(event.outcome, UNPAID_OUTCOMES):
            raise InvalidEvent("A session without a fallback cannot end like this (M3).")
        return Closed(seq=self.seq + 1, terms=self.terms, outcome=event.outcome)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class MaybeInputsOwned(Refusing, Stopping):
    """The Original is a fallback, held but not yet owed; next is whether it spends our coins."""

    owed: ClassVar[bool] = False

    @property
    def sender_scripts(self) -> tuple[Script, ...]:
        """The scripts the sender's inputs spend, as it says, in the order of `contested`."""
        return tuple(utxo.script_pubkey for utxo in self.original.utxos())

    def check_inputs_not_owned(
        self, owned: Collection[OutPoint]
    ) -> "Transition[ReceiverEvent, MaybeInputsSeen | HasReplyableError]":
        """Say which of `contested` the receiver's wallet owns; if any, the Original is refused.

        Ask the wallet by outpoint and do not trust the sender's data about them: else we could be
        tricked into signing away our own coins (BIP 78).
        """
        if not set(self.contested).isdisjoint(owned):
            return self.refuse(Reason.ORIGINAL_SPENDS_OUR_COINS)
        event = events.CheckedInputsNotOwned()
        return self._transition(event, self._on_checked_inputs_not_owned(event))

    def _on_checked_inputs_not_owned(
        self, _event: events.CheckedInputsNotOwned
    ) -> "MaybeInputsSeen":
        return MaybeInputsSeen(seq=self.seq + 1, terms=self.terms, payload=self.payload)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class MaybeInputsSeen(Refusing, Stopping):
    """Next is whether another session has seen one of the sender's inputs (P2)."""

    owed: ClassVar[bool] = False

    def check_no_inputs_seen_before(
        self, seen: Collection[OutPoint]
    ) -> "Transition[ReceiverEvent, OutputsUnknown | HasReplyableError]":
        """Say which of `contested` other sessions have seen; if any, the Original is refused (P2).

        Claim them in the store first, which answers this; a session's own are not `seen`.
        """
        if not set(self.contested).isdisjoint(seen):
            return self.refuse(Reason.ORIGINAL_INPUTS_SEEN_BEFORE)
        event = events.CheckedNoInputsSeenBefore()
        return self._transition(event, self._on_checked_no_inputs_seen_before(event))

    def _on_checked_no_inputs_seen_before(
        self, _event: events.CheckedNoInputsSeenBefore
    ) -> "OutputsUnknown":
        return OutputsUnknown(seq=self.seq + 1, terms=self.terms, payload=self.payload)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class OutputsUnknown(Refusing, Stopping):
    """Next is which of the Original's outputs are ours."""

    owed: ClassVar[bool] = False

    @property
    def output_scripts(self) -> tuple[Script, ...]:
        """The Original's output scripts, in order."""
        return tuple(output.script_pubkey for output in self.payload.fallback_transaction.outputs)

    def identify_receiver_outputs(
        self, owned: Collection[Script]
    ) -> Transition[ReceiverEvent, WantsOutputs | HasReplyableError]:
        """Say which of `output_scripts` are ours; this session's address must be among them.

        An Original that pays another address of ours could count for two sessions, and one that
        pays less than was asked for could count as full payment: both are refused. Once this is
        saved, the fallback is owed (M3).
        """
        indices = receiver_outputs(self.payload.fallback_transaction, owned)
        ours = self.address.script_pubkey
        paid = [self.payload.fallback_transaction.outputs[index] for index in indices]
        to_this = [output.value for output in paid if output.script_pubkey == ours]
        if not to_this:
            return self.refuse(Reason.ORIGINAL_DOES_NOT_PAY_US)
        if sum(to_this) < (self.created.amount or 0):
            return self.refuse(Reason.ORIGINAL_PAYS_TOO_LITTLE)
        event = events.IdentifiedReceiverOutputs(receiver_outputs=indices)
        return self._transition(event, self._on_identified_receiver_outputs(event))

    def _on_identified_receiver_outputs(
        self, event: events.IdentifiedReceiverOutputs
    ) -> WantsOutputs:
        return WantsOutputs(
            seq=self.seq + 1,
            terms=self.terms,
            payload=self.payload,
            plan=Plan(self.payload, event),
        )
