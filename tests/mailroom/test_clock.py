from tests.support.clock import Clock

from dovetail.mailroom.clock import SteadyClock, monotonic_seconds

HOUR = 3_600


def test_a_clock_that_is_not_set_is_believed() -> None:
    wall, passed = Clock(1_000_000), Clock(5)
    clock = SteadyClock(wall, passed)
    for seconds in (0, 1, 86_400, 30 * 86_400):
        wall.now += seconds
        passed.now += seconds
        assert clock() == wall.now
        assert not clock.jumped


def test_a_small_correction_is_followed() -> None:
    wall, passed = Clock(1_000_000), Clock(5)
    clock = SteadyClock(wall, passed)
    for correction in (HOUR, -HOUR, HOUR, HOUR):
        wall.now += correction
        assert clock() == wall.now
        assert not clock.jumped


def test_a_jump_is_not_believed_until_it_is_undone() -> None:
    for jump in (HOUR + 1, 30 * 86_400, -2 * HOUR):
        wall, passed = Clock(1_000_000), Clock(5)
        clock = SteadyClock(wall, passed)
        wall.now += jump
        assert (clock(), clock.jumped) == (1_000_000, True)
        wall.now += 60
        passed.now += 60
        assert (clock(), clock.jumped) == (1_000_060.0, True)
        wall.now -= jump
        assert (clock(), clock.jumped) == (1_000_060.0, False)


def test_what_passes_is_counted_where_the_system_does_not_count_sleep(monkeypatch) -> None:
    first = monotonic_seconds()
    assert monotonic_seconds() >= first
    monkeypatch.delattr("time.CLOCK_BOOTTIME", raising=False)
    assert monotonic_seconds() <= monotonic_seconds()
