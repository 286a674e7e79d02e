import asyncio
import logging
from collections.abc import AsyncIterator
from http import HTTPStatus
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
    in_process,
    new_mailbox,
    quick,
)
from tests.support.clock import Clock

from dovetail.crypto.bhttp import BhttpRequest
from dovetail.crypto.entropy import SeededEntropy
from dovetail.crypto.ohttp import KeyConfig, encapsulate
from dovetail.crypto.secp256k1 import SecretKey
from dovetail.errors import StoreUnavailable
from dovetail.mailroom import Mailroom
from dovetail.serving.responses import Response, problem

OHTTP_KEY = "https://iana.org/assignments/http-problem-types#ohttp-key"


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    async with in_process(quick(tmp_path)) as (_, client):
        yield client


async def test_the_bare_key_configuration_is_served_at_both_paths(client: Client) -> None:
    for path in (GATEWAY, "/ohttp-keys", "/ohttp-keys?allowed_purposes"):
        answer = await client.http.get(path)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/ohttp-keys"
        assert len(answer.content) == 74
        assert answer.content[1:3] + answer.content[68:] == bytes.fromhex("0016000400010003")


@pytest.mark.parametrize("query", ["allowed_purposes", "allowed_purposes=", "x&allowed_purposes=1"])
async def test_the_gateway_opts_in_as_peers_spell_it(client: Client, query: str) -> None:
    answer = await client.http.get(f"{GATEWAY}?{query}")
    assert answer.headers["content-type"] == "application/x-ohttp-allowed-purposes"
    assert answer.content == b"\x00\x01\x2aBIP77 454403bb-9f7b-4385-b31f-acd2dae20b7e"


@pytest.mark.parametrize(
    ("size", "status"),
    [(0, 400), (1, 400), (8191, 400), (8193, 413), (100_000, 413), (3_000_000, 413)],
)
async def test_a_body_of_another_size_is_refused_in_the_clear(
    client: Client, size: int, status: int
) -> None:
    announced = await client.http.post(GATEWAY, content=bytes(size), headers=OHTTP)
    chunked = await client.http.post(GATEWAY, content=chunks(size), headers=OHTTP)
    assert announced.status_code == chunked.status_code == status
    assert announced.headers["content-type"] == "application/problem+json"
    assert announced.json()["status"] == status


async def test_garbage_of_the_right_size_is_refused_in_the_clear(client: Client) -> None:
    good, _ = encapsulate(client.keys, bytes(8104))
    no_key = good[:7] + b"\x04" + bytes(64) + good[72:]
    answer = await client.http.post(GATEWAY, content=no_key, headers=OHTTP)
    assert answer.status_code == 400
    assert answer.json()["type"] == "about:blank"


async def test_an_unknown_key_is_a_problem_of_its_own_type(client: Client) -> None:
    other_id = KeyConfig((client.keys.key_id + 1) % 256, client.keys.public_key)
    other_key = KeyConfig(client.keys.key_id, SecretKey.generate().public_key)
    good, _ = encapsulate(client.keys, bytes(8104))
    other_suite = good[:6] + b"\x01" + good[7:]
    requests = [encapsulate(config, bytes(8104))[0] for config in (other_id, other_key)]
    for request in (*requests, other_suite, good[:1] + bytes(8191)):
        answer = await client.http.post(GATEWAY, content=request, headers=OHTTP)
        assert answer.status_code == 400
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["type"] == OHTTP_KEY


async def test_only_the_media_type_of_ohttp_is_taken(client: Client) -> None:
    request, _ = encapsulate(client.keys, bytes(8104))
    for kind in ({}, {"content-type": "text/plain"}):
        answer = await client.http.post(GATEWAY, content=request, headers=kind)
        assert answer.status_code == 415
    loose = {"content-type": "Message/OHTTP-req; charset=x"}
    assert (await client.http.post(GATEWAY, content=request, headers=loose)).status_code == 200


async def test_a_request_of_indeterminate_length_with_upper_case_names_is_answered(
    client: Client,
) -> None:
    mailbox = str(new_mailbox()).encode()
    target = b"\x04POST\x05https\x00" + bytes((len(mailbox) + 1,)) + b"/" + mailbox
    fields = b"\x0cContent-Type\x18application/octet-stream\x00"
    message = b"\x02" + target + fields + b"\x04mess\x03age\x00\x00"
    assert (await client.inner(message + bytes(8104 - len(message)))).status == 200
    found = await client.ask("GET", f"/{mailbox.decode()}")
    assert (found.status, found.body) == (200, b"message")


async def test_a_request_that_waits_for_a_go_ahead_is_an_error(client: Client) -> None:
    expecting = BhttpRequest(
        "POST", "https", "", f"/{new_mailbox()}", (("expect", "100-Continue"),), MESSAGE
    )
    assert (await client.inner(expecting.serialize(8104))).status == 417


async def test_what_may_be_cached_says_for_how_long(client: Client) -> None:
    for path in (GATEWAY, "/ohttp-keys", f"{GATEWAY}?allowed_purposes"):
        assert (await client.http.get(path)).headers["cache-control"] == "public, max-age=86400"


async def test_other_methods_are_refused(client: Client) -> None:
    for path in (GATEWAY, "/ohttp-keys"):
        answer = await client.http.put(path)
        assert answer.status_code == 405
        assert "GET" in answer.headers["allow"]


async def test_every_answer_has_one_size(client: Client) -> None:
    mailbox = new_mailbox()
    for path, method in ((f"/{mailbox}", "POST"), (f"/{mailbox}", "GET"), ("/x", "GET")):
        await client.ask(method, path, MESSAGE)  # the helper asserts 8192


async def test_a_relay_of_the_same_mailroom_is_refused_unless_for_local_use(
    tmp_path: Path,
) -> None:
    tag = SeededEntropy(b"tag")(32).hex()
    for local, status in ((False, 403), (True, 400)):
        mailroom = Mailroom(quick(tmp_path, local=local), entropy=SeededEntropy(b"tag"))
        async with (
            mailroom,
            httpx.AsyncClient(transport=httpx.ASGITransport(mailroom), base_url=DIRECTORY) as http,
        ):
            for header, expected in ((tag, status), ("00" * 32, 400), ("short", 400)):
                headers = OHTTP | {"x-ohttp-self-loop-tag": header}
                answer = await http.post(GATEWAY, content=bytes(8192), headers=headers)
                assert answer.status_code == expected


async def test_after_a_rotation_sessions_with_the_old_key_go_on(tmp_path: Path) -> None:
    clock = Clock()
    settings = quick(tmp_path, key_lifetime=1000, ttl=100, longest_session=100)
    async with in_process(settings, clock) as (mailroom, client):
        mailbox = new_mailbox()
        clock.now += 1000
        await mailroom.housekeeping()
        newest = KeyConfig.parse((await client.http.get(GATEWAY)).content)
        assert newest != client.keys
        assert (await client.post(mailbox)).status == 200
        clock.now += 199
        await mailroom.housekeeping()
        assert (await client.poll(mailbox)).status == 202
        clock.now += 1
        await mailroom.housekeeping()
        request, _ = encapsulate(client.keys, bytes(8104))
        answer = await client.http.post(GATEWAY, content=request, headers=OHTTP)
        assert answer.json()["type"] == OHTTP_KEY


async def test_a_disk_that_fails_is_503_with_retry_after_and_no_names_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any) -> None:
        raise StoreUnavailable("The disk is full: free some space.")

    caplog.set_level(logging.DEBUG, "dovetail")
    async with in_process(quick(tmp_path)) as (mailroom, client):
        monkeypatch.setattr(mailroom._mailboxes, "post", fail)
        mailbox = new_mailbox()
        answer = await client.ask("POST", f"/{mailbox}", MESSAGE)
    assert (answer.status, dict(answer.headers)["retry-after"]) == (503, "5")
    assert "disk is full" in caplog.text
    assert mailbox not in caplog.text


async def test_a_request_that_arrives_too_slowly_is_given_up(tmp_path: Path) -> None:
    async def stall() -> AsyncIterator[bytes]:
        yield bytes(100)
        await asyncio.sleep(5)

    async with in_process(quick(tmp_path, read_timeout=0.02)) as (_, client):
        answer = await client.http.post(GATEWAY, content=stall(), headers=OHTTP)
    assert answer.status_code == 408
    assert answer.headers["connection"] == "close"


async def chunks(size: int) -> AsyncIterator[bytes]:
    for at in range(0, size, 10_000):
        yield bytes(min(10_000, size - at))


async def test_a_request_may_be_refused_once_it_is_opened(tmp_path: Path) -> None:
    asked: list[str] = []

    async def admit(request: BhttpRequest) -> Response | None:
        asked.append(request.method)
        if dict(request.headers).get("authorization") is None:
            return problem(HTTPStatus.UNAUTHORIZED, "A token is due; get one.")
        return None

    mailroom = Mailroom(quick(tmp_path), admit=admit)
    transport = httpx.ASGITransport(mailroom)
    async with mailroom, httpx.AsyncClient(transport=transport, base_url=DIRECTORY) as http:
        client = Client(http, KeyConfig.parse((await http.get(GATEWAY)).content))
        mailbox = new_mailbox()
        assert (await client.ask("GET", f"/{mailbox}")).status == 401
        paid = BhttpRequest(
            "GET", "https", "mailroom.test", f"/{mailbox}", (("authorization", "PrivateToken x"),)
        )
        assert (await client.inner(paid.serialize(8104))).status == 202
    assert asked == ["GET", "GET"]
