import pytest

from dovetail.errors import ConfigurationError
from dovetail.wallets.servers import checked_url


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("http://127.0.0.1:3002", "http://127.0.0.1:3002"),
        ("https://chain.example/api/", "https://chain.example/api"),
        ("https://[::1]:8443/api", "https://[::1]:8443/api"),
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
        "https://chain.example/\n",
        "https://chäin.example",
        "https://[chain",
        "https://secret:secret@chain.example",
    ],
)
def test_other_urls_are_refused_without_quoting_them(url):
    with pytest.raises(ConfigurationError) as caught:
        checked_url(url)
    assert "secret" not in str(caught.value)
    assert "chain.example" not in str(caught.value)
