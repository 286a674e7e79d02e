"""Refusals in the shape of the Greenfield API: a list of wrong fields, or a code and a message."""

from typing import Any, TypeVar

import msgspec

from dovetail.merchant.api.mounts import refused_with
from dovetail.merchant.api.problems import Kind, Refused, invalid, of_body
from dovetail.merchant.greenfield.messages import Problem, ValidationError
from dovetail.merchant.messages import FieldError
from dovetail.serving.asgi import Scope
from dovetail.serving.responses import Response

T = TypeVar("T")

MEDIA_TYPE = "application/json"

_CODES = {Kind.UNAUTHORIZED: "unauthenticated", Kind.FORBIDDEN: "missing-permission"}


def refusal(_: Scope, refused: Refused) -> Response:
    """The answer to a request that is refused."""
    return refused_with(refused, MEDIA_TYPE, _body(refused))


def asked(body: bytes, wanted: type[T]) -> T:
    """Return a request's body; raises `Refused`, which names the field."""
    try:
        return msgspec.json.decode(body, type=wanted)
    except msgspec.MsgspecError as error:
        raise of_body(error) from None


def converted(
    values: dict[str, Any], wanted: type[T], paths: dict[str, str], *, strict: bool = True
) -> T:
    """Return a message of these values; a refusal names the field by its path here."""
    try:
        return msgspec.convert(values, wanted, strict=strict)
    except msgspec.ValidationError as error:
        (found,) = of_body(error).errors
        raise invalid(paths.get(found.field, found.field), found.message) from None


def _body(refused: Refused) -> bytes:
    if refused.kind is not Kind.INVALID:
        code = _CODES.get(refused.kind, refused.kind.value)
        return msgspec.json.encode(Problem(code=code, message=refused.detail))
    found = refused.errors or (FieldError(field="", message=refused.detail),)
    wrong = [ValidationError(path=each.field, message=each.message) for each in found]
    return msgspec.json.encode(wrong)
