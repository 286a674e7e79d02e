"""The limits of guesses: strangers hold up strangers, and nobody whom the shop knows."""

from tests.support.clock import Clock

from dovetail.merchant.dashboard.desk import (
    CHALLENGES,
    CLIENT_TRIES,
    KNOWN_TRIES,
    NAME_TRIES,
    PAIR_TRIES,
    Gate,
)


def passed(gate: Gate, times: int, client: str | None, name: str, known: str | None = None) -> int:
    """How many of these tries are let through."""
    return sum(gate.wait(client, name, known) == 0 for _ in range(times))


def test_a_network_a_name_and_both_have_limits_of_their_own() -> None:
    gate = Gate(Clock())
    assert passed(gate, 50, "one", "Ada") == PAIR_TRIES.burst
    many = sum(passed(gate, 1, "two", f"name {number}") for number in range(50))
    assert many == CLIENT_TRIES.burst
    everywhere = sum(passed(gate, 1, f"network {number}", "aDA") for number in range(99))
    assert PAIR_TRIES.burst + everywhere == NAME_TRIES.burst


def test_nobody_guesses_a_name_more_than_a_hundred_times_in_an_hour() -> None:
    """OWASP ASVS 4.0, 2.2.1; each guess is from a network of its own."""
    clock = Clock()
    gate, let = Gate(clock), 0
    for second in range(3_600):
        clock.now += 1
        let += passed(gate, 1, f"network {second}", "Ada")
    assert NAME_TRIES.burst < let <= 100


def test_a_known_browser_is_held_up_by_its_own_guesses_alone() -> None:
    gate = Gate(Clock())
    for number in range(99):
        passed(gate, 1, f"network {number}", "Ada")
    passed(gate, 99, "hers", "Somebody")
    assert passed(gate, 99, "hers", "Ada", "browser") == KNOWN_TRIES.burst
    assert passed(gate, 1, "hers", "Ada", "another browser") == 1


def test_guesses_of_a_known_browser_use_up_nothing_of_others() -> None:
    gate = Gate(Clock())
    passed(gate, 99, "hers", "Ada", "browser")
    assert passed(gate, 99, "hers", "Ada") == PAIR_TRIES.burst


def test_who_waits_gets_through_again() -> None:
    clock = Clock()
    gate = Gate(clock)
    passed(gate, PAIR_TRIES.burst, "one", "Ada")
    wait = gate.wait("one", "Ada")
    assert 0 < wait <= 1 / PAIR_TRIES.per_second
    clock.now += int(wait) + 1
    assert gate.wait("one", "Ada") == 0


def test_a_network_that_is_not_told_is_limited_by_the_name() -> None:
    """Behind a proxy that writes no address all visitors are one."""
    assert passed(Gate(Clock()), 99, None, "Ada") == NAME_TRIES.burst


def test_challenges_have_a_limit_of_their_own() -> None:
    gate = Gate(Clock())
    assert sum(gate.wait_to_ask("one") == 0 for _ in range(99)) == CHALLENGES.burst
    assert gate.wait_to_ask("one", "browser") == 0
    assert gate.wait_to_ask("two") == 0
    assert passed(gate, 1, "one", "Ada") == 1
