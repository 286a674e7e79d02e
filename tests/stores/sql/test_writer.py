import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Connection, Engine, event
from tests.stores.jobs_contract import TABLE, JobsContract, numbers, put, putting

from dovetail.errors import StaleSession, StoreUnavailable
from dovetail.stores.sql.sqlite import open_engine
from dovetail.stores.sql.writer import GROUP, Writer

if TYPE_CHECKING:
    from concurrent.futures import Future


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_engine(tmp_path / "numbers.db")
    with engine.begin() as connection:
        connection.execute(TABLE)
    yield engine
    engine.dispose()


@pytest.fixture
def writer(engine: Engine) -> Iterator[Writer]:
    writer = Writer(engine)
    yield writer
    writer.close()


class TestWriter(JobsContract):
    """All that every writer promises."""


class Gate:
    """Holds the writer inside one job, so that what is submitted meanwhile is one group."""

    def __init__(self, writer: Writer) -> None:
        self._open = threading.Event()
        self._entered = threading.Event()
        self._future = writer.submit(self._wait)
        self._entered.wait()

    def _wait(self, _connection: Connection) -> None:
        self._entered.set()
        self._open.wait()

    def open(self) -> None:
        self._open.set()
        self._future.result()


def count_commits(engine: Engine) -> list[object]:
    commits: list[object] = []
    event.listen(engine, "commit", commits.append)
    return commits


def test_jobs_that_wait_share_one_commit(writer: Writer, engine: Engine) -> None:
    commits = count_commits(engine)
    gate = Gate(writer)
    futures = [writer.submit(putting(n)) for n in range(64)]
    gate.open()
    assert [future.result() for future in futures] == list(range(64))
    assert len(commits) == 2


def test_jobs_are_acknowledged_after_the_commit(writer: Writer, engine: Engine) -> None:
    told: list[bool] = []
    gate = Gate(writer)
    futures = [writer.submit(putting(n)) for n in range(3)]
    event.listen(engine, "commit", lambda _: told.extend(future.done() for future in futures))
    gate.open()
    assert [future.result() for future in futures] == [0, 1, 2]
    assert told[-3:] == [False] * 3


def test_a_group_has_a_bound(writer: Writer, engine: Engine) -> None:
    commits = count_commits(engine)
    gate = Gate(writer)
    futures = [writer.submit(putting(n)) for n in range(GROUP + 1)]
    gate.open()
    for future in futures:
        future.result()
    assert len(commits) == 3


def test_a_refusal_fails_alone(writer: Writer, engine: Engine) -> None:
    def refuse(_connection: Connection) -> None:
        raise StaleSession("moved on")

    gate = Gate(writer)
    before = writer.submit(putting(1), isolated=False)
    refused = writer.submit(refuse, isolated=False)
    after = writer.submit(putting(2), isolated=False)
    gate.open()
    assert (before.result(), after.result()) == (1, 2)
    with pytest.raises(StaleSession):
        refused.result()
    assert numbers(engine) == [1, 2]


def test_isolated_work_that_fails_after_a_write_takes_back_its_part_alone(
    writer: Writer, engine: Engine
) -> None:
    def write_then_fail(connection: Connection) -> None:
        put(connection, 5)
        raise LookupError("a fault of the caller's own")

    gate = Gate(writer)
    before = writer.submit(putting(1))
    failed = writer.submit(write_then_fail)
    gate.open()
    assert before.result() == 1
    with pytest.raises(LookupError):
        failed.result()
    assert numbers(engine) == [1]


def test_when_a_group_fails_only_the_guilty_job_is_told(writer: Writer, engine: Engine) -> None:
    writer.run(putting(3))
    gate = Gate(writer)
    good = [writer.submit(putting(n), isolated=False) for n in (1, 2)]
    guilty = writer.submit(putting(3), isolated=False)
    gate.open()
    assert [future.result() for future in good] == [1, 2]
    with pytest.raises(StoreUnavailable):
        guilty.result()
    assert numbers(engine) == [1, 2, 3]


def test_a_cancelled_await_leaves_the_write_running(writer: Writer, engine: Engine) -> None:
    async def cancel() -> None:
        gate = await asyncio.to_thread(Gate, writer)
        task = asyncio.create_task(writer.run_async(putting(9)))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.to_thread(gate.open)

    asyncio.run(cancel())
    writer.close()
    assert numbers(engine) == [9]


def test_closing_finishes_what_was_submitted_and_refuses_the_rest(
    writer: Writer, engine: Engine
) -> None:
    gate = Gate(writer)
    last = writer.submit(putting(4))
    closing = threading.Thread(target=writer.close)
    closing.start()
    gate.open()
    closing.join()
    assert last.result() == 4
    writer.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        writer.submit(putting(5))
    assert numbers(engine) == [4]


def test_work_that_runs_once_is_not_repeated_for_anothers_fault(
    writer: Writer, engine: Engine
) -> None:
    runs: list[int] = []

    def once(connection: Connection) -> None:
        runs.append(put(connection, 2))

    gate = Gate(writer)
    futures: list[Future[Any]] = [
        writer.submit(putting(1)),
        writer.submit(once, once=True),
        writer.submit(putting(1), isolated=False),
        writer.submit(putting(3)),
    ]
    gate.open()
    with pytest.raises(StoreUnavailable):
        futures[2].result()
    for index in (0, 1, 3):
        futures[index].result()
    assert runs == [2]
    assert numbers(engine) == [1, 2, 3]


def test_work_that_runs_once_comes_in_its_turn(writer: Writer, engine: Engine) -> None:
    commits = count_commits(engine)
    gate = Gate(writer)
    order: list[int] = []

    def noting(n: int) -> Callable[[Connection], None]:
        return lambda _connection: order.append(n)

    futures = [writer.submit(noting(n), once=n in (2, 3)) for n in range(6)]
    gate.open()
    for future in futures:
        future.result()
    assert order == list(range(6))
    assert len(commits) == 1 + 4, "the gate, 0 and 1, 2, 3, 4 and 5"
