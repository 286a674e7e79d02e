import asyncio

import pytest

from dovetail.errors import TransportError
from dovetail.runtime.chain_watch import ChainWatch
from dovetail.runtime.mailbox_wait import attended


async def never() -> str:
    await asyncio.Event().wait()
    raise AssertionError


async def quiet() -> bool:
    return False


async def spent() -> bool:
    return True


async def answer() -> str:
    return "an answer"


async def fail() -> str:
    raise TransportError("lost on the way")


async def test_an_answer_is_given_though_a_look_has_news_at_the_same_time():
    assert await attended(answer, ChainWatch(), quiet, every=60) == "an answer"
    assert await attended(answer, ChainWatch(), spent, every=0) == "an answer"


async def test_news_of_the_log_ends_the_wait_and_nothing_is_asked_where_it_came_before():
    watch, asked = ChainWatch(), asyncio.Event()

    async def ask() -> str:
        asked.set()
        return await never()

    waiting = asyncio.create_task(attended(ask, watch, quiet, every=60))
    await asked.wait()
    watch.news.set()
    async with asyncio.timeout(5):
        assert await waiting is None
    asked.clear()
    assert await attended(ask, watch, quiet, every=60) is None
    assert not asked.is_set()


async def test_looks_go_on_until_one_has_news():
    looks: list[bool] = []

    async def third() -> bool:
        looks.append(True)
        return len(looks) == 3

    async with asyncio.timeout(5):
        assert await attended(never, ChainWatch(), third, every=0.001) is None
    assert len(looks) == 3


async def test_what_is_given_up_has_ended_when_the_caller_goes_on():
    ended = False

    async def ask() -> str:
        nonlocal ended
        try:
            return await never()
        finally:
            await asyncio.sleep(0.01)
            ended = True

    assert await attended(ask, ChainWatch(), spent, every=0.001) is None
    assert ended


@pytest.mark.parametrize("failing", ["ask", "look"])
async def test_a_failure_is_the_callers(failing: str):
    async def look() -> bool:
        raise TransportError("lost on the way")

    ask, see = (fail, quiet) if failing == "ask" else (never, look)
    with pytest.raises(TransportError):
        await attended(ask, ChainWatch(), see, every=0.001)


async def test_who_is_stopped_leaves_nothing_running():
    before = asyncio.all_tasks()
    waiting = asyncio.create_task(attended(never, ChainWatch(), quiet, every=60))
    await asyncio.sleep(0.01)
    assert len(asyncio.all_tasks()) > len(before) + 1
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert asyncio.all_tasks() == before
