import asyncio
import threading

import pytest
from tests.support.stepping import Side

from dovetail.errors import WalletError
from dovetail.runtime.async_ports import AsyncStore, AsyncWallet, compute
from dovetail.stores.memory import MemoryStore
from dovetail.stores.ports import SessionId


async def test_a_wallet_is_asked_beside_the_event_loop(
    bob: Side, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked_in: list[threading.Thread] = []
    monkeypatch.setattr(
        bob.party.wallet, "sync", lambda: asked_in.append(threading.current_thread())
    )
    await AsyncWallet(bob.party.wallet).sync()
    assert asked_in
    assert threading.main_thread() not in asked_in


async def test_a_write_that_has_begun_ends_though_nobody_waits_for_it_any_more() -> None:
    began, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    class Slow(MemoryStore):
        def release(self, session_id: SessionId) -> None:
            began.set()
            go_on.wait(10)
            super().release(session_id)
            ended.set()

    store = Slow()
    waiting = asyncio.create_task(AsyncStore(store).release(SessionId(1)))
    await compute(began.wait, 10)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    go_on.set()
    assert await compute(ended.wait, 10)


async def test_what_a_port_raises_is_raised_where_it_is_awaited(bob: Side) -> None:
    bob.party.wallet.away = True
    with pytest.raises(WalletError, match="The wallet is away"):
        await AsyncWallet(bob.party.wallet).owned_coins([])
