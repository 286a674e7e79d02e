"""A transcript lived again: our agent against what its peer, wallet and chain said then.

Whatever it asks for differently, or in another order, is an `AssertionError`.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, cast

import httpx2 as httpx
from tests.interop.recording import coins_from_psbt
from tests.interop.transcript import Entry, Transcript, drawing_from
from tests.interop.transcript_agent import begin, entries, open_agent
from tests.support.chain import OneByOne

from dovetail import Agent, Sats
from dovetail.bip78 import V1Server
from dovetail.bitcoin import (
    Address,
    FeeRate,
    Network,
    OutPoint,
    Psbt,
    Script,
    Transaction,
    Txid,
    UnixTime,
)
from dovetail.protocol import Coin, Request
from dovetail.runtime.transport import LIMIT, Reply
from dovetail.wallets.ports import (
    Accepted,
    Balance,
    Output,
    Payment,
    Refused,
    Spend,
    Unknown,
)


async def relive(transcript: Transcript, folder: Path) -> list[str]:
    """Live it again to its end; the log that comes of it, entry by entry."""
    past = Past(transcript)
    with drawing_from(bytes.fromhex(transcript.seed)):
        async with open_agent(
            transcript, folder, wallet=past, chain=past, transport=past, clock=past.time
        ) as agent:
            session = await begin(agent, transcript)
            if transcript.asked is not None:
                await _ask(agent, transcript.asked)
            await session.wait_closed()
            past.require_end()
            return entries(agent, session)


async def _ask(agent: Agent, then: Entry) -> None:
    """Post what a v1 sender posted then to our endpoint, and be answered as they were."""
    app = cast("Any", V1Server(agent))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
        reply = await client.post(
            then["url"],
            content=b64decode(then["body"]),
            headers={"content-type": then["content_type"]},
        )
    assert reply.status_code == then["status"]
    assert b64encode(reply.content).decode() == then["answer"], "another answer than then"


class Past(OneByOne):
    """The agent's transport, wallet, chain and clock, as they were."""

    network = Network.REGTEST

    def __init__(self, transcript: Transcript) -> None:
        self._transcript = transcript
        self._addresses = iter(transcript.addresses)
        self._story = list(transcript.story)
        self._now = transcript.began
        self._spends: dict[str, Spend] = {}
        self._payments: dict[str, tuple[Payment, ...]] = {}

    def require_end(self) -> None:
        assert not self._story, [entry["did"] for entry in self._story]

    def time(self) -> UnixTime:
        return UnixTime(self._now)

    async def post(self, request: Request, *, limit: int = LIMIT) -> Reply:  # noqa: ARG002 - the port's
        then = self._pop("post")
        assert request.url == then["url"]
        assert request.content_type == then["content_type"]
        assert b64encode(request.body).decode() == then["body"], "other bytes leave than did then"
        return _reply(then)

    async def get(self, url: str, *, proxy: str | None = None, limit: int = LIMIT) -> Reply:  # noqa: ARG002 - the port's
        then = self._pop("get")
        assert url == then["url"]
        return _reply(then)

    def sync(self) -> None:
        """It knows already."""

    def balance(self) -> Balance:
        return Balance(confirmed=Sats(0), unconfirmed=Sats(0))

    def new_address(self) -> Address:
        return Address.parse(next(self._addresses))

    def owned(self, scripts: Collection[Script]) -> frozenset[Script]:
        return frozenset(script for script in scripts if script.hex() in self._transcript.owned)

    def owned_coins(self, outpoints: Collection[OutPoint]) -> frozenset[OutPoint]:
        kept = {coin.outpoint for coin in self.coins()}
        return frozenset(kept.intersection(outpoints))

    def coins(self) -> tuple[Coin, ...]:
        kept = self._transcript.coins
        return () if kept is None else coins_from_psbt(Psbt.from_base64(kept))

    def hold(self, reserved: Callable[[], Collection[OutPoint]]) -> None:
        """Nobody else spends from it."""

    def pay(self, *_: Any, **__: Any) -> Psbt:
        assert self._transcript.original is not None
        return Psbt.from_base64(self._transcript.original)

    def sign(self, psbt: Psbt, *, inputs: Collection[OutPoint]) -> Psbt:
        then = self._pop("sign")
        assert psbt.to_base64() == then["psbt"]
        assert inputs
        return Psbt.from_base64(then["signed"])

    def revoke(self, *_: Any, **__: Any) -> Transaction:
        raise AssertionError("nobody revoked anything then")

    def height(self) -> int:
        return 0

    def acceptance(self, transaction: Transaction) -> Accepted | Refused:
        known = self._transcript.accepted[transaction.serialize().hex()]
        return Accepted(tested=True) if known else Refused("as then")

    def broadcast(self, transaction: Transaction) -> Accepted | Refused | Unknown:
        then = self._pop("broadcast")
        assert transaction.serialize().hex() == then["transaction"]
        return Accepted() if then["accepted"] else Refused("as then")

    def outputs(self, outpoints: Collection[OutPoint]) -> Mapping[OutPoint, Output]:
        """As the Original said, which the node took for true."""
        original = self._original()
        known = zip(original.unsigned_transaction.contested(), original.utxos(), strict=True)
        return {of: Output(utxo, 1) for of, utxo in known if of in outpoints and utxo is not None}

    def _original(self) -> Psbt:
        if self._transcript.original is not None:
            return Psbt.from_base64(self._transcript.original)
        told = next(each for each in self._transcript.events if '"psbt"' in each)
        return Psbt.parse(b64decode(json.loads(told)["psbt"]))

    def min_fee_rate(self) -> FeeRate:
        return FeeRate.BROADCAST_MIN

    def spend_of(self, outpoint: OutPoint) -> Spend | None:
        name = str(outpoint)
        if self._next_is("see spend", of=name):
            then = self._pop("see spend")
            self._spends.pop(name, None)
            if then["transaction"] is not None:
                transaction = Transaction.parse(bytes.fromhex(then["transaction"]))
                self._spends[name] = Spend(transaction=transaction, depth=then["depth"])
        return self._spends.get(name)

    def payments_to(self, script: Script) -> tuple[Payment, ...]:
        name = script.hex()
        if self._next_is("see payments", to=name):
            self._payments[name] = tuple(
                Payment(txid=Txid.from_hex(txid), amount=Sats(amount), depth=depth)
                for txid, amount, depth in self._pop("see payments")["payments"]
            )
        return self._payments.get(name, ())

    def fee_rate(self, **_: Any) -> FeeRate:
        assert self._transcript.fee_rate is not None
        return FeeRate(self._transcript.fee_rate)

    def _next_is(self, did: str, **what: str) -> bool:
        wanted = {"did": did, **what}
        return bool(self._story) and wanted.items() <= self._story[0].items()

    def _pop(self, did: str) -> Entry:
        assert self._story, f"we {did} now, and did not then"
        assert self._story[0]["did"] == did, f"we {did} now, and {self._story[0]['did']} then"
        then = self._story.pop(0)
        self._now = then["then"]
        return then


def _reply(then: Entry) -> Reply:
    return Reply(then["status"], b64decode(then["answer"]))
