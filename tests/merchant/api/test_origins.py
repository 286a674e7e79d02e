"""Which sites a browser may be sent to, and how a policy names them."""

import pytest

from dovetail.merchant.api.origins import safe_origin


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://shop.example/back?a=1#b", "https://shop.example"),
        ("HTTPS://Shop.Example", "https://shop.example"),
        ("https://shop.example:8443/", "https://shop.example:8443"),
        ("http://localhost:3000/back", "http://localhost:3000"),
        ("http://127.0.0.1/back", "http://127.0.0.1"),
        ("http://127.9.9.9:80", "http://127.9.9.9:80"),
    ],
)
def test_https_is_safe_and_so_is_this_machine(url, origin) -> None:
    assert safe_origin(url) == origin


@pytest.mark.parametrize(
    "url",
    [
        None,
        "",
        "/dashboard",
        "//shop.example",
        "http://shop.example",
        "http://localhost.shop.example",
        "http://10.0.0.1",
        "javascript:alert(1)",
        "data:text/html,x",
        "https:shop.example",
        "https:///shop.example",
        "https://user:word@shop.example",
        "https://shop.example@evil.example",
        "https://shop.example\\@evil.example",
        "https://shop.example; script-src *",
        "https://shop.example;script-src",
        "https://shop.example\n.evil.example",
        "https://*.example",
        "https://shop.example:99999",
        "https://shop.example:x",
        "https://[::1]/",
        "https://[::1",
        "https://sh\N{LATIN SMALL LETTER O WITH DIAERESIS}p.example",
    ],
)
def test_nothing_else_is(url) -> None:
    assert safe_origin(url) is None
