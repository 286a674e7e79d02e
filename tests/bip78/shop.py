"""A shop with a BIP 78 endpoint of its own on real sockets, and a customer with a client."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx2 as httpx
from tests.support.world import World

from dovetail.bip78 import V1Server, V1ServerSettings, serving
from dovetail.bitcoin import OutPoint, Psbt, Sats
from dovetail.protocol.uri import PayjoinUri, V1Endpoint
from dovetail.runtime.agent import Agent
from dovetail.runtime.live_session import LiveReceiver
from dovetail.runtime.transport import HttpTransport

AMOUNT = Sats(50_000)
TEXT = {"content-type": "text/plain"}


@dataclass
class Shop:
    world: World
    agent: Agent
    endpoint: V1Server
    url: str
    begun: list[LiveReceiver]
    spent: set[OutPoint] = field(default_factory=set[OutPoint])

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or 0

    async def invoice(self, amount: Sats = AMOUNT) -> LiveReceiver:
        return await self.agent.receive(amount, endpoint=self.url)

    def original(self, invoice: LiveReceiver, *, of: Collection[OutPoint] | None = None) -> Psbt:
        """What a customer pays with: from a coin of their own each time, or from one of these."""
        self.world.fund(self.world.alice, 100_000)
        script = PayjoinUri.parse(invoice.uri).address.script_pubkey
        party = self.world.alice
        rate = party.chain.fee_rate(target=1)
        barred: Collection[OutPoint] = self.spent
        if of is not None:
            barred = {coin.outpoint for coin in party.wallet.coins()} - set(of)
        made = party.wallet.pay(script, AMOUNT, fee_rate=rate, unspendable=barred)
        self.spent.update(made.unsigned_transaction.contested())
        return made


@asynccontextmanager
async def opened(
    world: World,
    *,
    tls: ssl.SSLContext | None = None,
    settings: V1ServerSettings | None = None,
    resume: bool = True,
    port: int = 0,
) -> AsyncIterator[Shop]:
    begun: list[LiveReceiver] = []
    async with Agent.open(
        world.bob.folder,
        wallet=world.bob.wallet,
        chain=world.bob.chain,
        v1_only=True,
        policy=world.policy,
        clock=world.clock,
        resume=resume,
    ) as agent:
        endpoint = V1Server(agent, settings, on_follow=begun.append)
        async with serving(endpoint, "127.0.0.1", port, tls=tls) as url:
            yield Shop(world, agent, endpoint, url, begun)


@asynccontextmanager
async def customer(world: World, *, web: HttpTransport | None = None) -> AsyncIterator[Agent]:
    """An agent that pays over real HTTP."""
    web = web or HttpTransport()
    async with Agent.open(
        world.alice.folder,
        wallet=world.alice.wallet,
        chain=world.alice.chain,
        v1_only=True,
        policy=world.policy,
        clock=world.clock,
        transport=web,
    ) as agent:
        yield agent
    await web.aclose()


def address_of(invoice: LiveReceiver) -> str:
    """The URL that a URI names."""
    endpoint = PayjoinUri.parse(invoice.uri).endpoint
    assert isinstance(endpoint, V1Endpoint)
    return endpoint.url


async def post(url: str, body: bytes, *, query: str = "v=1", **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
        return await client.post(f"{url}?{query}", content=body, headers=TEXT | headers)


async def said(port: int, data: bytes) -> bytes:
    """What a server answers to these bytes, until it hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        await writer.drain()
        async with asyncio.timeout(20):
            return await reader.read()
    finally:
        writer.close()


def body_of(shop: Shop, invoice: LiveReceiver) -> bytes:
    return shop.original(invoice).to_base64().encode()


def refused(answer: httpx.Response, status: int, code: str) -> None:
    """Every error is JSON of BIP 78, and a wallet in a browser may read it."""
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["access-control-allow-origin"] == "*"
    fields = answer.json()
    assert fields["errorCode"] == code
    assert fields["message"]
