"""Where the Greenfield API is served: under a path of its own beside the shop's API (ADR 0065)."""

from litestar import Router

from dovetail.merchant.api.mounts import Mount
from dovetail.merchant.greenfield import (
    invoice_routes,
    refund_routes,
    server_routes,
    webhook_routes,
)
from dovetail.merchant.greenfield.errors import refusal

PATH = "/greenfield"
"""Give clients the server's URL with this path: they add `/api/v1/…` to it."""

ROUTES = (
    *server_routes.ROUTES,
    *invoice_routes.ROUTES,
    *webhook_routes.ROUTES,
    *refund_routes.ROUTES,
)

_API = Router("/api/v1", route_handlers=ROUTES)
_ROUTER = Router(PATH, route_handlers=[_API, server_routes.checkout], include_in_schema=False)


def mount() -> Mount:
    """The Greenfield API as a part of the shop's server; it is in no OpenAPI document of ours."""
    return Mount(
        router=_ROUTER,
        has=lambda path: path == PATH or path.startswith(f"{PATH}/"),
        refusal=refusal,
    )
