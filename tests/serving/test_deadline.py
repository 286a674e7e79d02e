import asyncio

from dovetail.serving.deadline import Deadline


async def test_a_deadline_passes_once():
    passed: list[int] = []
    deadline = Deadline(lambda: passed.append(1))
    deadline.put_off(0.01)
    await asyncio.sleep(0.1)
    assert passed == [1]


async def test_a_deadline_that_is_put_off_passes_later_and_not_before():
    loop = asyncio.get_running_loop()
    passed: list[float] = []
    deadline = Deadline(lambda: passed.append(loop.time()))
    deadline.put_off(0.01)
    begun = loop.time()
    deadline.put_off(0.2)
    await asyncio.sleep(0.4)
    assert len(passed) == 1
    assert passed[0] >= begun + 0.2


async def test_a_deadline_that_comes_earlier_than_before_is_kept():
    passed: list[int] = []
    deadline = Deadline(lambda: passed.append(1))
    deadline.put_off(3600)
    deadline.put_off(0.01)
    await asyncio.sleep(0.1)
    assert passed == [1]


async def test_without_a_deadline_nothing_passes():
    passed: list[int] = []
    deadline = Deadline(lambda: passed.append(1))
    deadline.put_off(0.01)
    deadline.put_off(None)
    await asyncio.sleep(0.1)
    deadline.put_off(0.01)
    deadline.cancel()
    await asyncio.sleep(0.1)
    assert not passed
