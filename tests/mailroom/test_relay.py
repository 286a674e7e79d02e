import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from tests.mailroom.client import DIRECTORY, OHTTP, Client, in_process, new_mailbox, quick
from tests.mailroom.fake_gateway import PURPOSES_BY_LENGTH, FakeGateway, fake_gateway, respond
from tests.support.certificates import make_certificate
from tests.support.waiting import until

from dovetail.crypto.ohttp import KeyConfig
from dovetail.errors import ConfigurationError
from dovetail.mailroom import Mailroom, MailroomServer

BODY = b"\x01" * 8192


@pytest.fixture
async def gateway() -> AsyncIterator[FakeGateway]:
    async with fake_gateway() as gateway:
        yield gateway


def from_address(mailroom: Any, address: str) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(mailroom, client=(address, 1))
    return httpx.AsyncClient(transport=transport, base_url=DIRECTORY)


@asynccontextmanager
async def relay(
    folder: Path, find: Any = None, **changes: Any
) -> AsyncIterator[tuple[Any, httpx.AsyncClient]]:
    async with (
        Mailroom(quick(folder, directory=False, **changes), resolve=find) as mailroom,
        httpx.AsyncClient(transport=httpx.ASGITransport(mailroom), base_url=DIRECTORY) as http,
    ):
        yield mailroom, http


async def post(http: httpx.AsyncClient, gateway: FakeGateway, body: bytes = BODY) -> httpx.Response:
    return await http.post(f"/{gateway.url}/", content=body, headers=OHTTP)


async def test_two_mailrooms_carry_a_message_from_wallet_to_wallet(tmp_path: Path) -> None:
    with MailroomServer() as directory, MailroomServer(quick(tmp_path, directory=False)) as hop:
        async with httpx.AsyncClient() as http:
            keys = (await http.get(f"{directory.url}/ohttp-keys")).content
            client = Client(http, KeyConfig.parse(keys), directory.url, hop.url)
            mailbox = new_mailbox()
            poll = asyncio.create_task(client.poll(mailbox))
            await asyncio.sleep(0.1)
            (await client.post(mailbox)).confirm_posted()
            assert (await poll).message() is not None


async def test_nothing_of_the_client_goes_along(tmp_path: Path, gateway: FakeGateway) -> None:
    gateway.post = respond(
        200, bytes(8192), "content-type: message/ohttp-res", "set-cookie: x=1", "server: secret"
    )
    async with relay(tmp_path) as (_, http):
        headers = OHTTP | {"x-forwarded-for": "1.2.3.4", "cookie": "a=b", "user-agent": "wallet"}
        answer = await http.post(f"/{gateway.url}", content=BODY, headers=headers)
    assert (answer.status_code, answer.content) == (200, bytes(8192))
    assert answer.headers["content-type"] == "message/ohttp-res"
    assert not {"set-cookie", "server"} & set(answer.headers)
    head = gateway.requests[-1].partition(b"\r\n\r\n")[0].split(b"\r\n")
    assert head[0] == b"POST /.well-known/ohttp-gateway HTTP/1.1"
    names = sorted(line.partition(b":")[0].lower() for line in head[1:])
    assert names == [b"content-length", b"content-type", b"host", b"x-ohttp-self-loop-tag"]
    assert gateway.requests[-1].endswith(b"\r\n\r\n" + BODY)


async def test_a_gateways_refusal_is_told_in_our_own_words(
    tmp_path: Path, gateway: FakeGateway
) -> None:
    outdated = b'{"type": "https://iana.org/assignments/http-problem-types#ohttp-key", "x": "y"}'
    async with relay(tmp_path) as (_, http):
        for status in (400, 403, 422, 429, 500):
            gateway.post = respond(status, outdated, "content-type: application/problem+json; a=b")
            answer = await post(http, gateway)
            assert answer.status_code == status
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["type"].endswith("#ohttp-key")
            assert "x" not in answer.json()
        gateway.post = respond(400, outdated, "content-type: text/html")
        assert (await post(http, gateway)).json()["type"] == "about:blank"


@pytest.mark.parametrize(
    ("given", "passed"), [("7", "7"), ("9999", "9999"), ("99999", "5"), ("soon", "5"), ("-1", "5")]
)
async def test_a_gateways_retry_after_is_a_bounded_number(
    tmp_path: Path, gateway: FakeGateway, given: str, passed: str
) -> None:
    gateway.post = respond(503, b"", f"retry-after: {given}")
    async with relay(tmp_path) as (_, http):
        assert (await post(http, gateway)).headers["retry-after"] == passed


async def test_the_type_of_an_answer_is_ours_whatever_the_gateway_calls_it(
    tmp_path: Path, gateway: FakeGateway
) -> None:
    gateway.post = respond(200, bytes(8192), "content-type: text/html")
    async with relay(tmp_path) as (_, http):
        assert (await post(http, gateway)).headers["content-type"] == "message/ohttp-res"


async def test_the_opt_in_may_be_written_as_the_bip_means_it(
    tmp_path: Path, gateway: FakeGateway
) -> None:
    gateway.opt_in(PURPOSES_BY_LENGTH, "Application/x-ohttp-allowed-purposes; v=1")
    gateway.post = respond(200, bytes(8192))
    async with relay(tmp_path) as (_, http):
        assert (await post(http, gateway)).status_code == 200
    assert gateway.requests[0].startswith(b"GET /.well-known/ohttp-gateway?allowed_purposes HTTP")


async def test_a_gateway_that_did_not_opt_in_gets_nothing(
    tmp_path: Path, gateway: FakeGateway
) -> None:
    gateway.get = respond(200, b"keys", "content-type: application/ohttp-keys")
    async with relay(tmp_path) as (_, http):
        assert (await post(http, gateway)).status_code == 403
    assert all(request.startswith(b"GET") for request in gateway.requests)


async def test_a_gateway_out_of_reach_is_502(tmp_path: Path, gateway: FakeGateway) -> None:
    async with relay(tmp_path) as (_, http):
        closed = await http.post("/http://127.0.0.1:1/", content=BODY, headers=OHTTP)
        assert closed.status_code == 502
        assert closed.headers["content-type"] == "application/problem+json"
        assert "127.0.0.1" not in closed.text


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (respond(301, b"", "location: http://127.0.0.1:1/"), 502),
        (respond(200, bytes(70_000)), 502),
        (respond(200, bytes(8191)), 502),
        (respond(200, bytes(8193)), 502),
        (respond(204), 502),
        (respond(401, b"", "www-authenticate: Basic"), 502),
        (respond(418), 502),
        (respond(599), 502),
        (b"garbage\r\n\r\n", 502),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\nconnection: close\r\n\r\nshort", 502),
    ],
)
async def test_what_no_gateway_should_answer_is_502(
    tmp_path: Path, gateway: FakeGateway, answer: bytes, status: int
) -> None:
    gateway.post = answer
    async with relay(tmp_path) as (_, http):
        assert (await post(http, gateway)).status_code == status
    assert sum(request.startswith(b"POST") for request in gateway.requests) == 1


async def test_a_gateway_that_does_not_answer_is_504_after_a_while(
    tmp_path: Path, gateway: FakeGateway
) -> None:
    gateway.post = None
    async with relay(tmp_path, forward_timeout=0.05) as (_, http):
        assert (await post(http, gateway)).status_code == 504
        await asyncio.wait_for(gateway.lost.wait(), 5)


async def test_a_probe_that_is_not_answered_is_502(
    tmp_path: Path, gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dovetail.mailroom.relay._PROBE_TIMEOUT", 0.05)
    gateway.get = None
    async with relay(tmp_path) as (_, http):
        assert (await post(http, gateway)).status_code == 502


async def test_a_client_that_goes_away_ends_its_request_at_the_gateway(
    tmp_path: Path, gateway: FakeGateway
) -> None:
    gateway.post = None
    with MailroomServer(quick(tmp_path, directory=False)) as hop:
        async with httpx.AsyncClient(timeout=0.3) as http:
            with pytest.raises(httpx.ReadTimeout):
                await http.post(f"{hop.url}/{gateway.url}", content=BODY, headers=OHTTP)
        await asyncio.wait_for(gateway.lost.wait(), 5)
        relay = hop.mailroom._relay
        await until(lambda: relay is not None and relay.count == 0)


async def test_what_is_forwarded_has_a_limit(tmp_path: Path, gateway: FakeGateway) -> None:
    gateway.post = None
    async with relay(tmp_path, max_forwards=1, drain_timeout=0.05) as (mailroom, http):
        first = asyncio.create_task(post(http, gateway))
        await until(lambda: mailroom._relay.count == 1)
        refused = await post(http, gateway)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
        mailroom.drain()
        cut = await first
        assert (cut.status_code, cut.headers["retry-after"]) == (503, "5")


async def test_a_gateway_that_never_answers_takes_half_of_what_is_forwarded(
    tmp_path: Path, gateway: FakeGateway
) -> None:
    gateway.post = None
    async with fake_gateway() as good, relay(tmp_path, max_forwards=8) as (mailroom, http):
        good.post = respond(200, bytes(8192))
        crowd = [asyncio.create_task(post(http, gateway)) for _ in range(8)]
        await until(lambda: sum(each.done() for each in crowd) == 4)
        assert (await post(http, good)).status_code == 200
        mailroom._relay.cut()
        assert {(await each).status_code for each in crowd} == {503}


async def test_bodies_that_stall_take_nothing_of_the_gateway_they_name(
    tmp_path: Path, gateway: FakeGateway
) -> None:
    begun = 0

    async def stall() -> AsyncIterator[bytes]:
        nonlocal begun
        begun += 1
        yield BODY[1:]
        await asyncio.sleep(10)

    gateway.post = respond(200, bytes(8192))
    async with relay(tmp_path, max_forwards=8) as (_, http):
        crowd = [
            asyncio.create_task(http.post(f"/{gateway.url}", content=stall(), headers=OHTTP))
            for _ in range(6)
        ]
        await until(lambda: begun == 6)
        assert (await post(http, gateway)).status_code == 200
        for each in crowd:
            each.cancel()


async def test_one_client_does_not_take_all_that_is_forwarded(
    tmp_path: Path, gateway: FakeGateway
) -> None:
    gateway.post = None
    changes = {"max_forwards": 8, "max_forwards_per_client": 2}
    async with fake_gateway() as good, relay(tmp_path, **changes) as (mailroom, _):
        good.post = respond(200, bytes(8192))
        greedy, honest = (from_address(mailroom, each) for each in ("198.51.100.1", "203.0.113.1"))
        crowd = [asyncio.create_task(post(greedy, gateway)) for _ in range(4)]
        await until(lambda: sum(each.done() for each in crowd) == 2)
        assert (await post(honest, good)).status_code == 200
        assert (await post(greedy, good)).status_code == 503
        mailroom._relay.cut()
        assert {(await each).status_code for each in crowd} == {503}


async def test_who_has_most_forwarded_gives_way_whether_client_or_gateway(
    tmp_path: Path, gateway: FakeGateway
) -> None:
    gateway.post = None
    async with fake_gateway() as good, relay(tmp_path, max_forwards=4) as (mailroom, _):
        good.post = respond(200, bytes(8192))
        crowd = []
        for address in ("198.51.1.1", "198.51.1.2", "198.51.2.1", "198.51.3.1"):
            crowd.append(asyncio.create_task(post(from_address(mailroom, address), gateway)))
            await asyncio.sleep(0.02)
        assert (await post(from_address(mailroom, "203.0.113.1"), good)).status_code == 200
        given_up = [each for each in crowd if each.done()]
        assert {(await each).status_code for each in given_up} == {503}
        assert 1 <= len(given_up) <= 2
        mailroom._relay.cut()
        await asyncio.gather(*crowd)


async def test_the_client_with_the_most_lookups_gives_way_to_another(tmp_path: Path) -> None:
    silent = asyncio.Event()

    async def find(_host: str, _port: int) -> list[str]:
        await silent.wait()
        raise OSError

    changes: dict[str, Any] = {"max_lookups": 4, "local": False}
    async with relay(tmp_path, find=find, **changes) as (mailroom, _):

        def asks(address: str, name: str) -> "asyncio.Task[httpx.Response]":
            http = from_address(mailroom, address)
            return asyncio.create_task(
                http.post(f"/https://{name}.test/", content=BODY, headers=OHTTP)
            )

        addresses = ("198.51.1.1", "198.51.1.2", "198.51.2.1", "198.51.3.1")
        crowd = [asks(address, f"silent-{n}") for n, address in enumerate(addresses)]
        await until(lambda: mailroom._relay._lookups.count == 4)
        honest = asks("203.0.113.1", "honest")
        assert (await asyncio.wait_for(crowd[0], 5)).status_code == 502
        await asyncio.sleep(0.05)
        assert not honest.done()
        silent.set()
        assert {(await each).status_code for each in (*crowd, honest)} == {502}
        await until(lambda: mailroom._relay._lookups.count == 0)


async def test_one_client_has_so_many_requests_forwarded_in_a_minute(
    tmp_path: Path, gateway: FakeGateway
) -> None:
    gateway.post = respond(200, bytes(8192))
    async with relay(tmp_path, max_forwards_per_minute=3) as (mailroom, _):
        greedy, honest = (from_address(mailroom, each) for each in ("198.51.100.1", "203.0.113.1"))
        statuses = [(await post(greedy, gateway)).status_code for _ in range(5)]
        assert statuses == [200] * 3 + [503] * 2
        assert (await post(honest, gateway)).status_code == 200


async def test_one_client_has_a_few_gateways_looked_up_at_once(tmp_path: Path) -> None:
    silent = asyncio.Event()

    async def find(_host: str, _port: int) -> list[str]:
        await silent.wait()
        raise OSError

    changes: dict[str, Any] = {"max_lookups_per_client": 2, "local": False}
    async with relay(tmp_path, find=find, **changes) as (mailroom, _):
        greedy, honest = (from_address(mailroom, each) for each in ("198.51.100.1", "203.0.113.1"))
        urls = [f"/https://silent-{n}.test/" for n in range(4)]
        crowd = [asyncio.create_task(greedy.post(url, content=BODY, headers=OHTTP)) for url in urls]
        await until(lambda: sum(each.done() for each in crowd) == 2)
        crowd[0].cancel()  # who goes away frees nothing before its lookup has ended
        refused = await greedy.post("/https://silent-9.test/", content=BODY, headers=OHTTP)
        assert refused.status_code == 503
        other = asyncio.create_task(
            honest.post("/https://other.test/", content=BODY, headers=OHTTP)
        )
        await until(lambda: mailroom._relay._lookups.count == 3)
        silent.set()
        assert (await other).status_code == 502
        await until(lambda: mailroom._relay._lookups.count == 0)


async def test_those_who_wait_for_one_new_gateway_count_once(
    tmp_path: Path, gateway: FakeGateway
) -> None:
    gateway.post = respond(200, bytes(8192), "content-type: message/ohttp-res")
    async with relay(tmp_path, max_lookups_per_client=1) as (mailroom, _):
        client = from_address(mailroom, "198.51.100.1")
        answers = await asyncio.gather(*(post(client, gateway) for _ in range(6)))
        assert [each.status_code for each in answers] == [200] * 6
        assert sum(each.startswith(b"GET ") for each in gateway.requests) == 1
        assert mailroom._relay._lookups.count == 0


async def test_only_ohttp_requests_of_the_right_size_are_forwarded(
    tmp_path: Path, gateway: FakeGateway
) -> None:
    async with relay(tmp_path) as (_, http):
        assert (await post(http, gateway, BODY[1:])).status_code == 400
        assert (await post(http, gateway, BODY + b"x")).status_code == 413
        assert (await http.post(f"/{gateway.url}", content=BODY)).status_code == 415
        assert (await http.get(f"/{gateway.url}")).status_code == 405
        for path in (f"/{gateway.url}/path", f"/{gateway.url}?query", "/https://"):
            assert (await http.post(path, content=BODY, headers=OHTTP)).status_code == 400
    assert gateway.requests == []


async def test_private_addresses_and_plain_http_are_for_local_use_only(
    tmp_path: Path, gateway: FakeGateway
) -> None:
    async with relay(tmp_path, local=False) as (_, http):
        assert (await post(http, gateway)).status_code == 400
        for host in ("127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]"):
            path = f"/https://{host}:{gateway.port}/"
            answer = await http.post(path, content=BODY, headers=OHTTP)
            assert answer.status_code == 502
    assert gateway.requests == []


async def test_a_gateways_certificate_is_checked(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)
    async with fake_gateway(certificate.server()) as gateway:
        gateway.post = respond(200, bytes(8192))
        async with relay(tmp_path, ca_file=certificate.cert) as (_, http):
            assert (await post(http, gateway)).status_code == 200
        async with relay(tmp_path) as (_, http):
            assert (await post(http, gateway)).status_code == 502


async def test_certificates_that_cannot_be_read_are_a_wrong_setting(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="ca_file"):
        async with relay(tmp_path, ca_file=tmp_path / "missing.pem"):
            pass


async def test_a_directory_alone_forwards_nothing(tmp_path: Path, gateway: FakeGateway) -> None:
    async with in_process(quick(tmp_path, relay=False)) as (_, client):
        answer = await client.http.post(f"/{gateway.url}", content=BODY, headers=OHTTP)
        assert answer.status_code == 404
    assert gateway.requests == []
