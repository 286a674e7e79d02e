"""Each operation of the API has one call, and the call is what the OpenAPI document says."""

import inspect
import re
import typing
from typing import Any
from uuid import UUID, uuid4

import pytest
from litestar import Litestar, Router

from dovetail.merchant import messages
from dovetail.merchant.api import openapi
from dovetail.merchant.api.app import ROUTERS
from dovetail.merchant.client import AsyncShop, Shop, calls
from dovetail.merchant.client.calls import PREFIX, Call
from dovetail.merchant.invoices.invoice import InvoiceStatus

DOCUMENT = openapi.document(
    Litestar([Router(PREFIX, route_handlers=list(ROUTERS))], openapi_config=None)
)
OPERATIONS = {
    operation["operationId"]: (method, path, operation)
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
}
GIVEN = {
    "status": (InvoiceStatus.NEW,),
    "order_id": "A 1",
    "created_from": 1,
    "created_before": 2,
    "cursor": "c",
    "limit": 3,
    "after": 4,
    "idempotency_key": "k",
    "token": "t",
}
BODIES = {
    messages.NewRefund: messages.NewRefund(amount_sats=1),
    messages.NewClaim: messages.NewClaim(address="a"),
    messages.NewInvoice: messages.NewInvoice(amount_sats=1),
    messages.NewMark: messages.NewMark(settled=True),
    messages.NewStore: messages.NewStore(name="S", wallet_id=uuid4()),
    messages.StoreChange: messages.StoreChange(name="T"),
    messages.NewWebhook: messages.NewWebhook(url="https://shop.example"),
    messages.WebhookChange: messages.WebhookChange(active=False),
    messages.NewApiKey: messages.NewApiKey(name="K", scopes=frozenset(messages.Scope)),
}


def _made(name: str) -> tuple[Call[Any], dict[str, UUID]]:
    """The call of an operation, with all that it can be given, and the ids in its path."""
    describe = getattr(calls, name)
    hints = typing.get_type_hints(describe)
    ids: dict[str, UUID] = {}
    given: dict[str, Any] = {}
    for each in inspect.signature(describe).parameters:
        if hints[each] in BODIES:
            given[each] = BODIES[hints[each]]
        elif each in GIVEN:
            given[each] = GIVEN[each]
        else:
            given[each] = ids[each] = uuid4()
    return describe(**given), ids


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_operation_has_a_call_that_is_as_the_document_says(name) -> None:
    method, path, operation = OPERATIONS[name]
    call, ids = _made(name)
    assert call.method == method.upper()
    pattern = re.escape(PREFIX) + re.sub(r"\{\w+\}", "([^/]+)", path.removeprefix(PREFIX))
    found = re.fullmatch(pattern, PREFIX + call.path)
    assert found is not None
    in_path = [each["name"] for each in operation.get("parameters", ()) if each["in"] == "path"]
    assert list(found.groups()) == [str(ids.get(each, GIVEN.get(each))) for each in in_path]
    queried = {each["name"] for each in operation.get("parameters", ()) if each["in"] == "query"}
    assert {each for each, _ in call.query} == queried
    headers = {
        each["name"].lower() for each in operation.get("parameters", ()) if each["in"] == "header"
    }
    assert {each for each, _ in call.headers} == headers


@pytest.mark.parametrize("name", OPERATIONS)
def test_bodies_and_answers_are_of_the_same_types(name) -> None:
    _, _, operation = OPERATIONS[name]
    call, _ = _made(name)
    success = next(each for status, each in operation["responses"].items() if status < "300")
    (kind,) = success["content"]
    assert kind == call.accepts
    if kind == calls.JSON:
        assert success["content"][kind]["schema"] == _schema(call.answer)
    body = operation.get("requestBody")
    assert (body is None) == (call.body is None)
    if body is not None:
        assert body["content"]["application/json"]["schema"] == _schema(type(call.body))


def _schema(kind: Any) -> dict[str, Any]:
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is list:
        return {"type": "array", "items": _schema(args[0])}
    name = f"{args[0].__name__}Page" if origin is messages.Page else kind.__name__
    return {"$ref": f"#/components/schemas/{name}"}


@pytest.mark.parametrize("kind", [Shop, AsyncShop])
def test_both_clients_have_a_method_for_each_operation(kind) -> None:
    for name in OPERATIONS:
        method = getattr(kind, "events" if name == "stream_events" else name)
        assert method.__doc__, name


def test_only_what_may_be_done_twice_is_repeated() -> None:
    repeated = {name for name in OPERATIONS if _made(name)[0].repeats}
    reading = {name for name, (method, _, _) in OPERATIONS.items() if method == "get"}
    assert repeated == {
        *reading,
        *("create_invoice", "close_invoice", "revoke_key", "give_claim_address"),
    }


def test_a_call_without_an_idempotency_key_draws_one() -> None:
    given = [
        dict(calls.create_invoice(uuid4(), messages.NewInvoice(amount_sats=1)).headers)
        for _ in range(2)
    ]
    assert given[0]["idempotency-key"] != given[1]["idempotency-key"]


def test_a_call_shows_no_body() -> None:
    told = repr(calls.create_invoice(uuid4(), messages.NewInvoice(amount_sats=1, label="Secret")))
    assert "Secret" not in told
    assert "POST /stores/" in told
    assert "secret" not in repr(calls.get_claim("secret"))
