import asyncio
from collections.abc import Callable, Collection, Mapping

import pytest

from dovetail.bitcoin import Sats, Script, Txid
from dovetail.errors import ChainError
from dovetail.runtime.address_watch import Addresses, Paid
from dovetail.runtime.async_ports import AsyncChain
from dovetail.wallets.ports import Payment, query_each

FOR_EVER = 3_600.0
SCRIPTS = [Script(bytes([0, 20]) + bytes([n]) * 20) for n in range(200)]
PAID: Paid = (Payment(txid=Txid(bytes(32)), amount=Sats(1_000), depth=0),)


class Source:
    """A chain source that counts what it is asked, tells what it is told to, and may fail."""

    def __init__(self) -> None:
        self.paid: dict[Script, Paid] = {}
        self.failing: Callable[[Script], bool] = lambda _script: False
        self.fault: Exception | None = None
        self.looks: list[int] = []
        self.alone = 0

    def payments_to(self, script: Script) -> Paid:
        self.alone += 1
        return self._tell(script)

    def payments_to_each(self, scripts: Collection[Script]) -> Mapping[Script, Paid]:
        self.looks.append(len(scripts))
        if self.fault is not None:
            raise self.fault
        return query_each(scripts, self._tell)

    def _tell(self, script: Script) -> Paid:
        if self.failing(script):
            raise ChainError("The chain is away.")
        return self.paid.get(script, ())


def watching(source: Source, every: float = FOR_EVER) -> Addresses:
    return Addresses(AsyncChain(source), every=every)  # type: ignore[arg-type]


async def rounds(source: Source, many: int) -> None:
    """Wait for so many looks from now on."""
    wanted = len(source.looks) + many
    async with asyncio.timeout(10):
        while len(source.looks) < wanted:  # noqa: ASYNC110  # the source counts in a thread
            await asyncio.sleep(0.005)


async def test_looks_that_are_wanted_at_once_are_one_look():
    source = Source()
    source.paid[SCRIPTS[7]] = PAID
    addresses = watching(source)
    told = await asyncio.gather(*map(addresses.look, [*SCRIPTS, SCRIPTS[7]]))
    assert (source.looks, source.alone) == ([200], 0)
    assert [paid for paid in told if paid] == [PAID, PAID]


async def test_all_that_are_followed_are_one_look_each_interval():
    source, told = Source(), list[tuple[int, Paid | None]]()
    addresses = watching(source, every=0.05)
    opened = [
        addresses.following(script, (), lambda paid, n=n: told.append((n, paid)), looked_at=0.0)  # type: ignore[misc]
        for n, script in enumerate(SCRIPTS)
    ]
    for each in opened:
        each.__enter__()
    await rounds(source, 2)
    assert (set(source.looks), told) == ({200}, [])
    source.paid[SCRIPTS[3]] = PAID
    await rounds(source, 3)
    assert told == [(3, PAID)]  # once
    del source.paid[SCRIPTS[3]]
    await rounds(source, 2)
    assert told == [(3, PAID), (3, ())]
    for each in opened:
        each.__exit__(None, None, None)
    assert source.alone == 0


async def test_what_was_missed_between_two_waits_is_told():
    """A follower names what it saw last: nothing that came before it began is lost."""
    source, told = Source(), asyncio.Event()
    source.paid[SCRIPTS[0]] = PAID
    addresses = watching(source, every=0.02)
    with addresses.following(SCRIPTS[0], (), lambda _paid: told.set(), looked_at=0.0):
        async with asyncio.timeout(5):
            await told.wait()


async def test_a_fresh_look_does_not_wait_for_the_next_round():
    source = Source()
    addresses = watching(source)
    with addresses.following(SCRIPTS[0], (), lambda _paid: None, looked_at=0.0):
        async with asyncio.timeout(5):
            assert await addresses.look(SCRIPTS[1]) == ()
    assert source.looks == [1]


async def test_rounds_go_on_beside_fresh_looks():
    source, told = Source(), asyncio.Event()
    addresses = watching(source, every=0.02)
    source.paid[SCRIPTS[0]] = PAID
    with addresses.following(SCRIPTS[0], (), lambda _paid: told.set(), looked_at=0.0):
        async with asyncio.timeout(5):
            while not told.is_set():
                await addresses.look(SCRIPTS[1])


async def test_a_source_that_is_away_is_asked_a_few_times_for_all_and_followers_are_told():
    source, told = Source(), list[Paid | None]()
    source.failing = lambda _script: True
    addresses = watching(source, every=0.02)
    looks = await asyncio.gather(*map(addresses.look, SCRIPTS), return_exceptions=True)
    assert {type(each) for each in looks} == {ChainError}
    assert (source.looks, source.alone) == ([200], 0)
    with addresses.following(SCRIPTS[0], PAID, told.append, looked_at=0.0):
        await rounds(source, 2)
        source.failing = lambda _script: False
        source.paid[SCRIPTS[0]] = PAID
        await rounds(source, 2)
    assert set(told) == {None}  # and what was seen before is as it was


async def test_one_address_that_cannot_be_told_of_blinds_nobody():
    source = Source()
    bad = SCRIPTS[5]
    source.failing = lambda script: script == bad
    source.paid[SCRIPTS[6]] = PAID
    addresses = watching(source)
    good, other = await asyncio.gather(
        addresses.look(SCRIPTS[6]), addresses.look(bad), return_exceptions=True
    )
    assert good == PAID
    assert isinstance(other, ChainError)


async def test_a_fault_of_the_program_is_raised_by_who_waits():
    source, told = Source(), list[Paid | None]()
    source.fault = ZeroDivisionError()
    addresses = watching(source, every=0.02)
    with pytest.raises(ZeroDivisionError):
        await addresses.look(SCRIPTS[0])
    with addresses.following(SCRIPTS[0], (), told.append, looked_at=0.0):
        await rounds(source, 2)
    assert set(told) == {None}


async def test_who_asks_and_goes_stops_nobody_else():
    source = Source()
    addresses = watching(source)
    gone, stays = (asyncio.create_task(addresses.look(SCRIPTS[0])) for _ in range(2))
    await asyncio.sleep(0)
    gone.cancel()
    assert await stays == ()


async def test_nothing_runs_where_nobody_wants_to_know():
    before = asyncio.all_tasks()
    source = Source()
    addresses = watching(source)
    await addresses.stop()
    await addresses.look(SCRIPTS[0])
    with addresses.following(SCRIPTS[0], (), lambda _paid: None, looked_at=0.0):
        await asyncio.sleep(0.02)
        assert len(asyncio.all_tasks()) == len(before) + 1
    async with asyncio.timeout(5):
        while asyncio.all_tasks() != before:  # noqa: ASYNC110  # it ends by itself
            await asyncio.sleep(0.01)
    with addresses.following(SCRIPTS[0], (), lambda _paid: None, looked_at=0.0):
        await addresses.stop()
        assert asyncio.all_tasks() == before


def test_each_is_told_and_a_source_that_fails_thrice_is_left():
    asked = list[int]()

    def ask(number: int) -> int:
        asked.append(number)
        if number in {1, 4, 5, 6}:
            raise ChainError("away")
        return number * 10

    assert query_each(range(9), ask) == {0: 0, 2: 20, 3: 30}
    assert asked == list(range(7))
    assert query_each([], ask) == {}
    for lost in ([1], [4, 5], [4, 5, 6, 0]):
        with pytest.raises(ChainError):
            query_each(lost, ask)
