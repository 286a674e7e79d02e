"""The base of the two states in which only the chain can end the session (M3, M4)."""

from dataclasses import dataclass, replace
from typing import ClassVar, Self

from dovetail.bitcoin.psbt import Psbt
from dovetail.bitcoin.transaction import OutPoint, Transaction
from dovetail.bitcoin.units import UnixTime
from dovetail.errors import InvalidEvent, UsageError
from dovetail.protocol.settlement import Settlement, classify, sender_signatures
from dovetail.sessions import outcomes
from dovetail.sessions.other_payments import Receipts
from dovetail.sessions.outcomes import InputSignature, Outcome, cancelled, expired, hexes
from dovetail.sessions.reasons import Reason
from dovetail.sessions.receiver import events
from dovetail.sessions.receiver.base import WithPayload
from dovetail.sessions.receiver.closing import Closed, observed, paid_directly
from dovetail.sessions.receiver.events import ReceiverEvent
from dovetail.sessions.receiver.payload import Finalized
from dovetail.sessions.receiver.terms import Terms
from dovetail.sessions.settlement import Settling
from dovetail.sessions.transition import Transition

AT_ONCE = UnixTime(0)
UNPAYABLE = (Reason.COINS_GONE, Reason.FALLBACK_INVALID)
"""Why a fallback can never confirm."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Contested(WithPayload, Settling[ReceiverEvent, Terms, Closed]):
    """A fallback is held, and perhaps a proposal is out: at most one of them is paid.

    Also look at the address: a payment in full that spends no contested outpoint makes the
    fallback not owed (`record_payment`).
    """

    settles_here: ClassVar[bool] = False
    """Whether a spend of a contested outpoint can close it."""

    owed: bool
    """Whether the fallback is known to pay us and to spend only the sender's coins."""
    finalized: Finalized | None
    """The Proposal, which counts as in the sender's hands."""
    seen_spent: bool = False
    """Whether the fallback was broadcast, or a spend of a contested outpoint was seen."""
    fallback_broadcast: bool = False
    """Whether we broadcast the fallback: then we broadcast it again if it is evicted."""
    paid_by: tuple[str, ...] = ()
    """The transactions that paid the address in full without payjoin or fallback."""
    insisted: bool = False
    """Whether the caller requested the fallback after that payment was recorded."""

    @property
    def _known_at(self) -> int | None:
        return self.payload.known_at

    @property
    def proposal(self) -> Psbt | None:
        """The Proposal PSBT, if one may be out."""
        return None if self.finalized is None else self.finalized.psbt

    @property
    def payjoin_skeleton(self) -> Transaction | None:
        """The payjoin without the sender's signatures, if a proposal may be out."""
        return None if self.proposal is None else self.proposal.unsigned_transaction

    @property
    def exposed(self) -> tuple[OutPoint, ...]:
        """Our own coins in the proposal, if one may be out."""
        skeleton = self.payjoin_skeleton
        spent = () if skeleton is None else skeleton.contested()
        return tuple(outpoint for outpoint in spent if outpoint not in self.contested)

    @property
    def proposal_out(self) -> bool:
        """Whether the sender may hold a proposal, so that the fallback may double-spend it."""
        return self.finalized is not None

    @property
    def watched_until(self) -> UnixTime:
        """The expiration plus the grace: the session waits for a payjoin until then."""
        return UnixTime(self.created.expires_at + self.created.grace)

    @property
    def paid_twice(self) -> bool:
        """Whether the fallback would be a second payment, so that no policy broadcasts it."""
        return bool(self.paid_by) and not self.insisted

    @property
    def may_expire(self) -> bool:
        """Whether nothing is owed or under way, so that `expire` can end the session."""
        nothing_owed = self.released or not self.owed
        return nothing_owed and not (self.requested or self.proposal_out)

    def pays(self, spend: Transaction, received: Receipts | None = None) -> bool:
        """Whether the address has the amount asked for, once this transaction is in the chain.

        `received` is what other transactions paid to it.
        """
        brought = 0 if received is None else int(received.amount)
        return self._paid_by(spend) + brought >= (self.created.amount or 1)

    def settles(self, spend: Transaction) -> bool:
        """Whether this spend of a contested outpoint is the payment: nothing competes with it."""
        kind = classify(spend, payjoin=self.payjoin_skeleton, fallback=self.fallback_transaction)
        return kind is not Settlement.UNRECOGNIZED or self.pays(spend)

    def _rests_on_shallow(self, spend: Transaction, received: Receipts | None) -> bool:
        """Whether this spend pays in full only with others, which may still be replaced."""
        if received is None or self.settles(spend) or not self.pays(spend, received):
            return False
        return not received.counts_from(self.depth)

    def validate(self) -> None:
        """Parse again what the log holds; raises where it is not valid."""
        WithPayload.validate(self)
        _ = self.proposal

    def record_payment(
        self, received: Receipts, *, now: UnixTime
    ) -> Transition[ReceiverEvent, Self | Closed]:
        """Say that other transactions have paid the address in full.

        From then on the fallback is no longer owed, even if they vanish again: it is broadcast only
        if the caller requests it. Once they are deep enough the session closes as paid; with a
        proposal out, not before `watched_until`. For payjoin and fallback call `record_spend`.
        Raises `UsageError` for less than was asked for.
        """
        patient = self.proposal_out and now < self.watched_until
        if received.depth >= self.depth and not patient:
            return self._close(paid_directly(received, depth=self.depth))
        if self.paid_by:
            return self._stay()
        event = observed(received)
        return self._transition(event, self._on_observed_payment(event))

    def record_invalid(
        self, *, now: UnixTime, received: Receipts | None = None
    ) -> Transition[ReceiverEvent, Closed]:
        """End the session because its fallback is not validly signed.

        Raises `UsageError` with a proposal out before `watched_until`.
        """
        if self.proposal_out and now < self.watched_until:
            raise UsageError("A payment may still be made: watch the chain.")
        return self._close(cancelled(Reason.FALLBACK_INVALID, received))

    def expire(
        self, now: UnixTime, *, received: Receipts | None = None
    ) -> Transition[ReceiverEvent, Closed]:
        """End a session in which nothing is owed; raises `UsageError` before `watched_until`."""
        if not self.may_expire or now < self.watched_until:
            raise UsageError("A payment may still be made: watch the chain.")
        ended = (
            cancelled(Reason.CANCELLED_BY_US, received)
            if self.reason is Reason.CANCELLED_BY_US
            else expired(self.reason, received)
        )
        return self._close(ended)

    def _outcome(self, spend: Transaction, received: Receipts | None) -> Outcome:
        txid = str(spend.txid)
        proposal = self.proposal
        beside = 0 if received is None else int(received.amount)
        others = () if received is None else hexes(received.named)
        match classify(spend, payjoin=self.payjoin_skeleton, fallback=self.fallback_transaction):
            case Settlement.PAYJOIN if proposal is not None:
                signatures = tuple(
                    InputSignature(script_sig=script_sig, witness=witness)
                    for script_sig, witness in sender_signatures(spend, proposal)
                )
                return outcomes.Success(
                    txid=txid, signatures=signatures, beside=beside, others=others
                )
            case Settlement.FALLBACK if self._counts(spend):
                return outcomes.FallbackBroadcasted(
                    txid=txid, why=self._why_fallback, beside=beside, others=others
                )
            case _ if self.pays(spend, received):
                return self._paid_otherwise(spend, received)
            case _:
                amount = None if received is None else int(received.amount)
                return outcomes.Unrecognized(txid=txid, received=amount)

    def _paid_otherwise(self, spend: Transaction, received: Receipts | None) -> Outcome:
        """The outcome of a payment by this spend alone, or together with other transactions."""
        parts = () if received is None else hexes(received.txids)
        beyond = () if received is None else hexes(received.beyond)
        brought = self._paid_by(spend)
        total = brought + (0 if received is None else int(received.amount))
        if self.pays(spend):
            return outcomes.PaidDirectly(
                txid=str(spend.txid), received=total, beyond=(*parts, *beyond)
            )
        txids = [str(spend.txid), *parts] if brought else [*parts]
        first, *others = txids
        return outcomes.PaidDirectly(
            txid=first, others=tuple(others), received=total, beyond=beyond
        )

    @property
    def _why_fallback(self) -> Reason:
        if self.reason is None or self.reason is Reason.ORIGINAL_INPUTS_SPENT:
            return Reason.SENDER_CHOSE_FALLBACK  # what spent the coins was the fallback itself
        return self.reason

    def _counts(self, spend: Transaction) -> bool:
        """Whether the fallback is this session's payment.

        One that was refused because it does not pay us, or too little, may still be broadcast by
        its sender.
        """
        return self.owed or self.requested or self.fallback_broadcast or self.pays(spend)

    def _paid_by(self, spend: Transaction) -> int:
        script = self.address.script_pubkey
        return sum(int(out.value) for out in spend.outputs if out.script_pubkey == script)

    def _on_observed_payment(self, event: events.ObservedPayment) -> Self:
        if self.paid_by or not event.txids:
            raise InvalidEvent("A payment to the address is recorded once, with its transactions.")
        return replace(self, seq=self.seq + 1, paid_by=event.txids)

    def _ended(self, event: events.Closed) -> Closed:
        return self._become(Closed, outcome=event.outcome)

    def _may_end_as(self, outcome: Outcome) -> bool:
        match outcome:
            case outcomes.PaidDirectly():
                return True
            case outcomes.Cancelled(why=why) if why in UNPAYABLE:
                return True
            case outcomes.Cancelled():
                return self.may_expire or not (self.settles_here or self._under_way)
            case outcomes.Expired():
                return self.may_expire
            case outcomes.Success(signatures=signatures):
                return self.settles_here and self.proposal_out and bool(signatures)
            case outcomes.PayjoinProposalSent():
                return self.settles_here and self.proposal_out and not self.seen_spent
            case outcomes.Revoked():
                return self.released and self.proposal_out
            case _:  # the fallback, or something else in its place
                return self.settles_here

    @property
    def _may_be_paid(self) -> bool:
        return self.proposal_out or self.seen_spent or bool(self.paid_by)

    @property
    def _under_way(self) -> bool:
        return self._may_be_paid or self.requested
