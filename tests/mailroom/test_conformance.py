"""What the standards ask of a gateway and a relay, where no other test holds it."""

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from tests.mailroom.client import (
    DIRECTORY,
    GATEWAY,
    MESSAGE,
    OHTTP,
    Client,
    at,
    in_process,
    new_mailbox,
    quick,
)
from tests.mailroom.fake_gateway import fake_gateway, respond
from tests.support.clock import Clock

from dovetail.crypto.bhttp import BhttpRequest, BhttpResponse
from dovetail.crypto.ohttp import KeyConfig, encapsulate
from dovetail.mailroom import Mailroom, MailroomSettings
from dovetail.mailroom.gateway import BIP77_PURPOSE
from dovetail.mailroom.gateway_prober import parse_purposes


class Unreadable(Exception):
    """A strict reader refuses these bytes."""


def strict_configurations(data: bytes) -> list[bytes]:
    """Read `application/ohttp-keys` as RFC 9458 §3.1 and §3.2 have it; raises Unreadable."""
    found: list[bytes] = []
    while data:
        length = int.from_bytes(data[:2])
        config, data = data[2 : 2 + length], data[2 + length :]
        kem, symmetric = config[1:3], config[70:]
        if len(config) != length or kem != b"\x00\x16" or len(symmetric) % 4:
            raise Unreadable
        if int.from_bytes(config[68:70]) != len(symmetric) or not symmetric:
            raise Unreadable
        found.append(config)
    return found


def peers_configuration(data: bytes) -> bytes:
    """Read one configuration as rust-payjoin does; raises Unreadable."""
    if data[1:3] != b"\x00\x16" or int.from_bytes(data[68:70]) != len(data[70:]):
        raise Unreadable
    return data


def alpn_list(data: bytes) -> list[bytes]:
    """Read a list of names as TLS has it for ALPN (RFC 7301 §3.1); raises Unreadable."""
    rest = data[2:]
    if int.from_bytes(data[:2]) != len(rest):
        raise Unreadable
    return names_in(rest)


def peers_list(data: bytes) -> list[bytes]:
    """Read a list of names as rust-payjoin does, behind their count; raises Unreadable."""
    names = names_in(data[2:])
    if int.from_bytes(data[:2]) != len(names):
        raise Unreadable
    return names


def names_in(data: bytes) -> list[bytes]:
    names: list[bytes] = []
    while data:
        size = data[0]
        names.append(data[1 : 1 + size])
        data = data[1 + size :]
    return names


@pytest.mark.parametrize("path", [GATEWAY, "/ohttp-keys"])
async def test_keys_are_served_as_peers_read_them_and_as_the_rfc_has_them(
    tmp_path: Path, path: str
) -> None:
    async with in_process(quick(tmp_path)) as (_, client):
        bare = await client.http.get(path, headers={"accept": "application/ohttp-keys"})
        listed = await client.http.get(f"{path}?standard")
    kinds = {each.headers["content-type"] for each in (bare, listed)}
    assert kinds == {"application/ohttp-keys"}
    assert strict_configurations(listed.content) == [peers_configuration(bare.content)]
    with pytest.raises(Unreadable):
        strict_configurations(bare.content)
    with pytest.raises(Unreadable):
        peers_configuration(listed.content)
    assert KeyConfig.parse(bare.content) == KeyConfig.parse(listed.content) == client.keys


async def test_the_opt_in_is_served_as_peers_read_it_and_as_the_bip_has_it(tmp_path: Path) -> None:
    async with in_process(quick(tmp_path)) as (_, client):
        counted = await client.http.get(f"{GATEWAY}?allowed_purposes")
        measured = await client.http.get(f"{GATEWAY}?allowed_purposes&standard")
    assert peers_list(counted.content) == alpn_list(measured.content) == [BIP77_PURPOSE]
    for read, other in ((alpn_list, counted), (peers_list, measured)):
        with pytest.raises(Unreadable):
            read(other.content)
        assert parse_purposes(other.content) == (BIP77_PURPOSE,)
    for answer in (counted, measured):
        assert answer.headers["content-type"] == "application/x-ohttp-allowed-purposes"


async def test_everybody_gets_the_same_key(tmp_path: Path) -> None:
    headers = {"user-agent": "wallet", "cookie": "a=b", "accept-language": "de"}
    async with in_process(quick(tmp_path)) as (_, client):
        first = await client.http.get(GATEWAY)
        second = await at(client, "198.51.100.7").http.get(GATEWAY, headers=headers)
    assert (first.content, first.headers) == (second.content, second.headers)
    assert not {"set-cookie", "vary"} & set(first.headers)


async def test_what_surrounds_an_answer_tells_nothing_about_it(tmp_path: Path) -> None:
    """Also where the answer inside is an error."""
    async with in_process(quick(tmp_path)) as (_, client):
        mailbox = f"/{new_mailbox()}"
        seen = []
        for method, path in (("GET", mailbox), ("POST", mailbox), ("GET", mailbox), ("GET", "/x")):
            request = BhttpRequest(method, "https", "mailroom.test", path, body=MESSAGE)
            body, context = encapsulate(client.keys, request.serialize(8104))
            answer = await client.http.post(GATEWAY, content=body, headers=OHTTP)
            inner = BhttpResponse.parse(context.open(answer.content))
            seen.append((inner.status, answer.status_code, list(answer.headers.multi_items())))
    assert [inner for inner, _, _ in seen] == [202, 200, 200, 404]
    assert {outer for _, outer, _ in seen} == {200}
    assert all(headers == seen[0][2] for _, _, headers in seen)
    assert ("content-type", "message/ohttp-res") in seen[0][2]


async def test_an_answer_is_padded_with_zeros(tmp_path: Path) -> None:
    """RFC 9292 §3.8 lets a reader refuse anything else."""
    async with in_process(quick(tmp_path)) as (_, client):
        request = BhttpRequest("GET", "https", "a", f"/{new_mailbox()}").serialize(8104)
        body, context = encapsulate(client.keys, request)
        answer = await client.http.post(GATEWAY, content=body, headers=OHTTP)
    message = context.open(answer.content)
    assert message == BhttpResponse(202).serialize().ljust(8144, b"\x00")


async def test_a_fault_behind_the_gateway_is_told_inside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*_: Any) -> None:
        raise RuntimeError(MESSAGE)

    caplog.set_level(logging.DEBUG, "dovetail")
    monkeypatch.setattr("dovetail.mailroom.directory.Directory.answer", fail)
    async with in_process(quick(tmp_path)) as (_, client):
        answer = await client.ask("GET", f"/{new_mailbox()}")
    assert answer.status == 500
    assert "A request failed with RuntimeError" in caplog.text
    assert "\\x01\\x02" not in caplog.text


@pytest.mark.parametrize(
    ("scheme", "path"),
    [(b"", b"/m"), (b"1https", b"/m"), (b"https", b""), (b"https", b"m"), (b"https", b"*")],
)
async def test_a_request_without_scheme_or_path_is_refused_and_does_nothing(
    tmp_path: Path, scheme: bytes, path: bytes
) -> None:
    async with in_process(quick(tmp_path)) as (_, client):
        name = new_mailbox()
        mailbox = str(name).encode()
        target = b"".join(
            bytes((len(part),)) + part
            for part in (b"POST", scheme, b"", path.replace(b"m", mailbox))
        )
        message = b"\x00" + target + b"\x00\x04text\x00"
        assert (await client.inner(message.ljust(8104, b"\x00"))).status == 400
        assert (await client.poll(name)).status == 202


@pytest.mark.parametrize("line", [b"\x05:path\x01/", b"\x07:status\x03200", b"\x01a\x02b\n"])
async def test_a_request_with_fields_of_another_kind_is_refused_and_does_nothing(
    tmp_path: Path, line: bytes
) -> None:
    async with in_process(quick(tmp_path)) as (_, client):
        name = new_mailbox()
        mailbox = str(name).encode()
        target = b"\x04POST\x05https\x00\x0e/" + mailbox
        message = b"\x00" + target + bytes((len(line),)) + line + b"\x04text\x00"
        assert (await client.inner(message.ljust(8104, b"\x00"))).status == 400
        assert (await client.poll(name)).status == 202


async def test_an_authority_in_a_request_leads_nowhere_else(tmp_path: Path) -> None:
    async with fake_gateway() as elsewhere, in_process(quick(tmp_path)) as (_, client):
        mailbox = new_mailbox()
        there = f"127.0.0.1:{elsewhere.port}"
        for method, path, status in (("POST", f"/{mailbox}", 200), ("GET", "/other/page", 404)):
            request = BhttpRequest(method, "http", there, path, body=MESSAGE)
            assert (await client.inner(request.serialize(8104))).status == status
        assert (await client.poll(mailbox)).message() == MESSAGE
        assert elsewhere.requests == []


async def test_a_replayed_request_changes_nothing_and_gets_another_answer(tmp_path: Path) -> None:
    async with in_process(quick(tmp_path)) as (_, client):
        mailbox = f"/{new_mailbox()}"
        request = BhttpRequest("POST", "https", "mailroom.test", mailbox, body=MESSAGE)
        body, _ = encapsulate(client.keys, request.serialize(8104))
        first, second = [
            await client.http.post(GATEWAY, content=body, headers=OHTTP) for _ in range(2)
        ]
        assert first.status_code == second.status_code == 200
        assert first.content[:32] != second.content[:32]
        assert (await client.ask("GET", mailbox)).body == MESSAGE


async def test_an_empty_mailbox_holds_a_poll_for_thirty_seconds(tmp_path: Path) -> None:
    """The wait is a setting; this is what it is by default, and a relay waits for longer."""
    settings = MailroomSettings(tmp_path)
    assert settings.wait == 30
    async with in_process(quick(tmp_path, wait=0.2)) as (_, client):
        poll = asyncio.create_task(client.poll(new_mailbox()))
        done, _ = await asyncio.wait((poll,), timeout=0.1)
        assert not done
        assert (await poll).status == 202


async def test_a_gateway_that_hangs_up_gets_no_second_request(tmp_path: Path) -> None:
    """Whether the first one was processed cannot be known."""
    async with fake_gateway() as gateway:
        gateway.post = b"connection: close"  # no answer: the connection ends
        async with (
            Mailroom(quick(tmp_path, directory=False)) as mailroom,
            httpx.AsyncClient(transport=httpx.ASGITransport(mailroom), base_url=DIRECTORY) as http,
        ):
            for number in (1, 2):  # also over a connection that served a request before
                answer = await http.post(f"/{gateway.url}", content=bytes(8192), headers=OHTTP)
                assert answer.status_code == 502
                posts = [each for each in gateway.requests if each.startswith(b"POST")]
                assert len(posts) == number


async def test_a_redirected_request_goes_nowhere_else(tmp_path: Path) -> None:
    async with fake_gateway() as gateway, fake_gateway() as elsewhere:
        gateway.post = respond(307, b"", f"location: {elsewhere.url}{GATEWAY}")
        async with (
            Mailroom(quick(tmp_path, directory=False)) as mailroom,
            httpx.AsyncClient(transport=httpx.ASGITransport(mailroom), base_url=DIRECTORY) as http,
        ):
            answer = await http.post(f"/{gateway.url}", content=bytes(8192), headers=OHTTP)
        assert answer.status_code == 502
        assert "moved" in answer.json()["detail"]
        assert elsewhere.requests == []


async def test_what_is_replaced_is_destroyed_when_its_time_is_over(tmp_path: Path) -> None:
    clock = Clock()
    settings = quick(tmp_path, key_lifetime=1000, ttl=100, longest_session=100)
    async with in_process(settings, clock) as (mailroom, client):
        old = json.loads(settings.key_file.read_text())["keys"][0]["secret"]
        clock.now += 1000
        await mailroom.housekeeping()
        assert old in settings.key_file.read_text()
        clock.now += 200
        await mailroom.housekeeping()
        assert old not in settings.key_file.read_text()
        request, _ = encapsulate(client.keys, bytes(8104))
        refused = await client.http.post(GATEWAY, content=request, headers=OHTTP)
        assert refused.status_code == 400


async def test_where_v1_is_served_a_receiver_is_told_apart_by_what_it_gets(tmp_path: Path) -> None:
    """BIP 77: plaintext in UTF-8 tells a receiver that its sender speaks BIP 78."""
    async with in_process(quick(tmp_path, v1=True, wait=2)) as (_, client):
        mailbox = new_mailbox()
        sender = asyncio.create_task(client.http.post(f"/{mailbox}?v=1", content=b"cHNidP8="))
        got = await poll_until_there(client, f"/{mailbox}")
        assert got.decode("utf-8") == "cHNidP8=\nv=1"
        assert (await client.ask("PUT", f"/{mailbox}", b"cHNidP8BAA==")).status == 200
        assert (await sender).text == "cHNidP8BAA=="


async def poll_until_there(client: Client, path: str) -> bytes:
    answer = await client.ask("GET", path)
    assert answer.status == 200
    return answer.body
