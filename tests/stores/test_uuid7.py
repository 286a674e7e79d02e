"""Ids of version 7: their shape, their order and their origin."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest

from dovetail.stores.uuid7 import Uuid7


def milliseconds(value: UUID) -> int:
    return value.int >> 80


def test_an_id_has_the_time_its_version_and_its_variant() -> None:
    value = Uuid7(lambda: 1_645_557_742.0)()
    assert value.hex.startswith("017f22e279b07"), "the time of RFC 9562, appendix A.6"
    assert value.version == 7
    assert value.variant == "specified in RFC 4122"


def test_ids_are_of_now_unless_told_otherwise() -> None:
    before = int(time.time() * 1000)
    assert before <= milliseconds(Uuid7()()) <= int(time.time() * 1000)


def test_ids_ascend_although_the_clock_stands_still_or_goes_back() -> None:
    times = iter([5.0, 5.0, 5.0, 4.0, -1.0, 5.001, 6.0])
    new = Uuid7(lambda: next(times))
    values = [new() for _ in range(7)]
    assert values == sorted(values)
    assert len(set(values)) == 7
    assert [milliseconds(value) for value in values] == [5000] * 5 + [5001, 6000]


def test_a_clock_before_1970_counts_as_its_start() -> None:
    assert milliseconds(Uuid7(lambda: -7.0)()) == 0


def test_a_counter_that_overflows_takes_the_next_millisecond(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    new = Uuid7(lambda: 5.0)
    new()
    monkeypatch.setattr(new, "_counter", (1 << 42) - 2)
    last, over = new(), new()
    assert milliseconds(last) == 5000
    assert milliseconds(over) == 5001
    assert last < over


def test_a_millisecond_begins_at_a_random_count_with_room_above_it() -> None:
    counts = set()
    for _ in range(50):
        value = Uuid7(lambda: 5.0)().int
        counts.add((value >> 64 & 0xFFF) << 30 | value >> 32 & 0x3FFFFFFF)
    assert len(counts) == 50
    assert max(counts) < 1 << 41


def test_two_that_begin_at_one_moment_make_other_ids() -> None:
    assert len({Uuid7(lambda: 5.0)() for _ in range(200)}) == 200


def test_threads_share_one_order() -> None:
    new, barrier = Uuid7(lambda: 5.0), threading.Barrier(4)

    def make() -> list[UUID]:
        barrier.wait()
        return [new() for _ in range(200)]

    with ThreadPoolExecutor(4) as pool:
        made = [future.result() for future in [pool.submit(make) for _ in range(4)]]
    assert all(values == sorted(values) for values in made)
    assert len({value for values in made for value in values}) == 800
