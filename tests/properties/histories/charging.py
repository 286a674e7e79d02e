"""Bob's sessions at one store: what a careful receiver does, and what must be true (M3 to P3)."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from tests.properties.histories.actor import GRACE, LIFETIME, START, Actor, Move, World
from tests.properties.histories.ledger import require
from tests.properties.histories.people import BOB, BOBS
from tests.properties.histories.wire import ORIGIN
from tests.sessions.wallet import as_claimed

from dovetail.bitcoin.transaction import OutPoint, Transaction
from dovetail.bitcoin.units import FeeRate, Sats, UnixTime
from dovetail.crypto.secp256k1 import SecretKey
from dovetail.protocol.drafts import Coin
from dovetail.protocol.settlement import Settlement, classify
from dovetail.sessions import outcomes, receiver
from dovetail.sessions.reasons import Reason
from dovetail.sessions.receipts import Receipt, Receipts
from dovetail.sessions.transition import Transition
from dovetail.stores.memory import MemoryStore

AMOUNT = Sats(50_000)
RATES = FeeRate.from_sat_per_vb(1), FeeRate.from_sat_per_vb(50)
OURS = frozenset(BOB.scripts())

_OFFERING = (
    receiver.WantsFeeRange,
    receiver.ProvisionalProposal,
    receiver.PayjoinProposal,
)


@dataclass
class Till:
    """One store, the coins of one wallet, and every session at it."""

    store: MemoryStore = field(default_factory=MemoryStore)
    coins: tuple[Coin, ...] = BOBS
    sessions: list["Payee"] = field(default_factory=list)

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


class Payee(Actor):
    """Bob is paid at one address."""

    role = receiver

    def __init__(self, world: World, till: Till, *, v1: bool = False) -> None:
        self.till = till
        index = len(till.sessions)
        self.script = BOB.script(index)
        created = receiver.create(
            address=BOB.address(index),
            directory=ORIGIN,
            ohttp_keys=world.wire.key.config,
            expires_at=UnixTime(max(world.now, START) + LIFETIME),
            amount=AMOUNT,
            v1=v1,
            grace=GRACE,
            depth=world.chain.depth,
            secret_key=SecretKey(bytes([0x40 + index]) * 32),
        )
        super().__init__(world, till.store, till.store.new_receiver(), created)
        till.sessions.append(self)

    def claimed(self) -> tuple[OutPoint, ...]:
        """The sender inputs that this session took for its own (P2)."""
        if "CheckedNoInputsSeenBefore" not in self.tags:
            return ()
        return self._payload_outpoints()

    def _payload_outpoints(self) -> tuple[OutPoint, ...]:
        held = next(s for s in self.states if isinstance(s, receiver.UncheckedOriginalPayload))
        return held.sender_outpoints

    def offered(self) -> tuple[OutPoint, ...]:
        """The coins that a sender may be shown, or was (P3)."""
        out = isinstance(self.state, _OFFERING) or "FinalizedProposal" in self.tags
        committed = [s for s in self.states if isinstance(s, receiver.WantsFeeRange)]
        if not committed or not out:
            return ()
        return tuple(placed.coin.outpoint for placed in committed[-1].draft.inputs)

    def read(self, handle: Any, body: bytes, context: Any) -> Transition[Any, Any]:
        match handle:
            case receiver.Initialized():
                return handle.process(body, context, now=self.world.time)
            case receiver.PayjoinProposal():
                return handle.process_post(body, context)
            case _:
                read: Transition[Any, Any] = handle.process_reply(body, context)
                return read

    def step(self, fate: str = "honest") -> None:
        state, world = self.hand, self.world
        match state:
            case receiver.Closed():
                return
            case receiver.Initialized() | receiver.UncheckedOriginalPayload():
                self._look_at_the_address(state, fate)
            case receiver.PayjoinProposal():
                if world.now >= state.expires_at:
                    self.attempt(lambda: state.expire(world.time))
                else:
                    self.exchange(fate)
            case receiver.HasReplyableError():
                self.store.release(self.log.session_id)
                if world.now >= state.expires_at:
                    self.attempt(lambda: state.expire(world.time))
                else:
                    self.exchange(fate)
            case receiver.PendingFallback():
                self._settle(state)
            case receiver.Monitor():
                self._watch(state)
            case _:
                self._negotiate(state)

    def _look_at_the_address(self, state: Any, fate: str) -> None:
        world = self.world
        paid = world.chain.paid_to(self.script)
        deep = [tx for tx in paid if world.chain.depth_of(tx.txid) >= world.chain.depth]
        unchecked = isinstance(state, receiver.UncheckedOriginalPayload)
        if deep:
            txid = deep[0].txid
            received = Receipts.of([Receipt(txid, AMOUNT, world.chain.depth)], asked=AMOUNT)
            self.attempt(
                (lambda: state.refuse_as_paid(txid))
                if unchecked
                else (lambda: state.record_payment(received))
            )
        elif paid:
            return
        elif unchecked:
            accepted = world.chain.acceptable(state.transaction)
            known = as_claimed(state)
            self.attempt(
                lambda: state.check_broadcast_suitability(accepted, tested=False, spent=known)
            )
        elif world.now >= state.expires_at:
            self.attempt(lambda: state.expire(world.time))
        else:
            self.exchange(fate)

    def _negotiate(self, state: Any) -> None:
        owing = isinstance(state, (receiver.WantsOutputs, receiver.WantsInputs, *_OFFERING[:2]))
        if owing and self.world.now >= state.expires_at:
            if self.attempt(lambda: state.expire(self.world.time)):
                self.store.release(self.log.session_id)
            return
        match state:
            case receiver.MaybeInputsOwned():
                pairs = zip(state.sender_outpoints, state.sender_scripts, strict=True)
                owned = {outpoint for outpoint, script in pairs if script in OURS}
                self.attempt(lambda: state.check_inputs_not_owned(owned))
            case receiver.MaybeInputsSeen():
                seen = self.store.claim(self.log.session_id, state.sender_outpoints)
                self.attempt(lambda: state.check_no_inputs_seen_before(seen))
            case receiver.OutputsUnknown():
                self.attempt(lambda: state.identify_receiver_outputs(OURS))
            case receiver.WantsOutputs():
                self.attempt(lambda: state.commit_outputs(entropy=self.world.entropy))
            case receiver.WantsInputs():
                self._contribute(state)
            case receiver.WantsFeeRange():
                self.attempt(lambda: state.apply_fee_range(*RATES))
            case receiver.ProvisionalProposal():
                signed = BOB.sign(state.psbt_to_sign)
                self.store.expose(self.log.session_id)
                self.attempt(lambda: state.finalize_proposal(signed))

    def _contribute(self, state: receiver.WantsInputs) -> None:
        exposed = self.store.exposed()
        spent = {o for tx in self.world.chain.confirmed() for o in tx.contested()}
        coins = {
            coin.outpoint: replace(coin, exposed=coin.outpoint in exposed)
            for coin in self.till.coins
            if coin.outpoint not in spent
        }
        while chosen := state.select_coins(coins.values(), entropy=self.world.entropy):
            taken = self.store.reserve(self.log.session_id, [coin.outpoint for coin in chosen])
            if not taken:
                shown = [coin for coin in coins.values() if coin.exposed]
                first = not shown or all(coin.exposed for coin in chosen)
                require("P3", first, "an unexposed coin went before an exposed one")
                self.attempt(lambda: state.commit_inputs(chosen, entropy=self.world.entropy))
                return
            for outpoint in taken:
                del coins[outpoint]
        self.attempt(state.cannot_contribute)

    def _settle(self, state: receiver.PendingFallback) -> None:
        spend = self.world.chain.deepest(state.contested)
        if spend is not None and not state.requested:
            self.attempt(lambda: state.record_spend(spend[0]))
            return
        due = state.due_at is not None and self.world.now >= state.due_at
        if not (state.requested or due):
            return
        require("M4", state.requested or state.owed, "a fallback that is not owed fell due")
        early = state.proposal_out and self.world.now < state.expires_at + GRACE
        require("M4", state.requested or not early, "the fallback raced a fresh payjoin")
        if state.may_end_unpaid:
            self.attempt(state.request_fallback)
            return
        if self.world.chain.broadcast(state.fallback):
            self.attempt(lambda: state.record_broadcast(state.fallback.txid))
        elif spend is not None:
            self.attempt(lambda: state.record_spend(spend[0]))

    def _watch(self, state: receiver.Monitor) -> None:
        spend = self.world.chain.deepest(state.contested)
        if spend is not None:
            self.attempt(lambda: state.record_settlement(*spend))
        elif state.due_at is None or self.world.now < state.due_at:
            return
        elif not state.seen_spent or state.reason is None:
            self.attempt(lambda: state.fallback_due(self.world.time))
        else:
            self.world.chain.broadcast(state.fallback)

    def cancel(self) -> None:
        state = self.state
        if not hasattr(state, "cancel") or self.world.chain.paid_to(self.script):
            return
        out = isinstance(state, receiver.PayjoinProposal | receiver.Monitor)
        if self.attempt(state.cancel) and not out:
            self.store.release(self.log.session_id)

    def release(self) -> None:
        state = self.state
        if isinstance(state, receiver.PendingFallback):
            spend = self.world.chain.deepest(state.contested)
            self.attempt(state.release if spend is None else lambda: state.record_spend(spend[0]))

    def request_fallback(self) -> None:
        if isinstance(self.state, receiver.Monitor | receiver.PendingFallback):
            self.attempt(self.state.request_fallback)
        if isinstance(self.state, receiver.PendingFallback):
            self.hand = self.state
            self._settle(self.state)

    def settle(self) -> None:
        """Nobody asks for a fallback that may not be broadcast unasked: it is released."""
        state = self.state
        if isinstance(state, receiver.PendingFallback) and state.due_at is None:
            self.release()

    @property
    def released(self) -> bool:
        """Whether the user's last word in the log was to decline."""
        words = [tag for tag in self.tags if tag in ("Released", "FallbackRequested")]
        return words[-1:] == ["Released"] or self._declined

    @property
    def _declined(self) -> bool:
        return isinstance(self.state, receiver.Closed) and isinstance(
            self.states[-2], receiver.PendingFallback
        )

    def moves(self, handle: Any) -> list[Move]:  # noqa: C901, PLR0912 - one case a state
        ends: list[Move] = []
        if hasattr(handle, "cancel"):
            ends.append(handle.cancel)
        if hasattr(handle, "expire"):
            ends.append(lambda: handle.expire(handle.expires_at))
        if hasattr(handle, "refuse"):
            ends.append(lambda: handle.refuse(Reason.WALLET_UNAVAILABLE))
        if hasattr(handle, "fail"):
            ends.append(lambda: handle.fail(Reason.DIRECTORY_UNREACHABLE))
        match handle:
            case receiver.UncheckedOriginalPayload():
                return [
                    lambda: handle.check_broadcast_suitability(
                        accepted=True, tested=False, spent=as_claimed(handle)
                    ),
                    *ends,
                ]
            case receiver.MaybeInputsOwned():
                return [lambda: handle.check_inputs_not_owned(()), *ends]
            case receiver.MaybeInputsSeen():
                return [lambda: handle.check_no_inputs_seen_before(()), *ends]
            case receiver.OutputsUnknown():
                return [lambda: handle.identify_receiver_outputs(OURS), *ends]
            case receiver.WantsOutputs():
                return [handle.commit_outputs, *ends]
            case receiver.WantsInputs():
                return [handle.cannot_contribute, *ends]
            case receiver.WantsFeeRange():
                return [lambda: handle.apply_fee_range(*RATES), *ends]
            case receiver.ProvisionalProposal():
                return [
                    lambda: handle.finalize_proposal(BOB.sign(handle.psbt_to_sign)),
                    handle.cannot_sign,
                    *ends,
                ]
            case receiver.HasReplyableError():
                return [handle.reply_failed, *ends]
            case receiver.PendingFallback():
                spend = handle.fallback
                return [
                    handle.release,
                    handle.request_fallback,
                    lambda: handle.record_broadcast(spend.txid),
                    lambda: handle.record_spend(spend),
                ]
            case receiver.Monitor():
                return [
                    handle.request_fallback,
                    lambda: handle.record_settlement(handle.fallback, 9),
                    handle.record_unobservable,
                ]
            case _:
                return ends

    def moved(self) -> None:
        self.till.check()
        if self.state.closed:
            self._check_end(self.state)

    def _check_end(self, state: receiver.Closed) -> None:
        """M3, from the log, the chain and the user alone."""
        before, tags = self.states[-2], self.tags
        open_ended = "CheckedBroadcastSuitability" in tags
        contested = self._payload_outpoints() if open_ended else ()
        spend = self.world.chain.deepest(contested)
        final = spend is not None and spend[1] >= self.world.chain.depth
        declined = isinstance(before, receiver.PendingFallback) and not before.proposal_out
        require("M3", not open_ended or final or declined, "closed while a payment was open")
        decided = isinstance(before, receiver.PendingFallback) and before.requested
        require("M4", not decided, "declined what was decided on")
        if not final or spend is None or declined:
            return
        txid = getattr(state.outcome, "txid", None)
        require("M4", txid == str(spend[0].txid), "the outcome is not what the chain shows")
        if isinstance(state.outcome, outcomes.Success):
            require("M4", state.payjoin == spend[0], "the payjoin cannot be rebuilt")

    def check_paid(self) -> None:
        """M4, once the world has calmed down."""
        require("M3", self._ended(), "the session did not end")
        if "IdentifiedReceiverOutputs" not in self.tags:
            return
        confirmed, contested = self.world.chain.confirmed(), self._payload_outpoints()
        spends = [tx for tx in confirmed if any(tx.spends(o) is not None for o in contested)]
        kinds = [self.kind(spend) for spend in spends]
        payments = [kind for kind in kinds if kind is not Settlement.UNRECOGNIZED]
        require("M4", len(payments) <= 1, "payjoin and fallback were both paid")
        excused = self.released or Settlement.UNRECOGNIZED in kinds
        require("M4", excused or len(payments) == 1, "nothing was paid in the end")
        if self.state.closed and payments:
            success = isinstance(self.state.outcome, outcomes.Success)
            payjoin = payments[0] is Settlement.PAYJOIN
            require("M4", success == payjoin, "the outcome names another")

    def _ended(self) -> bool:
        state = self.state
        return state.closed or (isinstance(state, receiver.Monitor) and state.due_at is None)

    def kind(self, spend: Transaction) -> Settlement:
        proposals = [s for s in self.states if isinstance(s, receiver.PayjoinProposal)]
        payjoin = proposals[0].payjoin_skeleton if proposals else None
        held = next(s for s in self.states if isinstance(s, receiver.UncheckedOriginalPayload))
        return classify(spend, payjoin=payjoin, fallback=held.transaction)
