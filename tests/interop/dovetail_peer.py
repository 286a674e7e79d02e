"""Dovetail as a party: the agent that users run, on a BDK wallet and the chain's Esplora API."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar, cast

from tests.interop.environment import Ending, How, Stage

from dovetail import (
    Agent,
    FallbackBroadcasted,
    LiveReceiver,
    LiveSender,
    PaidDirectly,
    PayjoinUri,
    Policy,
    Success,
)
from dovetail.bip78 import V1Server, serving
from dovetail.bitcoin import FeeRate, Network, OutPoint, ScriptType, Txid, UnixTime
from dovetail.runtime.agent import now
from dovetail.runtime.receiver_steps import step_receiver
from dovetail.runtime.transport import HttpTransport
from dovetail.runtime.turn import Turn
from dovetail.sessions import receiver, sender
from dovetail.sessions.receiver import ReceiverEvent, ReceiverSession
from dovetail.stores.ports import SessionLog
from dovetail.wallets.bdk.wallet import BdkWallet

EAGER = Policy(watch_interval=0.05, poll_pause=0.02, first_retry=0.1, tries=3)
RATE = FeeRate.from_sat_per_vb(2)
KINDS = {
    "P2WPKH": ScriptType.P2WPKH,
    "P2TR": ScriptType.P2TR,
    "P2SH-P2WPKH": ScriptType.P2SH,
    "P2PKH": ScriptType.P2PKH,
}
S = TypeVar("S", bound=ReceiverSession)
P = TypeVar("P", bound="Ours")


@dataclass
class AheadClock:
    ahead: int = 0

    def __call__(self) -> UnixTime:
        return UnixTime(now() + self.ahead)


@dataclass
class Ours:
    """One Dovetail with coins."""

    stage: Stage
    agent: Agent
    wallet: BdkWallet
    coins: list[OutPoint]
    clock: AheadClock

    async def balance(self) -> int:
        await asyncio.to_thread(self.wallet.sync)
        return int(self.wallet.balance().confirmed)


@dataclass
class OurSender(Ours):
    """Pays: `start`, then `end`; or `pay` for both."""

    session: LiveSender = field(init=False)
    fallback_fee: int = 0

    async def pay(self, uri: str, **how: Any) -> Ending:
        await self.start(uri, **how)
        return await self.end()

    async def start(self, uri: str, *, contribute: bool = True, rate: FeeRate = RATE) -> LiveSender:
        """Begin to pay; without `contribute`, no fee is offered for the receiver's inputs."""
        payment = await self.agent.prepare(PayjoinUri.parse(uri), fee_rate=rate)
        if not contribute:
            payment = replace(payment, params=replace(payment.params, fee_contribution=None))
        self.fallback_fee = int(payment.fee)
        self.session = await self.agent.start(payment)
        return self.session

    async def end(self) -> Ending:
        return await ending_of(self.session)


@dataclass
class OurReceiver(Ours):
    """Is paid: `ask`, then `serve`."""

    session: LiveReceiver = field(init=False)
    url: str | None = None
    """Its own endpoint, where it has one and speaks v1."""

    async def ask(
        self, amount: int, *, v1: bool = False, lifetime: int = 600, away: bool = False
    ) -> str:
        """The URI to pay; `away` leaves its mailbox alone until `lead` or `resume`."""
        self.session = await self.agent.receive(amount, v1=v1, lifetime=lifetime, endpoint=self.url)
        if away:
            await self.session.stop()
        return self.session.uri

    async def serve(self) -> Ending:
        return await ending_of(self.session)

    async def lead(self, state: type[S]) -> tuple[S, SessionLog[ReceiverEvent]]:
        """Take the steps ourselves until the session stands in `state`; `resume` goes on.

        For a session whose receiver is `away`.
        """
        assert not self.session.running
        services = self.agent.services
        log = services.store.receiver(self.session.session_id)
        now: ReceiverSession = receiver.replay(log.load())
        while not isinstance(now, state):
            now = await step_receiver(now, Turn(log, services))
        return now, log

    def resume(self) -> None:
        self.session = cast("LiveReceiver", self.agent.follow(self.session.session_id))


async def ending_of(session: LiveReceiver | LiveSender) -> Ending:
    outcome = await session.wait_closed()
    state = session.state
    assert isinstance(state, receiver.Closed | sender.Closed)
    match outcome:
        case Success(txid=txid):
            return Ending(How.PAYJOIN, Txid.from_hex(txid))
        case FallbackBroadcasted(txid=txid, why=why):
            return Ending(How.FALLBACK, Txid.from_hex(txid), str(why))
        case PaidDirectly(txid=txid):
            return Ending(How.FALLBACK, Txid.from_hex(txid), "paid directly")
        case _:
            return Ending(How.NOT_AT_ALL, why=repr(outcome))


@asynccontextmanager
async def ours(
    party: type[P],
    stage: Stage,
    relay: str | None,
    *values: int,
    directory: str | None = None,
    kind: str = "P2WPKH",
    policy: Policy = EAGER,
) -> AsyncGenerator[P]:
    """A Dovetail with one coin of each value; without a relay it speaks v1 alone."""
    home, clock = stage.place("dovetail"), AheadClock()
    wallet, coins = await asyncio.to_thread(wallet_with, stage, home / "wallet", kind, values)
    async with (
        trusting(stage) as transport,
        Agent.open(
            home / "sessions",
            wallet=wallet,
            chain=stage.chain,
            directory=directory,
            relays=[] if relay is None else [relay],
            v1_only=relay is None,
            policy=policy,
            clock=clock,
            transport=transport,
        ) as agent,
    ):
        yield party(stage, agent, wallet, coins, clock)


@asynccontextmanager
async def our_v1_receiver(stage: Stage, *values: int) -> AsyncGenerator[OurReceiver]:
    """A Dovetail with one coin of each value and an endpoint on TLS."""
    tls = stage.certificate.server()
    async with (
        ours(OurReceiver, stage, None, *values) as payee,
        serving(V1Server(payee.agent), "127.0.0.1", 0, tls=tls) as payee.url,
    ):
        yield payee


@asynccontextmanager
async def trusting(stage: Stage) -> AsyncGenerator[HttpTransport]:
    """The agent's usual transport, which trusts the stage's certificate instead of the world's."""
    transport = HttpTransport(trust=stage.certificate.trust())
    try:
        yield transport
    finally:
        await transport.aclose()


def wallet_with(
    stage: Stage, home: Path, kind: str, values: tuple[int, ...]
) -> tuple[BdkWallet, list[OutPoint]]:
    """A wallet with one confirmed coin of each value, and these."""
    wallet = BdkWallet.create(home, Network.REGTEST, server=stage.regtest.url, kind=KINDS[kind])
    outputs = [(wallet.new_address().script_pubkey, value) for value in values]
    coins = []
    if outputs:
        funding = stage.fund(outputs)
        coins = [OutPoint(funding.txid, vout) for vout in range(len(outputs))]
    wallet.sync()
    return wallet, coins
