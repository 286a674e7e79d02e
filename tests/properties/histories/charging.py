"""Bob's session: what a careful receiver does at each of its states."""

from dataclasses import replace
from typing import Any, ClassVar

from tests.properties.histories.accounts import AMOUNT, OFFERING, Till
from tests.properties.histories.actor import GRACE, LIFETIME, START, Move, SimulatedWorld, Tries
from tests.properties.histories.collecting import Collector
from tests.properties.histories.ledger import require
from tests.properties.histories.people import BOB
from tests.properties.histories.wire import ORIGIN
from tests.support.keys import as_claimed

from dovetail.bitcoin.units import FeeRate, UnixTime
from dovetail.crypto.secp256k1 import SecretKey
from dovetail.errors import StaleSession
from dovetail.sessions import receiver
from dovetail.sessions.reasons import Reason
from dovetail.sessions.transition import Transition

RATES = FeeRate.from_sat_per_vb(1), FeeRate.from_sat_per_vb(50)
OURS = frozenset(BOB.scripts())


class Payee(Collector):
    tries: ClassVar[Tries] = {
        "check_broadcast_suitability": lambda at: at.check_broadcast_suitability(
            accepted=True, tested=False, spent=as_claimed(at)
        ),
        "check_inputs_not_owned": lambda at: at.check_inputs_not_owned(()),
        "check_no_inputs_seen_before": lambda at: at.check_no_inputs_seen_before(()),
        "identify_receiver_outputs": lambda at: at.identify_receiver_outputs(OURS),
        "commit_outputs": lambda at: at.commit_outputs(),
        "cannot_contribute": lambda at: at.cannot_contribute(),
        "apply_fee_range": lambda at: at.apply_fee_range(*RATES),
        "finalize_proposal": lambda at: at.finalize_proposal(BOB.sign(at.psbt_to_sign)),
        "cannot_sign": lambda at: at.cannot_sign(),
        "reply_failed": lambda at: at.reply_failed(),
        "cancel": lambda at: at.cancel(),
        "expire": lambda at: at.expire(at.expires_at),
        "refuse": lambda at: at.refuse(Reason.WALLET_UNAVAILABLE),
        "fail": lambda at: at.fail(Reason.DIRECTORY_UNREACHABLE),
        "release": lambda at: at.release(spends=()),
        "request_fallback": lambda at: at.request_fallback(),
        "record_broadcast": lambda at: at.record_broadcast(at.fallback_transaction.txid),
        "record_settlement": lambda at: at.record_settlement(at.fallback_transaction, depth=9),
        "record_spend": lambda at: at.record_spend(at.fallback_transaction),
    }

    def __init__(self, world: SimulatedWorld, till: Till, *, v1: bool = False) -> None:
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

    def read(self, handle: Any, body: bytes, context: Any) -> Transition[Any, Any]:
        match handle:
            case receiver.Initialized():
                return handle.process_poll(body, context, now=self.world.time)
            case receiver.PayjoinProposal():
                return handle.process_post(body, context)
            case receiver.HasReplyableError(reopens=True):
                handle.check_reply(body, context)
                return receiver.reopen(handle)
            case _:
                read: Transition[Any, Any] = handle.process_reply(body, context)
                return read

    def step(self, fate: str = "honest") -> None:
        match self.hand:
            case receiver.Closed():
                return
            case receiver.Initialized() as state:
                self._wait(state, fate)
            case receiver.UncheckedOriginalPayload() as state:
                self._check(state)
            case receiver.PayjoinProposal() as state:
                self._post(state, fate)
            case receiver.HasReplyableError() as state:
                self._reply(state, fate)
            case receiver.PendingFallback() as state:
                self._settle(state)
            case receiver.Monitor() as state:
                self._watch(state)
            case state:
                self._negotiate(state)

    def _wait(self, state: receiver.Initialized, fate: str) -> None:
        received, now = self.look().received, self.world.now
        if received.full and received.depth >= state.created.depth:
            self.attempt(lambda: state.record_payment(received))
        elif now < state.expires_at:
            if state.takes_originals:
                self.exchange(fate)
        elif not received.full and now >= state.watched_until:
            self.attempt(lambda: state.expire(self.world.time, received=received))

    def _check(self, state: receiver.UncheckedOriginalPayload) -> None:
        seen, chain = self.look(), self.world.chain
        if seen.received.full:
            self.attempt(lambda: state.refuse_as_paid(seen.received.txids[0]))
        elif seen.spend is not None:
            self.attempt(lambda: state.refuse(Reason.ORIGINAL_INPUTS_SPENT))
        else:
            found = chain.outputs(state.contested)
            known = {outpoint: output.txout for outpoint, output in found.items()}
            accepted = chain.acceptable(state.transaction)
            self.attempt(
                lambda: state.check_broadcast_suitability(
                    accepted, tested=False, spent=known, height=chain.height()
                )
            )

    def _post(self, state: receiver.PayjoinProposal, fate: str) -> None:
        if self.world.now >= state.expires_at:
            self.attempt(lambda: state.expire(self.world.time))
            return
        seen = self.look()
        if (spend := seen.spend) is not None:
            self.attempt(lambda: state.record_spend(spend.transaction))
        elif seen.received.full:
            self.attempt(lambda: state.record_payment(seen.received))
        elif seen.missing_at is not None:
            self.attempt(lambda: state.fail(Reason.COINS_GONE))
        else:
            self.exchange(fate)

    def _reply(self, state: receiver.HasReplyableError, fate: str) -> None:
        self.store.release(self.log.session_id)
        if self.world.now < state.expires_at:
            self.exchange(fate)
        elif state.reopens:
            self.attempt(lambda: receiver.reopen(state))
        else:
            self.attempt(lambda: state.expire(self.world.time))

    def _forestalled(self, state: Any) -> bool:
        """Whether the payment was made or died before a coin was committed or shown (M4)."""
        seen = self.look()
        move: Move
        if (spend := seen.spend) is not None:
            dead = not spend.depth and not state.settles(spend.transaction)
            move = (
                (lambda: state.refuse(Reason.ORIGINAL_INPUTS_SPENT))
                if dead
                else lambda: state.record_spend(spend.transaction)
            )
        elif seen.received.full:
            move = lambda: state.refuse_as_paid(seen.received.txids[0])  # noqa: E731
        elif seen.missing_at is not None:
            move = lambda: state.refuse(Reason.COINS_GONE)  # noqa: E731
        else:
            return False
        if self.attempt(move):
            self.store.release(self.log.session_id)
        return True

    def _negotiate(self, state: Any) -> None:
        owing = isinstance(state, (receiver.WantsOutputs, receiver.WantsInputs, *OFFERING[:2]))
        if owing and self.world.now >= state.expires_at:
            if self.attempt(lambda: state.expire(self.world.time)):
                self.store.release(self.log.session_id)
            return
        guarded = isinstance(state, receiver.WantsInputs | receiver.ProvisionalProposal)
        if not (guarded and self._forestalled(state)):
            self._propose(state)

    def _propose(self, state: Any) -> None:
        match state:
            case receiver.MaybeInputsOwned():
                pairs = zip(state.contested, state.sender_scripts, strict=True)
                owned = {outpoint for outpoint, script in pairs if script in OURS}
                self.attempt(lambda: state.check_inputs_not_owned(owned))
            case receiver.MaybeInputsSeen():
                seen = self.store.claim(self.log.session_id, state.contested)
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
            try:
                taken = self.store.reserve(self.log.session_id, [coin.outpoint for coin in chosen])
            except StaleSession:
                require("M5", self.state.closed, "a live session was refused its coins")
                return
            if not taken:
                shown = [coin for coin in coins.values() if coin.exposed]
                first = not shown or all(coin.exposed for coin in chosen)
                require("P3", first, "an unexposed coin went before an exposed one")
                self.attempt(lambda: state.commit_inputs(chosen, entropy=self.world.entropy))
                return
            for outpoint in taken:
                del coins[outpoint]
        self.attempt(state.cannot_contribute)
