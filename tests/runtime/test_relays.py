from collections import Counter

import pytest

from dovetail.errors import ConfigurationError
from dovetail.runtime.relays import FIRST_QUARANTINE, LONGEST_QUARANTINE, Relays

A, B = "https://a.example", "https://b.example"
DIRECTORY = "https://directory.example"


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
    assert relays(direct=True)[0].choose(DIRECTORY) is None


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
    assert chosen.choose(DIRECTORY) == A


def test_all_relays_get_their_share():
    chosen, _ = relays(A, B)
    counts = Counter(chosen.choose(DIRECTORY) for _ in range(200))
    assert min(counts[A], counts[B]) > 50


def test_a_relay_that_failed_is_spared_and_then_used_again():
    chosen, time = relays(A, B)
    chosen.failed(A)
    assert {chosen.choose(DIRECTORY) for _ in range(50)} == {B}
    time.now += FIRST_QUARANTINE
    assert {chosen.choose(DIRECTORY) for _ in range(50)} == {A, B}


def test_each_failure_in_a_row_doubles_the_quarantine_up_to_ten_minutes():
    chosen, time = relays(A, B)
    for expected in (30, 60, 120, 240, 480, 600, 600):
        chosen.failed(A)
        time.now += expected - 1
        assert {chosen.choose(DIRECTORY) for _ in range(50)} == {B}
        time.now += 1
        assert {chosen.choose(DIRECTORY) for _ in range(50)} == {A, B}
    assert LONGEST_QUARANTINE == 600


def test_a_success_forgets_the_failures():
    chosen, time = relays(A, B)
    for _ in range(5):
        chosen.failed(A)
    chosen.worked(A)
    assert {chosen.choose(DIRECTORY) for _ in range(50)} == {A, B}
    chosen.failed(A)
    time.now += FIRST_QUARANTINE
    assert {chosen.choose(DIRECTORY) for _ in range(50)} == {A, B}


def test_with_all_in_quarantine_the_one_that_leaves_it_first_is_used():
    chosen, time = relays(A, B)
    chosen.failed(A)
    time.now += 1
    chosen.failed(B)
    assert chosen.choose(DIRECTORY) == A


def test_nobody_is_blamed_where_there_is_no_relay():
    chosen, _ = relays(direct=True)
    chosen.failed(None)
    chosen.worked(None)
    assert chosen.choose(DIRECTORY) is None


def test_where_no_relay_is_required_the_want_of_one_is_told_at_its_use():
    relays = Relays((), clock=lambda: 0, required=False)
    with pytest.raises(ConfigurationError, match="set `relays`"):
        relays.choose(DIRECTORY)


# the directory's own operator

OWN = "https://relay.shop.co.uk"
SHOP = "https://directory.shop.co.uk"


def test_a_relay_of_the_directorys_operator_is_never_taken():
    chosen, _ = relays(OWN, A)
    assert {chosen.choose(SHOP) for _ in range(50)} == {A}
    assert {chosen.choose(DIRECTORY) for _ in range(50)} == {OWN, A}


def test_not_even_where_every_other_relay_is_in_quarantine():
    chosen, _ = relays(OWN, A)
    chosen.failed(A)
    assert {chosen.choose(SHOP) for _ in range(50)} == {A}


def test_where_only_the_directorys_own_is_set_the_setting_is_named():
    chosen, _ = relays(OWN)
    with pytest.raises(ConfigurationError, match=r"shop\.co\.uk.*set `relays`.*`direct = true`"):
        chosen.choose(SHOP)
    assert not chosen.hides_from(SHOP)
    assert chosen.hides_from(DIRECTORY)


def test_with_leave_to_go_direct_the_directory_is_asked_straight():
    chosen, _ = relays(OWN, direct=True)
    assert chosen.choose(SHOP) is None
    assert chosen.choose(DIRECTORY) == OWN
    assert not chosen.hides_from(SHOP)


def test_on_ones_own_machine_one_mailroom_is_both():
    chosen, _ = relays("http://127.0.0.1:8080")
    assert chosen.choose("http://127.0.0.1:8080") == "http://127.0.0.1:8080"


def test_a_directory_on_an_onion_address_is_asked_through_tor_alone():
    chosen, _ = relays(A)
    onion = f"http://{'v' * 56}.onion"
    assert chosen.choose(onion) is None
    assert chosen.hides_from(onion)
