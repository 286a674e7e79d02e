"""The agent's ports, with everything that passes through them written down."""

from base64 import b64encode
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from tests.interop.transcript import Entry, Transcript
from tests.support.chain import OneByOne
from tests.support.keys import unsigned

from dovetail.bitcoin import (
    Address,
    FeeRate,
    OutPoint,
    Psbt,
    Sats,
    Script,
    Transaction,
    UnixTime,
)
from dovetail.protocol import Coin, Request
from dovetail.runtime.transport import LIMIT, Reply
from dovetail.wallets.ports import Accepted, Payment, Refused, Spend, Unknown

_LATER = 3600


@dataclass
class Recorder:
    """Writes into a transcript; the clock moves on only with what is written."""

    transcript: Transcript
    clock: Callable[[], int]
    expires_after: int = 0
    """The number of the request after which the session has expired; 0 is none."""
    now: int = field(init=False)
    _ahead: int = 0
    _requests: int = 0

    def __post_init__(self) -> None:
        self.now = self.transcript.began

    def time(self) -> UnixTime:
        return UnixTime(self.now)

    def note(self, did: str, **what: object) -> None:
        self._requests += did == "post"
        if did == "post" and self._requests == self.expires_after:
            self._ahead = _LATER
        self.now = self.clock() + self._ahead
        self.transcript.story.append({"did": did, **what, "then": self.now})


class _Recording:
    """A port of the agent's; what is not written down goes through unseen."""

    def __init__(self, recorder: Recorder, inner: Any) -> None:
        self._recorder = recorder
        self._inner = inner
        self._shown: dict[str, object] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class RecordingTransport(_Recording):
    async def post(self, request: Request, *, limit: int = LIMIT) -> Reply:
        reply: Reply = await self._inner.post(request, limit=limit)
        self._recorder.note(
            "post",
            url=request.url,
            content_type=request.content_type,
            body=b64encode(request.body).decode(),
            **_told(reply),
        )
        return reply

    async def get(self, url: str, *, proxy: str | None = None, limit: int = LIMIT) -> Reply:
        reply: Reply = await self._inner.get(url, proxy=proxy, limit=limit)
        self._recorder.note("get", url=url, **_told(reply))
        return reply


def _told(reply: Reply) -> Entry:
    return {"status": reply.status, "answer": b64encode(reply.body).decode()}


class RecordingWallet(_Recording):
    def new_address(self) -> Address:
        address: Address = self._inner.new_address()
        self._recorder.transcript.addresses.append(str(address))
        return address

    def owned(self, scripts: Collection[Script]) -> frozenset[Script]:
        owned: frozenset[Script] = self._inner.owned(scripts)
        known = self._recorder.transcript.owned
        known.extend(sorted({script.hex() for script in owned}.difference(known)))
        return owned

    def coins(self) -> tuple[Coin, ...]:
        coins: tuple[Coin, ...] = self._inner.coins()
        if coins:
            self._recorder.transcript.coins = coins_to_psbt(coins).to_base64()
        return coins

    def pay(self, script: Script, amount: Sats, **how: Any) -> Psbt:
        original: Psbt = self._inner.pay(script, amount, **how)
        self._recorder.transcript.original = original.to_base64()
        return original

    def sign(self, psbt: Psbt, *, inputs: Collection[OutPoint]) -> Psbt:
        signed: Psbt = self._inner.sign(psbt, inputs=inputs)
        self._recorder.note("sign", psbt=psbt.to_base64(), signed=signed.to_base64())
        return signed


def coins_to_psbt(coins: Collection[Coin]) -> Psbt:
    """Coins in a form that keeps all they bring."""
    return unsigned(tuple(coins), sequence=0xFFFFFFFF)


def coins_from_psbt(psbt: Psbt) -> tuple[Coin, ...]:
    """What `coins_to_psbt` put away."""
    return tuple(map(Coin, psbt.unsigned_transaction.contested(), psbt.inputs, psbt.utxos()))


class RecordingChain(_Recording, OneByOne):
    """What the chain showed, each time it showed something else."""

    def acceptance(self, transaction: Transaction) -> Accepted | Refused:
        answer: Accepted | Refused = self._inner.acceptance(transaction)
        known = self._recorder.transcript.accepted
        known[transaction.serialize().hex()] = isinstance(answer, Accepted)
        return answer

    def broadcast(self, transaction: Transaction) -> Accepted | Refused | Unknown:
        answer: Accepted | Refused | Unknown = self._inner.broadcast(transaction)
        self._recorder.note(
            "broadcast",
            transaction=transaction.serialize().hex(),
            accepted=isinstance(answer, Accepted),
        )
        return answer

    def spend_of(self, outpoint: OutPoint) -> Spend | None:
        spend: Spend | None = self._inner.spends_of([outpoint]).get(outpoint)
        if self._changed(str(outpoint), spend):
            self._recorder.note(
                "see spend",
                of=str(outpoint),
                transaction=None if spend is None else spend.transaction.serialize().hex(),
                depth=0 if spend is None else spend.depth,
            )
        return spend

    def payments_to(self, script: Script) -> tuple[Payment, ...]:
        payments: tuple[Payment, ...] = self._inner.payments_to(script)
        if self._changed(script.hex(), payments or None):
            self._recorder.note(
                "see payments",
                to=script.hex(),
                payments=[[str(each.txid), int(each.amount), each.depth] for each in payments],
            )
        return payments

    def fee_rate(self, *, target: int) -> FeeRate:
        rate: FeeRate = self._inner.fee_rate(target=target)
        self._recorder.transcript.fee_rate = rate.sat_per_kwu
        return rate

    def _changed(self, key: str, shown: object) -> bool:
        changed = self._shown.get(key) != shown
        self._shown[key] = shown
        return changed
