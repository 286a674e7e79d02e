"""The API as an ASGI application."""

from collections.abc import Sequence
from copy import copy
from functools import cache
from typing import Any, cast

from dovetail.extras import brought_by

with brought_by("merchant", "dovetail.merchant"):
    from litestar import Litestar, Response, Router, get
    from litestar.config.app import AppConfig
    from litestar.datastructures import State
    from litestar.enums import MediaType, ScopeType
    from litestar.routes import HTTPRoute
    from litestar.types import Message, Scope

import msgspec

from dovetail.merchant.api import openapi
from dovetail.merchant.api.caller import Keys
from dovetail.merchant.api.door import App, Door
from dovetail.merchant.api.event_feed import EventFeed
from dovetail.merchant.api.health import HealthPages
from dovetail.merchant.api.limits import Buckets, Limits
from dovetail.merchant.api.mounts import HANDLERS, MOUNTS, Mount, as_problem
from dovetail.merchant.api.routes import invoices, refunds, shop
from dovetail.merchant.api.routes.common import ApiRequest
from dovetail.merchant.api.site import Site
from dovetail.merchant.public_url import PublicUrl
from dovetail.merchant.services.health import Health
from dovetail.merchant.services.invoices import Invoices
from dovetail.merchant.services.metrics import Metrics
from dovetail.merchant.services.parts import Parts
from dovetail.serving.client_shares import Clients

PATH = "/api/v1"
ROUTERS = (invoices.ROUTER, refunds.ROUTER, shop.ROUTER)
"""All that can be asked for, and what is in the OpenAPI document."""


@get("/openapi.json", include_in_schema=False)
async def document(request: ApiRequest) -> Response[bytes]:
    """The OpenAPI document of this API, which needs no key."""
    return Response(request.app.state.document, media_type=MediaType.JSON)


_ROUTER = Router(PATH, route_handlers=[document, *ROUTERS])


def make_app(
    parts: Parts,
    *,
    limits: Limits | None = None,
    clients: Clients | None = None,
    public: PublicUrl | None = None,
    feed: EventFeed | None = None,
    health: Health | None = None,
    metrics: Metrics | None = None,
    mounts: Sequence[Mount] = (),
) -> Door:
    """The application over these parts, which stay open; `mounts` are served beside the API.

    `clients` says which addresses are the operator's own proxies, and `public` is where the shop is
    reached; None: by this machine alone. The caller closes the `feed` of
    event streams, and tells `health` when the server begins to stop.
    """
    limited = limits or Limits()
    addresses = Buckets(limited.address)
    healthy, site = health or Health(parts), Site(public)
    served = (*mounts, Mount(router=_ROUTER, has=lambda _: True, refusal=as_problem))
    routed = _routed(tuple(each.router for each in served), limited.body_bytes)
    api = copy(routed)  # with a state of its own
    api.state = State(
        {
            **routed.state.dict(),
            **{name: value for each in mounts for name, value in each.state.items()},
            MOUNTS: served,
            "parts": parts,
            "invoices": Invoices(parts),
            "feed": feed or EventFeed(parts.database, limited),
            "access": Keys(parts.database, limited, addresses),
            "embedded_by": limited.embedded_by,
            "site": site,
            "health": healthy,
        }
    )
    return Door(
        cast("App", api),
        limits=limited,
        addresses=addresses,
        clients=clients or Clients(),
        site=site,
        health=HealthPages(healthy),
        answered=None if metrics is None else metrics.answered,
        mounts=served,
    )


@cache
def _routed(routers: tuple[Router, ...], body_bytes: int) -> Litestar:
    """An application of these routes, which no shop has yet: making one takes long."""
    routed = Litestar(
        route_handlers=routers,
        exception_handlers=HANDLERS,
        openapi_config=None,
        logging_config=None,
        on_app_init=[_without_multipart],
        before_send=[_tell_methods],
        request_max_body_size=body_bytes,
    )
    routed.state.methods = {
        each.path_format: ", ".join(sorted(each.methods))
        for each in routed.routes
        if isinstance(each, HTTPRoute)
    }
    routed.state.document = msgspec.json.encode(openapi.document(routed))
    return routed


async def _tell_methods(message: Message, scope: Scope) -> None:
    """Tell all methods of a path; Litestar's answer to OPTIONS tells those of its first route."""
    if message["type"] != "http.response.start" or scope["type"] != ScopeType.HTTP:
        return
    path = cast("dict[str, Any]", scope).get("path_template")
    told = scope["litestar_app"].state.methods.get(path)
    if scope["method"] == "OPTIONS" and told is not None:
        others = [each for each in message["headers"] if each[0].lower() != b"allow"]
        message["headers"] = [*others, (b"allow", told.encode())]


def _without_multipart(config: AppConfig) -> AppConfig:
    config.multipart_form_part_limit = 0
    return config
