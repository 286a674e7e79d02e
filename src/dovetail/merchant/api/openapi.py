"""The API's OpenAPI 3.1 document, made of the routes and of the types of their messages.

The schemas are msgspec's own, which also reads and writes the messages. Litestar's document leaves
limits of 0 away, and names no refusal as it is answered here.
"""

import inspect
import re
from collections.abc import Iterable, Iterator, Sequence
from http import HTTPStatus
from importlib.metadata import version
from typing import Any, cast

import msgspec
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.response import ServerSentEvent
from litestar.routes import HTTPRoute

from dovetail.merchant import messages
from dovetail.merchant.api.caller import Scoped
from dovetail.merchant.api.parameters import Parameter, parameters_of
from dovetail.merchant.api.problems import MEDIA_TYPE, Kind

_REF = "#/components/schemas/{name}"
_PAGE = re.compile(r"Page_(\w+)_|Page\[(\w+)\]")
_UNIQUE = "uniqueItems"
"""It is left away: an entry that a set has twice counts once, and is not refused."""
_ALWAYS = (
    Kind.MALFORMED,
    Kind.UNAUTHORIZED,
    Kind.FORBIDDEN,
    Kind.TIMEOUT,
    Kind.TOO_LARGE,
    Kind.UNSUPPORTED_MEDIA_TYPE,
    Kind.MISDIRECTED,
    Kind.INVALID,
    Kind.RATE_LIMITED,
    Kind.INTERNAL,
    Kind.UNAVAILABLE,
)
MEANINGS = {
    Kind.MALFORMED: "The request is malformed, such as a body that is no JSON.",
    Kind.UNAUTHORIZED: "There is no key, or it is unknown or revoked.",
    Kind.FORBIDDEN: "The key lacks the scope, or is limited to stores.",
    Kind.NOT_FOUND: "Nothing has this id, or it belongs to a store that the key does not see.",
    Kind.TIMEOUT: "The request came too slowly.",
    Kind.CONFLICT: "It contradicts what was asked or done before.",
    Kind.TOO_LARGE: "The body is too large.",
    Kind.UNSUPPORTED_MEDIA_TYPE: "The body is not `application/json`.",
    Kind.MISDIRECTED: "The request names another host than the server's `public_url`.",
    Kind.INVALID: "A field or a parameter is wrong; `errors` names it.",
    Kind.RATE_LIMITED: "There are too many requests with this key or from this address.",
    Kind.INTERNAL: "The server failed; its log names the request id.",
    Kind.UNAVAILABLE: "Something that the server needs is away for a while.",
}
_BY_STATUS = {kind.status: kind for kind in MEANINGS}
_EVENTS = "Server-sent events. The `data` of each is an `Event` in JSON, its `id` the sequence."
_HEADERS: dict[str, Any] = {
    "RequestId": {
        "description": "The request's id, which the server's log names too.",
        "required": True,
        "schema": {"type": "string", "format": "uuid"},
    },
    "RetryAfter": {
        "description": "Seconds after which the request may be repeated.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    },
    "Challenge": {
        "description": "How a key is sent (RFC 6750).",
        "required": True,
        "schema": {"type": "string"},
    },
}
_OF_KIND = {
    Kind.UNAUTHORIZED: {"WWW-Authenticate": "Challenge"},
    Kind.RATE_LIMITED: {"Retry-After": "RetryAfter"},
    Kind.UNAVAILABLE: {"Retry-After": "RetryAfter"},
}


def may_refuse(*kinds: Kind) -> dict[int, ResponseSpec]:
    """The `responses` of a route that refuses in ways that its parameters do not show."""
    return {
        int(kind.status): ResponseSpec(messages.Problem, media_type=MEDIA_TYPE) for kind in kinds
    }


def document(app: Litestar) -> dict[str, Any]:
    """The document of all routes of `app` that belong in it; the same for the same routes."""
    found = [
        (route, method.lower(), handler)
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for method, (handler, _) in sorted(route.route_handler_map.items())
        if method != "OPTIONS" and handler.resolve_include_in_schema()
    ]
    schemas = _Schemas(each for _, _, handler in found for each in _types_of(handler))
    paths: dict[str, dict[str, Any]] = {}
    for route, method, handler in found:
        paths.setdefault(route.path_format, {})[method] = _operation(route, handler, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Dovetail merchant",
            "summary": "Invoices that are paid by payjoin where that can be.",
            "version": version("dovetail-payjoin"),
        },
        "servers": [{"url": "/"}],
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "schemas": schemas.components,
            "responses": {_name(kind): _refusal(kind) for kind in MEANINGS},
            "headers": _HEADERS,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


class _Schemas:
    """The schemas of types as msgspec tells them, under the names of the types."""

    def __init__(self, types: Iterable[Any]) -> None:
        known = [messages.Problem, messages.Event, *types]
        _, components = msgspec.json.schema_components(known, ref_template=_REF)
        self.components: dict[str, Any] = {
            _renamed(name): _plain(schema) for name, schema in sorted(components.items())
        }

    def of(self, wanted: Any) -> dict[str, Any]:
        """The schema of a type, which refers to its component."""
        (schema,), _ = msgspec.json.schema_components([wanted], ref_template=_REF)
        told: dict[str, Any] = _plain(schema)
        return told


def _types_of(handler: HTTPRouteHandler) -> Iterator[Any]:
    yield from (each.type for each in parameters_of(handler))
    if handler.parsed_data_field is not None:
        yield handler.parsed_data_field.annotation
    if handler.parsed_return_field.annotation is not ServerSentEvent:
        yield handler.parsed_return_field.annotation


def _operation(route: HTTPRoute, handler: HTTPRouteHandler, schemas: _Schemas) -> dict[str, Any]:
    summary, _, more = (inspect.getdoc(handler.fn) or "").partition("\n\n")
    told: dict[str, Any] = {
        "operationId": handler.handler_name,
        "tags": sorted(handler.resolve_tags()),
        "summary": summary.replace("\n", " "),
    }
    scope = _scope_of(handler)
    if scope is not None:
        more = f"{more}\n\nThe key needs the scope `{scope}`.".lstrip()
    told["security"] = [] if scope is None else [{"key": [scope.value]}]
    if more:
        told["description"] = more
    given = [_parameter(each, schemas) for each in parameters_of(handler)]
    if given:
        told["parameters"] = given
    body = handler.parsed_data_field
    if body is not None:
        told["requestBody"] = {"required": True, "content": _json(schemas.of(body.annotation))}
    told["responses"] = {str(handler.status_code): _success(handler, schemas)} | {
        str(int(kind.status)): {"$ref": f"#/components/responses/{_name(kind)}"}
        for kind in _refusals(route, handler)
    }
    return told


def _scope_of(handler: HTTPRouteHandler) -> messages.Scope | None:
    """The scope that a key needs; None: the route needs no key."""
    guards = cast("list[object]", handler.resolve_guards())  # pyright: ignore[reportUnknownMemberType]
    return next((each.scope for each in guards if isinstance(each, Scoped)), None)


def _refusals(route: HTTPRoute, handler: HTTPRouteHandler) -> list[Kind]:
    found = {*_ALWAYS, *(_BY_STATUS[HTTPStatus(each)] for each in handler.responses or ())}
    if route.path_parameters:
        found.add(Kind.NOT_FOUND)
    if _scope_of(handler) is None:
        found -= {Kind.UNAUTHORIZED, Kind.FORBIDDEN}
    return sorted(found, key=lambda kind: kind.status)


def _success(handler: HTTPRouteHandler, schemas: _Schemas) -> dict[str, Any]:
    answer = handler.parsed_return_field.annotation
    if answer is ServerSentEvent:
        content = {"text/event-stream": {"schema": {"type": "string", "description": _EVENTS}}}
    else:
        content = _json(schemas.of(answer))
    return {
        "description": _SUCCESSES[HTTPStatus(handler.status_code)],
        "headers": _headers("X-Request-Id", "RequestId"),
        "content": content,
    }


_SUCCESSES = {
    HTTPStatus.OK: "It is done, and this is what there is.",
    HTTPStatus.CREATED: "It is made.",
    HTTPStatus.ACCEPTED: "It is asked for, and will be done soon.",
}


def _refusal(kind: Kind) -> dict[str, Any]:
    headers = _headers("X-Request-Id", "RequestId")
    for name, component in _OF_KIND.get(kind, {}).items():
        headers |= _headers(name, component)
    return {
        "description": MEANINGS[kind],
        "headers": headers,
        "content": {MEDIA_TYPE: {"schema": {"$ref": _REF.format(name="Problem")}}},
    }


def _headers(name: str, component: str) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{component}"}}


def _parameter(given: Parameter, schemas: _Schemas) -> dict[str, Any]:
    schema = schemas.of(given.type)
    if given.default is not None:
        schema["default"] = given.default
    told = {
        "name": given.name,
        "in": given.place,
        "required": given.place == "path",
        "schema": schema,
    }
    return told | ({"description": given.description} if given.description else {})


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _name(kind: Kind) -> str:
    """The name of a refusal's component, such as `NotFound`."""
    return kind.value.title().replace("-", "")


def _renamed(name: str) -> str:
    """The name of a schema; a page of invoices is an `InvoicePage`."""
    return _PAGE.sub(lambda found: f"{found[1] or found[2]}Page", name)


def _plain(schema: Any) -> Any:
    """A schema whose texts are as people read them."""
    if isinstance(schema, dict):
        entries = cast("dict[str, Any]", schema)
        return {name: _text(name, each) for name, each in entries.items() if name != _UNIQUE}
    if isinstance(schema, list | tuple):
        return [_plain(each) for each in cast("Sequence[Any]", schema)]
    return schema


def _text(name: str, entry: Any) -> Any:
    if not isinstance(entry, str):
        return _plain(entry)
    if name == "description":
        return inspect.cleandoc(entry)
    return _renamed(entry) if name in {"$ref", "title"} else entry
