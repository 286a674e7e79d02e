import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from tests.support.servers import serving

from dovetail.runtime import connections
from dovetail.runtime.connections import Call, Connections, Turns

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"
PATIENCE = dict.fromkeys(("connect", "read", "write", "pool"), 5.0)


class Server:
    """Answers on each connection until the client goes, and counts them."""

    def __init__(self, answer: bytes = OK, *, requests: int = 100) -> None:
        self.answer = answer
        self.requests = requests
        self.accepted = self.open = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self.open += 1
        try:
            for _ in range(self.requests):
                await reader.readuntil(b"\r\n\r\n")
                writer.write(self.answer)
                await writer.drain()
        finally:
            self.open -= 1


@asynccontextmanager
async def opened() -> AsyncIterator[Connections]:
    pool = Connections(ssl.create_default_context())
    try:
        yield pool
    finally:
        await pool.aclose()


async def ask(pool: Connections, url: str) -> bytes:
    call = Call("GET", url, [("host", "x")], None, PATIENCE)
    async with pool.stream(call) as response:
        return b"".join([chunk async for chunk in response.aiter_stream()])


async def gone(server: Server) -> None:
    async with asyncio.timeout(5):
        while server.open:  # noqa: ASYNC110  # the server counts
            await asyncio.sleep(0.01)


async def test_a_connection_is_used_again():
    server = Server()
    async with serving(server) as url, opened() as pool:
        assert [await ask(pool, url) for _ in range(3)] == [b"hello"] * 3
        assert (server.accepted, pool.idle) == (1, 1)


async def test_another_server_has_its_own():
    one, two = Server(), Server()
    async with serving(one) as first, serving(two) as second, opened() as pool:
        for url in (first, second, first):
            await ask(pool, url)
        assert (one.accepted, two.accepted, pool.idle) == (1, 1, 2)


async def test_one_that_the_server_closed_is_not_used_again():
    """P1: what is written to it would be lost, and must not be sent twice."""
    server = Server(requests=1)
    async with serving(server) as url, opened() as pool:
        await ask(pool, url)
        await gone(server)
        await asyncio.sleep(0.05)
        assert await ask(pool, url) == b"hello"
    assert server.accepted == 2


async def test_what_nobody_uses_is_closed_after_a_moment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(connections, "IDLE", 0.05)
    server = Server()
    async with serving(server) as url, opened() as pool:
        await asyncio.gather(ask(pool, url), ask(pool, url))
        await gone(server)
        assert pool.idle == 0


async def test_a_request_that_is_given_up_closes_its_connection():
    server = Server(b"")
    async with serving(server) as url, opened() as pool:
        asking = asyncio.create_task(ask(pool, url))
        while not server.open:  # noqa: ASYNC110  # the server counts
            await asyncio.sleep(0.01)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await gone(server)
        assert pool.idle == 0


async def test_an_answer_that_is_not_read_closes_its_connection():
    server = Server(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n" + bytes(1_000_000))
    async with serving(server) as url, opened() as pool:
        async with pool.stream(Call("GET", url, [("host", "x")], None, PATIENCE)) as response:
            assert response.status == 200
        await gone(server)


async def test_the_one_that_is_idle_for_longest_gives_way():
    one, two = Server(), Server()
    async with serving(one) as first, serving(two) as second, opened() as pool:
        await pool.drop_one()  # there is none
        await ask(pool, first)
        await ask(pool, second)
        await pool.drop_one()
        await gone(one)
        assert (two.open, pool.idle) == (1, 1)


async def test_turns_are_taken_in_their_order_and_the_want_is_told_once(
    caplog: pytest.LogCaptureFixture,
):
    turns, order = Turns(2, full=lambda busy: f"{busy} are open"), list[int]()

    async def take(number: int) -> None:
        async with turns:
            order.append(number)
            await asyncio.sleep(0.01)

    assert turns.overfull(3)
    assert not turns.overfull(2)
    await asyncio.gather(*map(take, range(6)))
    assert order == list(range(6))
    assert (turns.busy, caplog.messages) == (0, ["2 are open"])


async def test_without_a_limit_there_is_a_turn_for_all():
    turns = Turns(None, full=str)
    async with turns, turns:
        assert turns.busy == 2
        assert not turns.overfull(1_000_000)
