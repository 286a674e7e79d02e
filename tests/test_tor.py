import pytest

from dovetail.errors import ConfigurationError
from dovetail.tor import Failure, ProxyFailed, SocksProxy, is_onion, socks_handshake


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("socks5://127.0.0.1:9050", "127.0.0.1", 9050),
        ("socks5h://localhost:9150/", "localhost", 9150),
        ("socks5://tor.example", "tor.example", 9050),
        ("SOCKS5://[::1]:1", "::1", 1),
    ],
)
def test_a_proxy_is_named_by_a_url(text: str, host: str, port: int):
    assert SocksProxy.parse(text) == SocksProxy(host, port)
    assert SocksProxy.parse(str(SocksProxy(host, port))) == SocksProxy(host, port)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "127.0.0.1:9050",
        "http://127.0.0.1:9050",
        "socks4://127.0.0.1:9050",
        "socks5://",
        "socks5://:9050",
        "socks5://host:0",
        "socks5://host:70000",
        "socks5://user:password@host:9050",
        "socks5://host:9050/path",
        "socks5://host:9050?x",
        "socks5://[",
        "socks5://hôst:9050",
        "socks5://host :9050",
    ],
)
def test_anything_else_is_refused_by_the_name_of_the_setting(text: str):
    with pytest.raises(ConfigurationError, match="`tor` must be"):
        SocksProxy.parse(text)


@pytest.mark.parametrize(
    "url", ["http://abc.onion", "HTTPS://SUB.ABC.ONION:8443/pj?x=1", "https://abc.onion."]
)
def test_an_onion_address_is_known_by_its_host(url: str):
    assert is_onion(url)


@pytest.mark.parametrize(
    "url", ["https://onion.example/abc.onion", "https://abconion", "https://[", ""]
)
def test_other_addresses_are_none(url: str):
    assert not is_onion(url)


def test_a_proxy_is_told_the_name_and_no_more_is_read_than_its_answer():
    conversation = socks_handshake("abc.onion.", 443)
    assert next(conversation) == (b"\5\1\0", 2)
    assert conversation.send(b"\5\0") == (b"\5\1\0\3\x09abc.onion\x01\xbb", 4)
    assert conversation.send(b"\5\0\0\3") == (b"", 1)
    assert conversation.send(b"\4") == (b"", 6)
    with pytest.raises(StopIteration):
        conversation.send(b"host\0\0")


def test_a_name_that_no_proxy_can_be_told_has_no_way():
    with pytest.raises(ProxyFailed, match=Failure.NO_WAY):
        next(socks_handshake("a" * 256, 443))
