"""Two parties on one regtest chain, over one wire, in one time: what a pair of agents lives in."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.support.chain import NodeChain
from tests.support.clock import Clock
from tests.support.wallet import NodeWallet
from tests.support.wire import Wire

from dovetail.bitcoin import Address, Sats, Txid, TxOut
from dovetail.regtest.node import RegtestNode
from dovetail.runtime.agent import Agent
from dovetail.runtime.live_session import LiveReceiver, LiveSender
from dovetail.runtime.policy import Policy
from dovetail.sessions.receiver import ReceiverSession
from dovetail.sessions.sender import SenderSession
from dovetail.stores.ports import Rows

QUICK = Policy(
    grace=600,
    watch_interval=0.01,
    poll_pause=0.01,
    log_interval=0.01,
    last_word=0.05,
    first_retry=0.01,
    longest_retry=0.05,
    tries=4,
)


@dataclass
class Party:
    """One side: its wallet, its view of the chain, its folder."""

    wallet: NodeWallet
    chain: NodeChain
    folder: Path


@dataclass
class World:
    """Alice pays Bob, over one wire, on one chain, in one time."""

    node: RegtestNode
    folder: Path
    clock: Clock = field(default_factory=Clock)
    wire: Wire = field(default_factory=Wire)
    policy: Policy = QUICK
    relays: tuple[str, ...] = ("https://relay.example",)
    directories: tuple[str, ...] = ()
    """Where new receivers have their mailboxes; the wire's own where none is named."""

    def __post_init__(self) -> None:
        self.alice = self._party("alice")
        self.bob = self._party("bob")

    def _party(self, name: str) -> Party:
        # Keys of their own for each test, as all share one chain.
        wallet = NodeWallet(f"{name} of {self.folder.name}", self.node)
        return Party(wallet, NodeChain(self.node), self.folder / name)

    def fund(self, party: Party, *amounts: int) -> None:
        outputs = [TxOut(Sats(a), party.wallet.new_address().script_pubkey) for a in amounts]
        self.node.fund_many(outputs)

    @asynccontextmanager
    async def agent(
        self, party: Party, *, resume: bool = True, rows: Rows | None = None, **policy: object
    ) -> AsyncIterator[Agent]:
        async with Agent.open(
            party.folder,
            wallet=party.wallet,
            chain=party.chain,
            directory=self.directories or self.wire.directory.origin,
            relays=self.relays,
            transport=self.wire,
            clock=self.clock,
            resume=resume,
            rows=rows,
            policy=replace(self.policy, **policy),  # type: ignore[arg-type]  # names of its fields
        ) as agent:
            yield agent

    def evict(self, txid: Txid) -> None:
        with self.node.lock:
            self.node.mempool._remove(txid)

    def received(self, address: Address) -> list[int]:
        """What an address got, transaction by transaction, mempool included."""
        payments = NodeChain(self.node).payments_to(address.script_pubkey)
        return [int(payment.amount) for payment in payments]


async def until(
    session: LiveReceiver | LiveSender, *states: type[ReceiverSession] | type[SenderSession]
) -> ReceiverSession | SenderSession:
    async for update in session.updates():
        if isinstance(update.state, states):
            return update.state
    raise AssertionError(f"the session ended as {session.state!r}")
