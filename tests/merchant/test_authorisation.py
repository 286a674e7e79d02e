"""Who may ask what: every route of the server, asked by keys of other stores and by nobody.

A route that is added is asked too. It needs an entry here only if it is open to everybody, or if
its body has to say something.
"""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from litestar import Litestar
from litestar.routes import HTTPRoute
from sqlalchemy import Connection
from tests.merchant.api.raw_http import Told, ask
from tests.merchant.quiet import quiet_parts
from tests.merchant.served import ServedTill, open_served

from dovetail.bitcoin import Sats, UnixTime
from dovetail.merchant import dashboard, greenfield, pages
from dovetail.merchant.api import make_app
from dovetail.merchant.api.limits import Limits
from dovetail.merchant.dashboard.access import Needs
from dovetail.merchant.data import api_keys, deliveries, invoices, refunds, stores, webhooks
from dovetail.merchant.data.database import Database
from dovetail.merchant.messages import NewInvoice, Scope, StorePolicy
from dovetail.merchant.services.health import Health

API, GREENFIELD = "/api/v1", "/greenfield/api/v1"
OPEN = {
    ("GET", f"{API}/openapi.json"),
    ("GET", f"{API}/claims/{{token}}"),
    ("PUT", f"{API}/claims/{{token}}"),
    ("GET", f"{GREENFIELD}/health"),
}
"""What needs no key: it tells nothing of a shop, or its path has a secret."""

PAGES = {
    "/i/{invoice_id}",
    "/i/{invoice_id}/state",
    "/i/{invoice_id}/stream",
    "/claims/{token}",
    "/assets/{name}",
    "/greenfield/i/{invoice_id}",
    "/pos/{token}",
    "/modal/btcpay.js",
    "/greenfield/modal/btcpay.js",
}
"""What customers see, who have no key but the address of their page."""

DASHBOARD = ("/dashboard", "/api-keys/authorize", "/greenfield/api-keys/authorize")
SIGN_IN = {
    "/dashboard/sign-in",
    "/dashboard/sign-in/code",
    "/dashboard/sign-in/passkey",
    "/dashboard/sign-in/passkey/options",
}
OWN = {("DELETE", f"{GREENFIELD}/api-keys/current")}
"""What is about nothing but the key that asks."""

NAMES = {"payment_method_id": "BTC-CHAIN"}
"""Parts of paths that are the same in every store."""

ORDER = ("GET", "POST", "PUT", "PATCH", "DELETE")
EVERYTHING = {"url": "https://a.example", "authorizedEvents": {"everything": True}}
BODIES: dict[tuple[str, str], Any] = {
    ("PATCH", f"{API}/stores/{{store_id}}"): {"name": "Books"},
    ("POST", f"{API}/stores/{{store_id}}/invoices"): {"amount_sats": 5_000},
    ("POST", f"{API}/stores/{{store_id}}/webhooks"): {"url": "https://a.example"},
    ("POST", f"{API}/invoices/{{invoice_id}}/mark"): {"settled": True},
    ("POST", f"{GREENFIELD}/stores/{{store_id}}/invoices"): {"amount": "0.0005"},
    ("POST", f"{GREENFIELD}/stores/{{store_id}}/webhooks"): EVERYTHING,
    ("PUT", f"{GREENFIELD}/stores/{{store_id}}/webhooks/{{webhook_id}}"): EVERYTHING,
    ("POST", f"{GREENFIELD}/stores/{{store_id}}/pull-payments"): {
        "name": "Order 1",
        "amount": "0.0001",
        "currency": "BTC",
    },
}
"""Bodies that a key of the store could send; the others send an empty object."""


def routes(app: Litestar) -> list[tuple[str, str]]:
    """Each method and path, and what destroys something last."""
    found = [
        (method, route.path_format)
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for method in route.methods - {"OPTIONS", "HEAD"}
    ]
    return sorted(found, key=lambda each: (ORDER.index(each[0]), each[1]))


def whole_app(database: Any) -> Litestar:
    async def make() -> Litestar:
        async with quiet_parts(database) as parts:
            health = Health(parts)
            mounts = pages.mount(Limits()), dashboard.mount(parts, health), greenfield.mount()
            door: Any = make_app(parts, mounts=mounts)
            found: Litestar = door._app
            return found

    return asyncio.run(make())


@dataclass
class House:
    """A served shop with two stores; the first one has one of each thing."""

    served: ServedTill
    routes: list[tuple[str, str]]
    ids: dict[str, dict[str, str]]
    """The ids of the first store's things, by interface."""
    other: UUID

    def key(self, *store_ids: UUID) -> str:
        return self.served.key(*Scope, store_ids=list(store_ids) or None)

    def ask(self, method: str, path: str, secret: str | None, **instead: Any) -> Told:
        """Ask for the things of the first store."""
        scheme = "token" if path.startswith(GREENFIELD) else "Bearer"
        ids = self.ids[GREENFIELD if path.startswith(GREENFIELD) else API]
        body = BODIES.get((method, path), {})
        if path == f"{API}/keys":
            body = {"name": "k", "scopes": ["invoices:read"], "store_ids": [ids["store_id"]]}
        if (method, path) == ("POST", f"{API}/stores"):
            body = {"name": "Mine", "wallet_id": str(self.served.till.store.wallet_id)}
        more: dict[str, Any] = {} if secret is None else {"authorization": f"{scheme} {secret}"}
        if method != "GET":
            more |= {"body": json.dumps(body).encode()}
        told = ask(self.served.url, method, path.format(**NAMES | ids | instead), **more)
        return asyncio.run(told)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    with Database.open(folder / "routes.db") as empty:
        known = routes(whole_app(empty))
    with open_served(folder, str(folder / "shop" / "shop.db")) as served:
        ids, other = furnished(served)
        yield House(served, known, ids, other)


def furnished(served: ServedTill) -> tuple[dict[str, dict[str, str]], UUID]:
    """Put one of each thing into the store, and make another store on the same wallet."""
    database, store = served.till.parts.database, served.till.store
    now = database.now()

    def hooks(connection: Connection) -> tuple[UUID, UUID]:
        made = [
            webhooks.add_endpoint(
                connection,
                store_id=store.id,
                url="https://a.example",
                secret="x" * 20,
                kinds=None,
                now=now,
                form=form,
            )
            for form in (None, webhooks.GREENFIELD)
        ]
        return made[0].id, made[1].id

    plain, plugin = database.write(hooks)
    asked = NewInvoice(amount_sats=50_000, order_id="1")
    row = served.run(served.till.invoices.create(store.id, asked))

    def rest(connection: Connection) -> dict[str, str]:
        found = invoices.invoice(connection, row.id)
        assert found is not None
        refund, token = refunds.add_refund(
            connection,
            found,
            amount=Sats(1_000),
            reason=None,
            expires_at=UnixTime(now + 86_400),
            by="x",
            now=now,
        )
        key, _ = api_keys.add_key(
            connection, name="k", scopes=[Scope.INVOICES_READ], store_ids=[store.id], now=now
        )
        added = stores.add_store(
            connection, wallet_id=store.wallet_id, name="Other", policy=StorePolicy(), now=now
        )
        told = [
            deliveries.deliveries_of(connection, each, limit=1)[0].id for each in (plain, plugin)
        ]
        return {
            "store_id": str(store.id),
            "invoice_id": str(row.id),
            "refund_id": str(refund.id),
            "key_id": str(key.id),
            "token": token,
            "other": str(added.id),
            "plain": str(told[0]),
            "plugin": str(told[1]),
        }

    ids = database.write(rest)
    other = UUID(ids.pop("other"))
    each = {API: (plain, ids.pop("plain")), GREENFIELD: (plugin, ids.pop("plugin"))}
    found = {
        name: ids | {"webhook_id": str(hook), "delivery_id": delivery}
        for name, (hook, delivery) in each.items()
    }
    return found, other


def things(house: House, path: str) -> set[str]:
    """What a path names beside a store."""
    return {each for each in house.ids[API] if f"{{{each}}}" in path} - {"store_id"}


def guarded(house: House) -> Iterator[tuple[str, str]]:
    """The routes of both interfaces for programs that need a key."""
    for each in house.routes:
        if each[1].startswith((API, GREENFIELD)) and each not in OPEN | OWN:
            yield each


def test_every_route_is_one_of_an_interface(house: House) -> None:
    """Nothing is served that no test knows."""
    known = (API, GREENFIELD, *DASHBOARD)
    assert {path for _, path in house.routes if not path.startswith(known)} == PAGES
    assert set(house.routes) >= OPEN
    assert BODIES.keys() <= set(house.routes)


def test_every_page_of_the_dashboard_needs_a_user(tmp_path) -> None:
    with Database.open(tmp_path / "shop.db") as database:
        app = whole_app(database)
    found = {
        path: [*(handler.guards or ())]
        for route in app.routes
        if isinstance(route, HTTPRoute) and (path := route.path_format).startswith(DASHBOARD)
        for handler in route.route_handlers
        if "OPTIONS" not in handler.http_methods
    }
    open_to_all = {path for path, guards in found.items() if not has_needs(guards)}
    assert open_to_all == SIGN_IN


def has_needs(guards: list[Any]) -> bool:
    return any(isinstance(each, Needs) for each in guards)


def test_without_a_key_every_route_is_closed(house: House) -> None:
    for method, path in guarded(house):
        for secret in (None, "dvt_wrong"):
            assert house.ask(method, path, secret).status == 401, (method, path)


def test_a_key_of_another_store_sees_and_does_nothing_of_this_one(house: House) -> None:
    """Also not where it names its own store in the path, and a thing of this one."""
    theirs, mine = house.key(house.other), house.ids[API]
    secrets = {each for ids in house.ids.values() for each in ids.values()}
    for method, path in guarded(house):
        told = house.ask(method, path, theirs)
        if "{" in path:
            assert told.status == 404, (method, path, told.status)
        else:
            assert told.status in (200, 403, 422), (method, path, told.status)
        if told.status == 200:
            assert not [each for each in secrets if each in told.body.decode()], (method, path)
        if "{store_id}/" in path and things(house, path):
            own = house.ask(method, path, theirs, store_id=str(house.other))
            assert own.status == 404, (method, path, own.status)
    shown = house.ask("GET", f"{API}/invoices/{{invoice_id}}", house.key(UUID(mine["store_id"])))
    assert (shown.status, shown.json["status"]) == (200, "new")


def test_a_thing_is_found_under_its_own_store_alone(house: House) -> None:
    """Also for a key that sees both stores."""
    everything = house.key()
    for method, path in guarded(house):
        if "{store_id}/" in path and things(house, path):
            told = house.ask(method, path, everything, store_id=str(house.other))
            assert told.status == 404, (method, path, told.status)


def test_what_another_store_has_looks_like_what_nobody_has(house: House) -> None:
    theirs, nothing = house.key(house.other), str(UUID(int=7))
    for method, path in guarded(house):
        names = {each for each in house.ids[API] if f"{{{each}}}" in path}
        if not names:
            continue
        there, none = (
            house.ask(method, path, theirs, **more) for more in ({}, dict.fromkeys(names, nothing))
        )
        assert there.status == none.status, (method, path)
        assert without_id(there) == without_id(none), (method, path)


def without_id(told: Told) -> Any:
    return {name: each for name, each in told.json.items() if name != "request_id"}


def test_a_key_of_the_store_gets_through_everywhere(house: House) -> None:
    """So that the refusals above are those of another store. It destroys things: it is the last."""
    mine = house.key(UUID(house.ids[API]["store_id"]))
    for method, path in guarded(house):
        told = house.ask(method, path, mine)
        alone = (method, path) == ("POST", f"{API}/stores")
        assert (told.status in (401, 403, 404)) is alone, (method, path, told)
