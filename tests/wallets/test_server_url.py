from pathlib import Path

import pytest

from dovetail.errors import ConfigurationError
from dovetail.tor import SocksProxy
from dovetail.wallets.server_url import ChainServer, checked_url


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("http://127.0.0.1:3002", "http://127.0.0.1:3002"),
        ("https://chain.example/api/", "https://chain.example/api"),
        ("https://[::1]:8443/api", "https://[::1]:8443/api"),
        ("ssl://chain.example:50002", "ssl://chain.example:50002"),
        ("ssl://chain.example:50002/", "ssl://chain.example:50002"),
        ("tcp://127.0.0.1:50001", "tcp://127.0.0.1:50001"),
        ("tcp://[::1]:50001", "tcp://[::1]:50001"),
        ("tcp://localhost:50001", "tcp://localhost:50001"),
        ("tcp://chain.onion:50001", "tcp://chain.onion:50001"),
    ],
)
def test_a_server_is_named_by_its_base(url, base):
    assert checked_url(url) == base


@pytest.mark.parametrize(
    "url",
    [
        "",
        "chain.example",
        "ftp://chain.example",
        "https://",
        "https://chain.example:port",
        "https://chain.example:0",
        "https://chain.example/api?key=secret",
        "https://chain.example/#secret",
        "https://chain.example/\nx",
        "https://chäin.example",
        "https://[chain",
        "https://secret:secret@chain.example",
        "ssl://secret:secret@chain.example:50002",
        "ssl://chain.example",
        "ssl://chain.example:50002/path",
        "ssl://:50002",
        "tcp://chain.example:50001",
        "tcp://192.0.2.1:50001",
        "tcp://onion:50001",
        "http://chain.onion",
    ],
)
def test_other_urls_are_refused_without_quoting_them(url):
    with pytest.raises(ConfigurationError) as caught:
        checked_url(url)
    assert "secret" not in str(caught.value)
    assert "chain.example" not in str(caught.value)


def test_electrum_in_the_clear_is_refused_with_its_reason():
    with pytest.raises(
        ConfigurationError, match="`chain` must be ssl://host:port, as tcp:// would"
    ):
        checked_url("tcp://chain.example:50001", name="`chain`")


def test_a_chain_server_knows_what_it_speaks_and_where():
    esplora = ChainServer("https://chain.example/api")
    assert not esplora.is_electrum
    assert not esplora.uses_tls
    tls = ChainServer.of("ssl://[::1]:50002")
    assert (tls.is_electrum, tls.uses_tls, tls.host, tls.port) == (True, True, "::1", 50002)
    assert ChainServer.of(tls) is tls
    assert repr(tls) == "<ChainServer over ssl>"


def test_a_certificate_is_for_tls_alone():
    for url in ("https://chain.example", "tcp://127.0.0.1:50001"):
        with pytest.raises(ConfigurationError, match="`chain_certificate` is for"):
            ChainServer(url, Path("chain.pem"))
    ChainServer("ssl://chain.example:50002", Path("chain.pem"))


def test_an_onion_address_needs_tor():
    for scheme in ("ssl", "tcp"):
        with pytest.raises(ConfigurationError, match="only Tor can reach: start Tor and set `tor`"):
            ChainServer(f"{scheme}://chain.onion:50001")
        assert ChainServer(f"{scheme}://chain.onion.:50001", proxy=SocksProxy("127.0.0.1")).is_onion
