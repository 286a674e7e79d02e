import asyncio

from dovetail.runtime.wakeup import News


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
