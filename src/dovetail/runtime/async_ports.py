"""Wallet, chain and store for an event loop: each call runs in a thread.

The ports block. These classes only move each call to a thread. When an await is cancelled, a call
that has begun still runs to its end, as a write must. The methods are those of the ports, which
document them; those of `chain_queries` are one hop each, even if they make many calls.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import ParamSpec, TypeVar

from dovetail.bitcoin import FeeRate, OutPoint, Psbt, Script, Transaction, Txid
from dovetail.protocol.coin import Coin
from dovetail.runtime import chain_queries
from dovetail.runtime.chain_queries import Look
from dovetail.sessions.receiver import ReceiverSession
from dovetail.sessions.sender import SenderSession
from dovetail.sessions.sightings import Sighting
from dovetail.stores.integrity import load_session
from dovetail.stores.ports import SessionId, SessionRow, Store
from dovetail.wallets.ports import (
    Accepted,
    Chain,
    Output,
    Payment,
    Refused,
    SettlingWallet,
    Spend,
    Unknown,
    Wallet,
)

P = ParamSpec("P")
T = TypeVar("T")


async def compute(work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a long computation in a thread, such as a verification of signatures.

    A caller that is cancelled meanwhile loses the result: it must not be a transition.
    """
    return await asyncio.to_thread(work, *args, **kwargs)


class AsyncWallet:
    """A `Wallet` that is awaited."""

    def __init__(self, wallet: Wallet) -> None:
        """Ask this one."""
        self._wallet = wallet

    async def sync(self) -> None:
        """See `Wallet.sync`."""
        await asyncio.to_thread(self._wallet.sync)

    async def owned(self, scripts: Collection[Script]) -> frozenset[Script]:
        """See `Wallet.owned`."""
        return await asyncio.to_thread(self._wallet.owned, scripts)

    async def owned_coins(self, outpoints: Collection[OutPoint]) -> frozenset[OutPoint]:
        """See `Wallet.owned_coins`."""
        return await asyncio.to_thread(self._wallet.owned_coins, outpoints)

    async def coins(self) -> tuple[Coin, ...]:
        """See `Wallet.coins`."""
        return await asyncio.to_thread(self._wallet.coins)

    async def hold(self, reserved: Callable[[], Collection[OutPoint]]) -> None:
        """See `Wallet.hold`; `reserved` is called in the thread."""
        await asyncio.to_thread(self._wallet.hold, reserved)

    async def sign(self, psbt: Psbt, *, inputs: Collection[OutPoint]) -> Psbt:
        """See `Wallet.sign`."""
        return await asyncio.to_thread(self._wallet.sign, psbt, inputs=inputs)

    async def revoke(self, outpoint: OutPoint, *, fee_rate: FeeRate) -> Transaction:
        """See `Wallet.revoke`."""
        return await asyncio.to_thread(self._wallet.revoke, outpoint, fee_rate=fee_rate)

    async def settlement_script(self, script: Script) -> Script | None:
        """See `SettlingWallet.settlement_script`; None for a wallet that is none."""
        if not isinstance(self._wallet, SettlingWallet):
            return None
        return await asyncio.to_thread(self._wallet.settlement_script, script)


class AsyncChain:
    """A `Chain` that is awaited."""

    def __init__(self, chain: Chain) -> None:
        """Ask this one."""
        self._chain = chain

    async def height(self) -> int:
        """See `Chain.height`."""
        return await asyncio.to_thread(self._chain.height)

    async def acceptance(self, transaction: Transaction) -> Accepted | Refused:
        """See `Chain.acceptance`."""
        return await asyncio.to_thread(self._chain.acceptance, transaction)

    async def broadcast(self, transaction: Transaction) -> Accepted | Refused | Unknown:
        """See `Chain.broadcast`."""
        return await asyncio.to_thread(self._chain.broadcast, transaction)

    async def taken(self, transaction: Transaction) -> bool:
        """See `chain_queries.taken`."""
        return await asyncio.to_thread(chain_queries.taken, self._chain, transaction)

    async def outputs(self, outpoints: Collection[OutPoint]) -> Mapping[OutPoint, Output]:
        """See `Chain.outputs`."""
        return await asyncio.to_thread(self._chain.outputs, outpoints)

    async def missing_at(self, outpoints: Collection[OutPoint]) -> int | None:
        """See `chain_queries.missing_at`."""
        return await asyncio.to_thread(chain_queries.missing_at, self._chain, outpoints)

    async def deepest_spend(self, outpoints: Iterable[OutPoint]) -> Spend | None:
        """See `chain_queries.deepest_spend`."""
        return await asyncio.to_thread(chain_queries.deepest_spend, self._chain, outpoints)

    async def look(
        self,
        *,
        script: Script,
        asked: int | None,
        contested: Collection[OutPoint],
        exposed: Collection[OutPoint],
        own: Collection[Txid],
    ) -> Look:
        """See `chain_queries.look_at`."""
        return await asyncio.to_thread(
            chain_queries.look_at,
            self._chain,
            script=script,
            asked=asked,
            contested=contested,
            exposed=exposed,
            own=own,
        )

    async def payments_to(self, script: Script) -> tuple[Payment, ...]:
        """See `Chain.payments_to`."""
        return await asyncio.to_thread(self._chain.payments_to, script)

    async def payments_to_each(
        self, scripts: Collection[Script]
    ) -> Mapping[Script, tuple[Payment, ...]]:
        """See `Chain.payments_to_each`."""
        return await asyncio.to_thread(self._chain.payments_to_each, scripts)

    async def fee_rate(self, *, target: int) -> FeeRate:
        """See `Chain.fee_rate`."""
        return await asyncio.to_thread(self._chain.fee_rate, target=target)

    async def fee_rate_of(self, spend: Transaction) -> FeeRate | None:
        """See `chain_queries.fee_rate_of`."""
        return await asyncio.to_thread(chain_queries.fee_rate_of, self._chain, spend)

    async def min_fee_rate(self) -> FeeRate:
        """See `Chain.min_fee_rate`."""
        return await asyncio.to_thread(self._chain.min_fee_rate)


class AsyncStore:
    """A `Store` that is awaited; the logs that it gives have their own awaited methods."""

    def __init__(self, store: Store) -> None:
        """Ask this one."""
        self._store = store

    async def load(self, session_id: SessionId) -> ReceiverSession | SenderSession:
        """The session, replayed from its log; raises `SessionNotFound` and `ReplayError`."""
        return await asyncio.to_thread(load_session, self._store, session_id)

    async def row(self, session_id: SessionId) -> SessionRow:
        """See `Store.row`."""
        return await asyncio.to_thread(self._store.row, session_id)

    async def saw(self, session_id: SessionId, sighting: Sighting) -> None:
        """See `Store.saw`."""
        await asyncio.to_thread(self._store.saw, session_id, sighting)

    async def claim(
        self, session_id: SessionId, outpoints: Collection[OutPoint]
    ) -> frozenset[OutPoint]:
        """See `Store.claim`."""
        return await asyncio.to_thread(self._store.claim, session_id, outpoints)

    async def reserve(
        self, session_id: SessionId, outpoints: Collection[OutPoint]
    ) -> frozenset[OutPoint]:
        """See `Store.reserve`."""
        return await asyncio.to_thread(self._store.reserve, session_id, outpoints)

    async def release(self, session_id: SessionId) -> None:
        """See `Store.release`."""
        await asyncio.to_thread(self._store.release, session_id)

    async def expose(self, session_id: SessionId) -> None:
        """See `Store.expose`."""
        await asyncio.to_thread(self._store.expose, session_id)

    async def reserved(self, *, besides: SessionId) -> frozenset[OutPoint]:
        """See `Store.reserved`."""
        return await asyncio.to_thread(self._store.reserved, besides=besides)

    async def exposed(self) -> frozenset[OutPoint]:
        """See `Store.exposed`."""
        return await asyncio.to_thread(self._store.exposed)
