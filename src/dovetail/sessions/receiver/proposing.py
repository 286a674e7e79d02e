"""From the Original to the Proposal: our outputs, our inputs, the fee, our signatures (BIP 78)."""

from base64 import b64encode
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from dovetail.bitcoin.psbt import Psbt
from dovetail.bitcoin.script import Script
from dovetail.bitcoin.transaction import OutPoint, Transaction, TxOut
from dovetail.bitcoin.units import FeeRate, UnixTime
from dovetail.crypto.entropy import Entropy, system
from dovetail.errors import FeeTooHigh, PayloadTooLarge
from dovetail.protocol.coin import Coin, PlacedCoin
from dovetail.protocol.coin_selection import select_coins
from dovetail.protocol.contribution import commit_outputs, finalize, place_coins
from dovetail.protocol.draft import Draft
from dovetail.protocol.fees import apply_fees
from dovetail.protocol.requests import OhttpContext, Request
from dovetail.sessions.reasons import Reason
from dovetail.sessions.receiver import events
from dovetail.sessions.receiver.base import WithPayload
from dovetail.sessions.receiver.early_ends import Refusing, Stopping
from dovetail.sessions.receiver.events import CommittedCoin, ReceiverEvent
from dovetail.sessions.receiver.payload import Finalized, Plan
from dovetail.sessions.receiver.replying import HasReplyableError
from dovetail.sessions.receiver.settling import Monitor, PendingFallback
from dovetail.sessions.transition import Transition


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class _Drafting(Refusing, Stopping):
    owed: ClassVar[bool] = True

    plan: Plan

    @property
    def draft(self) -> Draft:
        """The proposal so far."""
        return self.plan.draft

    def validate(self) -> None:
        """Parse again what the log holds; raises where it is not valid."""
        WithPayload.validate(self)
        _ = self.plan.draft


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class WantsOutputs(_Drafting):
    """The Original pays us, so the fallback is owed; next are the payjoin's outputs."""

    def commit_outputs(
        self,
        replacement: Sequence[TxOut] | None = None,
        drain_script: Script | None = None,
        *,
        entropy: Entropy = system,
    ) -> Transition[ReceiverEvent, "WantsInputs"]:
        """Keep our outputs, or replace them where the sender allows output substitution.

        `drain_script` names which of ours takes change and pays fees. Raises `UsageError` as
        `dovetail.protocol.contribution.commit_outputs` does.
        """
        draft = commit_outputs(
            self.draft, replacement=replacement, drain_script=drain_script, entropy=entropy
        )
        event = events.CommittedOutputs(
            outputs=tuple(
                (int(output.value), bytes(output.script_pubkey)) for output in draft.outputs
            ),
            drain=draft.drain,
        )
        return self._transition(event, self._on_committed_outputs(event))

    def _on_committed_outputs(self, event: events.CommittedOutputs) -> "WantsInputs":
        plan = replace(self.plan, outputs=event)
        return WantsInputs(seq=self.seq + 1, terms=self.terms, payload=self.payload, plan=plan)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class WantsInputs(_Drafting):
    """The outputs are fixed; next are the coins that we contribute."""

    def select_coins(
        self, candidates: Collection[Coin], *, entropy: Entropy = system
    ) -> tuple[Coin, ...]:
        """The coins that best hide which input is whose; empty if none is usable."""
        return select_coins(self.draft, candidates, entropy=entropy)

    def commit_inputs(
        self, coins: Collection[Coin], *, entropy: Entropy = system
    ) -> Transition[ReceiverEvent, "WantsFeeRange"]:
        """Add these coins at random places; reserve them first, for no other session (P3).

        Raises `UsageError` for coins that do not fit and `PayloadTooLarge` where the proposal
        would overrun a message: choose others, or `refuse`.
        """
        draft = place_coins(self.draft, coins, entropy=entropy)
        event = events.CommittedInputs(
            coins=tuple(_committed(placed) for placed in draft.inputs),
            drain_value=int(draft.outputs[draft.drain].value),
        )
        return self._transition(event, self._on_committed_inputs(event))

    def cannot_contribute(
        self, reason: Reason = Reason.NO_COINS_TO_CONTRIBUTE
    ) -> Transition[ReceiverEvent, HasReplyableError]:
        """End the negotiation because the wallet has no coin to add."""
        return self.refuse(reason)

    def _on_committed_inputs(self, event: events.CommittedInputs) -> "WantsFeeRange":
        plan = replace(self.plan, inputs=event)
        return WantsFeeRange(seq=self.seq + 1, terms=self.terms, payload=self.payload, plan=plan)


def _committed(placed: PlacedCoin) -> CommittedCoin:
    coin = placed.coin
    return CommittedCoin(
        outpoint=str(coin.outpoint),
        position=placed.position,
        value=int(coin.utxo.value),
        script=bytes(coin.utxo.script_pubkey),
        exposed=coin.exposed,
        fields=coin.psbt_input.map.entries,
    )


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class WantsFeeRange(_Drafting):
    """Our coins are committed; next is the fee of the payjoin."""

    def apply_fee_range(
        self,
        min_fee_rate: FeeRate,
        max_fee_rate: FeeRate,
        *,
        relay_fee_rate: FeeRate = FeeRate.RELAY_MIN,
    ) -> "Transition[ReceiverEvent, ProvisionalProposal | HasReplyableError]":
        """Pay for the added weight, from the sender's contribution first, then from our drain.

        `max_fee_rate` caps what we pay for our own inputs and outputs; above it the sender is
        told `not-enough-money`. `relay_fee_rate` is the lowest rate that our node relays: it is met
        to the satoshi, `min_fee_rate` but for rounding.
        """
        try:
            draft = apply_fees(
                self.draft,
                min_fee_rate=min_fee_rate,
                max_fee_rate=max_fee_rate,
                relay_fee_rate=relay_fee_rate,
            )
        except FeeTooHigh:
            return self.refuse(Reason.FEE_CAP)
        event = events.AppliedFeeRange(values=tuple(int(output.value) for output in draft.outputs))
        return self._transition(event, self._on_applied_fee_range(event))

    def _on_applied_fee_range(self, event: events.AppliedFeeRange) -> "ProvisionalProposal":
        return ProvisionalProposal(
            seq=self.seq + 1,
            terms=self.terms,
            payload=self.payload,
            plan=replace(self.plan, fees=event),
        )


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ProvisionalProposal(_Drafting):
    """The transaction is complete but for our signatures."""

    @property
    def psbt_to_sign(self) -> Psbt:
        """Have the wallet sign and finalize `inputs_to_sign` in this, and change nothing."""
        return self.draft.psbt()

    @property
    def inputs_to_sign(self) -> tuple[OutPoint, ...]:
        """Our own inputs; any other that the wallet might own was named by the sender."""
        return tuple(placed.coin.outpoint for placed in self.draft.inputs)

    def finalize_proposal(
        self, signed: Psbt
    ) -> "Transition[ReceiverEvent, PayjoinProposal | HasReplyableError]":
        """Take our signatures and nothing else from what the wallet signed.

        Once saved, our coins count as exposed and the proposal as in the sender's hands (M4).
        One too large for its channel becomes an error for the sender. Raises `UsageError` when
        the wallet changed anything else or left an input unsigned.
        """
        try:
            psbt = finalize(self.draft, signed).serialize()
        except PayloadTooLarge:
            return self.refuse(Reason.PROPOSAL_TOO_LARGE)
        capacity = self.payload.reply_to.capacity(self.terms)
        if len(psbt) > capacity:
            return self.refuse(Reason.PROPOSAL_TOO_LARGE)
        event = events.FinalizedProposal(psbt=psbt, checksum=events.checksum_of(psbt))
        return self._transition(event, self._on_finalized_proposal(event))

    def cannot_sign(self) -> Transition[ReceiverEvent, HasReplyableError]:
        """End the negotiation because the wallet cannot sign."""
        return self.refuse(Reason.WALLET_CANNOT_SIGN)

    def _on_finalized_proposal(self, event: events.FinalizedProposal) -> "PayjoinProposal":
        events.require_checksum(event.psbt, event.checksum)
        return PayjoinProposal(
            seq=self.seq + 1,
            terms=self.terms,
            payload=self.payload,
            finalized=Finalized(event, self.payload),
        )


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PayjoinProposal(Stopping):
    """The Proposal is signed and counts as in the sender's hands, posted or not.

    Send what `post` returns and save `process_post`; over HTTP, answer with `v1_body` and save
    `record_posted`.
    """

    owed: ClassVar[bool] = True

    finalized: Finalized

    @property
    def proposal(self) -> Psbt:
        """The Proposal PSBT as the sender gets it."""
        return self.finalized.psbt

    def validate(self) -> None:
        """Parse again what the log holds; raises where it is not valid."""
        WithPayload.validate(self)
        _ = self.finalized.psbt

    @property
    def payjoin_skeleton(self) -> Transaction:
        """The payjoin without the sender's signatures."""
        return self.proposal.unsigned_transaction

    @property
    def txid_is_stable(self) -> bool:
        """Whether the payjoin's txid is known already: that of `payjoin_skeleton` (BIP 141).

        It is unknown where an input of either party needs a script_sig, which the txid covers.
        """
        inputs = (*self.original.inputs, *self.proposal.inputs)
        return not any(psbt_input.final_script_sig for psbt_input in inputs)

    @property
    def v1_body(self) -> bytes:
        """The Proposal in base64, for a v1 sender who waits for an HTTP response."""
        return b64encode(self.proposal.serialize())

    def post(
        self, relay: str | None, *, now: UnixTime, entropy: Entropy = system
    ) -> tuple[Request, OhttpContext]:
        """The request that carries the proposal; send it once, a retry calls `post` again (P1).

        Without a relay it goes straight to the gateway. Raises `UsageError` when expired or when
        the sender waits for an HTTP response.
        """
        self._require_unexpired(now)
        psbt = self.proposal.serialize()
        return self.payload.reply_to.post(psbt, b64encode(psbt), self.terms, relay, entropy)

    def process_post(
        self, body: bytes, context: OhttpContext
    ) -> Transition[ReceiverEvent, Monitor | PendingFallback]:
        """Read the directory's answer; raises `TransportError` where another try may help.

        `PendingFallback` says that a v1 sender is gone for good.
        """
        if self.payload.reply_to.accepted(context.open(body)):
            return self._posted()
        return self.fail(Reason.SENDER_GONE)

    def record_posted(self) -> Transition[ReceiverEvent, Monitor]:
        """Say that `v1_body` is the HTTP response; whether it arrives is never known."""
        self.payload.reply_to.require_http()
        return self._posted()

    def _posted(self) -> Transition[ReceiverEvent, Monitor]:
        event = events.PostedPayjoinProposal()
        return self._transition(event, self._on_posted_payjoin_proposal(event))

    def _on_posted_payjoin_proposal(self, _event: events.PostedPayjoinProposal) -> Monitor:
        return Monitor(
            seq=self.seq + 1,
            terms=self.terms,
            payload=self.payload,
            reason=None,
            owed=self.owed,
            finalized=self.finalized,
        )

    @property
    def _proposal_out(self) -> Finalized | None:
        return self.finalized
