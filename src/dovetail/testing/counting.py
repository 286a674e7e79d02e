"""The ports, wrapped so that a `Killer` counts the side effects of a party.

An append, a claim, a reservation and a signature count once they are done, as a kill just before
one equals a kill just after the effect before it. A request counts before it is sent and its
response before it is handled; a broadcast before and after.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Generic, Self, TypeVar

from dovetail.bitcoin import Address, FeeRate, Network, OutPoint, Sats, Script, Transaction
from dovetail.bitcoin.psbt import Psbt
from dovetail.extras import brought_by
from dovetail.protocol.coin import Coin
from dovetail.protocol.requests import Request
from dovetail.protocol.uri import PayjoinUri
from dovetail.sessions.receiver import ReceiverEvent
from dovetail.sessions.sender import SenderEvent
from dovetail.sessions.sightings import Sighting
from dovetail.stores.ports import (
    EVERY,
    E,
    ImportedSession,
    ImportResult,
    SessionId,
    SessionLog,
    SessionRow,
    Store,
    StoredLog,
    Wanted,
)
from dovetail.testing.kill import Killer
from dovetail.wallets.ports import (
    Accepted,
    Balance,
    Chain,
    Output,
    Payment,
    Refused,
    Spend,
    Unknown,
    Wallet,
)

with brought_by("agent", "dovetail.testing.counting"):
    from dovetail.runtime.transport import LIMIT, Reply, Transport

T = TypeVar("T")


class CountingLog(Generic[E]):
    """A `SessionLog`; each append is an effect, named by its event."""

    def __init__(self, log: SessionLog[E], killer: Killer) -> None:
        """Count the appends to `log` on `killer`."""
        self._log: SessionLog[E] = log
        self._killer = killer

    @property
    def session_id(self) -> SessionId:
        return self._log.session_id

    def append(self, event: E, /, *, seq: int, closes: bool) -> None:
        self._log.append(event, seq=seq, closes=closes)
        self._killer.point(f"append {type(event).__name__}")

    async def append_async(self, event: E, /, *, seq: int, closes: bool) -> None:
        await self._log.append_async(event, seq=seq, closes=closes)
        self._killer.point(f"append {type(event).__name__}")

    def advance(self, event: E, state: Any, /, *, seq: int, closes: bool) -> None:
        self._log.advance(event, state, seq=seq, closes=closes)
        self._killer.point(f"append {type(event).__name__}")

    async def advance_async(self, event: E, state: Any, /, *, seq: int, closes: bool) -> None:
        await self._log.advance_async(event, state, seq=seq, closes=closes)
        self._killer.point(f"append {type(event).__name__}")

    def load(self) -> tuple[E, ...]:
        return self._log.load()

    def within(self, connection: Any) -> "CountingLog[E]":
        return CountingLog(self._log.within(connection), self._killer)


class CountingStore:
    """A `Store`; each of its writes is an effect."""

    def __init__(self, store: Store, killer: Killer) -> None:
        """Count the writes to `store` on `killer`."""
        self._store = store
        self._killer = killer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def new_receiver(self) -> SessionLog[ReceiverEvent]:
        return CountingLog(self._store.new_receiver(), self._killer)

    def new_sender(
        self, *, reserving: Collection[OutPoint] = (), alone: bool = False
    ) -> SessionLog[SenderEvent]:
        return CountingLog(self._store.new_sender(reserving=reserving, alone=alone), self._killer)

    def receiver(self, session_id: SessionId) -> SessionLog[ReceiverEvent]:
        return CountingLog(self._store.receiver(session_id), self._killer)

    def sender(self, session_id: SessionId) -> SessionLog[SenderEvent]:
        return CountingLog(self._store.sender(session_id), self._killer)

    def session_paying_to(self, address: Address) -> SessionId | None:
        """See `Store.session_paying_to`."""
        return self._store.session_paying_to(address)

    def session_paying(self, uri: PayjoinUri) -> SessionId | None:
        return self._store.session_paying(uri)

    def row(self, session_id: SessionId) -> SessionRow:
        return self._store.row(session_id)

    def live(self) -> tuple[SessionRow, ...]:
        return self._store.live()

    def heads(self) -> Mapping[SessionId, int]:
        return self._store.heads()

    def refresh_heads(self, heads: dict[SessionId, int]) -> tuple[SessionId, ...]:
        """See `Store.refresh_heads`."""
        return self._store.refresh_heads(heads)

    def saw(self, session_id: SessionId, sighting: Sighting) -> None:
        self._store.saw(session_id, sighting)

    def pulse(self) -> int:
        return self._store.pulse()

    def history(
        self, *, limit: int = 50, before: SessionId | None = None, wanted: Wanted = EVERY
    ) -> tuple[SessionRow, ...]:
        return self._store.history(limit=limit, before=before, wanted=wanted)

    def doubtful(self, session_ids: Collection[SessionId]) -> frozenset[SessionId]:
        return self._store.doubtful(session_ids)

    def stored(self, session_id: SessionId) -> StoredLog:
        return self._store.stored(session_id)

    def adopt(self, moved: ImportedSession) -> ImportResult:
        adopted = self._store.adopt(moved)
        self._killer.point("adopt")
        return adopted

    def claim(self, session_id: SessionId, outpoints: Collection[OutPoint]) -> frozenset[OutPoint]:
        seen = self._store.claim(session_id, outpoints)
        self._killer.point("claim")
        return seen

    def reserve(
        self, session_id: SessionId, outpoints: Collection[OutPoint]
    ) -> frozenset[OutPoint]:
        taken = self._store.reserve(session_id, outpoints)
        self._killer.point("reserve")
        return taken

    def release(self, session_id: SessionId) -> None:
        self._store.release(session_id)
        self._killer.point("release")

    def expose(self, session_id: SessionId) -> None:
        self._store.expose(session_id)
        self._killer.point("expose")

    def holders(self) -> Mapping[OutPoint, SessionId]:
        return self._store.holders()

    def reserved(self, *, besides: SessionId | None = None) -> frozenset[OutPoint]:
        return self._store.reserved(besides=besides)

    def exposed(self) -> frozenset[OutPoint]:
        return self._store.exposed()

    def write(self, work: Callable[[Any], T]) -> T:
        result = self._store.write(work)
        self._killer.point("write")
        return result

    async def write_async(self, work: Callable[[Any], T]) -> T:
        result = await self._store.write_async(work)
        self._killer.point("write")
        return result

    def close(self) -> None:
        self._store.close()


class CountingTransport:
    """A `Transport`; each request counts before it is sent, each response before it is handled."""

    def __init__(
        self,
        transport: Transport,
        killer: Killer,
        *,
        leaving: Callable[[Request], None] = lambda _request: None,
    ) -> None:
        """`leaving` is called with each request that is sent, so that a test can check P1."""
        self._transport = transport
        self._killer = killer
        self._leaving = leaving

    async def post(self, request: Request, *, limit: int = LIMIT) -> Reply:
        self._killer.point("request leaves")
        self._leaving(request)
        reply = await self._transport.post(request, limit=limit)
        self._killer.point("response")
        return reply

    async def get(self, url: str, *, proxy: str | None = None, limit: int = LIMIT) -> Reply:
        self._killer.point("key request leaves")
        reply = await self._transport.get(url, proxy=proxy, limit=limit)
        self._killer.point("key response")
        return reply


class CountingWallet:
    """A `Wallet`; each signature and each new address is an effect."""

    def __init__(self, wallet: Wallet, killer: Killer) -> None:
        """Count the effects of `wallet` on `killer`."""
        self._wallet = wallet
        self._killer = killer

    @property
    def network(self) -> Network:
        return self._wallet.network

    def sync(self) -> None:
        self._wallet.sync()

    def balance(self) -> Balance:
        return self._wallet.balance()

    def new_address(self) -> Address:
        address = self._wallet.new_address()
        self._killer.point("new address")
        return address

    def owned(self, scripts: Collection[Script]) -> frozenset[Script]:
        return self._wallet.owned(scripts)

    def owned_coins(self, outpoints: Collection[OutPoint]) -> frozenset[OutPoint]:
        return self._wallet.owned_coins(outpoints)

    def coins(self) -> tuple[Coin, ...]:
        return self._wallet.coins()

    def hold(self, reserved: Callable[[], Collection[OutPoint]]) -> None:
        self._wallet.hold(reserved)

    def pay(
        self,
        script: Script,
        amount: Sats,
        *,
        fee_rate: FeeRate,
        unspendable: Collection[OutPoint] = (),
    ) -> Psbt:
        original = self._wallet.pay(script, amount, fee_rate=fee_rate, unspendable=unspendable)
        self._killer.point("sign Original")
        return original

    def sign(self, psbt: Psbt, *, inputs: Collection[OutPoint]) -> Psbt:
        signed = self._wallet.sign(psbt, inputs=inputs)
        self._killer.point("sign")
        return signed

    def revoke(self, outpoint: OutPoint, *, fee_rate: FeeRate) -> Transaction:
        transaction = self._wallet.revoke(outpoint, fee_rate=fee_rate)
        self._killer.point("sign revocation")
        return transaction


class CountingChain:
    """A `Chain`; each broadcast counts before it is sent and after it was answered."""

    def __init__(self, chain: Chain, killer: Killer) -> None:
        """Count the broadcasts through `chain` on `killer`."""
        self._chain = chain
        self._killer = killer

    def height(self) -> int:
        return self._chain.height()

    def acceptance(self, transaction: Transaction) -> Accepted | Refused:
        return self._chain.acceptance(transaction)

    def broadcast(self, transaction: Transaction) -> Accepted | Refused | Unknown:
        self._killer.point("broadcast leaves")
        answer = self._chain.broadcast(transaction)
        self._killer.point("broadcast answered")
        return answer

    def outputs(self, outpoints: Collection[OutPoint]) -> Mapping[OutPoint, Output]:
        return self._chain.outputs(outpoints)

    def spends_of(self, outpoints: Collection[OutPoint]) -> Mapping[OutPoint, Spend]:
        return self._chain.spends_of(outpoints)

    def payments_to(self, script: Script) -> tuple[Payment, ...]:
        return self._chain.payments_to(script)

    def payments_to_each(self, scripts: Collection[Script]) -> Mapping[Script, tuple[Payment, ...]]:
        """See `Chain.payments_to_each`."""
        return self._chain.payments_to_each(scripts)

    def fee_rate(self, *, target: int) -> FeeRate:
        return self._chain.fee_rate(target=target)

    def min_fee_rate(self) -> FeeRate:
        return self._chain.min_fee_rate()
