"""The OpenAPI document: valid, the same each time, and as msgspec and the routes have it."""

import subprocess
import sys
from typing import Any

import msgspec
import pytest
from litestar import Litestar, Router, get
from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR

from dovetail.merchant import messages
from dovetail.merchant.api import openapi
from dovetail.merchant.api.app import ROUTERS
from dovetail.merchant.api.problems import MEDIA_TYPE, Kind
from dovetail.merchant.messages.base import Answer, Request

PROGRAM = """
import sys
import msgspec
from litestar import Litestar
from dovetail.merchant.api import openapi
from dovetail.merchant.api.app import ROUTERS
app = Litestar(list(ROUTERS), openapi_config=None)
sys.stdout.buffer.write(msgspec.json.encode(openapi.document(app)))
"""


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    app = Litestar([Router("/api/v1", route_handlers=list(ROUTERS))], openapi_config=None)
    return openapi.document(app)


def _operations(document) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]


def test_it_is_valid_openapi_3_1(document) -> None:
    OPENAPI_31_VALIDATOR.validate(document)


def test_it_is_the_same_in_each_process() -> None:
    told = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(told) == 1


def _as_shown(schema: Any) -> Any:
    """As JSON, without what is not refused: an entry that a set has twice."""
    return msgspec.json.decode(msgspec.json.encode(schema).replace(b',"uniqueItems":true', b""))


def _all(kind: type[Any]) -> list[type[Any]]:
    found = [kind]
    for each in kind.__subclasses__():
        found += _all(each)
    return [each for each in found if each.__module__.startswith("dovetail.merchant.messages")]


def test_each_message_is_as_msgspec_has_it(document) -> None:
    schemas = document["components"]["schemas"]
    known = {
        each.__name__: each
        for base in (Answer, Request)
        for each in _all(base)
        if each not in {Answer, Request, messages.Page}
    }
    assert set(known) >= {"Invoice", "NewInvoice", "Problem"}
    for name, kind in known.items():
        _, components = msgspec.json.schema_components(
            [kind], ref_template="#/components/schemas/{name}"
        )
        if name not in schemas:
            continue
        told, wanted = schemas[name], _as_shown(components[name])
        assert told["properties"] == wanted["properties"]
        assert told["required"] == wanted["required"]
        assert told.get("additionalProperties") == wanted.get("additionalProperties")


def test_a_page_has_the_name_of_its_entries(document) -> None:
    schemas = document["components"]["schemas"]
    pages = {name for name in schemas if "Page" in name}
    assert pages == {"InvoicePage", "RefundPage", "DeliveryPage", "AuditEntryPage"}
    assert schemas["InvoicePage"]["properties"]["items"]["items"] == {
        "$ref": "#/components/schemas/Invoice"
    }
    assert all(name.isalnum() for name in schemas)


def test_each_reference_leads_somewhere(document) -> None:
    for reference in set(_references(document)):
        here = document
        for part in reference.removeprefix("#/").split("/"):
            here = here[part]


def _references(entry: Any) -> list[str]:
    if isinstance(entry, dict):
        own = [entry["$ref"]] if isinstance(entry.get("$ref"), str) else []
        return own + [each for value in entry.values() for each in _references(value)]
    if isinstance(entry, list):
        return [each for value in entry for each in _references(value)]
    return []


def test_each_operation_has_a_name_a_tag_and_a_summary(document) -> None:
    operations = _operations(document)
    names = [each["operationId"] for _, _, each in operations]
    assert len(set(names)) == len(names) > 20
    for _, path, each in operations:
        assert len(each["tags"]) == 1, path
        assert each["summary"].endswith("."), path


def test_each_operation_tells_the_scope_that_its_key_needs(document) -> None:
    for _, path, each in _operations(document):
        scopes = [scope for need in each["security"] for scope in need["key"]]
        assert all(scope in set(messages.Scope) for scope in scopes), path
        assert len(scopes) == ("/claims/" not in path), path
        assert ("401" in each["responses"]) == bool(scopes), path


def test_each_operation_tells_what_it_refuses(document) -> None:
    for _, path, each in _operations(document):
        told = {int(status) for status in each["responses"]}
        assert told >= {400, 408, 413, 415, 422, 429, 500, 503}, path
        assert (404 in told) == ("{" in path), path
    create = document["paths"]["/api/v1/stores/{store_id}/invoices"]["post"]
    assert "409" in create["responses"]


def test_a_route_without_a_guard_needs_no_key() -> None:
    @get("/open")
    async def opened() -> messages.Coin:
        """Show something."""
        raise NotImplementedError

    told = openapi.document(Litestar([opened], openapi_config=None))["paths"]["/open"]["get"]
    assert told["security"] == []
    assert not {"401", "403"} & set(told["responses"])


def test_each_refusal_is_a_problem(document) -> None:
    refusals = document["components"]["responses"]
    for each in refusals.values():
        assert each["content"] == {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
        assert "X-Request-Id" in each["headers"]
    assert "WWW-Authenticate" in refusals["Unauthorized"]["headers"]
    assert "Retry-After" in refusals["RateLimited"]["headers"]
    told = {kind.status for kind in openapi.MEANINGS}
    assert {kind.status for kind in Kind} - told == {405}


def test_parameters_have_their_limits(document) -> None:
    given = document["paths"]["/api/v1/invoices"]["get"]["parameters"]
    known = {each["name"]: each for each in given}
    assert known["limit"]["schema"] == {
        "type": "integer",
        "minimum": 1,
        "maximum": 200,
        "default": 50,
    }
    assert known["created_from"]["schema"]["minimum"] == 0
    assert known["status"]["schema"]["items"]["$ref"].endswith("/InvoiceStatus")
    assert not any(each["required"] for each in given)
    create = document["paths"]["/api/v1/stores/{store_id}/invoices"]["post"]["parameters"]
    assert [(each["name"], each["in"]) for each in create] == [
        ("store_id", "path"),
        ("Idempotency-Key", "header"),
    ]


def test_a_stream_is_told_as_one(document) -> None:
    stream = document["paths"]["/api/v1/invoices/{invoice_id}/events/stream"]["get"]
    assert list(stream["responses"]["200"]["content"]) == ["text/event-stream"]
