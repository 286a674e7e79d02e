"""Of several addresses of a host the first that answers is taken, and no socket is lost."""

import asyncio
import errno
import gc
import socket
import warnings
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import suppress

import pytest

from dovetail.runtime import dialling
from dovetail.runtime.dialling import connect

HOST = "127.0.0.1"
OTHERS = ("127.0.0.2", "127.0.0.3")


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """The port of a server that listens at the first address alone."""
    server = await asyncio.start_server(lambda _, writer: writer.close(), HOST, 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.fixture
def resolving(monkeypatch: pytest.MonkeyPatch):
    """Let every host have these addresses."""

    def resolve(addresses: Sequence[str]) -> None:
        async def found(_loop, _host, port, **_):
            families = [socket.AF_INET6 if ":" in each else socket.AF_INET for each in addresses]
            return [
                (family, socket.SOCK_STREAM, 6, "", (each, port))
                for family, each in zip(families, addresses, strict=True)
            ]

        monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", found)

    return resolve


class Kept(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    @property
    def peer(self) -> str:
        return str(self.transport.get_extra_info("peername")[0])


async def test_an_address_that_refuses_gives_way_to_the_next_at_once(resolving, port):
    resolving((*OTHERS, HOST))
    async with asyncio.timeout(dialling.HEAD_START):
        connected = await connect(Kept, "shop.test", port)
    assert connected.peer == HOST
    connected.transport.close()


async def test_an_address_that_is_silent_gives_way_after_its_head_start(resolving, port, silent):
    resolving((OTHERS[0], HOST))
    silent.add(OTHERS[0])
    connected = await connect(Kept, "shop.test", port)
    assert connected.peer == HOST
    connected.transport.close()
    await asyncio.sleep(0)
    assert silent.cancelled == [OTHERS[0]]


async def test_a_late_second_connection_is_closed(resolving, port, silent):
    resolving((OTHERS[0], HOST))
    silent.answers_with = HOST
    silent.add(OTHERS[0])
    connected = await connect(Kept, "shop.test", port)
    late = await silent.made
    await asyncio.sleep(0)
    assert late.is_closing()
    connected.transport.close()


async def test_families_are_tried_in_turn(resolving, port, silent):
    resolving(("::1", "::2", "::3", HOST))
    silent.update(("::1", "::2", "::3"))
    connected = await connect(Kept, "shop.test", port)
    assert silent.dialled == ["::1", HOST]
    connected.transport.close()


async def test_if_all_fail_the_first_failure_is_told_with_its_number(resolving, port):
    resolving(OTHERS)
    with pytest.raises(OSError, match="Connect call failed") as raised:
        await connect(Kept, "shop.test", port)
    assert raised.value.errno == errno.ECONNREFUSED


async def leave(dialling_it: Coroutine[None, None, Kept], turns: int) -> None:
    """Cancel it after so many turns of the loop; close what it returns all the same."""
    dial = asyncio.create_task(dialling_it)
    for _ in range(turns):
        await asyncio.sleep(0)
    dial.cancel()
    with suppress(asyncio.CancelledError):
        (await dial).transport.close()


@pytest.mark.parametrize("addresses", [[HOST], [OTHERS[0], HOST]])
async def test_a_caller_that_leaves_at_any_moment_loses_no_socket(resolving, port, addresses):
    resolving(addresses)
    with warnings.catch_warnings(record=True) as lost:
        warnings.simplefilter("always")
        for turns in range(30):
            await leave(connect(Kept, "shop.test", port), turns)
        await asyncio.sleep(0.01)
        gc.collect()
    assert lost == []


class Silent(set[str]):
    """Addresses that do not answer until the dial is cancelled."""

    def __init__(self) -> None:
        super().__init__()
        self.answers_with: str | None = None
        self.cancelled: list[str] = []
        self.dialled: list[str] = []
        self.made: asyncio.Future[asyncio.BaseTransport] = asyncio.Future()


@pytest.fixture
async def silent(monkeypatch: pytest.MonkeyPatch) -> Silent:
    addresses = Silent()
    loop = asyncio.get_running_loop()
    dial = loop.create_connection

    async def dialling_some(protocol, host, port, **options):
        addresses.dialled.append(host)
        if host not in addresses:
            return await dial(protocol, host, port, **options)
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            addresses.cancelled.append(host)
            if addresses.answers_with is None:
                raise
        connection = await dial(protocol, addresses.answers_with, port, **options)
        addresses.made.set_result(connection[0])
        return connection

    monkeypatch.setattr(loop, "create_connection", dialling_some)
    return addresses
