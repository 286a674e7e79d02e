"""Two agents with nothing of their world made up: BDK, chain servers, HTTP, relay, directory."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.bdk import bdk_wallet
from tests.support.certificates import make_certificate
from tests.wallets.keys import descriptors_of_a_key_like_a_script

from dovetail import Agent, FallbackBroadcasted, LiveReceiver, LiveSender, Policy, Success
from dovetail.bitcoin import Network, ScriptType
from dovetail.mailroom import MailroomServer
from dovetail.regtest.electrum_server import ElectrumServer
from dovetail.regtest.server import RegtestServer
from dovetail.sessions import receiver, sender
from dovetail.wallets.bdk.wallet import BdkWallet
from dovetail.wallets.electrum.chain import ElectrumChain
from dovetail.wallets.esplora.chain import EsploraChain
from dovetail.wallets.server_url import ChainServer

QUICK = Policy(watch_interval=0.1, poll_pause=0.05, first_retry=0.1)


@pytest.fixture(scope="module")
def server() -> Iterator[RegtestServer]:
    with RegtestServer(blocks=120) as running:
        yield running


@pytest.fixture
def mailroom() -> Iterator[MailroomServer]:
    with MailroomServer() as running:
        yield running


def wallet(
    server: RegtestServer,
    folder: Path,
    sats: int,
    kind: ScriptType,
    source: ChainServer | None = None,
    keys: tuple[str, str] | None = None,
) -> BdkWallet:
    at = server.url if source is None else source
    coins = (sats,) if sats else ()
    return bdk_wallet(folder, server, *coins, server=at, kind=kind, descriptors=keys)


async def mine_until_closed(server: RegtestServer, *sessions: LiveReceiver | LiveSender) -> None:
    while any(session.running for session in sessions):
        await asyncio.sleep(0.1)
        if server.node.mempool_txids():
            server.node.mine()


@pytest.mark.parametrize("kind", [ScriptType.P2WPKH, ScriptType.P2TR, ScriptType.P2SH])
async def test_a_payjoin(
    server: RegtestServer, mailroom: MailroomServer, tmp_path: Path, kind: ScriptType
):
    payer = wallet(server, tmp_path / "payer", 200_000, kind)
    payee = wallet(server, tmp_path / "payee", 150_000, ScriptType.P2WPKH)
    before = payee.balance().confirmed
    with EsploraChain(server.url, Network.REGTEST) as chain:
        async with (
            Agent.open(
                tmp_path / "bob",
                wallet=payee,
                chain=chain,
                directory=mailroom.url,
                relays=[mailroom.url],
                policy=QUICK,
            ) as bob,
            Agent.open(
                tmp_path / "alice", wallet=payer, chain=chain, relays=[mailroom.url], policy=QUICK
            ) as alice,
        ):
            receiving = await bob.receive(50_000)
            sending = await alice.send(receiving.uri)
            await mine_until_closed(server, sending, receiving)
            paid, got = await sending.wait_closed(), await receiving.wait_closed()
    assert isinstance(paid, Success)
    assert isinstance(got, Success)
    assert paid.txid == got.txid
    payee.sync()
    # Bob pays for what his coin weighs more than the coin Alice expected.
    assert 0 <= before + 50_000 - payee.balance().confirmed < 100


@pytest.mark.parametrize("odd", ["receiver", "sender"])
async def test_a_payjoin_of_a_key_that_may_also_be_a_script(
    server: RegtestServer, mailroom: MailroomServer, tmp_path: Path, odd: str
):
    keys = descriptors_of_a_key_like_a_script(odd)
    wallets = {"sender": 200_000, "receiver": 150_000}
    made = {
        name: wallet(
            server, tmp_path / name, sats, ScriptType.P2WPKH, None, keys if name == odd else None
        )
        for name, sats in wallets.items()
    }
    [coin] = made[odd].coins()
    assert coin.has_only_previous
    before = made["receiver"].balance().confirmed
    with EsploraChain(server.url, Network.REGTEST) as chain:
        async with (
            Agent.open(
                tmp_path / "bob",
                wallet=made["receiver"],
                chain=chain,
                directory=mailroom.url,
                relays=[mailroom.url],
                policy=QUICK,
            ) as bob,
            Agent.open(
                tmp_path / "alice",
                wallet=made["sender"],
                chain=chain,
                relays=[mailroom.url],
                policy=QUICK,
            ) as alice,
        ):
            receiving = await bob.receive(50_000)
            sending = await alice.send(receiving.uri)
            await mine_until_closed(server, sending, receiving)
            outcomes = await sending.wait_closed(), await receiving.wait_closed()
    assert {type(outcome) for outcome in outcomes} == {Success}
    made["receiver"].sync()
    assert made["receiver"].balance().confirmed == before + 50_000


async def test_parties_who_ask_different_kinds_of_chain_servers(
    server: RegtestServer, mailroom: MailroomServer, tmp_path: Path
):
    certificate = make_certificate(tmp_path)
    with (
        ElectrumServer(server.node, tls=certificate.server()) as secured,
        EsploraChain(server.url, Network.REGTEST) as esplora,
        ElectrumChain(ChainServer(secured.url, certificate.cert), Network.REGTEST) as electrum,
    ):
        pinned = ChainServer(secured.url, certificate.cert)
        payer = wallet(server, tmp_path / "payer", 200_000, ScriptType.P2WPKH, pinned)
        payee = wallet(server, tmp_path / "payee", 150_000, ScriptType.P2WPKH)
        for one, other in ((payer, payee), (payee, payer)):
            name = "there" if one is payer else "back"
            async with (
                Agent.open(
                    tmp_path / name / "receiver",
                    wallet=other,
                    chain=esplora if other is payee else electrum,
                    directory=mailroom.url,
                    relays=[mailroom.url],
                    policy=QUICK,
                ) as bob,
                Agent.open(
                    tmp_path / name / "sender",
                    wallet=one,
                    chain=electrum if one is payer else esplora,
                    relays=[mailroom.url],
                    policy=QUICK,
                ) as alice,
            ):
                receiving = await bob.receive(50_000)
                sending = await alice.send(receiving.uri)
                await mine_until_closed(server, sending, receiving)
                paid, got = await sending.wait_closed(), await receiving.wait_closed()
            assert isinstance(paid, Success)
            assert isinstance(got, Success)
            assert paid.txid == got.txid
            for each in (payer, payee):
                each.sync()


async def test_a_receiver_without_coins_is_paid_by_the_fallback(
    server: RegtestServer, mailroom: MailroomServer, tmp_path: Path
):
    payer = wallet(server, tmp_path / "payer", 200_000, ScriptType.P2WPKH)
    payee = wallet(server, tmp_path / "payee", 0, ScriptType.P2WPKH)
    with EsploraChain(server.url, Network.REGTEST) as chain:
        async with (
            Agent.open(
                tmp_path / "bob",
                wallet=payee,
                chain=chain,
                directory=mailroom.url,
                direct=True,
                policy=QUICK,
            ) as bob,
            Agent.open(
                tmp_path / "alice", wallet=payer, chain=chain, direct=True, policy=QUICK
            ) as alice,
        ):
            receiving = await bob.receive(50_000)
            sending = await alice.send(receiving.uri)
            await mine_until_closed(server, sending, receiving)
            paid, got = await sending.wait_closed(), await receiving.wait_closed()
    assert isinstance(paid, FallbackBroadcasted)
    assert isinstance(got, FallbackBroadcasted)
    assert paid.txid == got.txid
    payee.sync()
    assert payee.balance().confirmed == 50_000
    assert isinstance(receiving.state, receiver.Closed)
    assert isinstance(sending.state, sender.Closed)
