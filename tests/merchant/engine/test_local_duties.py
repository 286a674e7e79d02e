"""Duties as tasks of one process."""

import asyncio

import pytest
from tests.support.waiting import until

from dovetail.errors import UsageError
from dovetail.merchant.engine import duties
from dovetail.merchant.engine.local_duties import LocalDuties


async def _stopped(stop: asyncio.Event, running: "asyncio.Task[None]") -> None:
    stop.set()
    await running


async def test_a_duty_is_done_once_and_again_by_the_next_run() -> None:
    begun: list[str] = []

    async def work(rest: str) -> None:
        begun.append(rest)
        await asyncio.Event().wait()

    local = LocalDuties({"work": work})
    await local.ensure(["work:a"])
    assert begun == []
    for count in (1, 2):
        stop = asyncio.Event()
        running = asyncio.create_task(local.run(stop))
        await until(lambda: len(begun) == count)  # noqa: B023
        await local.ensure(["work:a"])
        assert list(local.running) == ["work:a"]
        await _stopped(stop, running)
        assert list(local.running) == []
    assert begun == ["a", "a"]


async def test_a_duty_that_fails_is_done_again_and_the_others_go_on(monkeypatch, caplog) -> None:
    monkeypatch.setattr(duties, "FIRST_PAUSE", 0.01)
    tries: list[str] = []
    quoted = " secret"

    async def fails(_: str) -> None:
        tries.append("fails")
        if len(tries) < 3:
            raise ValueError("a" + quoted)

    stop = asyncio.Event()
    local = LocalDuties({"fails": fails})
    running = asyncio.create_task(local.run(stop))
    await local.ensure(["fails"])
    await until(lambda: len(tries) == 3 and not local.running)
    await _stopped(stop, running)
    assert "ValueError" in caplog.text
    assert "a secret" not in caplog.text


async def test_an_unknown_kind_of_duty_is_refused() -> None:
    with pytest.raises(UsageError, match="newer version"):
        await LocalDuties({}).ensure(["other:1"])


async def test_a_duty_is_handed_on_after_its_failures(monkeypatch) -> None:
    monkeypatch.setattr(duties, "FIRST_PAUSE", 0.01)

    async def fails(_: str) -> None:
        raise OSError

    with pytest.raises(duties.HandedOn):
        await duties.keep_doing({"fails": fails}, "fails", failures=2)


async def test_a_duty_that_loses_its_cancellation_ends_nevertheless(monkeypatch) -> None:
    monkeypatch.setattr(duties, "CANCELLED_AGAIN", 0.01)
    lost: list[str] = []

    async def loses(_: str) -> None:
        while True:
            try:
                await asyncio.sleep(30)
            except asyncio.CancelledError:
                if lost:
                    raise
                lost.append("once")

    stop = asyncio.Event()
    local = LocalDuties({"loses": loses})
    running = asyncio.create_task(local.run(stop))
    await local.ensure(["loses"])
    await asyncio.sleep(0)
    await asyncio.wait_for(_stopped(stop, running), 10)
    assert lost == ["once"]
