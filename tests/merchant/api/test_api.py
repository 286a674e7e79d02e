"""The API over a real port, on both databases."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator

import httpcore2
import pytest
from tests.merchant.till import open_till

from dovetail.merchant.data import api_keys, stores
from dovetail.merchant.data.database import Database
from dovetail.merchant.messages import Scope, StorePolicy
from dovetail.merchant.server import serving


@pytest.fixture
def database(place) -> Iterator[Database]:
    with Database.open(place) as opened:
        yield opened


class Asking:
    def __init__(self, url: str, till) -> None:
        self.url, self.till = url, till
        self.secret = self.key(*Scope)

    def key(self, *scopes, store_ids=None):
        database = self.till.parts.database
        return database.write(
            lambda c: api_keys.add_key(
                c, name="test", scopes=scopes, store_ids=store_ids, now=database.now()
            )
        )[1]

    async def __call__(self, method, path, body=None, *, secret=None, **headers):
        given = {"authorization": f"Bearer {secret or self.secret}", **headers}
        content = None
        if body is not None:
            content = json.dumps(body).encode()
            given["content-type"] = "application/json"
        async with httpcore2.AsyncConnectionPool() as pool:
            answer = await pool.request(
                method, f"{self.url}{path}", headers=list(given.items()), content=content
            )
        return answer.status, json.loads(answer.content)


@pytest.fixture
async def ask(world, database) -> AsyncIterator[Asking]:
    async with (
        open_till(world, database, works=False) as till,
        serving(till.parts, "127.0.0.1", 0) as url,
    ):
        yield Asking(url, till)


def _invoices(ask) -> str:
    return f"/api/v1/stores/{ask.till.store.id}/invoices"


async def test_an_invoice_is_created_and_shown(ask) -> None:
    status, made = await ask("POST", _invoices(ask), {"amount_sats": 5000, "order_id": "A-1"})
    assert (status, made["status"], made["amount_sats"]) == (201, "new", 5000)
    assert made["payjoin"] == {
        "offered": False,
        "reason": "no-coin",
        "words": made["payjoin"]["words"],
    }
    status, shown = await ask("GET", f"/api/v1/invoices/{made['id']}")
    assert (status, shown) == (200, made)


async def test_a_repeated_request_creates_nothing_again(ask) -> None:
    header = {"idempotency-key": "one"}
    first = await ask("POST", _invoices(ask), {"amount_sats": 5000}, **header)
    again = await ask("POST", _invoices(ask), {"amount_sats": 5000}, **header)
    assert first == again
    status, problem = await ask("POST", _invoices(ask), {"amount_sats": 6000}, **header)
    assert (status, problem["type"]) == (409, "urn:dovetail:problem:idempotency-conflict")


async def test_an_idempotency_key_is_the_stores_own(ask) -> None:
    """Nobody learns of another store's invoice by its idempotency key."""
    database, wallet = ask.till.parts.database, ask.till.store.wallet_id
    other = database.write(
        lambda c: stores.add_store(
            c, wallet_id=wallet, name="Other", policy=StorePolicy(), now=database.now()
        )
    )
    header, theirs = {"idempotency-key": "one"}, ask.key(*Scope, store_ids=[other.id])
    _, first = await ask("POST", _invoices(ask), {"amount_sats": 5000}, **header)
    path = f"/api/v1/stores/{other.id}/invoices"
    status, made = await ask("POST", path, {"amount_sats": 6000}, secret=theirs, **header)
    assert (status, made["amount_sats"], made["store_id"]) == (201, 6000, str(other.id))
    assert made["id"] != first["id"]


async def test_ten_requests_at_once_with_one_key_create_one_invoice(ask) -> None:
    made = await asyncio.gather(
        *(
            ask("POST", _invoices(ask), {"amount_sats": 5000}, **{"idempotency-key": "one"})
            for _ in range(10)
        )
    )
    assert len({each["id"] for _, each in made}) == 1


async def test_pages_follow_each_other(ask) -> None:
    for number in range(5):
        await ask("POST", _invoices(ask), {"amount_sats": 5000 + number})
    found, more = [], "?limit=2"
    while more:
        _, page = await ask("GET", f"/api/v1/invoices{more}")
        found += [each["amount_sats"] for each in page["items"]]
        more = f"?limit=2&cursor={page['cursor']}" if page.get("cursor") else ""
    assert found == [5004, 5003, 5002, 5001, 5000]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"amount_sats": "many"}, "amount_sats"),
        ({"amount_sat": 5}, "amount_sat"),
        ({"amount_sats": 5000, "status": "settled"}, "status"),
        ({"amount_sats": 5000, "store_id": "x"}, "store_id"),
        ({"amount_sats": 0}, "amount_sats"),
        ({"amount_sats": "5000"}, "amount_sats"),
        ({"amount_sats": 5.5}, "amount_sats"),
        ({"amount_sats": 5000, "metadata": 5}, "metadata"),
        ({"amount_sats": 5000, "metadata": {"text": "x" * 9_990}}, "metadata"),
        ([], "body"),
    ],
)
async def test_a_wrong_field_is_named(ask, body, field) -> None:
    status, problem = await ask("POST", _invoices(ask), body)
    assert status == 422, problem
    assert problem["errors"][0]["field"] == field


async def test_a_body_that_is_no_json_is_refused(ask) -> None:
    status, problem = await ask("POST", _invoices(ask))
    assert (status, problem["type"]) == (400, "urn:dovetail:problem:malformed")


async def test_a_key_tells_when_it_was_used(ask) -> None:
    await ask("GET", "/api/v1/stores")
    _, (key, *_) = await ask("GET", "/api/v1/keys")
    assert key["last_used_at"] >= key["created_at"]


async def test_without_a_key_nothing_is_told(ask) -> None:
    for secret in ("dvt_unknown", "x" * 500):
        status, problem = await ask("GET", "/api/v1/stores", secret=secret)
        assert (status, problem["type"]) == (401, "urn:dovetail:problem:unauthorized")


async def test_a_key_does_what_its_scopes_allow(ask) -> None:
    reading = ask.key(Scope.INVOICES_READ)
    status, problem = await ask("POST", _invoices(ask), {"amount_sats": 5000}, secret=reading)
    assert (status, problem["type"]) == (403, "urn:dovetail:problem:forbidden")
    assert Scope.INVOICES_CREATE in problem["detail"]


async def test_another_stores_invoice_looks_as_if_it_did_not_exist(ask) -> None:
    _, made = await ask("POST", _invoices(ask), {"amount_sats": 5000})
    other = ask.key(*Scope, store_ids=[ask.till.store.wallet_id])
    told = await ask("GET", f"/api/v1/invoices/{made['id']}", secret=other)
    unknown = await ask("GET", f"/api/v1/invoices/{ask.till.store.id}", secret=other)
    assert told[0] == unknown[0] == 404
    assert told[1]["detail"] == unknown[1]["detail"]
    assert (await ask("GET", "/api/v1/invoices", secret=other))[1]["items"] == []


async def test_a_mark_and_a_close_request_are_told(ask) -> None:
    _, made = await ask("POST", _invoices(ask), {"amount_sats": 5000})
    path = f"/api/v1/invoices/{made['id']}"
    assert (await ask("POST", f"{path}/mark", {"settled": True}))[1]["status"] == "settled"
    status, closed = await ask("POST", f"{path}/close")
    assert (status, closed["result"]) == (202, "no-session")
    _, events = await ask("GET", f"{path}/events")
    assert [each["type"] for each in events] == ["invoice.created", "invoice.settled"]
    _, trail = await ask("GET", "/api/v1/audit")
    assert [each["what"] for each in trail["items"]][:2] == ["invoice.close", "invoice.mark"]
    assert trail["items"][1]["detail"] == {"settled": True}
    assert (await ask("GET", f"{path}/session"))[1]["payjoin"]["offered"] is False
    assert (await ask("GET", f"{path}/payments"))[1] == []


async def test_every_other_path_and_method_is_a_problem(ask) -> None:
    for method, path, wanted in (
        ("GET", "/api/v1/nothing", 404),
        ("PUT", "/api/v1/stores", 405),
        ("GET", "/api/v1/invoices/x", 404),
        ("GET", "/api/v1/invoices?limit=0", 422),
        ("GET", "/api/v1/invoices?cursor=x", 422),
    ):
        status, problem = await ask(method, path)
        assert (status, problem["status"]) == (wanted, wanted), (path, problem)


async def test_webhooks_and_keys_are_managed(ask) -> None:
    store = f"/api/v1/stores/{ask.till.store.id}"
    status, hook = await ask("POST", f"{store}/webhooks", {"url": "https://shop.example/hook"})
    assert status == 201
    assert hook["secret"].startswith("whsec_")
    _, listed = await ask("GET", f"{store}/webhooks")
    assert listed[0]["id"] == hook["id"]
    assert listed[0].get("secret") is None
    await ask("POST", _invoices(ask), {"amount_sats": 5000})
    _, page = await ask("GET", f"/api/v1/webhooks/{hook['id']}/deliveries")
    assert [(each["status"], each["sequence"]) for each in page["items"]] == [("pending", 1)]
    status, key = await ask("POST", "/api/v1/keys", {"name": "till", "scopes": ["invoices:read"]})
    assert status == 201
    assert (await ask("GET", "/api/v1/invoices", secret=key["secret"]))[0] == 200
    assert (await ask("DELETE", f"/api/v1/keys/{key['id']}"))[0] == 200
    assert (await ask("GET", "/api/v1/invoices", secret=key["secret"]))[0] == 401
    _, trail = await ask("GET", "/api/v1/audit")
    assert {each["what"] for each in trail["items"]} >= {"key.create", "key.revoke"}


async def test_the_trail_tells_what_was_changed(ask) -> None:
    store = f"/api/v1/stores/{ask.till.store.id}"
    _, hook = await ask("POST", f"{store}/webhooks", {"url": "https://shop.example/hook"})
    await ask("PATCH", store, {"name": "Books"})
    await ask(
        "PATCH", f"/api/v1/webhooks/{hook['id']}", {"url": "https://a.example/x", "active": True}
    )
    _, trail = await ask("GET", "/api/v1/audit")
    told = {each["what"]: each["detail"] for each in trail["items"]}
    assert told["store.change"] == {"name": "Books"}
    assert told["webhook.change"] == {"changed": ["active", "url"]}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("store_id=null", "store_id"),
        ("store_id=", "store_id"),
        ("store=x", "store"),
        ("limit=5&limit=6", "limit"),
        ("limit=1e1", "limit"),
        ("limit=5.0", "limit"),
        ("limit=%D9%A5", "limit"),
        ("status=new&status=null", "status"),
        ("order_id=", "order_id"),
        ("order_id=%00", "order_id"),
        ("order_id=a%0A", "order_id"),
        ("=x", "query"),
    ],
)
async def test_a_wrong_parameter_is_named_and_never_ignored(ask, query, field) -> None:
    status, problem = await ask("GET", f"/api/v1/invoices?{query}")
    assert (status, problem["errors"][0]["field"]) == (422, field), problem


async def test_a_query_that_is_no_utf_8_is_malformed(ask) -> None:
    for query in ("order_id=%ff", "order_id=%ED%A0%80", "&".join(["status=new"] * 101)):
        status, problem = await ask("GET", f"/api/v1/invoices?{query}")
        assert (status, problem["type"]) == (400, "urn:dovetail:problem:malformed"), query


async def test_filters_choose_invoices(ask) -> None:
    await ask("POST", _invoices(ask), {"amount_sats": 5000, "order_id": "null"})
    _, other = await ask("POST", _invoices(ask), {"amount_sats": 6000, "order_id": "B 2"})
    await ask("POST", f"/api/v1/invoices/{other['id']}/mark", {"settled": True})
    for query, amounts in (
        ("order_id=null", [5000]),
        ("order_id=B+2", [6000]),
        ("order_id=B%202&limit=200", [6000]),
        ("status=settled", [6000]),
        ("status=settled&status=new", [6000, 5000]),
        (f"store_id={ask.till.store.id}&created_from=0", [6000, 5000]),
        ("created_before=0", []),
    ):
        status, page = await ask("GET", f"/api/v1/invoices?{query}")
        assert (status, [each["amount_sats"] for each in page["items"]]) == (200, amounts), query


@pytest.mark.parametrize(
    "url",
    [
        "https://[",
        "http://shop.example:65536/",
        "http://user:pass@shop.example/",
        "http:///hook",
        "https://shop.example/a b",
    ],
)
async def test_a_url_that_leads_nowhere_is_refused(ask, url) -> None:
    status, problem = await ask(
        "POST", f"/api/v1/stores/{ask.till.store.id}/webhooks", {"url": url}
    )
    assert (status, problem["errors"][0]["field"]) == (422, "url")
    body = {"amount_sats": 5000, "redirect_url": url}
    status, problem = await ask("POST", _invoices(ask), body)
    assert (status, problem["errors"][0]["field"]) == (422, "redirect_url")


async def test_the_document_is_openapi_3_1(ask) -> None:
    status, document = await ask("GET", "/api/v1/openapi.json")
    assert status == 200
    assert document["openapi"].startswith("3.1")
