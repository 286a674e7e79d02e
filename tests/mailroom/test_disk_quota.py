import pytest
from tests.support.clock import Clock

from dovetail.mailroom.disk_quota import MAILBOX, Space, cost
from dovetail.mailroom.rate_limits import Meter

DAY = 86_400
GIGABYTE = 1 << 30


def test_a_meter_gives_a_burst_and_then_its_rate() -> None:
    clock = Clock()
    meter = Meter(2.0, 10.0, clock)
    assert [meter.take("a") for _ in range(12)] == [True] * 10 + [False] * 2
    assert meter.take("b")
    clock.now += 1
    assert [meter.take("a") for _ in range(3)] == [True, True, False]
    meter.give_back("a")
    assert meter.take("a")
    clock.now += 1_000
    assert [meter.take("a") for _ in range(12)] == [True] * 10 + [False] * 2


def test_what_costs_more_than_a_burst_costs_the_burst() -> None:
    clock = Clock()
    meter = Meter(1.0, 10.0, clock)
    assert meter.take("a", 35.0)
    assert not meter.take("a", 1.0)
    clock.now += 9
    assert not meter.take("a", 35.0)
    clock.now += 1
    assert meter.take("a", 35.0)


def test_a_meter_forgets_those_who_were_longest_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dovetail.mailroom.rate_limits._REMEMBERED", 2)
    meter = Meter(1.0, 1.0, Clock())
    assert [meter.take(each) for each in ("a", "b", "a", "c", "a", "b")] == [
        *(True, True, False),
        *(True, False, True),
    ]


@pytest.mark.parametrize(("size", "pages"), [(1, 1), (4_000, 1), (4_001, 2), (7_168, 2)])
def test_a_message_costs_whole_pages(size: int, pages: int) -> None:
    assert cost(size) == pages * 4_096 + 128


def fill(space: Space, client: str | None, clock: Clock, *, hours: int) -> int:
    """Take all that is given for so long."""
    taken = 0
    for _ in range(hours):
        while space.take(7_168, client) is not None:
            taken += 1
        clock.now += 3_600
    return taken


def test_one_laptop_cannot_fill_the_space_and_others_find_room() -> None:
    clock = Clock()
    space = Space(GIGABYTE, ttl=7 * DAY, clock=clock)
    most = GIGABYTE // MAILBOX
    assert fill(space, "laptop", clock, hours=1) < most / 100
    fill(space, "laptop", clock, hours=7 * 24)
    assert space.used < 0.95 * GIGABYTE
    assert space.take(7_168, "somebody else") is not None


def test_the_first_four_fifths_last_a_day_and_the_last_one_as_long_as_a_message() -> None:
    clock = Clock()
    space = Space(GIGABYTE, ttl=7 * DAY, clock=clock)
    fill(space, None, clock, hours=18)
    assert space.used < 0.8 * GIGABYTE
    fill(space, None, clock, hours=3)
    assert 0.8 * GIGABYTE < space.used < 0.82 * GIGABYTE
    fill(space, None, clock, hours=3 * 24)
    assert space.used < 0.92 * GIGABYTE
    fill(space, None, clock, hours=5 * 24)
    assert space.used > 0.99 * GIGABYTE
    assert space.take(7_168, None) is None


def test_the_rates_can_be_set() -> None:
    clock = Clock()
    space = Space(GIGABYTE, ttl=7 * DAY, per_hour=10, per_client=4, clock=clock)
    assert fill(space, "one", clock, hours=0) == 0
    assert [space.take(1, "one") is not None for _ in range(5)] == [True] * 4 + [False]
    # The second one leaves as much as it took to others.
    assert [space.take(1, "two") is not None for _ in range(5)] == [True] * 3 + [False] * 2
    assert [space.take(1, "three") is not None for _ in range(3)] == [True, True, False]
    clock.now += 1_800
    assert [space.take(1, "three") is not None for _ in range(5)] == [True] * 3 + [False] * 2


@pytest.mark.parametrize("networks", [2, 12, 40])
def test_many_networks_leave_an_honest_client_its_mailboxes(networks: int) -> None:
    clock = Clock()
    space = Space(GIGABYTE, ttl=7 * DAY, per_hour=3_600, clock=clock)
    for turn in range(20_000):
        space.take(1, f"network {turn % networks}")
    assert space.take(1, "honest") is not None
    for _ in range(60):  # a second each
        clock.now += 1
        for each in range(networks):
            space.take(1, f"network {each}")
        assert space.take(1, "honest") is not None


def test_what_was_not_kept_is_given_back() -> None:
    space = Space(GIGABYTE, ttl=7 * DAY, per_hour=1, per_client=1, clock=Clock())
    for client in ("one", "one", None, "two"):
        price = space.take(7_168, client)
        assert price is not None
        space.refund(7_168, client, price)
    assert space.used == 0


def test_a_client_is_not_charged_for_what_all_have_used_up() -> None:
    clock = Clock()
    space = Space(GIGABYTE, ttl=7 * DAY, per_hour=1, per_client=1, clock=clock)
    assert space.take(1, "one") is not None
    assert space.take(1, "two") is None
    clock.now += 3_600
    assert space.take(1, "two") is not None
