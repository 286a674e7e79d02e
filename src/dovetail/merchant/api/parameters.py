"""The parameters of routes in path, query and headers, and the strict check of a query.

Litestar takes `null` for a parameter that was left away, the last of several values, and ignores
unknown names: then a list is longer than its caller asked for.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from types import NoneType
from typing import Annotated, Any, Literal, cast, get_args, get_origin
from urllib.parse import parse_qsl

import msgspec
from litestar.handlers import BaseRouteHandler
from litestar.params import HeaderParameter, ParameterKwarg, PathParameter
from litestar.typing import FieldDefinition

from dovetail.merchant.api.problems import Kind, Refused, invalid, shown

_LIMITS = ("gt", "ge", "lt", "le", "min_length", "max_length", "pattern")
_WHOLE = re.compile(r"[0-9]{1,18}", re.ASCII)
_MOST = 100
"""The most parameters of a query; a list gives one for each of its values."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a route."""

    name: str
    place: Literal["path", "query", "header"]
    type: Any
    """The type of its value with its limits, for msgspec; one that is left away is no null."""
    many: bool
    default: Any
    description: str | None


@lru_cache(maxsize=1024)
def parameters_of(handler: BaseRouteHandler) -> tuple[Parameter, ...]:
    """The parameters of a route, in the order of its function."""
    found = handler.parsed_fn_signature.parameters.values()
    return tuple(_parameter(each) for each in found if _is_parameter(each))


def require_query(handler: BaseRouteHandler, query: bytes) -> None:
    """Raise `Refused` unless the query has only known parameters, each once and as its type says.

    A parameter that is a list may come several times.
    """
    known = {each.name: each for each in parameters_of(handler) if each.place == "query"}
    given: dict[str, list[str]] = {}
    for name, value in pairs_of(query):
        if name not in known:
            raise invalid(shown(name) or "query", "This parameter is unknown; correct it.")
        given.setdefault(name, []).append(value)
    for name, values in given.items():
        _require(known[name], values)


def pairs_of(query: bytes) -> list[tuple[str, str]]:
    """Return the names and values of a query, in order; raises `Refused`."""
    try:
        return parse_qsl(
            query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MOST
        )
    except ValueError:
        raise Refused(
            Kind.MALFORMED, "The query is not as forms send it, in UTF-8 and ASCII; correct it."
        ) from None


def _require(wanted: Parameter, values: list[str]) -> None:
    if not wanted.many and len(values) > 1:
        raise invalid(wanted.name, "Give it once.")
    given: Any = values if wanted.many else values[0]
    if get_args(wanted.type)[0] is int and not _WHOLE.fullmatch(values[0]):
        raise invalid(wanted.name, "Give a whole number in decimal digits.")
    try:
        msgspec.convert(given, wanted.type, strict=False)
    except msgspec.ValidationError as error:
        raise invalid(wanted.name, f"{shown(str(error))}; correct it.") from None


def _is_parameter(given: FieldDefinition) -> bool:
    return isinstance(given.kwarg_definition, ParameterKwarg)


def _parameter(given: FieldDefinition) -> Parameter:
    told = cast("ParameterKwarg", given.kwarg_definition)
    (wanted, *_) = [each for each in get_args(given.annotation) if each is not NoneType] or [None]
    if not given.is_optional:
        wanted = given.annotation
    limits = {name: getattr(told, name) for name in _LIMITS}
    meta = msgspec.Meta(**{name: value for name, value in limits.items() if value is not None})
    return Parameter(
        name=told.name or given.name,
        place=_place(told),
        type=Annotated[wanted, meta],
        many=get_origin(wanted) is list,
        default=given.default if given.has_default else None,
        description=told.description,
    )


def _place(told: ParameterKwarg) -> Literal["path", "query", "header"]:
    if isinstance(told, PathParameter):
        return "path"
    return "header" if isinstance(told, HeaderParameter) else "query"
