from collections import Counter

import pytest

from dovetail.errors import ConfigurationError
from dovetail.runtime.relays import FIRST_QUARANTINE, LONGEST_QUARANTINE, Relays

A, B = "https://a.example", "https://b.example"


class Time:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def relays(*urls: str, direct: bool = False) -> tuple[Relays, Time]:
    time = Time()
    return Relays(urls, clock=time, direct=direct), time


def test_without_relays_the_user_has_to_allow_going_direct():
    with pytest.raises(ConfigurationError, match="direct = true"):
        Relays((), clock=Time())
    assert relays(direct=True)[0].choose() is None


@pytest.mark.parametrize(
    "url",
    [
        "relay.example",
        "ftp://relay.example",
        "https://",
        "https://a.example?x",
        "http://[a",
        "http://a:99999",
    ],
)
def test_what_is_no_url_is_no_relay(url: str):
    with pytest.raises(ConfigurationError, match=r"https://relay\.example"):
        relays(url)


def test_relays_are_used_even_where_going_direct_is_allowed():
    chosen, _ = relays(A, direct=True)
    assert chosen.choose() == A


def test_all_relays_get_their_share():
    chosen, _ = relays(A, B)
    counts = Counter(chosen.choose() for _ in range(200))
    assert min(counts[A], counts[B]) > 50


def test_a_relay_that_failed_is_spared_and_then_used_again():
    chosen, time = relays(A, B)
    chosen.failed(A)
    assert {chosen.choose() for _ in range(50)} == {B}
    time.now += FIRST_QUARANTINE
    assert {chosen.choose() for _ in range(50)} == {A, B}


def test_each_failure_in_a_row_doubles_the_quarantine_up_to_ten_minutes():
    chosen, time = relays(A, B)
    for expected in (30, 60, 120, 240, 480, 600, 600):
        chosen.failed(A)
        time.now += expected - 1
        assert {chosen.choose() for _ in range(50)} == {B}
        time.now += 1
        assert {chosen.choose() for _ in range(50)} == {A, B}
    assert LONGEST_QUARANTINE == 600


def test_a_success_forgets_the_failures():
    chosen, time = relays(A, B)
    for _ in range(5):
        chosen.failed(A)
    chosen.worked(A)
    assert {chosen.choose() for _ in range(50)} == {A, B}
    chosen.failed(A)
    time.now += FIRST_QUARANTINE
    assert {chosen.choose() for _ in range(50)} == {A, B}


def test_with_all_in_quarantine_the_one_that_leaves_it_first_is_used():
    chosen, time = relays(A, B)
    chosen.failed(A)
    time.now += 1
    chosen.failed(B)
    assert chosen.choose() == A


def test_nobody_is_blamed_where_there_is_no_relay():
    chosen, _ = relays(direct=True)
    chosen.failed(None)
    chosen.worked(None)
    assert chosen.choose() is None


def test_where_no_relay_is_required_the_want_of_one_is_told_at_its_use():
    relays = Relays((), clock=lambda: 0, required=False)
    with pytest.raises(ConfigurationError, match="set `relays`"):
        relays.choose()
