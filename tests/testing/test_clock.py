import pytest

from dovetail.testing.clock import ManualClock


def test_it_stands_still_until_it_is_moved() -> None:
    clock = ManualClock(1_000)
    assert (clock(), clock()) == (1_000, 1_000)
    assert clock.advance(60) == 1_060
    assert clock() == 1_060


def test_time_does_not_run_backwards() -> None:
    clock = ManualClock()
    with pytest.raises(ValueError, match="backwards"):
        clock.advance(-1)
