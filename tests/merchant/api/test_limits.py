"""What the server refuses before any route: size, kind, slowness, floods, and hidden text."""

import json
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from tests.merchant.api.raw_http import Told, ask, dialled, request
from tests.merchant.quiet import quiet_parts
from tests.merchant.shop import add_one, add_shop

from dovetail.merchant.api.limits import Limits, Rate
from dovetail.merchant.data import api_keys
from dovetail.merchant.data.database import Database
from dovetail.merchant.data.ids import new_id
from dovetail.merchant.messages import Scope
from dovetail.merchant.server import serving
from dovetail.serving.client_shares import Clients

EVERYBODY = Clients(proxies=())
"""Every address is a client, this machine's too."""


@pytest.fixture
def database(place) -> Iterator[Database]:
    with Database.open(place) as opened:
        yield opened


@dataclass
class Shop:
    url: str
    database: Database
    store_id: UUID
    invoice_id: UUID
    secret: str

    def key(self, *scopes: Scope, store_ids: tuple[UUID, ...] | None = None) -> str:
        return make_key(self.database, *scopes, store_ids=store_ids)

    async def __call__(self, method: str, path: str, **more: Any) -> Told:
        return await ask(self.url, method, f"/api/v1{path}", **({"secret": self.secret} | more))

    @property
    def create(self) -> str:
        return f"/stores/{self.store_id}/invoices"


def make_key(database, *scopes: Scope, store_ids: tuple[UUID, ...] | None = None) -> str:
    _, secret = database.write(
        lambda c: api_keys.add_key(
            c, name="test", scopes=scopes, store_ids=store_ids, now=database.now()
        )
    )
    return str(secret)


@asynccontextmanager
async def opened(database, *, clients: Clients | None = None, **limits: Any) -> AsyncIterator[Shop]:
    store = database.write(lambda c: add_shop(c, now=int(database.now())))
    row = database.write(lambda c: add_one(c, store, now=int(database.now())))
    async with (
        quiet_parts(database) as parts,
        serving(parts, "127.0.0.1", 0, limits=Limits(**limits), clients=clients) as url,
    ):
        yield Shop(url, database, store.id, row.id, make_key(database, *Scope))


def is_problem(told: Told, status: int, kind: str) -> str:
    """That it is this problem; return its sentence."""
    assert told.status == status, told
    assert told.headers["content-type"] == "application/problem+json"
    assert told.json["type"] == f"urn:dovetail:problem:{kind}"
    assert told.json["request_id"] == told.headers["x-request-id"]
    return str(told.json["detail"])


async def test_a_body_that_is_too_large_is_refused_by_what_it_announces(database) -> None:
    async with opened(database, body_bytes=1000) as shop:
        told = await shop("POST", shop.create, body=b"{" + b" " * 1000)
        assert "more than 1000 bytes" in is_problem(told, 413, "too-large")


async def test_a_body_that_grows_too_large_is_refused_as_it_comes(database) -> None:
    async with opened(database, body_bytes=1000) as shop, dialled(shop.url) as line:
        head = request(
            "POST",
            f"/api/v1{shop.create}",
            secret=shop.secret,
            content_type="application/json",
            transfer_encoding="chunked",
        )
        await line.send(head)
        for _ in range(3):
            await line.send(b"200\r\n" + b" " * 512 + b"\r\n")
        is_problem(await line.answer(), 413, "too-large")


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "", "json"])
async def test_another_kind_of_body_is_refused(database, kind: str) -> None:
    async with opened(database) as shop, dialled(shop.url) as line:
        more: Any = {"content_type": kind} if kind else {}
        body = b'{"amount_sats":5000}'
        head = request(
            "POST",
            f"/api/v1{shop.create}",
            secret=shop.secret,
            content_length=str(len(body)),
            **more,
        )
        await line.send(head + body)
        words = is_problem(await line.answer(), 415, "unsupported-media-type")
        assert words == "Send the body as `content-type: application/json`."


async def test_a_body_that_comes_too_slowly_is_refused(database) -> None:
    async with opened(database, body_seconds=0.3) as shop, dialled(shop.url) as line:
        head = request(
            "POST",
            f"/api/v1{shop.create}",
            secret=shop.secret,
            content_type="application/json",
            content_length="100",
        )
        await line.send(head + b"{")
        told = await line.answer()
        assert "too slowly" in is_problem(told, 408, "timeout")
        assert told.headers["connection"] == "close"
        await line.until_closed()


async def test_a_head_that_comes_too_slowly_is_cut_off(database) -> None:
    async with opened(database, read_seconds=0.5) as shop, dialled(shop.url) as line:
        await line.send(b"GET /api/v1/stores HTTP/1.1\r\nhost: shop\r\n")
        await line.until_closed(5)


async def test_a_flood_from_one_address_is_refused_and_told_when_to_come_again(database) -> None:
    few = Rate(burst=3, per_second=0.5)
    async with opened(database, clients=EVERYBODY, address=few) as shop:
        assert [(await shop("GET", "/stores")).status for _ in range(3)] == [200] * 3
        told = await shop("GET", "/stores")
        assert "from this address" in is_problem(told, 429, "rate-limited")
        assert 1 <= int(told.headers["retry-after"]) <= 2


async def test_wrong_keys_use_up_an_address_sooner(database) -> None:
    few = Rate(burst=12, per_second=0.1)
    async with opened(database, clients=EVERYBODY, address=few) as shop:
        is_problem(await shop("GET", "/stores", secret="dvt_wrong"), 401, "unauthorized")
        statuses = [(await shop("GET", "/stores")).status for _ in range(3)]
        assert statuses == [200, 429, 429]


async def test_a_flood_with_one_key_is_refused_and_other_keys_are_served(database) -> None:
    async with opened(database, key=Rate(burst=2, per_second=0.5)) as shop:
        assert [(await shop("GET", "/stores")).status for _ in range(2)] == [200] * 2
        assert "with this key" in is_problem(await shop("GET", "/stores"), 429, "rate-limited")
        assert (await shop("GET", "/stores", secret=shop.key(*Scope))).status == 200


async def test_an_address_in_a_proxys_header_counts_for_its_client(database) -> None:
    behind = Clients(forwarded="x-forwarded-for")
    async with opened(database, clients=behind, address=Rate(burst=1, per_second=0.1)) as shop:
        for address, status in (("192.0.2.1", 200), ("192.0.2.1", 429), ("198.51.100.1", 200)):
            told = await shop("GET", "/stores", x_forwarded_for=address)
            assert told.status == status


PATHS = ("", "/payments", "/session", "/events", "/events/stream")


async def test_what_a_key_may_not_see_looks_as_if_it_did_not_exist(database) -> None:
    async with opened(database) as shop:
        other = shop.key(*Scope, store_ids=(new_id(),))
        for method, path, body in (
            *(("GET", f"/invoices/{{}}{each}", b"") for each in PATHS),
            ("POST", "/invoices/{}/close", b""),
            ("POST", "/invoices/{}/mark", b'{"settled":true}'),
        ):
            answers = [
                await shop(method, path.format(each), secret=other, body=body)
                for each in (shop.invoice_id, new_id())
            ]
            details = {is_problem(each, 404, "not-found") for each in answers}
            assert len(details) == 1, path
            assert {frozenset(each.headers) for each in answers} == {frozenset(answers[0].headers)}
        theirs = await shop("POST", shop.create, secret=other, body=b'{"amount_sats":5000}')
        is_problem(theirs, 404, "not-found")


async def test_a_scope_is_refused_before_anything_is_looked_for(database) -> None:
    async with opened(database) as shop:
        weak = shop.key(Scope.WEBHOOKS_READ)
        told = [
            await shop("GET", f"/invoices/{each}", secret=weak)
            for each in (shop.invoice_id, new_id())
        ]
        assert len({is_problem(each, 403, "forbidden") for each in told}) == 1


@pytest.mark.parametrize(
    "given", ["", "Basic dXNlcjpw", "Bearer", "Bearer ", "Bearer a b", "dvt_x"]
)
async def test_without_a_key_the_way_to_send_one_is_told(database, given: str) -> None:
    async with opened(database) as shop:
        more = {"authorization": given} if given else {}
        told = await ask(shop.url, "GET", f"/api/v1/invoices/{shop.invoice_id}", **more)
        is_problem(told, 401, "unauthorized")
        assert told.headers["www-authenticate"] == 'Bearer realm="dovetail"'


@pytest.mark.parametrize("name", ["X-Request-ID", "Idempotency-Key", "Last-Event-ID"])
async def test_a_line_break_in_a_header_reaches_nobody(database, name: str, caplog) -> None:
    caplog.set_level(logging.DEBUG, "dovetail")
    async with opened(database) as shop:
        for broken in (
            b"a\rset-cookie: evil=1",
            b"a\nset-cookie: evil=1",
            b"a\x00b",
            b"\x1b[2Jevil",
        ):
            async with dialled(shop.url) as line:
                head = request("GET", f"/api/v1/invoices/{shop.invoice_id}", secret=shop.secret)
                await line.send(head[:-2] + name.encode() + b": " + broken + b"\r\n\r\n")
                told = await line.answer()
                assert "set-cookie" not in told.headers
                assert b"evil" not in told.body
                assert told.headers.get("x-request-id", "") != broken.decode("latin-1")
    assert "evil" not in caplog.text


async def test_a_callers_request_id_is_not_taken_over(database) -> None:
    async with opened(database) as shop:
        told = await shop("GET", "/stores", X_Request_ID="of-the-caller")
        assert UUID(told.headers["x-request-id"]).version == 7


@pytest.mark.parametrize(
    "path",
    [
        "/invoices/%0d%0aset-cookie:%20evil=1",
        "/invoices?order_id=a%0d%0aset-cookie:%20evil=1",
        "/invoices?cursor=%0d%0aevil",
        "/invoices?status=%0aevil",
        "/%0d%0aevil",
    ],
)
async def test_a_line_break_in_a_path_reaches_neither_headers_nor_log(
    database, path: str, caplog
) -> None:
    caplog.set_level(logging.DEBUG, "dovetail")
    async with opened(database) as shop:
        told = await shop("GET", path)
        assert told.status in (200, 404, 422)
        assert "set-cookie" not in told.headers
    assert "evil" not in caplog.text


@pytest.mark.parametrize("field", ["order_id", "label"])
@pytest.mark.parametrize("letter", ["\r\n", "\n", "\x00", "\x1b", "\x7f"])
async def test_a_control_letter_in_a_text_is_refused_by_its_field(
    database, field: str, letter: str, caplog
) -> None:
    caplog.set_level(logging.DEBUG, "dovetail")
    async with opened(database) as shop:
        body = json.dumps({"amount_sats": 5000, field: f"evil{letter}set-cookie: a=1"}).encode()
        told = await shop("POST", shop.create, body=body)
        is_problem(told, 422, "invalid")
        assert told.json["errors"][0]["field"] == field
        assert "evil" not in told.body.decode()
        unknown = json.dumps({"amount_sats": 5000, f"evil{letter}": 1}).encode()
        named = await shop("POST", shop.create, body=unknown)
        assert letter not in named.json["errors"][0]["field"]
    assert "evil" not in caplog.text
