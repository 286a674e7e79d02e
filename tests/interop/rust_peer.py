"""rust-payjoin as a party: each method goes on to the end, or to where a behaviour leaves off."""

import asyncio
from base64 import b64decode, b64encode
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TypeVar

import httpx2 as httpx
from tests.interop.dovetail_peer import RATE
from tests.interop.environment import Ending, How, Stage
from tests.interop.programs import Program
from tests.interop.rust_program import Answer, RustPeer, rust_peer
from tests.interop.v1_endpoint import Asked, serving

from dovetail.bitcoin import Address, FeeRate, OutPoint, Psbt, Script, Transaction

P2WPKH, P2TR, P2SH, P2PKH = "P2WPKH", "P2TR", "P2SH-P2WPKH", "P2PKH"
KINDS = (P2WPKH, P2TR, P2SH, P2PKH)
P = TypeVar("P", bound="Theirs")


@dataclass
class Theirs:
    """One rust-payjoin with coins."""

    stage: Stage
    peer: RustPeer
    kind: str
    relay: str
    directory: str = ""
    coins: list[OutPoint] = field(default_factory=list)
    original: Transaction = field(init=False)
    """What a sender offered to pay, once there is one."""

    async def add_coins(self, values: Sequence[int]) -> None:
        scripts = [await self.script() for _ in values]
        funding = await asyncio.to_thread(self.stage.fund, list(zip(scripts, values, strict=True)))
        for vout in range(len(values)):
            await self.peer.order("coin", transaction=funding.serialize().hex(), vout=vout)
            self.coins.append(OutPoint(funding.txid, vout))

    async def script(self) -> Script:
        return Address.parse(await self.address()).script_pubkey

    async def address(self) -> str:
        answer = await self.peer.order("address", kind=self.kind)
        return str(answer["address"])

    async def scripts(self) -> list[Script]:
        scripts = (await self.peer.order("scripts"))["scripts"]
        return [Script(bytes.fromhex(script)) for script in scripts]

    async def balance(self) -> int:
        return self.stage.unspent(await self.scripts())

    async def paid(self, why: str = "") -> Ending:
        """Wait until the sender's coins are spent, by whatever it is."""
        found = await self.stage.settled(self.original.contested()[0])
        how = How.FALLBACK if found.txid == self.original.txid else How.PAYJOIN
        return Ending(how, found.txid, why)

    async def heard(self, state: str, *, unlike: bool = False) -> Answer:
        """Poll until it stands there, or no longer does."""
        while True:
            answer = await self.peer.exchange("poll", "polled", relay=self.relay)
            if (answer["state"] == state) is not unlike:
                return answer


@dataclass
class TheirSender(Theirs):
    """Pays: `prepare`, `post`, `answer`; or `pay` for all of it."""

    fallback_fee: int = 0

    async def pay(self, uri: str, *, rate: FeeRate = RATE, **terms: object) -> Ending:
        """Pay by payjoin if it comes to one, else by the fallback."""
        await self.prepare(uri, fee_rate=int(rate.sat_per_vb), **terms)
        await self.post()
        return await self.finish(await self.answer())

    async def prepare(self, uri: str, **terms: object) -> Answer:
        """Build and sign the Original PSBT; `terms` are those of the order `send`."""
        wanted = {"change": self.kind, "fee_rate": 2, **terms}
        answer = await self.peer.order("send", uri=uri, **wanted)
        self.original = Transaction.parse(bytes.fromhex(answer["fallback"]))
        self.fallback_fee = int(Psbt.from_base64(answer["original"]).fee)
        return answer

    async def post(self) -> None:
        await self.peer.exchange("post", "posted", relay=self.relay)

    async def pay_v1(self, uri: str) -> Ending:
        """Post the Original PSBT in plaintext and wait for the answer (BIP 78)."""
        await self.prepare(uri, version=1)
        return await self.finish(await self.peer.exchange("post", "answered"))

    async def answer(self) -> Answer:
        """Poll until the receiver has answered."""
        return await self.heard("PollingForProposal", unlike=True)

    async def finish(self, answer: Answer) -> Ending:
        """Broadcast the payjoin, or the fallback where there is none."""
        if answer["state"] == "Proposal":
            payjoin = Transaction.parse(bytes.fromhex(answer["payjoin"]))
            assert self.stage.send(payjoin), "the network refuses the payjoin"
            await self.stage.settled(payjoin.contested()[0])
            return Ending(How.PAYJOIN, payjoin.txid)
        return await self.fall_back(str(answer.get("code") or answer.get("refused")))

    async def fall_back(self, why: str = "") -> Ending:
        """Broadcast the fallback, or find it broadcast."""
        self.stage.send(self.original)
        return await self.paid(why)


@dataclass
class TheirReceiver(Theirs):
    """Is paid: `ask`, `original`, `check`, `propose`, `watch`; or `serve` for all but `ask`."""

    async def ask(self, amount: int, **terms: object) -> str:
        """The URI to pay; `terms` are those of the order `receive`."""
        async with httpx.AsyncClient(trust_env=False) as client:
            keys = await client.get(f"{self.directory}/.well-known/ohttp-gateway")
        answer = await self.peer.order(
            "receive",
            directory=self.directory,
            ohttp_keys=keys.content.hex(),
            amount=amount,
            kind=self.kind,
            **terms,
        )
        return str(answer["uri"])

    async def serve(self, **terms: object) -> Ending:
        """Answer the sender who comes, and watch; `terms` are those of `propose`."""
        await self.fetch()
        checked = await self.check()
        if checked["state"] == "HasReplyableError":
            return await self.refuse(str(checked["refused"]))
        await self.propose(**terms)
        return await self.watch()

    async def fetch(self) -> Transaction:
        answer = await self.heard("UncheckedOriginalPayload")
        self.original = Transaction.parse(bytes.fromhex(answer["original"]))
        return self.original

    async def check(self, **facts: object) -> Answer:
        """The receiver's checklist, with the node's word on the Original unless `facts` has it."""
        said = {"broadcastable": self.stage.accepts(self.original), **facts}
        return await self.peer.order("check", **said)

    async def propose(self, **terms: object) -> Answer:
        answer = await self.peer.order("propose", **{"max_fee_rate": 100, **terms})
        await self.peer.exchange("post", "posted", relay=self.relay)
        return answer

    async def refuse(self, why: str) -> Ending:
        """Tell the sender, then wait for the fallback."""
        await self.peer.exchange("reply", "replied", relay=self.relay)
        return await self.paid(why)

    async def watch(self) -> Ending:
        """Let it look for its money on the chain until it closes."""
        found = await self.paid()
        transaction = self.stage.spender(self.original.contested()[0])
        assert transaction is not None
        closed = await self.peer.order("settle", transactions=[transaction.serialize().hex()])
        outcome = str(closed.get("outcome"))
        if closed["state"] == "Monitor" and self.kind in (P2SH, P2PKH):
            # It awaits a txid that leaves out the script_sig of its own input.
            return Ending(How.UNWATCHED, found.txid, "waits for another txid")
        if outcome == "PayjoinProposalSent":
            return Ending(How.UNWATCHED, found.txid, outcome)
        if f"Success({found.txid})" in outcome:
            return Ending(How.PAYJOIN, found.txid, outcome)
        assert outcome == "FallbackBroadcasted", outcome
        return Ending(How.FALLBACK, found.txid, outcome)


@dataclass
class TheirV1Receiver(Theirs):
    """Is paid at `url`; `terms` are those of the order `request`."""

    url: str = ""
    terms: dict[str, object] = field(default_factory=dict)
    refused: str = ""
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def ask(self, amount: int, **terms: object) -> str:
        order = {"endpoint": self.url, "amount": amount, "kind": self.kind, **terms}
        return str((await self.peer.order("receive_v1", **order))["uri"])

    async def __call__(self, asked: Asked) -> tuple[int, bytes]:
        self.original = Psbt.from_base64(asked.body.decode()).extract()
        facts = {"broadcastable": self.stage.accepts(self.original), "max_fee_rate": 100}
        answer = await self.peer.order(
            "request",
            body=b64encode(asked.body).decode(),
            content_type=asked.content_type,
            query=asked.query,
            **{**facts, **self.terms},
        )
        self.refused = str(answer.get("refused", ""))
        self.asked.set()
        return int(answer["status"]), b64decode(answer["body"])

    async def serve(self) -> Ending:
        await self.asked.wait()
        return replace(await self.paid(), why=self.refused)


@asynccontextmanager
async def theirs(
    party: type[P], stage: Stage, relay: str, *values: int, kind: str = P2WPKH, directory: str = ""
) -> AsyncGenerator[P]:
    """A rust-payjoin with one coin of each value."""
    program = stage.peers.peer
    assert isinstance(program, Program)
    # One public key in 200 may also be read as a script, and a payjoin with its coin is refused.
    seed = f"rust-payjoin wallet {next(stage.numbers)}".encode()
    async with rust_peer(program, seed, stage.certificate.trust()) as peer:
        made = party(stage, peer, kind, relay, directory)
        await made.add_coins(values)
        yield made


@asynccontextmanager
async def their_v1_receiver(stage: Stage, *values: int) -> AsyncGenerator[TheirV1Receiver]:
    """A rust-payjoin with one coin of each value, and an endpoint of its own."""
    async with (
        theirs(TheirV1Receiver, stage, "", *values) as payee,
        serving(payee, stage.certificate.server()) as payee.url,
    ):
        yield payee
