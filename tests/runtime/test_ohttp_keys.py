import json
from base64 import b64encode
from pathlib import Path

import pytest
from tests.support.clock import Clock
from tests.support.wire import Wire

from dovetail.errors import TransportError
from dovetail.runtime.ohttp_keys import KEEP, OhttpKeys
from dovetail.runtime.relays import Relays


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


A, B = "https://a.example", "https://b.example"


def keys(wire: Wire, clock: Clock, *relays: str, cache: Path | None = None) -> OhttpKeys:
    return OhttpKeys(wire, Relays(relays, clock=clock, direct=True), clock=clock, cache=cache)


async def test_keys_are_fetched_through_a_relay_once():
    wire, clock = Wire(), Clock()
    known = keys(wire, clock, A)
    assert await known.of(wire.directory.origin) == wire.directory.config
    assert await known.of(wire.directory.origin) == wire.directory.config
    assert wire.gets == [("https://directory.example/.well-known/ohttp-gateway", A)]


async def test_keys_are_fetched_anew_after_a_while_and_when_the_clock_went_back():
    wire, clock = Wire(), Clock()
    known = keys(wire, clock, A)
    for passed, fetched in ((0, 1), (KEEP - 1, 1), (1, 2), (-KEEP, 3)):
        clock.pass_by(passed)
        await known.of(wire.directory.origin)
        assert len(wire.gets) == fetched


async def test_a_plain_http_directory_is_asked_straight():
    wire, clock = Wire(), Clock()
    wire.directory.origin = "http://127.0.0.1:8080"
    await keys(wire, clock, A).of(wire.directory.origin)
    assert wire.gets[0][1] is None


async def test_a_directory_on_an_onion_address_is_asked_through_tor_alone():
    wire, clock = Wire(), Clock()
    wire.directory.origin = "https://directory.onion"
    await keys(wire, clock, A).of(wire.directory.origin)
    assert wire.gets[0][1] is None


async def test_a_relay_without_a_tunnel_is_passed_over():
    wire, clock = Wire(), Clock()
    wire.broken_proxies = {A}
    for _ in range(8):
        known = keys(wire, clock, A, B)
        assert await known.of(wire.directory.origin) == wire.directory.config
    assert {proxy for _, proxy in wire.gets} == {A, B}


async def test_with_no_relay_left_the_caller_is_told():
    wire, clock = Wire(), Clock()
    wire.broken_proxies = {A, B}
    with pytest.raises(TransportError):
        await keys(wire, clock, A, B).of(wire.directory.origin)
    assert len(wire.gets) == 3


async def test_a_directory_that_refuses_is_asked_twice_at_most_without_a_relay():
    wire, clock = Wire(), Clock()
    wire.keys_status = 503
    with pytest.raises(TransportError, match="status 503"):
        await keys(wire, clock).of(wire.directory.origin)
    assert len(wire.gets) == 2


async def test_what_is_no_key_configuration_is_a_transport_error():
    wire = Wire()
    wire.keys_body = b"<html>"
    with pytest.raises(TransportError, match="cannot be read"):
        await keys(wire, Clock()).of(wire.directory.origin)


async def test_the_next_run_still_knows_them(tmp_path: Path):
    wire, clock, cache = Wire(), Clock(), tmp_path / "keys.json"
    await keys(wire, clock, A, cache=cache).of(wire.directory.origin)
    config = await keys(wire, clock, A, cache=cache).of(wire.directory.origin)
    assert config == wire.directory.config
    assert len(wire.gets) == 1
    assert names(tmp_path) == ["keys.json"]


ENTRY = b64encode(Wire().directory.config.serialize()).decode()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"[1]",
        b"[" * 100_000,
        b'{"https://directory.example": 5}',
        b'{"https://directory.example": [1, "!"]}',
        b'{"https://directory.example": [1, "AAAA"]}',
        b'{"https://directory.example": [Infinity, "AAAA"]}',
        json.dumps({"https://directory.example": [[], ENTRY]}).encode(),
    ],
)
async def test_a_damaged_cache_is_as_good_as_none(tmp_path: Path, content: bytes):
    wire, clock, cache = Wire(), Clock(), tmp_path / "keys.json"
    cache.write_bytes(content)
    assert (
        await keys(wire, clock, A, cache=cache).of(wire.directory.origin) == wire.directory.config
    )
    assert len(wire.gets) == 1
    assert len(json.loads(cache.read_text())) == 1


async def test_a_cache_that_cannot_be_written_costs_a_fetch_and_no_more(tmp_path: Path):
    wire, clock = Wire(), Clock()
    (tmp_path / "file").write_text("")
    known = keys(wire, clock, A, cache=tmp_path / "file" / "keys.json")
    assert await known.of(wire.directory.origin) == wire.directory.config


async def test_a_replaced_cache_leaves_nothing_half_written(tmp_path: Path):
    cache = tmp_path / "keys.json"
    cache.mkdir()
    wire, clock = Wire(), Clock()
    assert (
        await keys(wire, clock, A, cache=cache).of(wire.directory.origin) == wire.directory.config
    )
    assert names(tmp_path) == ["keys.json"]
