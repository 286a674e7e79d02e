"""Whole payjoins between a wallet of a node and one of BDK, in both roles, over both chains."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.live_core.bitcoind import Bitcoind
from tests.live_core.mirror import Mirror

from dovetail import Agent, Success
from dovetail.bitcoin import Address, Network, OutPoint, Sats, ScriptType
from dovetail.errors import InsufficientFunds
from dovetail.mailroom import MailroomServer
from dovetail.protocol.uri import PayjoinUri
from dovetail.regtest import RegtestServer
from dovetail.runtime import decisions
from dovetail.runtime.policy import Policy
from dovetail.sessions import receiver, sender
from dovetail.wallets.bdk.wallet import BdkWallet
from dovetail.wallets.core.chain import CoreChain
from dovetail.wallets.core.wallet import CoreWallet
from dovetail.wallets.esplora.chain import EsploraChain
from dovetail.wallets.ports import Chain, Wallet

EAGER = Policy(watch_interval=0.05, poll_pause=0.05)
KINDS = ["legacy", "p2sh-segwit", "bech32", "bech32m"]


@dataclass(frozen=True, slots=True)
class NodeNetwork:
    """One network with two kinds of nodes."""

    bitcoind: Bitcoind
    regtest: RegtestServer
    mirror: Mirror
    mailroom: str
    folder: Path
    closing: ExitStack

    def core(self, name: str, *values: int, kind: str = "bech32") -> tuple[Wallet, Chain]:
        self.bitcoind.make_wallet(name)
        for value in values:
            self.fund(self.bitcoind.rpc("getnewaddress", "", kind, wallet=name), value)
        self.mirror.settle()
        node = self.bitcoind.node(name)
        self.closing.callback(node.close)
        folder = self.folder / name
        return CoreWallet(node, folder), CoreChain(node, memory=folder / "searches.json")

    def bdk(
        self, name: str, *values: int, kind: ScriptType = ScriptType.P2WPKH
    ) -> tuple[Wallet, Chain]:
        folder = self.folder / name / "wallet"
        wallet = BdkWallet.create(folder, Network.REGTEST, server=self.regtest.url, kind=kind)
        for value in values:
            self.fund(str(wallet.new_address()), value)
        self.mirror.settle()
        return wallet, self.closing.enter_context(EsploraChain(self.regtest.url, Network.REGTEST))

    def fund(self, address: str, value: int) -> None:
        self.regtest.node.fund(Address.parse(address).script_pubkey, Sats(value))

    def locked(self, name: str) -> set[OutPoint]:
        return self.bitcoind.locked(name)

    def agent(self, name: str, party: tuple[Wallet, Chain]):
        wallet, chain = party
        return Agent.open(
            self.folder / name,
            wallet=wallet,
            chain=chain,
            directory=self.mailroom,
            relays=[self.mailroom],
            policy=EAGER,
        )


@pytest.fixture
def world(start: Callable[..., Bitcoind], tmp_path: Path) -> Iterator[NodeNetwork]:
    with ExitStack() as opened:
        regtest = opened.enter_context(RegtestServer())
        mailroom = opened.enter_context(MailroomServer())
        bitcoind = start()
        mirror = opened.enter_context(Mirror(regtest.url, bitcoind))
        mirror.settle()
        yield NodeNetwork(bitcoind, regtest, mirror, mailroom.url, tmp_path, opened)


async def payjoin(
    world: NodeNetwork, payer: tuple[Wallet, Chain], payee: tuple[Wallet, Chain]
) -> None:
    """The one pays the other: one payjoin, which both know of."""
    async with world.agent("payee", payee) as receiving, world.agent("payer", payer) as sending:
        asked = await receiving.receive(50_000)
        paid = await sending.send(asked.uri)
        async for update in paid.updates():
            if isinstance(update.state, sender.Monitor):
                break
        await asyncio.to_thread(world.mirror.settle)
        world.regtest.node.mine()
        outcomes = await asyncio.gather(asked.wait_closed(), paid.wait_closed())
    assert isinstance(asked.state, receiver.Closed)
    assert {type(outcome) for outcome in outcomes} == {Success}
    assert len({outcome.txid for outcome in outcomes if isinstance(outcome, Success)}) == 1
    assert asked.state.payjoin is not None
    assert len(asked.state.payjoin.inputs) == 2


@pytest.mark.parametrize("kind", KINDS)
async def test_core_pays_bdk(world: NodeNetwork, kind: str) -> None:
    payer = world.core("core", 1_000_000, kind=kind)
    await payjoin(world, payer, world.bdk("bdk", 200_000))
    assert world.locked("core") == set()


@pytest.mark.parametrize("kind", KINDS)
async def test_bdk_pays_core(world: NodeNetwork, kind: str) -> None:
    payee = world.core("core", 200_000, kind=kind)
    await payjoin(world, world.bdk("bdk", 1_000_000), payee)
    assert world.locked("core") == set()


async def test_core_pays_core(world: NodeNetwork) -> None:
    payer = world.core("one", 1_000_000)
    await payjoin(world, payer, world.core("other", 200_000, 300_000, kind="bech32m"))
    assert world.locked("one") | world.locked("other") == set()


async def test_a_session_locks_its_coin_and_a_cancelled_one_gives_it_back(
    world: NodeNetwork,
) -> None:
    payer, payee = world.core("core", 1_000_000, 500_000), world.bdk("bdk", 200_000)
    async with world.agent("payee", payee) as receiving:
        asked = await receiving.receive(50_000)
        await receiving.stop()
        async with world.agent("payer", payer) as sending:
            paid = await sending.send(asked.uri)
            async for _ in paid.updates():
                if isinstance(paid.state, sender.PollingForProposal):
                    break
            assert len(world.locked("core")) == 1
            [held] = world.locked("core")
            assert held in sending.services.store.reserved()
            await decisions.cancel(sending.services, paid.session_id)
            await decisions.fallback(sending.services, paid.session_id)
            await asyncio.to_thread(world.mirror.settle)
            world.regtest.node.mine()
            await paid.wait_closed()
    assert world.locked("core") == set()


async def test_a_payment_that_cannot_be_made_locks_nothing(world: NodeNetwork) -> None:
    payer, payee = world.core("core", 60_000), world.bdk("bdk", 200_000)
    async with world.agent("payee", payee) as receiving, world.agent("payer", payer) as sending:
        asked = await receiving.receive(500_000)
        with pytest.raises(InsufficientFunds, match="too few to pay"):
            await sending.send(asked.uri)
        prepared = await receiving.receive(20_000)
        await sending.prepare(PayjoinUri.parse(prepared.uri))  # which nobody starts
    assert world.locked("core") == set()
