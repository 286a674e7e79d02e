"""Alice's session: what a careful sender does at each of its states."""

from functools import lru_cache
from typing import Any, ClassVar

from tests.properties.histories.accounts import AMOUNT
from tests.properties.histories.actor import GRACE, Move, SimulatedWorld, Tries
from tests.properties.histories.expenses import OURS, Expenses
from tests.properties.histories.paying_twice import refused, require_refused, spelled
from tests.properties.histories.people import ALICE, ALICES, BOB
from tests.properties.histories.wire import Flight

from dovetail.bitcoin import FeeRate, Psbt, Transaction, UnixTime
from dovetail.protocol import PayjoinUri, SenderParams, Settlement, V1Endpoint, fee_contribution
from dovetail.sessions import outcomes, sender
from dovetail.sessions.reasons import Reason
from dovetail.sessions.transition import Transition
from dovetail.stores.memory import MemoryStore

DEAREST = 7_000
"""The highest fee that the change can pay."""
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


class Payer(Expenses):
    tries: ClassVar[Tries] = {
        "start_posting": lambda at: at.start_posting(),
        "cancel": lambda at: at.cancel(),
        "request_fallback": lambda at: at.request_fallback(),
        "expire": lambda at: at.expire(at.expires_at),
        "fail": lambda at: at.fail(Reason.DIRECTORY_UNREACHABLE),
        "record_signed": lambda at: at.record_signed(ALICE.sign(at.psbt_to_sign)),
        "refused": lambda at: at.refused(spends=()),
        "release": lambda at: at.release(spends=()),
        "spend_dropped": lambda at: at.spend_dropped(),
        "payjoin_dropped": lambda at: at.payjoin_dropped(),
        "record_spend": lambda at: at.record_spend(at.fallback_transaction),
        "record_settlement": lambda at: at.record_settlement(at.fallback_transaction, depth=9),
        "record_broadcast": lambda at: at.record_broadcast(_last(at).txid),
    }

    def __init__(
        self, world: SimulatedWorld, uri: PayjoinUri, *, coins: int = 2, deadline: int | None = None
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
        posts = isinstance(handle, sender.PostingOriginal)
        process = handle.process_post if posts else handle.process_poll
        read: Transition[Any, Any] = process(body, context)
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
        if height is None or not gone or chain.acceptable(state.fallback_transaction):
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
        return sender.classify_spend(state, spend, state.proposal) is Settlement.PAYJOIN

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
        taken = self.world.chain.hand_in(state.fallback_transaction)
        if taken:
            self.attempt(lambda: state.record_broadcast(state.fallback_transaction.txid))
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
        last = payjoin if awaits else state.fallback_transaction
        ours = awaits or state.expected == state.fallback_transaction.txid
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
        chain.take(raised, mined=mined)

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


def _last(handle: Any) -> Transaction:
    """What this handle may have broadcast."""
    payjoin = isinstance(handle, sender.PendingBroadcast)
    last: Transaction = handle.payjoin if payjoin else handle.fallback_transaction
    return last
