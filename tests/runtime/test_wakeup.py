import asyncio

import pytest

from dovetail.runtime.wakeup import News, any_done


async def test_whoever_waits_hears_of_it():
    news = News()
    waiting = [news.coming(), news.coming()]
    await asyncio.wait(waiting, timeout=0.01)
    assert not any(each.done() for each in waiting)
    news.set()
    assert all(each.done() for each in waiting)
    assert news.is_set()


async def test_who_comes_later_hears_of_it_until_it_is_cleared():
    news = News()
    news.set()
    news.set()
    assert news.coming().done()
    news.clear()
    assert not news.is_set()
    assert not news.coming().done()


async def test_the_first_that_is_done_ends_the_wait_and_the_others_stay():
    loop = asyncio.get_running_loop()
    first, second = loop.create_future(), loop.create_future()
    waiting = asyncio.create_task(any_done(first, second))
    await asyncio.sleep(0)
    assert not waiting.done()
    second.set_result(None)
    first.set_result(None)
    await waiting
    await any_done(first, loop.create_future())


async def test_a_wait_for_the_first_that_is_cancelled_cancels_none_of_them():
    future = asyncio.get_running_loop().create_future()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(any_done(future), 0.01)
    assert not future.cancelled()
    future.set_result(None)
