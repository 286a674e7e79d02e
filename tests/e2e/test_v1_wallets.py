"""A wallet that knows only BIP 78 scans a v2 link: the directory's service for v1 lets it pay."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.loopback import Loopback
from tests.wallets.signing import sign_all

from dovetail import Agent, FallbackBroadcasted, Success
from dovetail.bip78 import V1Server, serving
from dovetail.bitcoin import FeeRate, Network, Psbt, Sats
from dovetail.mailroom import MailroomServer, MailroomSettings
from dovetail.protocol.error_replies import ErrorCode, ErrorReply
from dovetail.protocol.params import SenderParams
from dovetail.protocol.proposal import check_proposal
from dovetail.protocol.requests import v1_reply, v1_request
from dovetail.protocol.uri import PayjoinUri, V2Endpoint
from dovetail.regtest import RegtestServer
from dovetail.runtime.live_session import LiveReceiver
from dovetail.runtime.policy import Policy
from dovetail.runtime.transport import HttpTransport
from dovetail.sessions import receiver, sender
from dovetail.wallets.bdk.wallet import BdkWallet
from dovetail.wallets.esplora.chain import EsploraChain
from dovetail.wallets.ports import Accepted

EAGER = Policy(watch_interval=0.05, poll_pause=0.05, first_retry=0.05)


@asynccontextmanager
async def link(
    folder: Path, *, served: bool
) -> AsyncIterator[tuple[Loopback, Agent, LiveReceiver]]:
    """A receiver whose URI welcomes v1 senders if its mailroom serves them, as it must."""
    settings = MailroomSettings(folder / "mailroom", local=True, v1=served)
    with (
        RegtestServer() as regtest,
        MailroomServer(settings) as mailroom,
        EsploraChain(regtest.url, Network.REGTEST) as chain,
    ):
        world = Loopback(regtest, mailroom, chain, folder)
        async with Agent.open(
            folder / "sessions",
            wallet=world.wallet("receiver", 200_000),
            chain=chain,
            directory=mailroom.url,
            direct=True,
            policy=EAGER,
        ) as payee:
            yield world, payee, await payee.receive(50_000, v1=served)


async def ask(wallet: BdkWallet, invoice: LiveReceiver) -> tuple[Psbt, Psbt | ErrorReply]:
    """What a v1 wallet posts to the `pj` of a link, without its fragment, and the answer."""
    uri = PayjoinUri.parse(invoice.uri)
    assert isinstance(uri.endpoint, V2Endpoint)
    original = wallet.pay(
        uri.address.script_pubkey, uri.amount or Sats(0), fee_rate=FeeRate.from_sat_per_vb(2)
    ).finalize()
    web = HttpTransport()
    reply = await web.post(v1_request(uri.endpoint.serialize(), original, SenderParams(version=1)))
    await web.aclose()
    return original, v1_reply(reply.status, reply.body)


async def test_a_v2_link_is_paid_by_payjoin(tmp_path: Path):
    async with link(tmp_path, served=True) as (world, _, invoice):
        wallet = world.wallet("sender", 1_000_000)
        original, proposal = await ask(wallet, invoice)
        assert isinstance(proposal, Psbt)
        checked = check_proposal(
            original=original,
            proposal=proposal,
            params=SenderParams(version=1),
            payee=PayjoinUri.parse(invoice.uri).address.script_pubkey,
            output_substitution=False,
        )
        payjoin = sign_all(wallet, checked).finalize().extract()
        assert len(payjoin.inputs) == 2
        assert isinstance(world.chain.broadcast(payjoin), Accepted)
        world.regtest.node.mine()
        outcome = await invoice.wait_closed()
        assert isinstance(outcome, Success)
        assert outcome.txid == str(payjoin.txid)


async def test_a_mailroom_without_the_service_says_which_version_it_speaks(tmp_path: Path):
    """A v1 wallet that scans a URI for v2 senders alone."""
    async with link(tmp_path, served=False) as (world, _, invoice):
        _, answer = await ask(world.wallet("sender", 1_000_000), invoice)
        assert answer == ErrorReply(ErrorCode.VERSION_UNSUPPORTED, (2,))
        assert isinstance(invoice.state, receiver.Initialized)


async def test_one_agent_serves_both_kinds_of_links(tmp_path: Path):
    async with (
        link(tmp_path, served=True) as (world, payee, invoice),
        serving(V1Server(payee), "127.0.0.1", 0) as url,
        Agent.open(
            tmp_path / "payer",
            wallet=world.wallet("sender", 300_000, 400_000),
            chain=world.chain,
            direct=True,
            policy=EAGER,
        ) as payer,
    ):
        invoices = (invoice, await payee.receive(60_000, endpoint=url))
        paid = [await payer.send(each.uri) for each in invoices]
        for session in paid:
            async for update in session.updates():
                if isinstance(update.state, sender.Monitor):
                    break
        world.regtest.node.mine()
        ends = await asyncio.gather(
            *(each.wait_closed() for each in invoices), *(each.wait_closed() for each in paid)
        )
        # The receiver has one coin to add: one of the two may be without a payjoin.
        assert all(isinstance(end, Success | FallbackBroadcasted) for end in ends)
