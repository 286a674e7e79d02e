import random as chance
from functools import partial

import pytest

from dovetail.errors import ConfigurationError
from dovetail.serving.client_shares import Clients, Share, Shares


def scope(peer: str | None, *headers: tuple[bytes, bytes]):
    return {"client": None if peer is None else (peer, 1234), "headers": list(headers)}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("203.0.113.1", "203.0.113.254", True),
        ("203.0.113.1", "203.0.112.1", False),
        ("2001:db8:0:1200::1", "2001:db8:0:12ff:ffff::9", True),
        ("2001:db8:0:1200::1", "2001:db8:0:1300::1", False),
        ("::ffff:203.0.113.7", "203.0.113.9", True),
        ("fe80::1%eth0", "fe80::2", True),
    ],
)
def test_a_client_is_its_network(one: str, other: str, *, same: bool):
    clients = Clients()
    assert clients.at(one) is not None
    assert (clients.at(one) == clients.at(other)) is same


def test_names_say_nothing_of_the_address_and_differ_in_each_run():
    assert Clients().at("203.0.113.1") != Clients().at("203.0.113.1")


@pytest.mark.parametrize("peer", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "no address", None])
def test_who_comes_through_a_proxy_of_ours_has_no_name(peer: str | None):
    assert Clients().at(peer) is None
    assert Clients().of(scope(peer, (b"x-forwarded-for", b"203.0.113.1"))) is None


def test_other_addresses_of_this_machine_are_clients():
    assert Clients().at("127.0.1.1") is not None


def test_a_header_is_believed_of_a_proxy_and_only_what_that_wrote():
    clients = Clients(proxies=("10.0.0.0/8",), forwarded="X-Forwarded-For")
    honest = clients.at("203.0.113.1")
    told = (b"x-forwarded-for", b"198.51.100.1, 203.0.113.1")
    assert clients.of(scope("10.1.2.3", told)) == honest
    assert clients.of(scope("192.0.2.1", told)) == clients.at("192.0.2.1")
    assert clients.of(scope("10.1.2.3")) is None


def test_proxies_that_are_no_addresses_are_a_wrong_setting():
    with pytest.raises(ConfigurationError, match="`proxies`"):
        Clients(proxies=("localhost",))


def taken(shares: Shares, client: str | None, count: int) -> int:
    """How many of so many tries succeed."""
    return sum(shares.take(client) is not None for _ in range(count))


def test_one_client_gets_half_and_the_next_one_finds_room():
    shares = Shares(8)
    assert taken(shares, "greedy", 5) == 4
    assert taken(shares, "second", 3) == 2
    assert taken(shares, "third", 1) == 1
    assert taken(shares, "second", 1) == 0
    assert taken(shares, "fourth", 1) == 1
    assert taken(shares, "fifth", 1) == 0  # nobody can give way
    assert shares.count == 8


def test_who_holds_most_is_refused_first():
    shares = Shares(100)
    while shares.take("greedy"):
        pass
    assert not shares.take("greedy")
    assert shares.take("honest")


def test_a_client_may_be_bounded_more_closely():
    assert taken(Shares(100, 2), "one", 3) == 2


def test_nobody_is_bound_by_the_limit_alone():
    shares = Shares(2)
    share = shares.take(None)
    assert share is not None
    assert taken(shares, None, 2) == 1
    share.end()
    assert shares.take("somebody")
    assert shares.count == 2


def test_what_is_given_back_can_be_taken_and_nothing_is_remembered():
    shares = Shares(2, 1)
    with shares.hold("one") as first, shares.hold("one") as again:
        assert (first, again) == (True, False)
    assert shares.count == 0
    assert not shares._held
    assert not shares._by_count
    with shares.hold("one") as first:
        assert first


def test_the_oldest_place_of_the_largest_is_given_to_one_that_holds_less():
    shares, gave_way = Shares(8), list[int]()
    held = [shares.take("greedy", partial(gave_way.append, n)) for n in range(4)]
    others = [shares.take(name, lambda: gave_way.append(99)) for name in ("b", "c", "d", "e")]
    assert all(held)
    assert all(others)
    assert shares.take("honest", lambda: None)
    assert gave_way == [0]
    assert shares.take("late", lambda: None)
    assert gave_way == [0, 1]
    assert not shares.take("greedy", lambda: None)
    assert shares.take("another", lambda: None)
    assert not shares.take("too many", lambda: None)  # as many clients as places
    assert gave_way == [0, 1, 2]
    assert shares.count == 8


def test_a_place_that_another_has_is_not_given_back_twice():
    shares = Shares(4)
    first = shares.take("greedy", lambda: None)
    assert first is not None
    assert [shares.take(name, lambda: None) is not None for name in ("greedy", "b", "c")] == (
        [True] * 3
    )
    assert shares.take("honest", lambda: None)
    first.end()
    first.end()
    assert shares.count == 4


@pytest.mark.parametrize("networks", [2, 12, 40])
def test_many_networks_leave_an_honest_client_its_place(networks: int):
    """With as many clients as places and no more room, or with fewer: never a lock-out."""
    shares = Shares(64, 16)
    for turn in range(200):
        shares.take(f"network {turn % networks}", lambda: None)
    honest = [shares.take("honest", lambda: None) for _ in range(min(16, 64 // (networks + 1)))]
    assert all(honest)
    assert shares.count <= 64


@pytest.mark.parametrize("seed", range(5))
def test_counts_stay_true_whatever_is_taken_and_given_back(seed: int):
    random = chance.Random(seed)
    shares, held = Shares(20, 6), list[Share]()
    for _ in range(2_000):
        if held and random.random() < 0.4:
            held.pop(random.randrange(len(held))).end()
            continue
        client = random.choice([None, *"abcdefghij"])
        share = shares.take(client, lambda: None)
        if share is not None:
            held.append(share)
        assert shares.count == len(held) - len(gone_of(held))
        assert shares.count <= 20
        counts = {name: len(each) for name, each in shares._held.items()}
        assert shares._most == max(counts.values(), default=0)
        for count, names in shares._by_count.items():
            assert {name for name, each in counts.items() if each == count} == set(names)


def gone_of(held: list[Share]) -> list[Share]:
    """Those whose place another has."""
    return [share for share in held if share._shares is None]
