"""One party's sessions, step by step: no agent, no tasks, no time that passes by itself."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from tests.support.world import Party, World

from dovetail.bitcoin import FeeRate, Sats, Transaction, UnixTime
from dovetail.protocol.uri import PayjoinUri
from dovetail.runtime import decisions
from dovetail.runtime.agent import Agent
from dovetail.runtime.chain_watch import ChainWatch
from dovetail.runtime.receiver_steps import step_receiver
from dovetail.runtime.relays import Relays
from dovetail.runtime.sender_steps import step_sender
from dovetail.runtime.services import Services
from dovetail.runtime.turn import Turn
from dovetail.runtime.vanished_coins import known_at
from dovetail.sessions import receiver, sender
from dovetail.sessions.reasons import Reason
from dovetail.sessions.receiver import ReceiverEvent, ReceiverSession
from dovetail.sessions.sender import SenderEvent, SenderSession
from dovetail.stores.memory import MemoryStore
from dovetail.stores.ports import E, SessionId, SessionLog
from dovetail.testing.faults import Crash

AMOUNT = Sats(50_000)
S = TypeVar("S")
State = TypeVar("State", ReceiverSession, SenderSession)


@dataclass
class Stepped(ABC, Generic[E, State]):
    services: Services
    log: SessionLog[E]
    state: State

    @property
    def session_id(self) -> SessionId:
        return self.log.session_id

    def tags(self) -> list[str]:
        return [type(event).__name__ for event in self.log.load()]

    @abstractmethod
    async def step(self, *, failures: int = 0, watch: ChainWatch | None = None) -> State:
        """One step, as the agent takes it."""

    async def to(self, wanted: type[S], steps: int = 40, watch: ChainWatch | None = None) -> S:
        """Step until the session stands there."""
        for _ in range(steps):
            if isinstance(self.state, wanted):
                break
            await self.step(watch=watch)
        assert isinstance(self.state, wanted), f"stuck at {self.state!r}"
        return self.state


@dataclass
class Receiving(Stepped[ReceiverEvent, ReceiverSession]):
    @property
    def uri(self) -> PayjoinUri:
        return self.state.payjoin_uri

    async def step(self, *, failures: int = 0, watch: ChainWatch | None = None) -> ReceiverSession:
        turn = Turn(self.log, self.services, failures, watch or ChainWatch())
        self.state = await step_receiver(self.state, turn)
        return self.state

    def reload(self) -> ReceiverSession:
        self.state = receiver.replay(self.log.load())
        return self.state


@dataclass
class Sending(Stepped[SenderEvent, SenderSession]):
    async def step(self, *, failures: int = 0, watch: ChainWatch | None = None) -> SenderSession:
        turn = Turn(self.log, self.services, failures, watch or ChainWatch())
        self.state = await step_sender(self.state, turn)
        return self.state

    def reload(self) -> SenderSession:
        self.state = sender.replay(self.log.load())
        return self.state


@dataclass
class Side:
    world: World
    party: Party
    store: MemoryStore = field(default_factory=MemoryStore)

    def services(self, **policy: Any) -> Services:
        return Services(
            wallet=self.party.wallet,
            chain=self.party.chain,
            store=self.store,
            transport=self.world.wire,
            relays=Relays(self.world.relays, clock=self.world.clock),
            clock=self.world.clock,
            policy=replace(self.world.policy, **policy),
        )

    def agent(self, **policy: Any) -> Agent:
        return Agent(
            store=self.store,
            wallet=self.party.wallet,
            chain=self.party.chain,
            transport=self.world.wire,
            relays=self.world.relays,
            clock=self.world.clock,
            policy=replace(self.world.policy, **policy),
        )

    def receive(
        self, *, amount: Sats | None = AMOUNT, lifetime: int = 3600, v1: bool = False, **policy: Any
    ) -> Receiving:
        services = self.services(**policy)
        log = self.store.new_receiver()
        state = receiver.create(
            address=self.party.wallet.new_address(),
            directory=self.world.wire.directory.origin,
            ohttp_keys=self.world.wire.directory.config,
            expires_at=UnixTime(self.world.clock() + lifetime),
            amount=amount,
            v1=v1,
            grace=services.policy.grace,
            depth=services.policy.depth,
        ).save(log)
        return Receiving(services, log, state)

    async def send(
        self,
        uri: PayjoinUri,
        *,
        signing_deadline: int | None = None,
        minimum: FeeRate | None = None,
        **policy: Any,
    ) -> Sending:
        services = self.services(**policy)
        payment = await self.agent(**policy).prepare(uri)
        least = minimum or payment.params.min_fee_rate
        contested = payment.original.unsigned_transaction.contested()
        log = self.store.new_sender(reserving=contested)
        state = sender.create(
            uri=uri,
            original=payment.original,
            params=replace(payment.params, min_fee_rate=least),
            now=services.clock(),
            signing_deadline=None if signing_deadline is None else UnixTime(signing_deadline),
            depth=services.policy.depth,
            height=await known_at(services.async_chain, contested),
        ).save(log)
        return Sending(services, log, state)


async def revoke(services: Services, session_id: SessionId, *, fee_rate: FeeRate) -> Transaction:
    """Take a released payment back without a look at its cost."""
    revocation = await decisions.prepare_revocation(services, session_id, fee_rate=fee_rate)
    await decisions.revoke(services, revocation)
    return revocation.transaction


async def paid_into(world: World, receiving: Receiving, alice: Side) -> Sending:
    """Alice's payment of this URI, waiting for Bob's proposal."""
    sending = await alice.send(receiving.uri)
    await sending.to(sender.PollingForProposal)
    return sending


async def proposed(
    alice: Side, bob: Side, *, signing_deadline: int | None = None, **policy: Any
) -> tuple[Sending, Receiving]:
    """A payment whose proposal is in the mailbox."""
    receiving = bob.receive()
    sending = await alice.send(receiving.uri, signing_deadline=signing_deadline, **policy)
    await sending.to(sender.PollingForProposal)
    await receiving.to(receiver.Monitor)
    return sending, receiving


async def broadcast(alice: Side, bob: Side, **policy: Any) -> Sending:
    sending, _ = await proposed(alice, bob, **policy)
    await sending.to(sender.Monitor)
    return sending


def double_spend(side: Side, sending: Sending) -> Transaction:
    """The payer's coin back to the payer."""
    return side.party.wallet.revoke(sending.state.contested[0], fee_rate=FeeRate(1))


async def cancelled(alice: Side, bob: Side, **policy: Any) -> Sending:
    sending = await alice.send(bob.receive().uri, **policy)
    polling = await sending.to(sender.PollingForProposal)
    sending.state = polling.cancel().save(sending.log)
    return sending


async def receiving_at(world: World, alice: Side, bob: Side, state: type[S]) -> Receiving:
    receiving = bob.receive()
    if state is not receiver.Initialized:
        await paid_into(world, receiving, alice)
    await receiving.to(state)
    return receiving


async def sending_at(alice: Side, bob: Side, state: type[S]) -> Sending:
    receiving = bob.receive()
    sending = await alice.send(receiving.uri)
    if state not in (sender.WithReplyKey, sender.PostingOriginal):
        await sending.to(sender.PollingForProposal)
        await receiving.to(receiver.Monitor)
    await sending.to(state)
    return sending


async def refused(receiving: Receiving, reason: Reason) -> receiver.HasReplyableError:
    refusing = await receiving.to(receiver.HasReplyableError)
    assert refusing.reason is reason
    return refusing


async def told(receiving: Receiving, sending: Sending, reason: Reason) -> None:
    await receiving.to((receiver.PendingFallback, receiver.Initialized))  # type: ignore[arg-type]
    assert (await sending.to(sender.PendingFallback)).reason is reason


def crash(_transaction: Transaction) -> object:
    """What a chain source does when the process ends while it broadcasts."""
    raise Crash
