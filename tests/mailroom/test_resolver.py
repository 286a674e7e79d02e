import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import dns.asyncresolver
import dns.message
import dns.rcode
import dns.rrset
import httpx2 as httpx
import pytest
from tests.mailroom.client import OHTTP, quick
from tests.mailroom.fake_gateway import fake_gateway, respond

from dovetail.mailroom import Mailroom, MailroomServer, resolver
from dovetail.mailroom.resolver import Names


class NameServer(asyncio.DatagramProtocol):
    """A name server on this machine, which says what a test tells it to."""

    def __init__(self, records: dict[tuple[str, str], list[str]] | None) -> None:
        self.records = records
        self.asked: list[tuple[str, str]] = []
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        query = dns.message.from_wire(data)
        question = query.question[0]
        asked = (str(question.name).rstrip("."), question.rdtype.name)
        self.asked.append(asked)
        if self.records is None:
            return
        answer = dns.message.make_response(query)
        found = self.records.get(asked)
        if found is None:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        elif found:
            answer.answer.append(dns.rrset.from_text(question.name, 60, "IN", asked[1], *found))
        self.transport.sendto(answer.to_wire(), addr)


@asynccontextmanager
async def name_server(
    records: dict[tuple[str, str], list[str]] | None,
) -> AsyncIterator[tuple[NameServer, Callable[[], dns.asyncresolver.Resolver]]]:
    """A name server, and what finds it; without records it says nothing."""
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(
        lambda: NameServer(records), local_addr=("127.0.0.1", 0)
    )
    port = transport.get_extra_info("sockname")[1]

    def servers() -> dns.asyncresolver.Resolver:
        resolver = dns.asyncresolver.Resolver(configure=False)
        resolver.nameservers = ["127.0.0.1"]
        resolver.port = port
        return resolver

    yield server, servers
    transport.close()


@pytest.fixture
def no_hosts(tmp_path: Path) -> Path:
    return tmp_path / "no hosts"


async def test_all_addresses_are_found_in_turns_and_remembered(no_hosts: Path) -> None:
    records = {
        ("gateway.test", "A"): ["192.0.2.1", "192.0.2.2"],
        ("gateway.test", "AAAA"): ["2001:db8::1"],
    }
    async with name_server(records) as (server, servers):
        find = Names(hosts=no_hosts, servers=servers)
        for name in ("gateway.test", "Gateway.TEST."):
            found = await find(name, 443)
            assert found[0] == "2001:db8::1"
            assert sorted(found[1:]) == ["192.0.2.1", "192.0.2.2"]
        assert sorted(server.asked) == [("gateway.test", "A"), ("gateway.test", "AAAA")]


async def test_one_family_is_enough(no_hosts: Path) -> None:
    records: dict[tuple[str, str], list[str]] = {
        ("four.test", "A"): ["192.0.2.1"],
        ("four.test", "AAAA"): [],
    }
    async with name_server(records) as (_, servers):
        assert await Names(hosts=no_hosts, servers=servers)("four.test", 443) == ["192.0.2.1"]


@pytest.mark.parametrize("host", ["unknown.test", "a" * 64 + ".test", "a..test", ""])
async def test_a_name_that_is_not_known_or_none_at_all_is_an_oserror(
    no_hosts: Path, host: str
) -> None:
    async with name_server({}) as (_, servers):
        with pytest.raises(OSError, match="no address"):
            await Names(hosts=no_hosts, servers=servers)(host, 443)


async def test_a_silent_name_server_has_so_long(
    no_hosts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert resolver.DEADLINE == 3.0
    monkeypatch.setattr(resolver, "DEADLINE", 0.2)
    async with name_server(None) as (server, servers):
        begun = time.monotonic()
        with pytest.raises(OSError, match="no address"):
            await Names(hosts=no_hosts, servers=servers)("silent.test", 443)
        assert time.monotonic() - begun < 2
        assert server.asked


async def test_twelve_names_on_a_silent_name_server_keep_nobody_waiting(tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 gateway.test\n")
    async with fake_gateway() as gateway, name_server(None) as (server, servers):
        gateway.post = respond(200, bytes(8192))
        find = Names(hosts=hosts, servers=servers)
        mailroom = Mailroom(quick(tmp_path, directory=False), resolve=find)
        with MailroomServer(mailroom=mailroom) as hop:
            crowd = [
                asyncio.create_task(_forward(hop.url, f"http://silent-{n}.test")) for n in range(12)
            ]
            await asyncio.sleep(0.2)
            begun = time.monotonic()
            assert await _forward(hop.url, f"http://gateway.test:{gateway.port}") == 200
            assert time.monotonic() - begun < 1
            assert set(await asyncio.gather(*crowd)) == {502}
    assert server.asked


async def test_the_hosts_file_comes_first_and_is_read_again_when_it_changes(
    tmp_path: Path,
) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text(
        "127.0.0.1 localhost # gateway.test\n"
        "192.0.2.7\tGateway.test alias.test\n"
        "2001:db8::7 gateway.test\n"
        "no-address gateway.test\n\n"
    )
    async with name_server({}) as (server, servers):
        find = Names(hosts=hosts, servers=servers)
        assert await find("gateway.test", 443) == ["192.0.2.7", "2001:db8::7"]
        assert await find("alias.test.", 443) == ["192.0.2.7"]
        hosts.write_text("192.0.2.8 gateway.test\n# and so that its size and time are others\n")
        assert await find("gateway.test", 443) == ["192.0.2.8"]
        assert server.asked == []


async def test_addresses_and_localhost_need_no_name_server(no_hosts: Path) -> None:
    def none() -> dns.asyncresolver.Resolver:
        raise OSError("none")

    find = Names(hosts=no_hosts, servers=none)
    assert await find("192.0.2.1", 443) == ["192.0.2.1"]
    assert await find("2001:db8::1", 443) == ["2001:db8::1"]
    assert await find("localhost", 443) == ["127.0.0.1", "::1"]
    assert await find("a.localhost", 443) == ["127.0.0.1", "::1"]
    with pytest.raises(OSError, match="none"):
        await find("gateway.test", 443)


def test_the_name_servers_are_the_systems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configuration = tmp_path / "resolv.conf"
    monkeypatch.setattr(resolver, "_SERVERS", configuration)
    configuration.write_text("search example.org\nnameserver 192.0.2.53\n")
    assert resolver.name_servers().nameservers == ["192.0.2.53"]
    configuration.write_text("# nothing\n")
    with pytest.raises(OSError, match="no name server"):
        resolver.name_servers()


async def _forward(relay: str, gateway: str) -> int:
    async with httpx.AsyncClient(timeout=20) as http:
        answer = await http.post(f"{relay}/{gateway}", content=bytes(8192), headers=OHTTP)
    return answer.status_code
