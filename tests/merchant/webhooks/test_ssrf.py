"""A webhook leads to no machine of the shop's own network, however its address is spelled."""

from typing import NoReturn

import httpcore2
import pytest

from dovetail.mailroom.resolver import Names
from dovetail.merchant.webhooks.delivery import Failed, Sender
from dovetail.runtime.streams import AsyncioBackend


def no_servers() -> NoReturn:
    """What is no address is asked of a name server, and there is none here."""
    raise OSError


PRIVATE = Failed("The endpoint is at a private address, to which nothing is sent.")


@pytest.fixture
def connections(monkeypatch) -> list[str]:
    """Each address to which something connects."""
    made: list[str] = []

    async def noted(self: AsyncioBackend, host: str, *_: object, **__: object) -> None:
        made.append(host)
        raise httpcore2.ConnectError

    monkeypatch.setattr(AsyncioBackend, "connect_tcp", noted)
    return made


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "017700000001",
        "0",
        "localhost",
        "10.0.0.7",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:169.254.169.254]",
        "[64:ff9b::7f00:1]",
        "[fe80::1]",
        "[fd00::1]",
    ],
)
async def test_no_spelling_of_a_private_address_is_connected_to(connections, host: str) -> None:
    """Server-side request forgery: programs differ in what they take for an address."""
    for port in ("", ":8090"):
        sender = Sender(names=Names(servers=no_servers))
        answer = await sender.send(f"https://{host}{port}/", b"{}", [])
        assert isinstance(answer, Failed)
        assert answer == PRIVATE or "could not be reached" in answer.why
    assert connections == []


class Changing:
    """A name that is public when it is asked for the first time, and private then."""

    def __init__(self) -> None:
        self.answers = ["93.184.216.34", "127.0.0.1"]

    async def __call__(self, _host: str, _port: int, /) -> list[str]:
        return [self.answers.pop(0)]


async def test_a_name_that_changes_between_two_deliveries_leads_nowhere_private(
    connections,
) -> None:
    """DNS rebinding: what was checked is what is connected to, each time anew."""
    sender = Sender(names=Changing())
    first = await sender.send("https://shop.example/", b"{}", [])
    second = await sender.send("https://shop.example/", b"{}", [])
    assert connections == ["93.184.216.34"]
    assert isinstance(first, Failed)
    assert second == PRIVATE


@pytest.mark.parametrize(
    "url", ["http://shop.example/", "file:///etc/passwd", "gopher://shop.example/", "ftp://a/b"]
)
async def test_only_https_is_spoken(connections, url: str) -> None:
    answer = await Sender(names=Changing()).send(url, b"{}", [])
    assert answer == Failed("The endpoint is not on https, so that nothing is sent.")
    assert connections == []
