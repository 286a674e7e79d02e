"""The end of a session: what the chain shows, and a fallback in case (DESIGN: M3, M4)."""

from dataclasses import dataclass, replace
from typing import ClassVar, TypeAlias

from dovetail.bitcoin.psbt import Psbt
from dovetail.bitcoin.transaction import OutPoint, Transaction, Txid
from dovetail.bitcoin.units import UnixTime
from dovetail.errors import InvalidEvent, UsageError
from dovetail.protocol.settlement import Settlement, classify, rebuild, sender_signatures
from dovetail.sessions import outcomes
from dovetail.sessions.outcomes import InputSignature, Outcome
from dovetail.sessions.reasons import Reason
from dovetail.sessions.receiver import events
from dovetail.sessions.receiver.base import State, WithPayload
from dovetail.sessions.receiver.events import ReceiverEvent
from dovetail.sessions.receiver.payload import Finalized, Payload
from dovetail.sessions.transition import Transition

AT_ONCE = UnixTime(0)
ASKED_FOR = (
    "The ordinary payment was asked for already and may be on its way: it cannot be declined any"
    " more, and `resume` takes it."
)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Closed(State):
    """The session is over; `outcome` says how."""

    closed: ClassVar[bool] = True

    outcome: Outcome
    payload: Payload | None = None
    finalized: Finalized | None = None
    reason: Reason | None = None
    """What had stopped the payjoin before the end; None where nothing had."""

    @property
    def payjoin(self) -> Transaction | None:
        """The confirmed payjoin, rebuilt to be broadcast again; None if there was none."""
        if self.finalized is None or not isinstance(self.outcome, outcomes.Success):
            return None
        signatures = tuple((each.script_sig, each.witness) for each in self.outcome.signatures)
        return rebuild(self.finalized.psbt, signatures)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class _Contested(WithPayload):
    """What the states share in which only the chain can end the session."""

    reason: Reason | None
    """Why there is no payjoin so far; None while there may well be one."""
    owed: bool
    """Whether the fallback is known to pay us and to spend nobody else's coins."""
    finalized: Finalized | None
    """The Proposal, which counts as in the sender's hands."""
    seen_spent: bool = False
    """Whether the fallback was broadcast, or a spend of a contested outpoint was seen."""

    @property
    def contested(self) -> tuple[OutPoint, ...]:
        """The sender's inputs: watch them, for one transaction only can spend them."""
        return self.payload.fallback.contested()

    @property
    def fallback(self) -> Transaction:
        """The Original, ready to broadcast."""
        return self.payload.fallback

    @property
    def proposal(self) -> Psbt | None:
        """The Proposal PSBT, if one may be out."""
        return None if self.finalized is None else self.finalized.psbt

    @property
    def payjoin_skeleton(self) -> Transaction | None:
        """The payjoin without the sender's signatures, if a proposal may be out."""
        return None if self.proposal is None else self.proposal.unsigned_transaction

    @property
    def proposal_out(self) -> bool:
        """Whether the sender may hold a proposal, so that the fallback may double-spend it."""
        return self.finalized is not None

    @property
    def _end_of_grace(self) -> UnixTime:
        return UnixTime(self.created.expires_at + self.created.grace)

    def validate(self) -> None:
        """Read again what the log says; raises what is wrong with it."""
        WithPayload.validate(self)
        _ = self.proposal

    def _require_contested(self, spend: Transaction) -> None:
        """Raise `UsageError` unless `spend` spends a contested outpoint."""
        if not any(spend.spends(outpoint) is not None for outpoint in self.contested):
            raise UsageError(
                "This transaction spends none of the sender's inputs; look the spender up again."
            )


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PendingFallback(_Contested):
    """The negotiation is over and the fallback waits for a decision.

    Broadcast `fallback` and save `record_broadcast`, or save `release`; if someone spends a
    contested outpoint meanwhile, save `record_spend`.
    """

    requested: bool = False
    """Whether the fallback was decided on: nothing is asked again, and nothing released."""

    @property
    def due_at(self) -> UnixTime | None:
        """From when a policy may broadcast the fallback; None: only on the caller's word.

        0 is at once. While a proposal may be out it is the expiration plus the grace, and then
        only after looking for the payjoin (M4).
        """
        if self.requested:
            return AT_ONCE
        if not self.owed:
            return None
        return self._end_of_grace if self.proposal_out else AT_ONCE

    @property
    def may_end_unpaid(self) -> bool:
        """Whether `release` would close the session: before a broadcast, save that it is decided.

        Else another process could close it as unpaid at the very moment (M4).
        """
        return not (self._under_way or self.requested)

    def request_fallback(self) -> "Transition[ReceiverEvent, PendingFallback]":
        """The caller's word, or their standing policy's: save it, then broadcast `fallback`.

        A crash between forgets nothing, and said twice it changes nothing. From then on the
        fallback cannot be released, as it may be on its way (M4).
        """
        if self.requested:
            return Transition(None, self, seq=self.seq)
        event = events.FallbackRequested()
        return self._transition(event, self._on_fallback_requested(event))

    def record_broadcast(self, txid: Txid) -> "Transition[ReceiverEvent, Monitor]":
        """Say that the network took the fallback, or had it already.

        Raises `UsageError` if `txid` is another transaction's: that is for `record_spend`.
        """
        if txid != self.fallback.txid:
            raise UsageError("This is not the fallback's txid; record it as an observed spend.")
        event = events.BroadcastFallback(txid=str(txid))
        return self._transition(event, self._on_broadcast_fallback(event))

    def record_spend(self, spend: Transaction) -> "Transition[ReceiverEvent, Monitor]":
        """Say that this transaction, confirmed or not, spends a contested outpoint."""
        self._require_contested(spend)
        event = events.ObservedSpend(txid=str(spend.txid))
        return self._transition(event, self._on_observed_spend(event))

    def release(self) -> "Transition[ReceiverEvent, Monitor | Closed]":
        """Decline to broadcast the fallback; the sender still can.

        The session goes on watching if a payment may be under way, and closes otherwise (M3).
        Raises `UsageError` once the caller asked for the fallback.
        """
        if self.requested:
            raise UsageError(ASKED_FOR)
        if self._under_way:
            released = events.Released()
            return self._transition(released, self._on_released(released))
        event = events.Closed(outcome=outcomes.Cancelled(why=self._why))
        return self._transition(event, self._on_closed(event))

    @property
    def _under_way(self) -> bool:
        return self.proposal_out or self.seen_spent

    @property
    def _why(self) -> Reason:
        return self.reason or Reason.FALLBACK_REQUESTED

    def _on_fallback_requested(self, _event: events.FallbackRequested) -> "PendingFallback":
        if self.requested:
            raise InvalidEvent("A pending fallback is asked for once.")
        return replace(self, seq=self.seq + 1, requested=True)

    def _on_broadcast_fallback(self, event: events.BroadcastFallback) -> "Monitor":
        return self._monitor(expected=Txid.from_hex(event.txid), fallback_broadcast=True)

    def _on_observed_spend(self, event: events.ObservedSpend) -> "Monitor":
        return self._monitor(expected=Txid.from_hex(event.txid))

    def _on_released(self, _event: events.Released) -> "Monitor":
        if not self._under_way:
            raise InvalidEvent("A released session with nothing under way closes instead.")
        return self._monitor(released=True)

    def _on_closed(self, event: events.Closed) -> Closed:
        owed = self._under_way or self.requested
        if owed or not isinstance(event.outcome, outcomes.Cancelled):
            raise InvalidEvent("A pending fallback cannot end like this (M3).")
        return Closed(
            seq=self.seq + 1,
            terms=self.terms,
            payload=self.payload,
            outcome=event.outcome,
            reason=self.reason,
        )

    def _monitor(
        self,
        *,
        expected: Txid | None = None,
        fallback_broadcast: bool = False,
        released: bool = False,
    ) -> "Monitor":
        return Monitor(
            seq=self.seq + 1,
            terms=self.terms,
            payload=self.payload,
            reason=self.reason,
            owed=self.owed,
            finalized=self.finalized,
            seen_spent=self.seen_spent or expected is not None,
            expected=expected,
            fallback_broadcast=fallback_broadcast,
            released=released,
            requested=self.requested and not released,
        )


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Monitor(_Contested):
    """A payment is, or may be, under way: watch `contested` until one of them is spent for good.

    Save `record_settlement` whenever the chain shows a spend; `fallback_due` once it says so.
    """

    released: bool = False
    """Whether the caller declined the fallback: no policy broadcasts it any more."""
    expected: Txid | None = None
    """The transaction that was broadcast or seen last; None while only a proposal is out."""
    fallback_broadcast: bool = False
    """Whether the fallback was broadcast from here: then it is again, should it be evicted."""
    requested: bool = False
    """Whether the caller asked for the fallback: should the spend go, it is not asked for again."""

    @property
    def depth(self) -> int:
        """How many confirmations make a payment final."""
        return self.created.depth

    @property
    def due_at(self) -> UnixTime | None:
        """From when `fallback_due` may be called; None: only `request_fallback` can help."""
        if self.requested:
            return AT_ONCE
        return self._end_of_grace if self.owed and not self.released else None

    def fallback_due(self, now: UnixTime) -> Transition[ReceiverEvent, PendingFallback]:
        """Go on to the fallback, once expiration and grace have passed without a payjoin.

        Look for a spend of `contested` first. Raises `UsageError` before `due_at`.
        """
        if self.due_at is None or now < self.due_at:
            raise UsageError("The fallback is not due; wait, or request it in so many words.")
        event = events.FallbackDue()
        return self._transition(event, self._on_fallback_due(event))

    def request_fallback(self) -> Transition[ReceiverEvent, PendingFallback]:
        """Go on to the fallback on the caller's word; it may double-spend a payjoin under way."""
        event = events.FallbackRequested()
        return self._transition(event, self._on_fallback_requested(event))

    def cancel(self) -> Transition[ReceiverEvent, PendingFallback]:
        """Give the payjoin up, though the sender may hold the proposal and can still broadcast it.

        Raises `UsageError` once a payment was seen or broadcast, and after a release.
        """
        event = events.Cancelled()
        try:
            successor = self._on_cancelled(event)
        except InvalidEvent as error:
            raise UsageError(
                "A payment is on its way already, or was declined: request the fallback instead."
            ) from error
        return self._transition(event, successor)

    def record_settlement(
        self, spend: Transaction, depth: int
    ) -> "Transition[ReceiverEvent, Monitor | Closed]":
        """Say that a transaction spends a contested outpoint, and how deep it is in the chain.

        Below the configured depth nothing changes. Raises `UsageError` if it spends none.
        """
        self._require_contested(spend)
        if depth < self.depth:
            return Transition(None, self, seq=self.seq)
        event = events.Closed(outcome=self._outcome(spend))
        return self._transition(event, self._on_closed(event))

    def record_unobservable(self) -> Transition[ReceiverEvent, Closed]:
        """End the session because the chain source can tell nothing about the payment.

        Raises `UsageError` unless a proposal is all that is out.
        """
        event = events.Closed(outcome=outcomes.PayjoinProposalSent())
        try:
            successor = self._on_closed(event)
        except InvalidEvent as error:
            raise UsageError(
                "Something else than a proposal is under way: watch the chain."
            ) from error
        return self._transition(event, successor)

    def _outcome(self, spend: Transaction) -> Outcome:
        txid = str(spend.txid)
        proposal = self.proposal
        payjoin = None if proposal is None else proposal.unsigned_transaction
        match classify(spend, payjoin=payjoin, fallback=self.fallback):
            case Settlement.PAYJOIN if proposal is not None:
                signatures = tuple(
                    InputSignature(script_sig=script_sig, witness=witness)
                    for script_sig, witness in sender_signatures(spend, proposal)
                )
                return outcomes.Success(txid=txid, signatures=signatures)
            case Settlement.FALLBACK if self._counts(spend):
                why = self.reason or Reason.SENDER_CHOSE_FALLBACK
                return outcomes.FallbackBroadcasted(txid=txid, why=why)
            case _ if self._pays_us(spend):
                return outcomes.PaidDirectly(txid=txid)
            case _:
                return outcomes.Unrecognized(txid=txid)

    def _counts(self, spend: Transaction) -> bool:
        """Whether the fallback is this session's payment.

        One that was refused because it does not pay, or too little, may still be broadcast by its
        sender.
        """
        return self.owed or self.fallback_broadcast or self._pays_us(spend)

    def _pays_us(self, spend: Transaction) -> bool:
        paid = sum(
            output.value
            for output in spend.outputs
            if output.script_pubkey == self.address.script_pubkey
        )
        return paid >= (self.created.amount or 1)

    def _on_fallback_due(self, _event: events.FallbackDue) -> PendingFallback:
        if self.due_at is None:
            raise InvalidEvent("This fallback never falls due by itself.")
        return self._pending(Reason.FALLBACK_DUE, requested=self.requested)

    def _on_fallback_requested(self, _event: events.FallbackRequested) -> PendingFallback:
        return self._pending(Reason.FALLBACK_REQUESTED, requested=True)

    def _on_cancelled(self, _event: events.Cancelled) -> PendingFallback:
        if self.seen_spent or self.released:
            raise InvalidEvent("A payment that was seen or declined can no longer be cancelled.")
        return self._pending(Reason.CANCELLED_BY_US, requested=False)

    def _pending(self, reason: Reason, *, requested: bool) -> PendingFallback:
        return PendingFallback(
            seq=self.seq + 1,
            terms=self.terms,
            payload=self.payload,
            reason=self.reason or reason,
            owed=self.owed,
            finalized=self.finalized,
            seen_spent=self.seen_spent,
            requested=requested,
        )

    def _on_closed(self, event: events.Closed) -> Closed:
        match event.outcome:
            case outcomes.Success(signatures=signatures):
                valid = self.proposal_out and bool(signatures)
            case outcomes.PayjoinProposalSent():
                valid = self.proposal_out and not self.seen_spent
            case outcomes.FallbackBroadcasted() | outcomes.Unrecognized() | outcomes.PaidDirectly():
                valid = True
            case _:
                valid = False
        if not valid:
            raise InvalidEvent("A watched payment cannot end like this (M3).")
        return Closed(
            seq=self.seq + 1,
            terms=self.terms,
            payload=self.payload,
            finalized=self.finalized,
            outcome=event.outcome,
            reason=self.reason,
        )


NoPayjoin: TypeAlias = PendingFallback | Closed
"""Where a session without a payjoin goes on: Closed if it holds no fallback."""
