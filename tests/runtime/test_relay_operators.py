import pytest

from dovetail.runtime.relay_operators import one_hand, operator


@pytest.mark.parametrize(
    ("url", "known"),
    [
        ("https://payjo.in", "payjo.in"),
        ("https://relay.payjo.in:8443/path", "payjo.in"),
        ("https://a.b.example.co.uk", "example.co.uk"),
        ("https://EXAMPLE.com.", "example.com"),
        ("https://a.m\u00fcnchen.de", "xn--mnchen-3ya.de"),
        ("https://xn--mnchen-3ya.de", "xn--mnchen-3ya.de"),
        ("https://one.github.io", "github.io"),  # each customer's host sees what all of them see
        ("https://mailroom", "mailroom"),
        ("https://a..b", "a..b"),
        ("https://8.8.8.8", "8.8.8.8"),
        ("https://[::ffff:8.8.8.8]", "8.8.8.8"),
        ("https://[2001:4860::1]:8443", "2001:4860::1"),
    ],
)
def test_an_operator_is_told_by_the_registrable_domain_or_the_address(url: str, known: str):
    assert operator(url) == known


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8080",
        "http://[::1]:8080",
        "http://localhost:8080",
        "https://mailroom.localhost",
        "https://mailroom.local",
        "https://mailroom.internal",
        "https://10.0.0.7",
        "https://192.168.1.2",
        "https://[fe80::1%25eth0]",
        "https://[fd00::1]",
    ],
)
def test_on_ones_own_machine_and_network_there_is_nobody_to_hide_from(url: str):
    assert operator(url) is None
    assert not one_hand(url, url)


def test_names_below_one_suffix_of_a_registry_are_of_two_hands():
    assert not one_hand("https://relay.example.co.uk", "https://other.co.uk")
    assert one_hand("https://relay.example.co.uk", "https://directory.example.co.uk")
