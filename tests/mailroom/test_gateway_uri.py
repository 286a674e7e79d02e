import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpcore2
import pytest

from dovetail.errors import InvalidUri, TransportError
from dovetail.mailroom.gateway_uri import Dialler, Target
from dovetail.mailroom.public_addresses import is_public


@pytest.mark.parametrize(
    ("path", "origin"),
    [
        ("/https://payjo.in", "https://payjo.in:443"),
        ("/https://payjo.in/", "https://payjo.in:443"),
        ("/https:/payjo.in", "https://payjo.in:443"),
        ("/HTTPS://PAYJO.IN:8443/", "https://payjo.in:8443"),
        ("/http://127.0.0.1:80", "http://127.0.0.1:80"),
        ("/https://[2606:4700::1111]:1/", "https://[2606:4700::1111]:1"),
        ("/https://a_b-c.example./", "https://a_b-c.example.:443"),
    ],
)
def test_a_path_names_an_origin(path: str, origin: str) -> None:
    assert str(Target.of_path(path)) == origin


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/https://",
        "/https:///",
        "/https:payjo.in",
        "/https:///payjo.in",
        "/https://payjo.in//",
        "/https://payjo.in/path",
        "/https://payjo.in/.well-known/ohttp-gateway",
        "/ftp://payjo.in/",
        "/payjo.in",
        "https://payjo.in/",
        "/https://user@payjo.in/",
        "/https://payjo.in:0/",
        "/https://payjo.in:65536/",
        "/https://payjo.in:/",
        "/https://-payjo.in/",
        "/https://pay%6ao.in/",
        "/https://payjo.in/\n",
        "/https://pay\u00f8.in/",
        "/https://" + "a" * 300,
        "/https://" + "-" * 100_000 + "!",
    ],
)
def test_any_other_path_does_not(path: str) -> None:
    with pytest.raises(InvalidUri, match="origin"):
        Target.of_path(path)


def test_connect_names_an_https_origin() -> None:
    assert Target.of_authority("Payjo.in:443") == Target("https", "payjo.in", 443)
    assert Target.of_authority("[::1]:8443").bare_host == "::1"
    with pytest.raises(InvalidUri):
        Target.of_authority("payjo.in:443/path")


@pytest.mark.parametrize(
    "address",
    [
        "1.1.1.1",
        "9.255.255.255",
        "100.63.255.255",
        "100.128.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.1",
        "192.88.98.255",
        "192.88.100.0",
        "198.17.255.255",
        "223.255.255.255",
        "2001:200::1",
        "2606:4700::1111",
        "2a00::1",
        "3ffe::1",
        "64:ff9b::1.1.1.1",
        "::ffff:1.1.1.1",
    ],
)
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "0.0.0.0",  # noqa: S104  # not bound to
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "224.0.0.1",
        "239.1.1.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1%eth0",
        "fc00::1",
        "ff0e::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::10.0.0.1",
        "2002:7f00:0001::",
        "2002:0101:0101::",
        # IANA's special-purpose registries, the first and last of each block that is easily missed
        "0.1.2.3",
        "100.127.255.255",
        "192.0.0.0",
        "192.0.0.9",
        "192.0.0.255",
        "192.0.2.1",
        "192.31.196.1",
        "192.52.193.1",
        "192.88.99.0",
        "192.88.99.255",
        "192.175.48.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "::1.1.1.1",
        "::ffff:0:1.1.1.1",
        "::ffff:192.88.99.1",
        "64:ff9b::192.0.0.1",
        "64:ff9b:1::1",
        "100::1",
        "100:0:0:1::1",
        "2001::1",
        "2001:1::1",
        "2001:2::1",
        "2001:3::1",
        "2001:4:112::1",
        "2001:10::1",
        "2001:20::1",
        "2001:30::1",
        "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff",
        "2620:4f:8000::1",
        "3fff::1",
        "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff",
        "4000::1",
        "5f00::1",
        "fec0::1",
        "feff::1",
        "2001:db8::1",
        "no address",
        "",
    ],
)
def test_any_other_address_is_not(address: str) -> None:
    assert not is_public(address)


def dialler(*addresses: str, local: bool = False) -> Dialler:
    async def find(_host: str, _port: int) -> list[str]:
        return list(addresses)

    return Dialler(local=local, resolve=find)


async def test_one_private_address_is_enough_to_refuse_a_host() -> None:
    both = ("1.1.1.1", "10.0.0.1")
    with pytest.raises(TransportError, match="no public address"):
        await dialler(*both).addresses("rebinding.test", 443)
    assert await dialler(*both, local=True).addresses("rebinding.test", 443) == list(both)


async def test_a_host_with_no_address_is_refused_even_locally() -> None:
    async def unknown(_host: str, _port: int) -> list[str]:
        raise OSError("Name or service not known")

    with pytest.raises(TransportError, match="no public address"):
        await dialler(local=True).addresses("empty.test", 443)
    with pytest.raises(TransportError, match="cannot be resolved"):
        await Dialler(local=True, resolve=unknown).addresses("unknown.test", 443)


async def test_every_address_of_a_host_is_tried_in_turn() -> None:
    async with listening() as port:
        stream = await dialler("127.0.0.9", "::1", "127.0.0.1", local=True).connect_tcp(
            "gateway.test", port, timeout=3.0
        )
        assert stream.get_extra_info("server_addr")[0] == "127.0.0.1"
        await stream.aclose()
        with pytest.raises(httpcore2.ConnectError):
            await dialler("127.0.0.9", "::1", local=True).connect_tcp("gateway.test", port)


async def test_an_address_that_is_silent_leaves_time_for_the_next() -> None:
    crowded = socket.socket()
    crowded.bind(("127.0.0.2", 0))
    crowded.listen(0)
    port = crowded.getsockname()[1]
    fillers = [socket.socket() for _ in range(4)]
    for each in fillers:  # the queue is full: whoever comes now hears nothing
        each.setblocking(False)
        each.connect_ex(("127.0.0.2", port))
    async with listening(port):
        found = dialler("127.0.0.2", "127.0.0.1", local=True)
        async with asyncio.timeout(2):
            stream = await found.connect_tcp("gateway.test", port, timeout=0.6)
        assert stream.get_extra_info("server_addr")[0] == "127.0.0.1"
        await stream.aclose()
    for each in (*fillers, crowded):
        each.close()


async def test_no_more_than_four_addresses_are_tried() -> None:
    many = [f"1.1.1.{n}" for n in range(100)]
    assert await dialler(*many).addresses("many.test", 443) == many[:4]


@asynccontextmanager
async def listening(port: int = 0) -> AsyncIterator[int]:
    """On one address of this machine and no other."""

    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", port)
    async with server:
        yield server.sockets[0].getsockname()[1]
