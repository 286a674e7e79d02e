"""Duties shared by real processes over a real PostgreSQL."""

import asyncio
import gc
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import psycopg
import pytest
from procrastinate.jobs import Job
from tests.support.postgres import Server, running
from tests.support.waiting import until, wait_for

from dovetail.errors import StoreUnavailable
from dovetail.merchant.engine.duties import HandedOn, Registry
from dovetail.merchant.engine.held_jobs import HeldJobs
from dovetail.merchant.engine.job_worker import JobWorker
from dovetail.merchant.engine.procrastinate_duties import ProcrastinateDuties

NAMES = ("count:1", "count:2", "count:3")


@contextmanager
def _database(server: Server) -> Iterator[str]:
    with server.database() as url:
        with psycopg.connect(url) as connection:
            connection.execute(
                "CREATE TABLE done (worker text, duty text, at timestamptz DEFAULT now())"
            )
        yield url


@pytest.fixture
def url(server: Server) -> Iterator[str]:
    with _database(server) as url:
        yield url


@pytest.fixture
def own_server(testrun_uid: str) -> Server:
    """A server that no other test uses, to restart."""
    return running(f"{testrun_uid}-duties")


@contextmanager
def _worker(url: str, name: str) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "tests.merchant.engine.duty_worker", url, name]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("ready")
        yield process
    finally:
        process.kill()
        process.communicate()


def _doing(url: str, worker: str) -> set[str]:
    """The arguments of the duties that this worker has done within the last half second."""
    query = "SELECT DISTINCT duty FROM done WHERE worker = %s AND at > now() - interval '0.5 s'"
    with psycopg.connect(url) as connection:
        return {duty for (duty,) in connection.execute(query, (worker,))}


def _jobs(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT count(*) FROM procrastinate_jobs").fetchone()
        assert row is not None
        return int(row[0])


async def _ensure(url: str) -> None:
    async with ProcrastinateDuties.open(url, {}) as duties:
        await duties.ensure(NAMES)
        await duties.ensure(NAMES)


async def test_a_duty_that_is_ensured_twice_is_one_job(url) -> None:
    await _ensure(url)
    await _ensure(url)
    assert _jobs(url) == len(NAMES)


async def test_duties_of_a_killed_worker_go_on_in_another(url) -> None:
    await _ensure(url)
    with _worker(url, "first") as first:
        wait_for(lambda: _doing(url, "first") == {"1", "2", "3"}, 10)
        with _worker(url, "second"):
            await asyncio.sleep(1)
            assert _doing(url, "second") == set()
            first.kill()
            first.wait()
            wait_for(lambda: _doing(url, "second") == {"1", "2", "3"}, 9)
    assert _jobs(url) == len(NAMES)


async def test_a_worker_that_stood_still_leaves_its_duties_to_others_and_goes_on(url) -> None:
    await _ensure(url)
    with _worker(url, "first") as first:
        wait_for(lambda: _doing(url, "first") == {"1", "2", "3"}, 10)
        with _worker(url, "second") as second:
            first.send_signal(signal.SIGSTOP)
            wait_for(lambda: _doing(url, "second") == {"1", "2", "3"}, 15)
            first.send_signal(signal.SIGCONT)
            await asyncio.sleep(1)
            wait_for(lambda: _doing(url, "first") == set(), 10)
            second.kill()
            second.wait()
            wait_for(lambda: _doing(url, "first") == {"1", "2", "3"}, 15)
    assert _jobs(url) == len(NAMES)


async def test_a_worker_that_stops_hands_its_duties_on_at_once(url) -> None:
    await _ensure(url)
    with _worker(url, "first") as first:
        wait_for(lambda: _doing(url, "first") == {"1", "2", "3"}, 10)
        with _worker(url, "second"):
            first.terminate()
            assert first.wait(10) == 0
            wait_for(lambda: _doing(url, "second") == {"1", "2", "3"}, 3)


async def test_duties_go_on_after_the_database_was_restarted(own_server) -> None:
    with _database(own_server) as url:
        await _ensure(url)
        with _worker(url, "first") as first:
            wait_for(lambda: _doing(url, "first") == {"1", "2", "3"}, 10)
            own_server.stop()
            await asyncio.sleep(1)
            own_server.start()
            await asyncio.sleep(1)
            wait_for(lambda: _doing(url, "first") == {"1", "2", "3"}, 20)
            assert first.poll() is None
        assert _jobs(url) == len(NAMES)


async def test_duties_cannot_be_ensured_in_a_database_of_another_program(url) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE procrastinate_jobs (id int)")
    with pytest.raises(StoreUnavailable, match="belong to another program"):
        async with ProcrastinateDuties.open(url, {}):
            pass


async def test_tables_of_a_newer_version_are_left_alone(url) -> None:
    await _ensure(url)
    with psycopg.connect(url) as connection:
        connection.execute("COMMENT ON TABLE procrastinate_jobs IS '99.99.99_01_new'")
    with pytest.raises(StoreUnavailable, match="newer than the version installed here"):
        async with ProcrastinateDuties.open(url, {}):
            pass


def _are_over(url: str, done: list[str], expected: list[str]) -> bool:
    return done == expected and _jobs(url) == 0


async def test_a_duty_that_is_over_leaves_no_job_and_can_be_ensured_again(url) -> None:
    done: list[str] = []

    async def work(name: str) -> None:
        done.append(name)

    stop = asyncio.Event()
    async with ProcrastinateDuties.open(url, {"work": work}) as duties:
        running = asyncio.create_task(duties.run(stop))
        for expected in (["1"], ["1", "1"]):
            await duties.ensure(["work:1"])
            await until(partial(_are_over, url, done, expected))
        assert not duties.running
        stop.set()
        await asyncio.wait_for(running, 10)
    assert done == ["1", "1"]


async def test_a_duty_that_fails_too_often_is_handed_on(url, monkeypatch) -> None:
    tried: list[str] = []

    async def fail(_registry: Registry, name: str, *, failures: int) -> None:
        tried.append(name)
        assert failures > 1
        if len(tried) == 1:
            raise HandedOn
        await asyncio.sleep(60)

    monkeypatch.setattr("dovetail.merchant.engine.job_worker.keep_doing", fail)
    stop = asyncio.Event()
    async with ProcrastinateDuties.open(url, {}) as duties:
        running = asyncio.create_task(duties.run(stop))
        await duties.ensure(["work:1"])
        await until(lambda: len(tried) == 2)
        assert _jobs(url) == 1
        stop.set()
        await asyncio.wait_for(running, 10)
    assert _jobs(url) == 1


async def test_a_worker_whose_signs_of_life_end_by_a_fault_begins_anew(
    url, monkeypatch, caplog
) -> None:
    begun: list[str] = []

    async def work(name: str) -> None:
        begun.append(name)
        await asyncio.sleep(60)

    beat, faults = HeldJobs.update_heartbeat, [ValueError("a fault")]

    async def fails_once(jobs: HeldJobs, worker_id: int) -> None:
        if faults:
            raise faults.pop()
        await beat(jobs, worker_id)

    monkeypatch.setattr(HeldJobs, "update_heartbeat", fails_once)
    stop = asyncio.Event()
    async with ProcrastinateDuties.open(url, {"work": work}) as duties:
        running = asyncio.create_task(duties.run(stop))
        await duties.ensure(["work:1"])
        await until(lambda: begun == ["1", "1"])
        stop.set()
        await asyncio.wait_for(running, 10)
    assert "A fault of the program, ValueError: this worker begins anew." in caplog.messages


async def test_a_waiting_duty_is_one_task_and_leaves_its_job_to_the_database(url) -> None:
    """Ten thousand wait in one worker, so that what each keeps in memory counts."""

    async def work(_name: str) -> None:
        await asyncio.sleep(60)

    stop, names = asyncio.Event(), [f"work:{number}" for number in range(20)]
    async with ProcrastinateDuties.open(url, {"work": work}) as duties:
        running = asyncio.create_task(duties.run(stop))
        await duties.ensure(names)
        await until(lambda: len(duties.running) == len(names))
        assert sum(task.get_name().startswith("work:") for task in asyncio.all_tasks()) == 20
        await until(lambda: not any(isinstance(each, Job) for each in gc.get_objects()))
        stop.set()
        await asyncio.wait_for(running, 10)


async def test_a_cancellation_that_the_pool_loses_holds_no_worker_up(url, monkeypatch) -> None:
    """As when a connection becomes free at the moment in which its waiter is cancelled."""
    lost = asyncio.Event()

    async def loses(_jobs: HeldJobs, _seconds: float) -> list[int]:
        if not lost.is_set():
            looked.set()
            try:
                await asyncio.sleep(30)
            except asyncio.CancelledError:
                lost.set()
        return []

    async def waits(_worker: JobWorker, stop: asyncio.Event) -> None:
        await stop.wait()

    looked, stop = asyncio.Event(), asyncio.Event()
    async with ProcrastinateDuties.open(url, {}) as duties:
        monkeypatch.setattr(HeldJobs, "prune_stalled_workers", loses)
        monkeypatch.setattr(JobWorker, "run", waits)
        running = asyncio.create_task(duties.run(stop))
        await looked.wait()
        stop.set()
        await asyncio.wait_for(running, 10)
    assert lost.is_set()
