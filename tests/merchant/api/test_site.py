"""By which names the server answers, and at which origin its links are, whoever asks."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from tests.merchant.api.raw_http import Told, ask, dialled
from tests.merchant.quiet import quiet_parts
from tests.merchant.shop import add_one, add_shop

from dovetail.merchant.data import api_keys
from dovetail.merchant.data.database import Database
from dovetail.merchant.data.invoices import InvoiceRow
from dovetail.merchant.messages import Scope
from dovetail.merchant.public_url import PublicUrl
from dovetail.merchant.server import serving

PUBLIC = "https://pay.example"
OTHERS = (
    "evil.example",
    "pay.example.evil.example",
    "pay.example:8443",
    "127.0.0.1.evil.example",
)
BROKEN = ("", "evil@127.0.0.1", "127.0.0.1,evil.example", "127.0.0.1/evil", "a b")
PAGES = ("/api/v1/openapi.json", "/greenfield/api/v1/health", "/dashboard/sign-in", "/i/x", "/x")


@pytest.fixture
def database(tmp_path) -> Iterator[Database]:
    with Database.open(tmp_path / "shop.db") as opened:
        yield opened


@dataclass
class Shop:
    url: str
    row: InvoiceRow
    secret: str

    async def __call__(self, path: str, *, scheme: str = "Bearer", **headers: str) -> Told:
        given = {"authorization": f"{scheme} {self.secret}"} | headers
        return await ask(self.url, "GET", path, **given)

    async def named(self, path: str, *hosts: str) -> int:
        """The status of the answer to a request with these hosts."""
        async with dialled(self.url) as line:
            lines = "".join(f"Host: {each}\r\n" for each in hosts)
            await line.send(f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode())
            return (await line.answer()).status


@asynccontextmanager
async def opened(database: Database, public: str | None = PUBLIC) -> AsyncIterator[Shop]:
    now = database.now()
    store = database.write(lambda c: add_shop(c, now=int(now)))
    row = database.write(lambda c: add_one(c, store, now=int(now)))
    _, secret = database.write(
        lambda c: api_keys.add_key(c, name="test", scopes=[*Scope], store_ids=None, now=now)
    )
    found = None if public is None else PublicUrl.parse(public)
    async with (
        quiet_parts(database) as parts,
        serving(parts, "127.0.0.1", 0, public=found) as url,
    ):
        yield Shop(url, row, secret)


@pytest.mark.parametrize("public", [PUBLIC, None])
async def test_a_request_for_another_host_is_answered_with_nothing(database, public) -> None:
    """Host header injection, and names that lead here from elsewhere (DNS rebinding)."""
    async with opened(database, public) as shop:
        for path in PAGES:
            for host in OTHERS:
                assert await shop.named(path, host) == 421, (path, host)
        for host in BROKEN:
            assert await shop.named("/x", host) in (400, 421), host
        assert await shop.named("/x") in (400, 421)
        assert await shop.named("/x", "127.0.0.1", "evil.example") in (400, 421)


async def test_each_interface_words_the_refusal_in_its_own_way(database) -> None:
    async with opened(database) as shop:
        told = await ask(shop.url, "GET", "/api/v1/stores", host="evil.example")
        assert told.json["type"] == "urn:dovetail:problem:misdirected"
        told = await ask(shop.url, "GET", "/greenfield/api/v1/stores", host="evil.example")
        assert told.json["code"] == "misdirected"
        told = await ask(shop.url, "GET", "/i/x", host="evil.example")
        assert told.headers["content-type"] == "text/html; charset=utf-8"
        assert b"evil" not in told.body


async def test_the_public_host_and_this_machine_are_answered(database) -> None:
    async with opened(database) as shop:
        for host in ("pay.example", "PAY.example:443", "127.0.0.1:8090", "localhost", "[::1]:1"):
            assert await shop.named("/api/v1/openapi.json", host) == 200, host


async def test_health_is_told_under_every_name(database) -> None:
    """A proxy asks by the address that it has."""
    async with opened(database) as shop:
        assert await shop.named("/health/live", "10.0.0.7:8090") == 200


async def test_without_a_public_url_only_this_machine_is_answered(database) -> None:
    async with opened(database, None) as shop:
        assert await shop.named("/api/v1/openapi.json", "pay.example") == 421
        shown = await shop(f"/api/v1/invoices/{shop.row.id}")
        assert shown.json["checkout_url"] == f"{shop.url}/i/{shop.row.id}"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"host": "pay.example"},
        {"x_forwarded_host": "evil.example", "x_forwarded_proto": "http"},
        {"forwarded": "host=evil.example;proto=http", "x_original_host": "evil.example"},
    ],
)
async def test_links_are_made_of_the_public_url_alone(database, headers: dict[str, Any]) -> None:
    async with opened(database) as shop:
        path, page = f"/api/v1/invoices/{shop.row.id}", f"{PUBLIC}/i/{shop.row.id}"
        assert (await shop(path, **headers)).json["checkout_url"] == page
        listed = await shop("/api/v1/invoices", **headers)
        assert listed.json["items"][0]["checkout_url"] == page
        path = f"/greenfield/api/v1/stores/{shop.row.store_id}/invoices/{shop.row.id}"
        assert (await shop(path, scheme="token", **headers)).json["checkoutLink"] == page


async def test_behind_tls_each_answer_tells_browsers_to_stay_with_it(database) -> None:
    async with opened(database) as shop:
        for path in (*PAGES, "/health/live"):
            told = await ask(shop.url, "GET", path)
            assert told.headers["strict-transport-security"] == "max-age=31536000", path


async def test_without_tls_no_answer_speaks_of_it(database) -> None:
    async with opened(database, "http://127.0.0.1:8090") as shop:
        told = await ask(shop.url, "GET", "/api/v1/openapi.json")
        assert "strict-transport-security" not in told.headers


async def test_the_target_of_a_request_names_no_other_host(database) -> None:
    async with opened(database) as shop, dialled(shop.url) as line:
        await line.send(
            b"GET http://evil.example/dashboard/sign-in HTTP/1.1\r\nHost: pay.example\r\n\r\n"
        )
        told = await line.answer()
        assert told.status == 421
        assert b"evil" not in told.body
