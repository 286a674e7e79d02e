"""Refunds and claims over a real port, on both databases."""

import json
from collections.abc import AsyncIterator
from types import SimpleNamespace

import httpcore2
import pytest
from tests.merchant import refunds as samples
from tests.merchant.signer.deals import SignersHouse
from tests.support.keys import Keys

from dovetail.bitcoin import UnixTime
from dovetail.merchant.api.limits import Limits, Rate
from dovetail.merchant.data import api_keys, refunds
from dovetail.merchant.data.ids import new_id
from dovetail.merchant.messages import Scope
from dovetail.merchant.server import serving
from dovetail.merchant.services.parts import Parts
from dovetail.serving.client_shares import Clients

CUSTOMER = str(samples.CUSTOMER)


class Asking:
    def __init__(self, url: str, parts: Parts, store, invoice) -> None:
        self.url, self.parts, self.store, self.invoice = url, parts, store, invoice
        self.secret = self.key(*Scope)

    def key(self, *scopes, store_ids=None) -> str:
        database = self.parts.database
        return database.write(
            lambda c: api_keys.add_key(
                c, name="test", scopes=scopes, store_ids=store_ids, now=database.now()
            )
        )[1]

    async def __call__(self, method, path, body=None, *, secret=None, anonymous=False):
        headers = {}
        if not anonymous:
            headers["authorization"] = f"Bearer {secret or self.secret}"
        content = None
        if body is not None:
            content = json.dumps(body).encode()
            headers["content-type"] = "application/json"
        async with httpcore2.AsyncConnectionPool() as pool:
            answer = await pool.request(
                method, f"{self.url}/api/v1{path}", headers=list(headers.items()), content=content
            )
        return answer.status, json.loads(answer.content)

    async def create(self, body=None):
        status, made = await self(
            "POST", f"/invoices/{self.invoice.id}/refunds", {} if body is None else body
        )
        assert status == 201, made
        return made

    async def claim(self, token, address=CUSTOMER):
        return await self("PUT", f"/claims/{token}", {"address": address}, anonymous=True)


@pytest.fixture
async def ask(database, clock, tmp_path) -> AsyncIterator[Asking]:
    house = SignersHouse(tmp_path / "signer")
    house.log.close()
    hot = house.keys.hot
    store = samples.add_store(database, hot)
    invoice = samples.credited(database, store, hot, 70_000)
    parts = samples.parts_of(database, SimpleNamespace(), None, clock)
    async with serving(parts, "127.0.0.1", 0) as url:
        yield Asking(url, parts, store, invoice)


async def test_a_refund_is_made_claimed_and_approved(ask) -> None:
    made = await ask.create({"reason": "broken"})
    assert (made["status"], made["amount_sats"], made["reason"]) == ("open", 20_000, "broken")
    token = made.pop("claim_token")
    status, shown = await ask("GET", f"/claims/{token}", anonymous=True)
    assert (status, shown) == (
        200,
        {
            "store": "Shop",
            "network": "regtest",
            "amount_sats": 20_000,
            "status": "open",
            "expires_at": made["expires_at"],
            "txid": None,
        },
    )
    status, claimed = await ask.claim(token)
    assert (status, claimed["status"]) == (200, "claimed")
    assert await ask.claim(token) == (200, claimed)  # one step, as the address is the same
    status, approved = await ask("POST", f"/refunds/{made['id']}/approve")
    assert (status, approved["status"], approved["address"]) == (200, "approved", CUSTOMER)
    assert approved["decided_by"].startswith("key ")
    status, found = await ask("GET", f"/refunds/{made['id']}")
    assert [each["step"] for each in found["steps"]] == ["create", "claim", "approve"]
    assert found["claim_token"] is None


async def test_a_claim_tells_nothing_of_the_invoice(ask) -> None:
    made = await ask.create({"reason": "a private reason"})
    await ask.claim(made["claim_token"])
    _, shown = await ask("GET", f"/claims/{made['claim_token']}", anonymous=True)
    told = json.dumps(shown)
    for secret in (str(ask.invoice.id), made["id"], "private", CUSTOMER, ask.invoice.address):
        assert secret not in told


async def test_a_refund_is_cancelled_and_declined(ask) -> None:
    for word, ending in (("cancel", "cancelled"), ("decline", "declined")):
        made = await ask.create()
        status, ended = await ask("POST", f"/refunds/{made['id']}/{word}")
        assert (status, ended["status"]) == (200, ending)
        status, problem = await ask.claim(made["claim_token"])
        assert (status, problem["type"]) == (409, "urn:dovetail:problem:conflict")
        status, problem = await ask("POST", f"/refunds/{made['id']}/approve")
        assert status == 409


async def test_a_refund_without_an_address_is_not_approved(ask) -> None:
    made = await ask.create()
    status, problem = await ask("POST", f"/refunds/{made['id']}/approve")
    assert (status, problem["type"]) == (409, "urn:dovetail:problem:conflict")
    assert "claim page" in problem["detail"]


async def test_no_more_is_refunded_than_was_paid(ask) -> None:
    path = f"/invoices/{ask.invoice.id}/refunds"
    status, problem = await ask("POST", path, {"amount_sats": 70_001})
    assert (status, problem["type"]) == (422, "urn:dovetail:problem:invalid")
    assert "Only 70,000 sats" in problem["detail"]
    assert (await ask("POST", path, {"amount_sats": 70_000}))[0] == 201
    assert (await ask("POST", path, {"amount_sats": 546}))[0] == 422


async def test_an_address_that_cannot_be_paid_is_refused(ask) -> None:
    made = await ask.create()
    for address in ("nonsense", ask.invoice.address, "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"):
        status, problem = await ask.claim(made["claim_token"], address)
        assert (status, problem["type"]) == (422, "urn:dovetail:problem:invalid"), address
        assert address not in problem["detail"]


async def test_refunds_are_listed(ask) -> None:
    first, second = await ask.create({"amount_sats": 1_000}), await ask.create()
    await ask.claim(second["claim_token"])
    status, page = await ask("GET", "/refunds?limit=1")
    assert (status, [each["id"] for each in page["items"]]) == (200, [second["id"]])
    _, page = await ask("GET", f"/refunds?limit=1&cursor={page['cursor']}")
    assert [each["id"] for each in page["items"]] == [first["id"]]
    _, page = await ask("GET", f"/refunds?status=claimed&store_id={ask.store.id}")
    assert [each["id"] for each in page["items"]] == [second["id"]]
    assert all(each["claim_token"] is None for each in page["items"])
    status, of_invoice = await ask("GET", f"/invoices/{ask.invoice.id}/refunds")
    assert [each["id"] for each in of_invoice] == [first["id"], second["id"]]


async def test_what_keeps_a_refund_from_being_paid_is_told(ask) -> None:
    made = await ask.create()
    database = ask.parts.database
    (row,) = database.read(refunds.page)
    database.write(lambda c: refunds.note(c, row, trouble="no-coins"))
    _, found = await ask("GET", f"/refunds/{made['id']}")
    assert found["trouble"] == "no-coins"
    assert "deposit address" in found["trouble_words"]


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("POST", "/invoices/{invoice}/refunds", Scope.REFUNDS_WRITE),
        ("GET", "/refunds", Scope.REFUNDS_READ),
        ("GET", "/refunds/{refund}", Scope.REFUNDS_READ),
        ("GET", "/invoices/{invoice}/refunds", Scope.REFUNDS_READ),
        ("POST", "/refunds/{refund}/cancel", Scope.REFUNDS_WRITE),
        ("POST", "/refunds/{refund}/approve", Scope.REFUNDS_APPROVE),
        ("POST", "/refunds/{refund}/decline", Scope.REFUNDS_APPROVE),
    ],
)
async def test_each_route_needs_its_scope(ask, method: str, path: str, scope: Scope) -> None:
    made = await ask.create()
    place = path.format(invoice=ask.invoice.id, refund=made["id"])
    body: dict[str, object] | None = {} if path.endswith("refunds") and method == "POST" else None
    others = ask.key(*(each for each in Scope if each is not scope))
    status, problem = await ask(method, place, body, secret=others)
    assert (status, problem["type"]) == (403, "urn:dovetail:problem:forbidden")
    assert f"`{scope}`" in problem["detail"]
    assert (await ask(method, place, body, anonymous=True))[0] == 401


async def test_a_key_sees_the_refunds_of_its_stores_alone(ask) -> None:
    made = await ask.create()
    other = ask.key(*Scope, store_ids=[new_id()])
    for method, path in (
        ("GET", f"/refunds/{made['id']}"),
        ("POST", f"/refunds/{made['id']}/approve"),
        ("GET", f"/refunds?store_id={ask.store.id}"),
        ("GET", f"/refunds/{new_id()}"),
    ):
        assert (await ask(method, path, secret=other))[0] == 404, path
    _, page = await ask("GET", "/refunds", secret=other)
    assert page["items"] == []


async def test_an_address_is_not_changed_without_end(ask, monkeypatch) -> None:
    monkeypatch.setattr("dovetail.merchant.services.refunds.MOST_STEPS", 3)
    token = (await ask.create())["claim_token"]
    keys = Keys("a customer who cannot decide")
    answers = [await ask.claim(token, str(keys.address(number))) for number in (1, 2, 3)]
    assert [status for status, _ in answers] == [200, 200, 409]
    assert answers[-1][1]["detail"].startswith("The address was changed too often")
    assert (await ask.claim(token, str(keys.address(2))))[0] == 200  # nothing new is asked for


async def test_a_strange_claim_is_refused(ask) -> None:
    made = await ask.create()
    token = made["claim_token"]
    for wrong in (f"{token}x", token[:-1], "x", made["id"]):
        status, problem = await ask("GET", f"/claims/{wrong}", anonymous=True)
        assert (status, problem["type"]) == (404, "urn:dovetail:problem:not-found")
        assert (await ask.claim(wrong))[0] == 404
    bodies: tuple[dict[str, object], ...] = (
        {},
        {"address": ""},
        {"address": 5},
        {"address": CUSTOMER, "amount_sats": 9},
    )
    for body in bodies:
        status, _ = await ask("PUT", f"/claims/{token}", body, anonymous=True)
        assert status == 422, body


async def test_guesses_at_links_use_up_the_requests_of_their_address(ask, monkeypatch) -> None:
    made = await ask.create()
    limits = Limits(address=Rate(burst=25, per_second=0.001), refusal_cost=10)
    monkeypatch.setattr(Clients, "of", lambda *_: "a network")  # this machine is not limited
    async with serving(ask.parts, "127.0.0.1", 0, limits=limits) as url:
        ask.url = url
        answers = [(await ask("GET", f"/claims/{n}", anonymous=True))[0] for n in range(4)]
        assert answers == [404, 404, 404, 429]
        assert (await ask("GET", f"/claims/{made['claim_token']}", anonymous=True))[0] == 429


async def test_a_link_that_has_run_out_says_so(ask, clock) -> None:
    made = await ask.create({"expires_in": 3600})
    clock.now = UnixTime(made["expires_at"])
    _, shown = await ask("GET", f"/claims/{made['claim_token']}", anonymous=True)
    assert shown["status"] == "expired"
    status, problem = await ask.claim(made["claim_token"])
    assert (status, "a new refund" in problem["detail"]) == (409, True)
