"""Alice's session: what a careful sender does, and what must be true of it (M3, M4)."""

from functools import lru_cache
from typing import Any

from tests.properties.histories.actor import GRACE, Actor, Move, World
from tests.properties.histories.again import refused, require_refused, spelled
from tests.properties.histories.ledger import require
from tests.properties.histories.people import ALICE, ALICES, BOB, UTXOS
from tests.properties.histories.wire import Flight

from dovetail.bitcoin.psbt import Psbt
from dovetail.bitcoin.transaction import Transaction
from dovetail.bitcoin.units import FeeRate, Sats, UnixTime
from dovetail.protocol.params import SenderParams
from dovetail.protocol.proposal import fee_contribution
from dovetail.protocol.settlement import Settlement, classify
from dovetail.protocol.uri import PayjoinUri, V1Endpoint
from dovetail.sessions import outcomes, sender
from dovetail.sessions.reasons import Reason
from dovetail.sessions.transition import Transition
from dovetail.stores.memory import MemoryStore

AMOUNT = Sats(50_000)
DEAREST = 7_000
"""The highest fee that the change can pay."""
OURS = frozenset(ALICE.scripts())
PAID = (outcomes.Success, outcomes.FallbackBroadcasted, outcomes.PaidDirectly)
UNPAID = (outcomes.Cancelled, outcomes.Revoked)


@lru_cache
def payment(coins: int) -> tuple[Psbt, SenderParams]:
    """An Original PSBT of one coin or two, and what goes with it."""
    chosen = ALICES[:coins]
    original = ALICE.pay(BOB.script(0), AMOUNT, coins=chosen, fee=1_000)
    params = SenderParams(
        min_fee_rate=FeeRate.from_sat_per_vb(4),
        fee_contribution=fee_contribution(original, BOB.script(0)),
    )
    return original, params


class Payer(Actor):
    """Alice pays a Payjoin URI."""

    role = sender

    def __init__(
        self, world: World, uri: PayjoinUri, *, coins: int = 2, deadline: int | None = None
    ) -> None:
        store = MemoryStore()
        self.original, self.params = payment(coins)
        log = store.new_sender(reserving=self.original.unsigned_transaction.contested())
        created = sender.create(
            uri=uri,
            original=self.original,
            params=self.params,
            now=world.time,
            signing_deadline=None if deadline is None else UnixTime(world.now + deadline),
            depth=world.chain.depth,
            entropy=world.entropy,
        )
        self.uri = uri
        self.posted = False
        """Whether a v1 receiver has the Original."""
        self.shop: tuple[int, bytes] | None = None
        """What a v1 receiver answers, with its status; None: nothing."""
        super().__init__(world, store, log, created)

    def read(self, handle: Any, body: bytes, context: Any) -> Transition[Any, Any]:
        read: Transition[Any, Any] = handle.process(body, context)
        return read

    @property
    def is_v1(self) -> bool:
        return isinstance(self.uri.endpoint, V1Endpoint)

    def exchange(self, fate: str = "honest") -> None:
        """Ask; a v1 receiver gets the Original and answers in one."""
        state, now = self.hand, self.world.time
        if not self.is_v1:
            super().exchange(fate)
        elif isinstance(state, sender.PostingOriginal) and now < state.expires_at:
            state.post_v1(now=now)
            self.posted = True
            if self.shop is not None and fate != "lost":
                status, body = self.shop
                self.attempt(lambda: state.process_v1(status, body))

    def ask(self) -> Flight | None:
        return None if self.is_v1 else super().ask()

    def pay_again(self, way: str) -> None:
        """The user pays the same invoice once more, as another app spells it."""
        uri = spelled(self.uri, way)
        said = refused(self.store, uri, payment(1), now=self.world.time)
        over = isinstance(getattr(self.state, "outcome", None), UNPAID)
        require_refused(refusal=said, over=over, way=way)

    def step(self, fate: str = "honest") -> None:  # noqa: C901, PLR0912 - one case a state
        state, world = self.hand, self.world
        spend = None if state.closed else world.chain.deepest(state.contested)
        match state:
            case sender.WithReplyKey():
                late = world.now >= state.expires_at
                self.attempt(lambda: state.expire(world.time) if late else state.start_posting())
            case sender.PostingOriginal() | sender.PollingForProposal():
                if spend is not None:
                    self.attempt(lambda: state.record_spend(spend[0]))
                elif world.now >= state.expires_at:
                    self.attempt(lambda: state.expire(world.time))
                else:
                    self.exchange(fate)
            case sender.ProposalReceived():
                deadline = state.signing_deadline
                if spend is not None:
                    self.attempt(lambda: state.record_spend(spend[0]))
                elif deadline is not None and world.now >= deadline:
                    self.attempt(lambda: state.signing_deadline_passed(world.time))
                else:
                    self.attempt(lambda: state.record_signed(ALICE.sign(state.psbt_to_sign)))
            case sender.PendingBroadcast():
                self._broadcast_payjoin(state, spend)
            case sender.PendingFallback() | sender.Monitor() if self._misses_coins(state, spend):
                return
            case sender.PendingFallback():
                self._settle(state, spend)
            case sender.Monitor():
                self._watch(state, spend)

    def _misses_coins(
        self, state: sender.PendingFallback | sender.Monitor, spend: tuple[Transaction, int] | None
    ) -> bool:
        """Whether a coin of the payment is missed, or found again, and this step told of it."""
        chain = self.world.chain
        there = spend is not None or all(map(chain.exists, state.contested))
        height = None if there else chain.height()
        if self.notes_coins(state, height):
            return True
        gone = height is not None and state.coins.are_gone(height, depth=state.depth)
        if height is None or not gone or chain.acceptable(state.fallback):
            return height is not None and isinstance(state, sender.Monitor)
        return self.attempt(lambda: state.record_gone(height=height))

    def _broadcast_payjoin(
        self, state: sender.PendingBroadcast, spend: tuple[Transaction, int] | None
    ) -> None:
        """Look, then broadcast; what waits to be mined is competed with, a block is not."""
        if spend is not None and (spend[1] or self._is_payjoin(state, spend[0])):
            self.attempt(lambda: state.record_spend(spend[0]))
            return
        taken = self.world.chain.hand_in(state.payjoin)
        seen = self.world.chain.deepest(state.contested)
        if taken:
            self.attempt(lambda: state.record_broadcast(state.payjoin.txid))
        elif taken is False or seen is not None:
            spends = () if seen is None else (seen[0],)
            self.attempt(lambda: state.refused(spends=spends))
        elif self.world.now >= state.expires_at + GRACE:
            self.attempt(lambda: state.fail(Reason.PAYJOIN_UNANSWERED))

    @staticmethod
    def _is_payjoin(state: sender.PendingBroadcast, spend: Transaction) -> bool:
        return sender.classified(state, spend, state.proposal) is Settlement.PAYJOIN

    def _settle(self, state: sender.PendingFallback, spend: tuple[Transaction, int] | None) -> None:
        if spend is not None and (spend[1] or not state.requested):
            self.attempt(lambda: state.record_spend(spend[0]))
            return
        if state.reason is Reason.CANCELLED_BY_US and not (self.requested or state.requested):
            return  # who cancelled is asked first
        if not state.requested and self.paid_beside(state):
            return  # only the user's word pays an invoice that is paid already
        if state.may_end_unpaid:
            self.attempt(state.request_fallback)
            return
        taken = self.world.chain.hand_in(state.fallback)
        if taken:
            self.attempt(lambda: state.record_broadcast(state.fallback.txid))
        elif taken is False and spend is not None:
            self.attempt(lambda: state.record_spend(spend[0]))

    def paid_beside(self, state: sender.PendingFallback | sender.Monitor) -> bool:
        """Whether other transactions that this source shows pay the invoice in full."""
        script, chain = self.uri.address.script_pubkey, self.world.chain
        others = [
            tx
            for tx in chain.shown()
            if all(tx.spends(outpoint) is None for outpoint in state.contested)
        ]
        return sum(chain.pays(tx, script) for tx in others) >= AMOUNT

    def _watch(self, state: sender.Monitor, spend: tuple[Transaction, int] | None) -> None:
        if spend is not None:
            transaction, depth = spend
            owned = [o.script_pubkey for o in transaction.outputs if o.script_pubkey in OURS]
            self.attempt(lambda: state.record_settlement(transaction, depth=depth, owned=owned))
            return
        if state.released:
            return
        payjoin = state.payjoin
        awaits = payjoin is not None and state.reason is None and state.expected == payjoin.txid
        last = payjoin if awaits else state.fallback
        ours = awaits or state.expected == state.fallback.txid
        if ours and last is not None and self.world.chain.hand_in(last) is not False:
            return
        self.attempt(state.payjoin_dropped if awaits else state.spend_dropped)

    def cancel(self) -> None:
        if hasattr(self.state, "cancel"):
            self.attempt(self.state.cancel)

    def release(self) -> None:
        """The user declines, after a look at the chain."""
        state = self.state
        if isinstance(state, sender.PendingFallback):
            spend = self.world.chain.deepest(state.contested)
            spends = () if spend is None else (spend[0],)
            self.attempt(lambda: state.release(spends=spends))

    @property
    def released(self) -> bool:
        """Whether the user's last word in the log was to decline."""
        words = [tag for tag in self.tags if tag in ("Released", "FallbackRequested")]
        state = self.state
        declined = isinstance(state, sender.Closed) and isinstance(
            state.outcome, outcomes.Cancelled
        )
        return declined or words[-1:] == ["Released"]

    @property
    def decided(self) -> bool:
        """Whether the log says that the fallback is to be made, whatever else is asked."""
        events = map(sender.decode_event, self.entries)
        asked = [e for e in events if isinstance(e, sender.events.FallbackRequested)]
        return any(event.decided for event in asked)

    def request_fallback(self) -> None:
        """The user's word, from whichever state; said twice it changes nothing."""
        self.hand = self.state
        if hasattr(self.state, "request_fallback"):
            spend = self.world.chain.deepest(self.state.contested)
            watched = isinstance(self.state, sender.Monitor)
            if watched and spend is not None and spend[1]:
                return
            self.attempt(self.state.request_fallback)
        state = self.state
        if isinstance(state, sender.PendingFallback):
            self._settle(state, self.world.chain.deepest(state.contested))

    def raise_fee(self) -> None:
        """The user's word: the same payment for more, out of the change."""
        spend = None if self.state.closed else self.world.chain.deepest(self.state.contested)
        if self.state.closed or (spend is not None and spend[1]):
            return
        fee = int(self.state.original.fee) + 1_500
        if fee > DEAREST:
            return
        if not isinstance(self.state, sender.PendingFallback | sender.Monitor):
            self.hand = self.state
            self.attempt(self.state.request_fallback)
        coins = ALICES[: len(self.original.inputs)]
        raised = ALICE.pay(BOB.script(0), AMOUNT, coins=coins, fee=fee)
        state = self.hand = self.state
        if isinstance(state, sender.PendingFallback | sender.Monitor):
            self.attempt(lambda: state.bump(raised))
            self.request_fallback()

    def bumpfee(self, more: int, *, mined: bool) -> None:
        """The wallet raises the fee of what waits to be mined, and tells nobody."""
        chain, coins = self.world.chain, ALICES[: len(self.original.inputs)]
        if not any(tx.spends(coins[0].outpoint) is not None for tx in chain.mempool):
            return
        raised = ALICE.pay(BOB.script(0), AMOUNT, coins=coins, fee=1_000 + more).extract()
        if mined:
            chain.mine_directly(raised)
        else:
            chain.broadcast(raised)

    def revoke(self) -> None:
        """Take a released payment back, if nothing has taken it."""
        state = self.state
        if isinstance(state, sender.Monitor) and state.released:
            transaction = ALICE.spend(ALICES[:1], ALICE.script(6), fee=4_000)
            state.check_revocation(transaction, owned=OURS)
            self.world.chain.broadcast(transaction)

    def settle(self) -> None:
        """Who is asked pays, or declines what somebody else has paid."""
        state, self.requested = self.state, True
        asked = isinstance(state, sender.PendingFallback) and not state.requested
        if asked and self.paid_beside(state):
            self.hand = state
            self.release()

    def words(self, state: Any) -> list[Move]:
        named = ("cancel", "request_fallback")
        heard = [getattr(state, name) for name in named if hasattr(state, name)]
        if isinstance(state, sender.PendingFallback):
            heard.append(lambda: state.release(spends=()))
        return heard

    def moves(self, handle: Any) -> list[Move]:
        spend = self.state.fallback
        match handle:
            case sender.WithReplyKey():
                return [
                    handle.start_posting,
                    handle.request_fallback,
                    handle.cancel,
                    lambda: handle.expire(handle.expires_at),
                ]
            case sender.PostingOriginal() | sender.PollingForProposal():
                return [
                    handle.cancel,
                    handle.request_fallback,
                    lambda: handle.fail(Reason.DIRECTORY_UNREACHABLE),
                    lambda: handle.expire(handle.expires_at),
                    lambda: handle.record_spend(spend),
                ]
            case sender.ProposalReceived():
                return [
                    lambda: handle.record_signed(ALICE.sign(handle.psbt_to_sign)),
                    lambda: handle.record_spend(spend),
                    handle.cancel,
                    handle.request_fallback,
                    lambda: handle.fail(Reason.WALLET_CANNOT_SIGN),
                ]
            case sender.PendingBroadcast():
                return [
                    lambda: handle.record_broadcast(handle.payjoin.txid),
                    lambda: handle.refused(spends=()),
                    handle.request_fallback,
                    lambda: handle.record_spend(spend),
                ]
            case sender.PendingFallback():
                return [
                    lambda: handle.record_broadcast(handle.fallback.txid),
                    lambda: handle.record_spend(spend),
                    lambda: handle.release(spends=()),
                    handle.request_fallback,
                ]
            case sender.Monitor():
                return [
                    handle.request_fallback,
                    handle.spend_dropped,
                    handle.payjoin_dropped,
                    lambda: handle.record_settlement(spend, depth=9),
                ]
            case _:
                return []

    def moved(self) -> None:
        state = self.state
        if isinstance(state, sender.PendingBroadcast):
            self._check_cost(state.payjoin)
        if state.closed:
            self._check_end(state)

    def _check_cost(self, payjoin: Transaction) -> None:
        """The promise that is broadcast costs no more than was agreed to, and pays its rate."""
        fee = self.world.chain.fee(payjoin)  # of the true amounts, whatever was claimed
        demanded = self.params.min_fee_rate.fee(payjoin.weight)
        require("rate", fee >= demanded, "a payjoin pays less than was demanded")
        spent = sum(
            int(UTXOS[o].value) for o in payjoin.contested() if UTXOS[o].script_pubkey in OURS
        )
        back = sum(int(o.value) for o in payjoin.outputs if o.script_pubkey in OURS)
        offer = self.params.fee_contribution
        most = AMOUNT + self.original.fee + (0 if offer is None else offer.max_amount)
        require("M4", spent - back <= most, "a payjoin takes more than the payment and its fee")
        paid = sum(int(o.value) for o in payjoin.outputs if o.script_pubkey == BOB.script(0))
        substituted = self.uri.output_substitution and paid == 0
        require("M4", substituted or paid > 0, "a payjoin does not pay the payee")

    def _check_end(self, state: sender.Closed) -> None:
        """M3, from the chain and the user alone."""
        before = self.states[-2]
        spend = self.world.chain.deepest(state.contested)
        final = spend is not None and spend[1] >= self.world.chain.depth
        declined = isinstance(before, sender.PendingFallback) and "StartedPosting" not in self.tags
        gone = any(map(self.world.chain.is_gone, state.contested))
        require("M3", final or declined or gone, "closed while a payment was open")
        require("M4", final or gone or not self.decided, "declined what was decided on")
        if final and spend is not None:
            txid = getattr(state.outcome, "txid", None)
            require("M4", txid == str(spend[0].txid), "the outcome is not what the chain shows")
            self._check_told(state, spend[0])
        else:
            cancelled = isinstance(state.outcome, outcomes.Cancelled)
            require("M4", cancelled and spend is None, "released while it was being paid")

    def _check_told(self, state: sender.Closed, spend: Transaction) -> None:
        """What pays the invoice is a payment, whoever made it and at whatever fee."""
        script = self.uri.address.script_pubkey
        pays = self.world.chain.pays(spend, script) >= AMOUNT
        substituted = self.kind(spend) is Settlement.PAYJOIN
        told = isinstance(state.outcome, PAID)
        require("told", told == (pays or substituted), "the outcome says otherwise than the chain")

    def kind(self, spend: Transaction) -> Settlement:
        """What a transaction is to this session, by everything it ever signed."""
        payjoins = [s.payjoin for s in self.states if getattr(s, "payjoin", None) is not None]
        for payjoin in payjoins:
            if classify(spend, payjoin=payjoin, fallback=None) is Settlement.PAYJOIN:
                return Settlement.PAYJOIN
        if any(spend.txid == state.fallback.txid for state in self.states):
            return Settlement.FALLBACK
        due = self.state.payment.due
        return classify(spend, payjoin=None, fallback=self.original.extract(), due=due)

    def _check_rate(self, spends: list[Transaction]) -> None:
        """What the chain has of a payjoin paid the rate that was demanded, of the true amounts."""
        for spend in spends:
            if self.kind(spend) is Settlement.PAYJOIN:
                least = self.params.min_fee_rate.fee(spend.weight)
                require("rate", self.world.chain.fee(spend) >= least, "a payjoin paid less")

    def check_paid(self) -> None:
        """M4, once the world has calmed down."""
        confirmed = self.world.chain.confirmed()
        contested = self.original.unsigned_transaction.contested()
        spends = [tx for tx in confirmed if any(tx.spends(o) is not None for o in contested)]
        kinds = [self.kind(spend) for spend in spends]
        payments = [kind for kind in kinds if kind is not Settlement.UNRECOGNIZED]
        require("M4", len(payments) <= 1, "payjoin and fallback were both paid")
        final = any(self.world.chain.depth_of(tx.txid) >= self.world.chain.depth for tx in spends)
        over = final or not all(map(self.world.chain.exists, contested))
        require("end", self.state.closed or not over, "a session outlives its payment")
        beside = self.world.chain.paid_to(self.uri.address.script_pubkey)
        excused = self.released or Settlement.UNRECOGNIZED in kinds or len(beside) > len(spends)
        require("M4", excused or len(payments) == 1, "nothing was paid in the end")
        waits = isinstance(self.state, sender.Monitor) and self.state.released
        require("M3", self.state.closed or waits, "the session did not end")
        self._check_rate(spends)
        if isinstance(self.state, sender.Closed) and payments:
            success = isinstance(self.state.outcome, outcomes.Success)
            require(
                "M4", success == (payments[0] is Settlement.PAYJOIN), "the outcome names another"
            )
