"""The PROXY protocol, version 2: what is read of it, and from whom."""

import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.serving.small_app import Web, one_answer, request, served
from tests.serving.test_connection import status, waited

from dovetail.errors import InvalidMessage
from dovetail.serving.client_shares import Clients
from dovetail.serving.proxy_protocol import HEADER_LIMIT, introduction

SIGNATURE = bytes.fromhex("0d0a0d0a000d0a515549540a")


def header(client: str, *, port: int = 4711, extras: bytes = b"", command: int = 0x21) -> bytes:
    address = ip_address(client)
    family, width = (0x11, 4) if address.version == 4 else (0x21, 16)
    block = address.packed + bytes(width) + struct.pack("!HH", port, 443) + extras
    return SIGNATURE + struct.pack("!BBH", command, family, len(block)) + block


# From the specification, section 2.2: TCP over IPv4 from 192.168.0.1:56324 to 192.168.0.11:443.
KNOWN = SIGNATURE + bytes.fromhex("2111000cc0a80001c0a8000bdc0401bb")


def test_a_known_header_is_read() -> None:
    found = introduction(KNOWN + b"GET / HTTP/1.1\r\n")
    assert found is not None
    assert (found.client, found.size) == (("192.168.0.1", 56324), len(KNOWN))


@pytest.mark.parametrize("client", ["198.51.100.7", "2001:db8::7"])
def test_the_client_is_told_by_address_and_port(client: str) -> None:
    extras = b"\x04\x00\x03abc" + b"\x20\x00\x00"
    found = introduction(header(client, extras=extras))
    assert found is not None
    assert found.client == (client, 4711)
    assert found.size == len(header(client, extras=extras))


@pytest.mark.parametrize("cut", range(len(KNOWN)))
def test_a_part_of_a_header_needs_more(cut: int) -> None:
    assert introduction(KNOWN[:cut]) is None


@pytest.mark.parametrize(
    "data",
    [
        header("192.0.2.1", command=0x20),
        SIGNATURE + b"\x20\x00\x00\x00",
        SIGNATURE + b"\x20\xff\x00\x03abc",
        SIGNATURE + b"\x21\x00\x00\x00",
        SIGNATURE + b"\x21\x00\x00\x03\x04\x00\x00",
    ],
)
def test_a_proxy_that_speaks_for_itself_names_no_client(data: bytes) -> None:
    found = introduction(data)
    assert found is not None
    assert (found.client, found.size) == (None, len(data))


@pytest.mark.parametrize(
    "data",
    [
        b"G",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n",  # version 1
        SIGNATURE[:-1] + b"\r",
        SIGNATURE + b"\x11\x11\x00\x0c" + bytes(12),  # a version that is not 2
        SIGNATURE + b"\x22\x11\x00\x0c" + bytes(12),  # a command that there is not
        SIGNATURE + b"\x21\x12\x00\x0c" + bytes(12),  # UDP
        SIGNATURE + b"\x21\x31\x00\xd8" + bytes(216),  # a Unix socket
        SIGNATURE + b"\x21\x41\x00\x0c" + bytes(12),  # a family that there is not
        SIGNATURE + b"\x21\x11\x00\x0b" + bytes(11),  # too short for its addresses
        SIGNATURE + b"\x21\x21\x00\x0c" + bytes(12),
        header("192.0.2.1", extras=b"\x04\x00"),
        header("192.0.2.1", extras=b"\x04\x00\x02a"),
        SIGNATURE + b"\x21\x11" + struct.pack("!H", HEADER_LIMIT - 15),
    ],
)
def test_what_is_no_header_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidMessage, match="PROXY protocol"):
        introduction(data)


@given(st.binary(max_size=64) | st.binary(max_size=64).map(lambda end: SIGNATURE + end))
def test_any_bytes_are_a_header_a_part_of_one_or_refused(data: bytes) -> None:
    try:
        found = introduction(data)
    except InvalidMessage:
        return
    assert found is None or _FIXED <= found.size <= min(len(data), HEADER_LIMIT)


_FIXED = 16


@contextmanager
def proxied(**limits: object) -> Iterator[Web]:
    with served(**limits) as web:  # type: ignore[arg-type]  # as a test says
        web.door.introductions = True
        yield web


def ended(client: socket.socket) -> bool:
    client.settimeout(5)
    try:
        return client.recv(65_536) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("pieces", [1, 7, 1_000])
def test_a_request_follows_its_introduction_in_any_pieces(pieces: int) -> None:
    data = header("198.51.100.7") + request("/")
    with proxied() as web, web.client() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(0, len(data), pieces):
            client.sendall(data[at : at + pieces])
        assert status(one_answer(client)) == 200
        client.sendall(request("/"))
        assert status(one_answer(client)) == 200


def test_clients_of_a_proxy_have_shares_by_their_own_networks() -> None:
    with proxied(limit=20, per_client=1, seconds=10) as web, web.client() as first:
        first.sendall(header("198.51.100.7") + request("/held"))
        assert waited(lambda: web.app.asked == 1)
        with web.client() as second:  # of the same /24
            second.sendall(header("198.51.100.8") + request("/"))
            assert status(one_answer(second)) == 503
        with web.client() as other:
            other.sendall(header("203.0.113.8") + request("/"))
            assert status(one_answer(other)) == 200
        with web.client() as health:  # the proxy asks for itself
            health.sendall(header("198.51.100.7", command=0x20) + request("/"))
            assert status(one_answer(health)) == 200


def test_who_is_no_proxy_cannot_introduce_a_client() -> None:
    with proxied(clients=Clients(proxies=())) as web:
        with web.client() as liar:
            liar.sendall(header("198.51.100.7") + request("/"))
            assert status(one_answer(liar)) == 400
        with web.client() as plain:
            plain.sendall(request("/"))
            assert status(one_answer(plain)) == 200


def test_a_proxy_that_introduces_nobody_is_cut_off() -> None:
    refused: list[str] = []
    with proxied() as web:
        web.door.refused = refused.append
        with web.client() as client:
            client.sendall(request("/"))
            assert ended(client)
        assert refused == ["proxy headers"]
        assert web.app.asked == 0
        assert waited(lambda: web.door.count == 0)


def test_an_introduction_has_the_time_of_a_request() -> None:
    with proxied(seconds=0.3) as web, web.client() as client:
        begun = time.monotonic()
        client.sendall(KNOWN[:-1])
        assert ended(client)
        assert 0.2 < time.monotonic() - begun < 5
        assert waited(lambda: web.door.count == 0)


def test_those_without_an_introduction_take_places_too_and_give_them_back() -> None:
    with proxied(limit=1, seconds=10) as web:
        with web.client() as first:
            first.sendall(KNOWN[:5])
            assert waited(lambda: web.door.count == 1)
            with web.client() as second:
                assert ended(second)
        assert waited(lambda: web.door.count == 0)
        with web.client() as third:
            third.sendall(KNOWN + request("/"))
            assert status(one_answer(third)) == 200


def test_a_blocked_network_is_refused_behind_a_proxy_too() -> None:
    from dovetail.serving.blocklist import Blocklist, network_of  # noqa: PLC0415

    clients = Clients()
    clients.blocked = Blocklist([network_of("198.51.100.0/24")])
    with proxied(clients=clients) as web:
        with web.client() as blocked:
            blocked.sendall(header("198.51.100.7") + request("/"))
            assert ended(blocked)
        with web.client() as other:
            other.sendall(header("203.0.113.7") + request("/"))
            assert status(one_answer(other)) == 200
