"""`payjoin-client` of npm, a BIP 78 sender that nobody here wrote, pays at our endpoint, live."""

import asyncio
import json
import shutil
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

from tests.interop.dovetail_peer import KINDS
from tests.interop.environment import Stage
from tests.interop.mailrooms import Make
from tests.interop.pairing import Pairing
from tests.interop.programs import Peers
from tests.support.bdk import bdk_wallet

from dovetail import Agent, FallbackBroadcasted, PaidDirectly, Policy, Reason, Success
from dovetail.bip78 import V1Server, serving
from dovetail.bitcoin import Network, Sats, Script, Transaction
from dovetail.bitcoin.hashes import hash160
from dovetail.crypto.secp256k1 import SecretKey
from dovetail.mailroom import MailroomServer, MailroomSettings
from dovetail.protocol.uri import PayjoinUri, V1Endpoint
from dovetail.regtest import RegtestServer
from dovetail.runtime.live_session import LiveReceiver
from dovetail.wallets.esplora.chain import EsploraChain

HERE = Path(__file__).parent / "npm"
VERSION = "1.0.1"
PEER = f"payjoin-client {VERSION}"
GET_NODE = "no node and npm on PATH: install Node.js 20 or newer (https://nodejs.org)"
AMOUNT = 50_000
RATE = 4
"""Satoshis per virtual byte. payjoin-client rounds the rate of its Original down to a whole one."""
EAGER = Policy(watch_interval=0.05, poll_pause=0.05)
PATIENCE = 60.0

WITH_FEES: dict[str, Any] = {
    "payjoinVersion": 1,
    "additionalFeeOutputIndex": 1,
    "maxAdditionalFeeContribution": 1_000,
    "minimumFeeRate": 1,
}
WITHOUT_FEES: dict[str, Any] = {"disableOutputSubstitution": True}


@cache
def install() -> str | None:
    """Put the package into place, as its lock says; why that is not possible, if so."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        return GET_NODE
    if (HERE / "node_modules" / "payjoin-client").is_dir():
        return None
    done = subprocess.run([npm, "ci", "--loglevel=error"], cwd=HERE, check=False)
    return f"npm could not install {PEER}: see its messages above" if done.returncode else None


@dataclass
class Shop:
    """Our receiver at an endpoint of its own, and a customer with a coin."""

    regtest: RegtestServer
    agent: Agent
    url: str
    kind: str
    number: int

    @property
    def key(self) -> SecretKey:
        return SecretKey(bytes(28) + (7_000 + self.number).to_bytes(4, "big"))

    @property
    def script(self) -> Script:
        """Where the customer's coin is, and their change goes."""
        key = hash160(self.key.public_key.compressed)
        if self.kind == "P2PKH":
            return Script(b"\x76\xa9\x14" + key + b"\x88\xac")
        segwit = b"\0\x14" + key
        if self.kind == "P2WPKH":
            return Script(segwit)
        return Script(b"\xa9\x14" + hash160(segwit) + b"\x87")

    async def ask(self) -> LiveReceiver:
        return await self.agent.receive(AMOUNT, endpoint=self.url)

    async def pay(
        self, invoice: LiveReceiver, *, extra: int = 0, **parameters: Any
    ) -> dict[str, Any]:
        """Have payjoin-client pay it, for `extra` satoshis more than the whole rate; its answer."""
        uri = PayjoinUri.parse(invoice.uri)
        endpoint = uri.endpoint
        funding = await asyncio.to_thread(self._fund)
        order = {
            # What a wallet reads in the link that knows nothing of BIP 77.
            "endpoint": endpoint.url if isinstance(endpoint, V1Endpoint) else endpoint.serialize(),
            "script": uri.address.script_pubkey.hex(),
            "amount": AMOUNT,
            "rate": RATE,
            "extra": extra,
            "parameters": parameters,
            "coin": {
                "txid": str(funding.txid),
                "vout": 0,
                "value": 100_000,
                "previous": funding.serialize().hex(),
            },
            "kind": self.kind,
            "key": self.key.reveal().hex(),
            "change": self.script.hex(),
            "chain": self.regtest.url,
        }
        process = await asyncio.create_subprocess_exec(
            "node",
            "sender.js",
            cwd=HERE,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await process.communicate(json.dumps(order).encode())
        answer: dict[str, Any] = json.loads(out)
        return answer

    async def settled(self, invoice: LiveReceiver) -> Any:
        await asyncio.to_thread(self.regtest.node.mine)
        return await invoice.wait_closed()

    def _fund(self) -> Transaction:
        outpoint = self.regtest.node.fund(self.script, Sats(100_000))
        found = self.regtest.node.transaction(outpoint.txid)
        assert found is not None
        assert outpoint.vout == 0
        return found


Act = Callable[[Shop], Awaitable[None]]


async def payjoin(shop: Shop, **parameters: Any) -> None:
    invoice = await shop.ask()
    answer = await shop.pay(invoice, **parameters)
    await completed(shop, invoice, answer)


async def completed(shop: Shop, invoice: LiveReceiver, answer: dict[str, Any]) -> None:
    """Both say that the same payjoin was made, and the chain has it."""
    assert "error" not in answer, answer
    (txid,) = answer["sent"]
    assert txid != answer["original"]
    outcome = await shop.settled(invoice)
    assert isinstance(outcome, Success), outcome
    assert outcome.txid == txid


async def through_directory(shop: Shop) -> None:
    """A wallet that knows BIP 78 alone pays a v2 link: the directory holds its request."""
    invoice = await shop.agent.receive(AMOUNT, v1=True)
    answer = await shop.pay(invoice, **WITH_FEES, disableOutputSubstitution=True)
    await completed(shop, invoice, answer)


async def several(shop: Shop) -> None:
    """Two customers at one endpoint at once."""
    invoices = [await shop.ask() for _ in range(2)]
    shops = [replace(shop, number=shop.number + 100 * turn) for turn in (1, 2)]
    answers = await asyncio.gather(
        *(each.pay(invoice, **WITH_FEES) for each, invoice in zip(shops, invoices, strict=True))
    )
    for invoice, answer in zip(invoices, answers, strict=True):
        await completed(shop, invoice, answer)


async def ordinary(shop: Shop, invoice: LiveReceiver, answer: dict[str, Any]) -> Any:
    """The payment was made once all the same, by the customer's own transaction."""
    outcome = await shop.settled(invoice)
    assert isinstance(outcome, FallbackBroadcasted | PaidDirectly), outcome
    assert outcome.txid == answer["original"]
    return getattr(outcome, "why", None)


async def refused(shop: Shop) -> None:
    invoice = await shop.ask()
    answer = await shop.pay(invoice, **WITH_FEES)
    assert answer["code"] == "unavailable", answer
    assert await ordinary(shop, invoice, answer) is Reason.NO_COINS_TO_CONTRIBUTE


async def broken_rate(shop: Shop) -> None:
    """Where its rate is no whole number it calls what that allows too much, and pays without."""
    invoice = await shop.ask()
    answer = await shop.pay(invoice, extra=70, **WITH_FEES)
    assert answer["error"] == "The actual contribution is not only paying for additional inputs"
    assert answer["sent"] == [answer["original"]]
    assert await ordinary(shop, invoice, answer) is Reason.SENDER_CHOSE_FALLBACK


async def another_version(shop: Shop) -> None:
    """It reads our JSON about a version, and pays by its ordinary payment."""
    invoice = await shop.ask()
    answer = await shop.pay(invoice, payjoinVersion=2)
    assert answer["code"] == "version-unsupported", answer
    assert answer["sent"] == [answer["original"]]
    assert await ordinary(shop, invoice, answer) is None, "not paid directly"


@asynccontextmanager
async def _shop(
    regtest: RegtestServer, home: Path, number: int, kind: str, coins: tuple[int, ...]
) -> AsyncIterator[Shop]:
    wallet = await asyncio.to_thread(bdk_wallet, home / "wallet", regtest, *coins, kind=KINDS[kind])
    desk = MailroomSettings(home / "mailroom", local=True, v1=True)
    with EsploraChain(regtest.url, Network.REGTEST) as chain, MailroomServer(desk) as mailroom:
        async with (
            Agent.open(
                home, wallet=wallet, chain=chain, directory=mailroom.url, direct=True, policy=EAGER
            ) as agent,
            serving(V1Server(agent), "127.0.0.1", 0) as url,
        ):
            yield Shop(regtest, agent, url, kind, number)


class NpmPairing(Pairing):
    """A payment by payjoin-client to our receiver, which needs npm instead of cargo."""

    __slots__ = ()

    def missing(self, peers: Peers) -> str | None:  # noqa: ARG002 - another peer
        return install()


def _row(
    what: str, act: Act, kind: str = "P2WPKH", coins: tuple[int, ...] = (150_000,)
) -> NpmPairing:
    async def play(stage: Stage, _pairing: Pairing) -> None:
        place = _shop(stage.regtest, stage.place("npm"), next(stage.numbers), kind, coins)
        async with place as shop:
            await act(shop)

    return NpmPairing("Another v1 sender", what, Make.NPM, Make.OURS, None, None, play, "v1")


with_fees, without_fees = partial(payjoin, **WITH_FEES), partial(payjoin, **WITHOUT_FEES)
PAIRINGS = (
    _row("a payjoin, the sender contributing to the fee", with_fees),
    _row("a payjoin, the receiver paying for its input", without_fees),
    _row("a payjoin of P2SH-P2WPKH coins", with_fees, "P2SH-P2WPKH"),
    _row("a payjoin of P2PKH coins", with_fees, "P2PKH"),
    _row("two invoices at one endpoint at once", several, coins=(150_000, 160_000)),
    _row("a v2 link, by the directory's service for v1", through_directory),
    _row("a receiver without coins", refused, coins=()),
    _row("a fee rate that is no whole number", broken_rate),
    _row("a version that we do not speak", another_version),
)
