"""The public URL: what is one, and which hosts are the machine itself."""

import pytest

from dovetail.bitcoin import Network
from dovetail.errors import ConfigurationError
from dovetail.merchant.public_url import PublicUrl, host_of, is_loopback


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("https://pay.example", "https://pay.example"),
        ("HTTPS://Pay.Example/", "https://pay.example"),
        ("https://pay.example:443", "https://pay.example"),
        ("https://pay.example:8443/", "https://pay.example:8443"),
        ("http://127.0.0.1:8090", "http://127.0.0.1:8090"),
        ("http://[::1]:80", "http://[::1]"),
    ],
)
def test_an_origin_is_read_and_told_in_one_spelling(text: str, told: str) -> None:
    assert str(PublicUrl.parse(text)) == told


@pytest.mark.parametrize(
    "text",
    [
        "",
        "pay.example",
        "ftp://pay.example",
        "https://",
        "https://pay.example/shop",
        "https://pay.example?x",
        "https://ada:secret@pay.example",
        "https://pay.example:0",
        "https://pay.example:65536",
        "https://pay.example:x",
        "https://pay example",
        "https://pay.example\n",
        "https://pây.example",
    ],
)
def test_what_is_no_origin_is_refused_by_the_name_of_the_setting(text: str) -> None:
    with pytest.raises(
        ConfigurationError, match=r"`merchant\.public_url` must be a site's address"
    ):
        PublicUrl.parse(text, name="merchant.public_url")


@pytest.mark.parametrize(
    ("text", "network", "safe"),
    [
        ("https://pay.example", Network.MAINNET, True),
        ("http://localhost:8090", Network.MAINNET, True),
        ("http://pay.example", Network.REGTEST, True),
        ("http://pay.example", Network.MAINNET, False),
        ("http://pay.example", Network.SIGNET, False),
        ("http://localhost.example", Network.MAINNET, False),
    ],
)
def test_plain_http_is_for_this_machine_and_play_money(
    text: str, network: Network, *, safe: bool
) -> None:
    public = PublicUrl.parse(text)
    if safe:
        public.require_safe(network)
        return
    with pytest.raises(ConfigurationError, match="must begin with https://"):
        public.require_safe(network)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:8090", "127.9.9.9", "[::1]", "[::1]:8090", "localhost:1"]
)
def test_this_machine_is_known(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    [
        "pay.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "evil@127.0.0.1",
        "127.0.0.1/evil",
        "127.0.0.1#evil",
        "127.1",
        "0.0.0.0",  # noqa: S104 - nothing is bound
        "[::]",
        "[::1",
        "",
    ],
)
def test_other_hosts_are_not_this_machine(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize("text", ["", " ", "a b", "a,b", "a:b", "a@b", "[::1]]", "a:65536", "é"])
def test_what_is_no_host_is_none(text: str) -> None:
    assert host_of(text, "https") is None
