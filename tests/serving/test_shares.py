import pytest

from dovetail.errors import ConfigurationError
from dovetail.serving.shares import Clients, Shares


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


def test_one_client_gets_half_and_the_next_one_finds_room():
    shares = Shares(8)
    assert [shares.take("greedy") for _ in range(5)] == [True] * 4 + [False]
    assert [shares.take("second") for _ in range(3)] == [True, True, False]
    assert shares.take("third")
    assert not shares.take("second")
    assert shares.take("fourth")
    assert not shares.take("fifth")
    assert shares.count == 8


def test_who_holds_most_is_refused_first():
    shares = Shares(100)
    while shares.take("greedy"):
        pass
    assert not shares.take("greedy")
    assert shares.take("honest")


def test_a_client_may_be_bounded_more_closely():
    shares = Shares(100, 2)
    assert [shares.take("one") for _ in range(3)] == [True, True, False]


def test_nobody_is_bound_by_the_limit_alone():
    shares = Shares(2)
    assert [shares.take(None) for _ in range(3)] == [True, True, False]
    shares.give_back(None)
    assert shares.take("somebody")
    assert shares.count == 2


def test_what_is_given_back_can_be_taken_and_nothing_is_remembered():
    shares = Shares(2, 1)
    with shares.hold("one") as taken, shares.hold("one") as again:
        assert (taken, again) == (True, False)
    assert shares.count == 0
    assert not shares._held
    with shares.hold("one") as taken:
        assert taken
