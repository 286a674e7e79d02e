"""The API is asked what its own OpenAPI document allows and forbids, over a real port.

The cases are the same in each run. Operations are given ids that exist, and ids of nothing.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpcore2
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.specs.openapi import checks
from tests.merchant.served import ServedTill, open_served

from dovetail.bitcoin import UnixTime
from dovetail.merchant.data import invoices, refunds
from dovetail.merchant.messages import Scope

EXAMPLES = 12
CHECKS = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
]
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "QUERY")


def each_of(cases: st.SearchStrategy[Any], check: Callable[[Any], None], *, most: int) -> None:
    """Check cases, the same ones in each run."""

    @settings(
        max_examples=most,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases)
    def checked(case: Any) -> None:
        check(case)

    checked()


@dataclass
class World:
    """A served shop, with one of each thing that has an id."""

    served: ServedTill
    secret: str
    ids: dict[str, str]
    session: requests.Session
    schema: Any

    def operations(self) -> list[Any]:
        """Each operation but the event stream, which has no end."""
        found = [each.ok() for each in self.schema.get_all_operations()]
        return [each for each in found if not each.path.endswith("/stream")]

    def call(self, case: Any, secret: str | None) -> Any:
        headers = {"authorization": f"Bearer {secret}"} if secret else {}
        return case.call(
            base_url=self.served.url, headers=headers, session=self.session, timeout=20
        )


def _ask(url: str, secret: str, method: str, path: str, body: Any = None) -> Any:
    answer = httpcore2.request(
        method,
        f"{url}/api/v1{path}",
        headers=[("authorization", f"Bearer {secret}"), ("content-type", "application/json")],
        content=None if body is None else json.dumps(body).encode(),
    )
    assert answer.status < 300, answer.content
    return json.loads(answer.content)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def world(request, tmp_path_factory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("fuzz")
    place = str(folder / "shop" / "shop.db")
    if request.param == "postgresql":
        server = request.getfixturevalue("server")
        template = request.getfixturevalue("shop_template")
        with server.database(template=template) as place, open_served(folder, place) as served:
            yield _world(served)
        return
    with open_served(folder, place) as served:
        yield _world(served)


def _world(served: ServedTill) -> World:
    secret, store = served.key(), f"/stores/{served.store_id}"

    def ask(method: str, path: str, body: Any = None) -> Any:
        return _ask(served.url, secret, method, path, body)

    hook = ask("POST", f"{store}/webhooks", {"url": "https://shop.example/hook"})
    invoice = ask("POST", f"{store}/invoices", {"amount_sats": 5_000, "metadata": {"é": [None]}})
    (delivery,) = ask("GET", f"/webhooks/{hook['id']}/deliveries")["items"]
    key = ask("POST", "/keys", {"name": "spare", "scopes": ["audit:read"]})
    ids = {
        "store_id": str(served.store_id),
        "webhook_id": hook["id"],
        "invoice_id": invoice["id"],
        "delivery_id": delivery["id"],
        "key_id": key["id"],
        **_refund(served, UUID(invoice["id"])),
    }
    schema = schemathesis.openapi.from_dict(ask("GET", "/openapi.json"))
    schema.config.generation.update(with_security_parameters=False)  # the keys are ours
    return World(served, secret, ids, requests.Session(), schema)


def _refund(served: ServedTill, invoice_id: UUID) -> dict[str, str]:
    """A refund of the invoice, although nothing was paid, and the secret of its link."""
    database = served.till.parts.database

    def write(connection: Any) -> tuple[refunds.RefundRow, str]:
        row = invoices.invoice(connection, invoice_id)
        assert row is not None
        now = database.now()
        expires_at = UnixTime(now + 86_400)
        return refunds.add_refund(
            connection, row, amount=row.amount, reason=None, expires_at=expires_at, by="x", now=now
        )

    row, token = database.write(write)
    return {"refund_id": str(row.id), "token": token}


def _cases(world: World, operation: Any, mode: GenerationMode) -> st.SearchStrategy[Any]:
    """Cases of an operation, most of them with ids that exist."""
    some: st.SearchStrategy[Any] = operation.as_strategy(generation_mode=mode)
    names = {each.name for each in operation.path_parameters}
    if not names <= world.ids.keys():
        return some
    known = {name: world.ids[name] for name in names}
    return st.one_of(operation.as_strategy(generation_mode=mode, path_parameters=known), some)


def _make_possible(case: Any, world: World) -> None:
    """Meet some rules that a schema cannot tell, so that there are good answers too."""
    if not isinstance(case.body, dict):
        return
    if "wallet_id" in case.body:
        case.body["wallet_id"] = str(world.served.till.store.wallet_id)
    if case.body.get("amount_sats"):
        case.body.pop("price", None)
        case.body["amount_sats"] = max(case.body["amount_sats"], 1_000)


def _require_served(case: Any, answer: Any) -> None:
    """No failure, but where a price needs a rate, of which this shop has no source."""
    priced = isinstance(case.body, dict) and case.body.get("price") is not None
    assert answer.status_code < 500 or (answer.status_code == 503 and priced), answer.text


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
def test_every_answer_is_as_the_document_says(world, mode) -> None:
    more = [checks.negative_data_rejection] if mode is GenerationMode.NEGATIVE else []

    def ask(case: Any) -> None:
        if mode is GenerationMode.POSITIVE:
            _make_possible(case, world)
        answer = world.call(case, world.secret)
        _require_served(case, answer)
        case.validate_response(answer, checks=[*CHECKS, *more])

    faults: list[str] = []
    for operation in world.operations():
        try:
            with suppress(Unsatisfiable):  # nothing can be wrong where nothing is given
                each_of(_cases(world, operation, mode), ask, most=EXAMPLES)
        except BaseException as error:  # noqa: BLE001 - all operations are asked first
            faults.append(f"{operation.label}: {error}")
    assert not faults, "\n\n".join(faults)


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_may_not_learns_nothing(world, status) -> None:
    """A wrong key and one without the scope are refused before anything else is looked at."""
    secret = "dvt_wrong" if status == 401 else world.served.key(Scope.AUDIT_READ)

    def ask(case: Any) -> None:
        answer = world.call(case, secret)
        assert answer.status_code in {status, 404, 415}, answer.text
        case.validate_response(answer, checks=CHECKS)

    for operation in world.operations():
        needs = [each["key"] for each in operation.definition.raw["security"]]
        if needs and (status == 401 or needs != [[Scope.AUDIT_READ.value]]):
            each_of(
                st.one_of(*(_cases(world, operation, mode) for mode in GenerationMode)), ask, most=5
            )


def test_every_other_method_is_refused_and_the_right_ones_named(world) -> None:
    for path, item in world.schema.raw_schema["paths"].items():
        known = {each.upper() for each in item}
        here = world.served.url + path.format(**world.ids)
        headers = [("authorization", f"Bearer {world.secret}")]
        for method in (*METHODS, "OPTIONS"):
            if method in known:
                continue
            answer = httpcore2.request(method, here, headers=headers)
            told = {name.lower(): value for name, value in answer.headers}
            assert answer.status == (204 if method == "OPTIONS" else 405), (method, path)
            allowed = set(told[b"allow"].decode().replace(" ", "").split(","))
            assert allowed == {*known, "OPTIONS"}, (method, path)
