"""Request bodies, checked strictly: a number is no text, and an unknown field is a mistake."""

import msgspec
from litestar.handlers import BaseRouteHandler

from dovetail.merchant.api.problems import of_body


def require_body(handler: BaseRouteHandler, body: bytes) -> None:
    """Raise `Refused` unless the body is as the route's type says; the field is named.

    Litestar itself takes `"5000"` for a number and `1` for a truth.
    """
    field = handler.parsed_data_field
    if field is None:
        return
    try:
        msgspec.json.decode(body, type=field.annotation)
    except msgspec.MsgspecError as error:
        raise of_body(error) from None
