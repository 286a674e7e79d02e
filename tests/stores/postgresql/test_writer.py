"""The writer that works on several connections."""

import asyncio
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import IntegrityError
from tests.stores.jobs_contract import TABLE, JobsContract, numbers, put, putting

from dovetail.errors import StaleSession, StoreUnavailable
from dovetail.stores.sql.postgresql import open_engine, parse_url
from dovetail.stores.sql.postgresql_writer import PooledWriter

if TYPE_CHECKING:
    from concurrent.futures import Future


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    engine = open_engine(parse_url(url), connections=5)
    with engine.begin() as connection:
        connection.execute(TABLE)
    yield engine
    engine.dispose()


@pytest.fixture
def writer(engine: Engine) -> Iterator[PooledWriter]:
    writer = PooledWriter(engine, at_once=3)
    yield writer
    writer.close()


class TestPooledWriter(JobsContract):
    """All that every writer promises."""


def test_jobs_run_beside_each_other(writer: PooledWriter) -> None:
    barrier = threading.Barrier(3, timeout=20)
    futures = [writer.submit(lambda _connection: barrier.wait()) for _ in range(3)]
    assert sorted(future.result() for future in futures) == [0, 1, 2]


def test_a_refusal_takes_back_its_job_alone(writer: PooledWriter, engine: Engine) -> None:
    def refuse(connection: Connection) -> None:
        put(connection, 5)
        raise StaleSession("moved on")

    futures = [writer.submit(putting(1)), writer.submit(putting(2), isolated=False)]
    with pytest.raises(StaleSession):
        writer.run(refuse, isolated=False)
    assert [future.result() for future in futures] == [1, 2]
    assert numbers(engine) == [1, 2]


def test_a_conflict_is_told_without_the_row(writer: PooledWriter) -> None:
    writer.run(putting(1))
    with pytest.raises(StoreUnavailable) as caught:
        writer.run(putting(1))
    assert caught.value.__cause__ is None, "the database quotes the row"


def test_a_statement_that_failed_and_was_overlooked_is_not_taken_for_written(
    writer: PooledWriter, engine: Engine
) -> None:
    """PostgreSQL answers such a commit without an error."""

    def overlook(connection: Connection) -> None:
        put(connection, 2)
        with pytest.raises(IntegrityError):
            put(connection, 2)

    def go_on(connection: Connection) -> None:
        overlook(connection)
        put(connection, 3)

    for work in (overlook, go_on):
        with pytest.raises(StoreUnavailable, match="begin_nested"):
            writer.run(work, once=True)
    assert numbers(engine) == []


def test_a_statement_that_may_fail_has_a_savepoint(writer: PooledWriter, engine: Engine) -> None:
    def work(connection: Connection) -> None:
        put(connection, 2)
        with pytest.raises(IntegrityError), connection.begin_nested():
            put(connection, 2)
        put(connection, 3)

    writer.run(work, once=True)
    assert numbers(engine) == [2, 3]


def test_work_that_others_are_always_in_the_way_of_gives_up(writer: PooledWriter) -> None:
    runs: list[int] = []

    def work(connection: Connection) -> None:
        runs.append(1)
        connection.execute(text("DO $$ BEGIN RAISE SQLSTATE '40001'; END $$"))

    with pytest.raises(StoreUnavailable, match="Other writers"):
        writer.run(work)
    assert len(runs) == 5
    runs.clear()
    with pytest.raises(StoreUnavailable, match="Other writers"):
        writer.run(work, once=True)
    assert len(runs) == 1


def test_a_commit_that_is_refused_has_written_nothing(writer: PooledWriter, engine: Engine) -> None:
    with engine.begin() as connection:
        unique = "ALTER TABLE numbers ADD COLUMN m INTEGER UNIQUE DEFERRABLE INITIALLY DEFERRED"
        connection.execute(text(unique))

    def work(connection: Connection) -> None:
        connection.execute(text("INSERT INTO numbers VALUES (1, 1), (2, 1)"))

    with pytest.raises(IntegrityError):
        writer.run(work, once=True)
    with pytest.raises(StoreUnavailable):
        writer.run(work)
    assert numbers(engine) == []


def test_a_cancelled_await_leaves_the_write_running(writer: PooledWriter, engine: Engine) -> None:
    entered, leave = threading.Event(), threading.Event()

    def work(connection: Connection) -> None:
        entered.set()
        leave.wait(20)
        put(connection, 9)

    async def cancel() -> None:
        task = asyncio.create_task(writer.run_async(work))
        await asyncio.to_thread(entered.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        leave.set()

    asyncio.run(cancel())
    writer.close()
    assert numbers(engine) == [9]


def test_closing_finishes_what_was_submitted_and_refuses_the_rest(
    writer: PooledWriter, engine: Engine
) -> None:
    entered, leave = threading.Event(), threading.Event()

    def work(connection: Connection) -> None:
        entered.set()
        leave.wait(20)
        put(connection, 4)

    futures: list[Future[Any]] = [writer.submit(work)]
    futures += [writer.submit(putting(n)) for n in range(4)]
    entered.wait()
    closing = threading.Thread(target=writer.close)
    closing.start()
    leave.set()
    closing.join()
    for future in futures:
        future.result()
    writer.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        writer.submit(putting(5))
    assert numbers(engine) == [0, 1, 2, 3, 4]
