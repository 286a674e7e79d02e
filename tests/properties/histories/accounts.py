"""What must be true of Bob's sessions at one store, whatever they did (M3 to P3)."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.properties.histories.actor import Actor
from tests.properties.histories.ledger import require
from tests.properties.histories.people import BOBS
from tests.properties.histories.surplus import beyond, require_told, told_as_too_much

from dovetail.bitcoin import OutPoint, Sats, Script, Transaction
from dovetail.explain.session import explain
from dovetail.protocol import Coin, Settlement, classify
from dovetail.runtime.chain_queries import Look, look_at
from dovetail.runtime.late_payments import late_payments
from dovetail.sessions import outcomes, receiver
from dovetail.sessions.reasons import Reason
from dovetail.stores.memory import MemoryStore

AMOUNT = Sats(50_000)

OFFERING = (receiver.WantsFeeRange, receiver.ProvisionalProposal, receiver.PayjoinProposal)


@dataclass
class Till:
    """One store, the coins of one wallet, and every session at it."""

    store: MemoryStore = field(default_factory=MemoryStore)
    coins: tuple[Coin, ...] = BOBS
    sessions: list[Any] = field(default_factory=list)

    def check(self) -> None:
        """P2 and P3, over all sessions as they stand."""
        disjoint(
            "P2", (each.claimed() for each in self.sessions), "an input passed in two sessions"
        )
        live = [each for each in self.sessions if not each.state.closed]
        disjoint("P3", (each.offered() for each in live), "a coin is in two live sessions")


def disjoint(rule: str, groups: Iterable[Iterable[OutPoint]], what: str) -> None:
    seen: set[OutPoint] = set()
    for group in groups:
        mine = set(group)
        require(rule, seen.isdisjoint(mine), what)
        seen |= mine


class Accounts(Actor):
    """What a receiver's session claims, holds and offers, and when that breaks a rule."""

    role = receiver
    till: Till
    script: Script

    def claimed(self) -> tuple[OutPoint, ...]:
        """The sender inputs that this session took for its own (P2)."""
        passed = [s for s in self.states if isinstance(s, receiver.OutputsUnknown)]
        return tuple(outpoint for state in passed for outpoint in state.contested)

    @property
    def held(self) -> Transaction | None:
        """The Original that the session can broadcast, or could before it was closed."""
        state = self.states[-2] if self.state.closed and len(self.states) > 1 else self.state
        if isinstance(state, receiver.UncheckedOriginalPayload):
            return None
        payload = getattr(state, "held", None) or getattr(state, "payload", None)
        return None if payload is None else payload.fallback_transaction

    @property
    def contested(self) -> tuple[OutPoint, ...]:
        return () if self.held is None else self.held.contested()

    def offered(self) -> tuple[OutPoint, ...]:
        """The coins that a sender may be shown, or was (P3)."""
        out = isinstance(self.state, OFFERING) or "FinalizedProposal" in self.tags
        committed = [s for s in self.states if isinstance(s, receiver.WantsFeeRange)]
        if not committed or not out:
            return ()
        return tuple(placed.coin.outpoint for placed in committed[-1].draft.inputs)

    def look(self) -> Look:
        """What the chain source shows of this session, as the runtime looks."""
        payload = getattr(self.state, "held", None) or getattr(self.state, "payload", None)
        skeleton = getattr(self.state, "payjoin_skeleton", None)
        contested = () if payload is None else payload.fallback_transaction.contested()
        shown = () if skeleton is None else skeleton.contested()
        ours = [tx for tx in (payload and payload.fallback_transaction, skeleton) if tx is not None]
        return look_at(
            self.world.chain,  # type: ignore[arg-type] # of a chain source it has what is asked
            script=self.script,
            asked=AMOUNT,
            contested=contested,
            exposed=[outpoint for outpoint in shown if outpoint not in contested],
            own=[tx.txid for tx in ours],
        )

    @property
    def declined(self) -> bool:
        return isinstance(self.state, receiver.Closed) and isinstance(
            self.states[-2], receiver.PendingFallback
        )

    def moved(self) -> None:
        self.till.check()
        if self.state.closed:
            self._check_end(self.state)

    def _check_end(self, state: receiver.Closed) -> None:
        """M3, from the log, the chain and the user alone."""
        before, outcome, chain = self.states[-2], state.outcome, self.world.chain
        spend = chain.deepest(self.contested)
        final = spend is not None and spend[1] >= chain.depth
        pending = isinstance(before, receiver.PendingFallback)
        declined = pending and not before.proposal_out
        decided = pending and before.requested
        match outcome:
            case outcomes.PaidDirectly():
                require("M3", self._brought(deep=True) >= AMOUNT, "closed before it was paid")
            case outcomes.Cancelled(why=Reason.COINS_GONE):
                gone = not all(map(chain.exists, self.contested))
                require("M3", gone, "closed though its coins are there")
            case outcomes.Revoked():
                require("M3", before.released, "closed a payment that was never declined")
            case _:
                idle = getattr(before, "may_expire", False)
                over = not self.contested or final or declined or idle
                require("M3", over, "closed while a payment was open")
                require("M4", final or not decided, "declined what was decided on")
        if isinstance(outcome, outcomes.Unrecognized | outcomes.Revoked | outcomes.Expired):
            require("told", self._brought(deep=True) < AMOUNT, "what paid is told as unpaid")
        if final and spend is not None and hasattr(outcome, "txid"):
            self._check_told(state, spend[0])
        require("coins", not self._holds(), "a session that is over holds a coin")
        self._check_surplus(state)

    def _check_surplus(self, state: receiver.Closed) -> None:
        """What came beside the payment by the end is told with it; what still competes is not."""
        chain = self.world.chain
        came = [tx for tx in chain.shown() if chain.depth_of(tx.txid) or not self._contests(tx)]
        told = explain(state, self.world.time).surplus
        require_told(told, came, self.script, asked=AMOUNT)

    def _contests(self, transaction: Transaction) -> bool:
        return any(transaction.spends(outpoint) is not None for outpoint in self.contested)

    def look_back(self) -> None:
        """What came to addresses after the end is looked for, as `resume` does."""
        chain: Any = self.world.chain  # of a chain source it has what is asked
        for late in late_payments(self.store, chain, self.world.time):
            require("surplus", late.received, "nothing was told as something")

    def _check_late(self, state: receiver.Closed) -> None:
        """What came after the end is told too; what is gone again is not."""
        self.look_back()
        now, seen = self.world.time, self.store.row(self.log.session_id).sighting
        by_then, told = explain(state, now).surplus, explain(state, now, seen=seen).surplus
        came = self.world.chain.shown()
        if beyond(came, self.script, asked=AMOUNT) > told_as_too_much(by_then):
            require_told(told, came, self.script, asked=AMOUNT)
        else:
            require("surplus", told == by_then, "more is told than came")

    def _holds(self) -> bool:
        """Whether the store keeps a coin for this session."""
        return self.log.session_id in self.store._tables.held.values()

    def _check_told(self, state: receiver.Closed, spend: Transaction) -> None:
        outcome = state.outcome
        if isinstance(outcome, outcomes.PaidDirectly | outcomes.Revoked):
            return
        txid = getattr(outcome, "txid", None)
        require("M4", txid == str(spend.txid), "the outcome is not what the chain shows")
        if isinstance(outcome, outcomes.Success):
            require("M4", state.payjoin == spend, "the payjoin cannot be rebuilt")

    def _brought(self, *, deep: bool = False) -> int:
        """What the address has in the chain, whoever paid it."""
        chain, least = self.world.chain, self.world.chain.depth if deep else 1
        paid = [tx for tx in chain.confirmed() if chain.depth_of(tx.txid) >= least]
        return sum(chain.pays(tx, self.script) for tx in paid)

    def check_paid(self) -> None:
        """M3 and M4, once the world has calmed down."""
        self._check_open()
        if self.state.closed:
            self._check_late(self.state)
        if "IdentifiedReceiverOutputs" not in self.tags:
            return
        confirmed, chain = self.world.chain.confirmed(), self.world.chain
        spends = [tx for tx in confirmed if any(tx.spends(o) is not None for o in self.contested)]
        kinds = [self.kind(spend) for spend in spends]
        payments = [kind for kind in kinds if kind is not Settlement.UNRECOGNIZED]
        require("M4", len(payments) <= 1, "payjoin and fallback were both paid")
        dead = Settlement.UNRECOGNIZED in kinds or not all(map(chain.exists, self.contested))
        excused = self.released or dead or self._brought() >= AMOUNT
        require("M4", excused or len(payments) == 1, "nothing was paid in the end")
        outcome = getattr(self.state, "outcome", None)
        if payments and isinstance(outcome, outcomes.Success | outcomes.FallbackBroadcasted):
            success = isinstance(outcome, outcomes.Success)
            payjoin = payments[0] is Settlement.PAYJOIN
            require("M4", success == payjoin, "the outcome names another")

    def _check_open(self) -> None:
        """No session outlives its payment, and no coin of ours is held by one that is over."""
        state, chain = self.state, self.world.chain
        waits = isinstance(state, receiver.Monitor) and state.due_at is None
        spend = chain.deepest(self.contested)
        final = spend is not None and spend[1] >= chain.depth
        dead = final or not all(map(chain.exists, self.contested))
        require("end", state.closed or not dead, "a session outlives its payment")
        require("M3", state.closed or waits, "the session did not end")
        payable = waits and not dead
        require("coins", payable or not self._holds(), "a coin is held for what cannot confirm")

    def kind(self, spend: Transaction) -> Settlement:
        proposals = [s for s in self.states if isinstance(s, receiver.PayjoinProposal)]
        payjoin = proposals[0].payjoin_skeleton if proposals else None
        return classify(spend, payjoin=payjoin, fallback=self.held)
