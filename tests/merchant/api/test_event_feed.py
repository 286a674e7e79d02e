"""Event streams over real HTTP, on both databases: one look for all, limits, ends, slow readers."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event as sql_event
from sqlalchemy import insert
from tests.merchant.api.raw_http import Line, Told, dialled, request
from tests.merchant.quiet import quiet_parts
from tests.merchant.shop import add_one, add_shop
from tests.support.waiting import until

from dovetail.errors import StoreUnavailable
from dovetail.merchant.api.event_feed import MOST_WAITING, EventFeed, EventStream, Pace
from dovetail.merchant.api.limits import Limits
from dovetail.merchant.api.problems import Refused
from dovetail.merchant.data import api_keys, events, record
from dovetail.merchant.data.database import Database
from dovetail.merchant.data.ids import new_id
from dovetail.merchant.data.schema import invoice_events, invoices
from dovetail.merchant.messages import Scope
from dovetail.merchant.server import serving

EAGER = Pace(look=0.02, keys=0.1, heartbeat=0.3, patience=0.3)


@pytest.fixture
def database(place) -> Iterator[Database]:
    with Database.open(place) as opened:
        yield opened


@dataclass
class Streaming:
    """A server, an invoice, and a key."""

    url: str
    database: Database
    invoice_id: UUID
    secret: str
    key_id: UUID
    opened: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def stream(self, *, last: str | None = None, secret: str = "", **line: Any) -> Line:
        """Open a stream, and read its head."""
        made = await self.opened.enter_async_context(dialled(self.url, **line))
        more: Any = {} if last is None else {"Last_Event_ID": last}
        path = f"/api/v1/invoices/{self.invoice_id}/events/stream"
        await made.send(request("GET", path, secret=secret or self.secret, **more))
        status, headers = await made.head()
        assert status == 200, headers
        assert headers["content-type"].startswith("text/event-stream")
        assert await made.chunk(1) == b"retry: 1000\r\n\r\n"
        return made

    async def refused(self) -> Told:
        """Ask for a stream that is not given."""
        path = f"/api/v1/invoices/{self.invoice_id}/events/stream"
        async with dialled(self.url) as line:
            await line.send(request("GET", path, secret=self.secret))
            return await line.answer()

    def mark(self, *, settled: bool) -> None:
        """Let something happen to the invoice."""
        now = self.database.now()

        def write(connection) -> None:
            def work() -> None:
                record.add_mark(connection, self.invoice_id, settled=settled, by="alice", now=now)

            events.change(connection, self.invoice_id, work, now=now)

        self.database.write(write)


@asynccontextmanager
async def shop(
    database: Database, *, pace: Pace = EAGER, **limits: Any
) -> AsyncIterator[Streaming]:
    def write(connection):
        row = add_one(connection, add_shop(connection), now=int(database.now()))
        key = api_keys.add_key(
            connection, name="test", scopes=tuple(Scope), store_ids=None, now=database.now()
        )
        return row.id, key

    invoice_id, (key, secret) = database.write(write)
    async with (
        quiet_parts(database) as parts,
        AsyncExitStack() as opened,
        serving(parts, "127.0.0.1", 0, limits=Limits(**limits), pace=pace) as url,
        opened,
    ):
        yield Streaming(url, database, invoice_id, secret, key.id, opened)


def crowd(database: Database, invoice_id: UUID, count: int, size: int = 10) -> None:
    """Give an invoice many events, of so many bytes each."""

    def write(connection) -> None:
        row = events.events_of(connection, invoice_id)[0]
        told = {
            each: getattr(row, each) for each in ("store_id", "status", "exception", "cause", "at")
        }
        for seq in range(2, count + 2):
            values = {"id": new_id(), "seq": seq, "kind": events.CHANGED, **told}
            body = b'{"x":"%b"}' % (b"x" * size)
            connection.execute(
                insert(invoice_events).values(invoice_id=invoice_id, data=body, **values)
            )
        connection.execute(
            invoices.update().where(invoices.c.id == invoice_id).values(events=count + 1)
        )

    database.write(write)


async def test_each_stream_is_told_each_event_once_and_in_order(database) -> None:
    async with shop(database) as asked:
        lines = [await asked.stream() for _ in range(3)]
        for line in lines:
            first = await line.event()
            assert first is not None
            assert (first["id"], first["event"]) == ("1", "invoice.created")
        asked.mark(settled=True)
        for line in lines:
            told = await line.event()
            assert told is not None
            assert (told["id"], told["event"]) == ("2", "invoice.settled")


async def test_a_stream_goes_on_after_the_number_that_it_is_given(database) -> None:
    async with shop(database) as asked:
        asked.mark(settled=True)
        line = await asked.stream(last="1")
        told = await line.event()
        assert told is not None
        assert told["id"] == "2"
        ahead = await asked.stream(last="2")
        quiet = await ahead.event()
        assert quiet == {"": "quiet"}


async def test_more_events_than_may_wait_come_all(database) -> None:
    async with shop(database) as asked:
        crowd(database, asked.invoice_id, 3 * MOST_WAITING)
        line = await asked.stream()
        numbers = [(await line.event() or {}).get("id") for _ in range(3 * MOST_WAITING + 1)]
        assert numbers == [str(each) for each in range(1, 3 * MOST_WAITING + 2)]


async def test_a_quiet_stream_sends_a_comment_now_and_then(database) -> None:
    async with shop(database) as asked:
        line = await asked.stream(last="1")
        assert [await line.chunk() for _ in range(2)] == [b": quiet\r\n\r\n"] * 2


async def test_streams_share_one_look_at_the_database(database) -> None:
    asked_for: list[str] = []

    def count(_connection, _cursor, statement, *_: object) -> None:
        asked_for.append(statement)

    async with shop(database, pace=Pace(look=0.02, keys=60, heartbeat=60)) as asked:
        lines = [await asked.stream() for _ in range(20)]
        for line in lines:
            await line.event()
        await asyncio.sleep(0.2)
        sql_event.listen(database.sessions.engine, "before_cursor_execute", count)
        await asyncio.sleep(0.5)
        assert not [each for each in asked_for if "invoice" in each]
        asked.mark(settled=True)
        asked_for.clear()
        for line in lines:
            assert await line.event()
        reads = [each for each in asked_for if "FROM invoice_events" in each]
        assert len(reads) <= 2
        sql_event.remove(database.sessions.engine, "before_cursor_execute", count)


async def test_one_stream_too_many_is_refused_by_a_problem(database) -> None:
    async with shop(database, streams_per_key=2) as asked:
        one, _ = await asked.stream(), await asked.stream()
        told = await asked.refused()
        assert (told.status, told.json["type"]) == (429, "urn:dovetail:problem:rate-limited")
        assert "There are 2 open event streams with this key" in told.json["detail"]
        assert int(told.headers["retry-after"]) > 0
        one.writer.close()
        async with asyncio.timeout(10):
            while (await _status(asked)) != 200:  # noqa: ASYNC110 - it asks over HTTP
                await asyncio.sleep(0.05)


async def test_all_keys_together_have_a_limit_too(database) -> None:
    async with shop(database, streams=1) as asked:
        await asked.stream()
        told = await asked.refused()
        assert told.status == 429
        assert "There are 1 open event streams at this server" in told.json["detail"]


async def _status(asked: Streaming) -> int:
    path = f"/api/v1/invoices/{asked.invoice_id}/events/stream"
    async with dialled(asked.url) as line:
        await line.send(request("GET", path, secret=asked.secret))
        return (await line.head())[0]


async def test_a_revoked_key_ends_its_streams_and_no_others(database) -> None:
    async with shop(database) as asked:
        other = database.write(
            lambda c: api_keys.add_key(
                c, name="other", scopes=tuple(Scope), store_ids=None, now=database.now()
            )
        )[1]
        theirs, ours = await asked.stream(), await asked.stream(secret=other)
        await theirs.event()
        database.write(lambda c: api_keys.revoke(c, asked.key_id, database.now()))
        async with asyncio.timeout(3):
            while (await theirs.event()) is not None:
                pass
        assert (await asked.refused()).status == 401
        await ours.event()
        asked.mark(settled=True)
        async with asyncio.timeout(3):
            while ((await ours.event()) or {}).get("event") != "invoice.settled":
                pass


async def test_a_graceful_stop_ends_the_streams(database) -> None:
    async with AsyncExitStack() as outer:
        async with shop(database) as asked:
            line = await outer.enter_async_context(dialled(asked.url))
            path = f"/api/v1/invoices/{asked.invoice_id}/events/stream"
            await line.send(request("GET", path, secret=asked.secret))
            await line.head()
            assert await line.event() == {"retry": "1000"}
            began = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - began < 3
        assert await line.event() is None


async def test_a_reader_that_stands_still_is_cut_off(database) -> None:
    async with shop(database, read_seconds=1.0) as asked:
        crowd(database, asked.invoice_id, 400, size=40_000)
        line = await asked.stream(buffer=4096)
        await asyncio.sleep(2.5)
        taken = 0
        while (chunk := await line.chunk()) is not None:
            taken += len(chunk)
        assert taken < 400 * 40_000
        assert await _status(asked) == 200


async def test_what_waits_for_a_reader_is_bounded(database) -> None:
    def begin(connection):
        return add_one(connection, add_shop(connection)).id

    invoice_id = database.write(begin)
    key, _ = database.write(
        lambda c: api_keys.add_key(c, name="x", scopes=(), store_ids=None, now=database.now())
    )
    crowd(database, invoice_id, 2 * MOST_WAITING)
    feed = EventFeed(database, Limits(), pace=EAGER)
    with feed.opened(invoice_id, key.id, 0) as stream:
        await until(lambda: stream.after == MOST_WAITING)
        await asyncio.sleep(0.1)
        assert stream.after == MOST_WAITING
        await until(lambda: stream.has_ended)
        assert [each async for each in stream.taken()] == []
    assert feed.count == 0
    await feed.close()


async def test_a_database_that_is_away_for_a_while_ends_no_stream(database, monkeypatch) -> None:
    pulse = Database.pulse
    away = asyncio.Event()

    def failing(self) -> int:
        if away.is_set():
            raise StoreUnavailable("The database is away.")
        return pulse(self)

    monkeypatch.setattr(Database, "pulse", failing)
    async with shop(database) as asked:
        line = await asked.stream()
        await line.event()
        away.set()
        await asyncio.sleep(0.1)
        asked.mark(settled=True)
        away.clear()
        async with asyncio.timeout(5):
            while ((await line.event()) or {}).get("event") != "invoice.settled":
                pass


async def test_a_fault_of_the_program_ends_the_streams(database, monkeypatch, caplog) -> None:
    def failing(self) -> int:
        raise LookupError(database.sessions)

    async with shop(database) as asked:
        line = await asked.stream(last="1")
        monkeypatch.setattr(Database, "pulse", failing)
        async with asyncio.timeout(5):
            while await line.event() is not None:
                pass
    assert "The event streams failed with LookupError" in caplog.text
    assert repr(database.sessions) not in caplog.text


async def test_a_feed_that_stops_opens_no_stream(database) -> None:
    feed = EventFeed(database, Limits())
    await feed.close()
    with pytest.raises(Refused, match="This server stops"), feed.opened(new_id(), new_id(), 0):
        pass


async def _number(stream: EventStream) -> int | None:
    told = await anext(stream.taken())
    return None if told is None else told.seq


async def test_a_stream_that_opens_during_a_look_is_fed(database, monkeypatch) -> None:
    pulse, looking, go_on = database.pulse, threading.Event(), threading.Event()

    def slow() -> int:
        found: int = pulse()
        if not looking.is_set():
            looking.set()
            go_on.wait(10)
        return found

    invoice_id = database.write(lambda c: add_one(c, add_shop(c))).id
    feed = EventFeed(database, Limits(), pace=Pace(look=0.01, keys=1e12))
    with feed.opened(invoice_id, new_id(), 0) as first:
        assert await _number(first) == 1
        monkeypatch.setattr(database, "pulse", slow)
        await asyncio.to_thread(looking.wait, 10)
        with feed.opened(invoice_id, new_id(), 0) as second:
            go_on.set()
            async with asyncio.timeout(10):
                assert await _number(second) == 1
    await feed.close()


async def test_a_wrong_number_is_named(database) -> None:
    async with shop(database) as asked, dialled(asked.url) as line:
        path = f"/api/v1/invoices/{asked.invoice_id}/events/stream"
        await line.send(request("GET", path, secret=asked.secret, Last_Event_ID="-1"))
        told = await line.answer()
        assert (told.status, told.json["errors"][0]["field"]) == (422, "Last-Event-ID")
