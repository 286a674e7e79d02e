"""One payment with a liar in it: a chain, two wallets, a wire, and what is left to settle."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

from tests.support.stepping import AMOUNT, Receiving, Sending, Side
from tests.support.world import World

from dovetail.bitcoin import Address, OutPoint, Transaction
from dovetail.errors import InfrastructureError
from dovetail.explain.session import explain
from dovetail.runtime.chain_watch import ChainWatch
from dovetail.sessions import receiver
from dovetail.sessions.standing import AnySession

ROUNDS = 60
"""More than the longest honest ending takes."""

S = TypeVar("S")
Session = Sending | Receiving


class Ends(StrEnum):
    """How the payment ends, each time exactly like this on the chain."""

    PAYJOIN = "paid once, by payjoin"
    ORDINARY = "paid once, by the ordinary payment"
    UNPAID = "nothing is paid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What a trick leaves: the sessions of ours it was about, and what it was to pay."""

    sessions: tuple[Session, ...] = ()
    address: Address | None = None
    """Where the payment belongs."""
    fallback: Transaction | None = None


def played_by(sending: Sending, *others: Receiving) -> Played:
    """What a payment leaves that one of ours has begun."""
    state = sending.state
    address = state.payjoin_uri.address
    return Played(sessions=(sending, *others), address=address, fallback=state.fallback_transaction)


@dataclass
class Tries:
    failures: int = 0
    watch: ChainWatch = field(default_factory=ChainWatch)


@dataclass
class Stage:
    """Alice can pay Bob; either may be played by Mallory, with their wallet and words."""

    world: World
    alice: Side
    bob: Side
    heard: list[str] = field(default_factory=list)
    """Every sentence that the command line had for where a session stood."""
    _tries: dict[int, Tries] = field(default_factory=dict)

    async def begin(self, state: type[S], **terms: Any) -> tuple[Sending, Receiving]:
        """Alice begins to pay Bob, and comes as far as this."""
        receiving = self.bob.receive(**terms)
        sending = await self.alice.send(receiving.uri)
        await sending.to(state)
        return sending, receiving

    def mined(self, transaction: Transaction) -> None:
        self.world.node.send(transaction)
        self.world.node.mine()

    def evict(self, transaction: Transaction | None) -> None:
        assert transaction is not None
        self.world.evict(transaction.txid)

    async def step(self, session: Session) -> None:
        """One step, as the agent takes it: what fails is told, and tried again."""
        tries = self._tries.setdefault(id(session), Tries())
        try:
            await session.step(failures=tries.failures, watch=tries.watch)
        except InfrastructureError as trouble:
            tries.failures += 1
            tries.watch.trouble = trouble
            self.heard.append(str(trouble))
        else:
            tries.failures, tries.watch.trouble = 0, None
        self.hear(session.state)

    def hear(self, state: AnySession) -> None:
        """Note what the command line says of where a session stands."""
        found = explain(state, self.world.clock())
        words = found.words, found.advice, found.reason_words
        self.heard += [each for each in words if each]

    async def until(self, session: Session, *states: type) -> None:
        for _ in range(40):
            if isinstance(session.state, states):
                return
            await self.step(session)
        raise AssertionError(f"stuck at {session.state!r}: {self.heard[-3:]}")

    async def settle(self, *sessions: Session) -> None:
        """Blocks come, time passes, users decline what is theirs to decide: all must close."""
        for _ in range(ROUNDS):
            going = [each for each in sessions if not each.state.closed]
            if not going:
                return
            before = [each.state.seq for each in going]
            for each in going:
                await self.step(each)
                self._decline(each)
            if before == [each.state.seq for each in going]:
                self.world.node.mine()
                self.world.clock.pass_by(600)
        states = [each.state for each in sessions]
        raise AssertionError(f"M3: the sessions do not end: {states!r}")

    def _decline(self, session: Session) -> None:
        """What was never owed waits for its user's word, who is told not to take it."""
        state = session.state
        if isinstance(state, receiver.PendingFallback) and state.due_at is None:
            session.state = state.release(spends=()).save(session.log)  # type: ignore[arg-type]

    def _check_word(self, state: AnySession, ends: Ends) -> None:
        """What the user reads in the end is what the chain shows."""
        found = explain(state, self.world.clock())
        assert found.paid == (ends is not Ends.UNPAID), found.words
        assert (found.outcome == "success") == (ends is Ends.PAYJOIN), found.words

    def spender(self, outpoint: OutPoint) -> Transaction | None:
        with self.world.node.lock:
            txid = self.world.node.spender(outpoint)
            return None if txid is None else self.world.node.transaction(txid)

    def lost_to_fees(self, receiving: Receiving, payjoin: Transaction) -> int:
        """What the receiver of a payjoin paid for being part of it."""
        script = receiving.uri.address.script_pubkey
        coins = {coin.outpoint: coin.utxo.value for coin in self.bob.party.wallet.coins()}
        brought = sum(coins.get(outpoint, 0) for outpoint in payjoin.contested())
        got = sum(output.value for output in payjoin.outputs if output.script_pubkey == script)
        return int(AMOUNT) + brought - got

    def check(self, played: Played, ends: Ends) -> None:
        """The chain has the last word about what was paid (M4)."""
        for session in played.sessions:
            assert session.state.closed, f"M3: {session.state!r}"
            if session.state.payjoin_uri.address == played.address:
                self._check_word(session.state, ends)
        if played.address is None:
            return
        received = self.world.received(played.address)
        if ends is Ends.UNPAID:
            assert received == [], "paid, though nothing should have been"
            return
        assert len(received) == 1, f"M4: paid {len(received)} times"
        assert played.fallback is not None
        spends = {self.spender(outpoint) for outpoint in played.fallback.contested()}
        (spend,) = spends
        assert spend is not None
        assert self.world.node.confirmations(spend.txid) > 0
        ordinary = spend.txid == played.fallback.txid
        assert ordinary == (ends is Ends.ORDINARY)
        if ordinary:
            assert received == [AMOUNT]
        else:
            assert len(spend.inputs) > len(played.fallback.inputs)
            assert received[0] > AMOUNT
