"""Routes about the server, the key that asks, and stores."""

from typing import Annotated
from uuid import UUID

from litestar import get
from litestar.params import FromPath, QueryParameter
from litestar.response import Redirect

from dovetail.merchant.api.caller import secret_of
from dovetail.merchant.api.routes.common import ApiRequest, caller, parts_of, visible_store
from dovetail.merchant.data import stores
from dovetail.merchant.greenfield import mapping, messages
from dovetail.merchant.greenfield.access import SCHEME, Permitted, permissions_of
from dovetail.merchant.messages import Scope
from dovetail.merchant.webhooks.btcpay_body import PAYMENT_METHOD

VERSION = "2.0.0"
"""The release of BTCPay Server whose API is spoken; plugins ask for at least some release."""


@get("/server/info", guards=[Permitted(None)])
async def server_info(request: ApiRequest) -> messages.ServerInfo:
    """Tell what the server is, and whether it can take payments now."""
    ready = await _is_ready(request)
    sync = messages.SyncStatus(payment_method_id=PAYMENT_METHOD, available=ready)
    return messages.ServerInfo(
        version=VERSION,
        supported_payment_methods=mapping.PAYMENT_METHODS,
        fully_synched=ready,
        sync_status=(sync,),
    )


@get("/health")
async def server_health(request: ApiRequest) -> dict[str, bool]:
    """Tell whether the server can take payments now; it needs no key."""
    return {"synchronized": await _is_ready(request)}


@get("/api-keys/current", guards=[Permitted(None)])
async def current_key(request: ApiRequest) -> messages.ApiKey:
    """Show the key that asks, and what it may do."""
    own = caller(request)
    return messages.ApiKey(
        api_key=secret_of(request, SCHEME) or "",
        label=own.name,
        permissions=permissions_of(own),
    )


@get("/stores", guards=[Permitted(Scope.STORES_READ)])
async def list_stores(request: ApiRequest) -> list[messages.Store]:
    """List the stores that the key sees."""
    seen = caller(request).store_ids
    found = await parts_of(request).database.aread(stores.all_stores)
    return [
        mapping.store(row)
        for row in found
        if row.archived_at is None and (seen is None or row.id in seen)
    ]


@get("/stores/{store_id:uuid}", guards=[Permitted(Scope.STORES_READ)])
async def get_store(request: ApiRequest, store_id: FromPath[UUID]) -> messages.Store:
    """Show a store."""
    return mapping.store(await visible_store(request, store_id))


@get("/stores/{store_id:uuid}/payment-methods", guards=[Permitted(Scope.STORES_READ)])
async def store_payment_methods(
    request: ApiRequest,
    store_id: FromPath[UUID],
    enabled: Annotated[bool | None, QueryParameter(required=False)] = None,
) -> list[messages.StorePaymentMethod]:
    """List how a store is paid: on the chain; its descriptor is never told."""
    await visible_store(request, store_id)
    if enabled is False:
        return []
    return [messages.StorePaymentMethod(payment_method_id=PAYMENT_METHOD)]


@get("/i/{invoice_id:uuid}")
async def checkout(invoice_id: FromPath[UUID]) -> Redirect:
    """Lead to the page of an invoice: plugins make its address of the server's URL."""
    return Redirect(f"/i/{invoice_id}")


ROUTES = (
    server_info,
    server_health,
    current_key,
    list_stores,
    get_store,
    store_payment_methods,
)


async def _is_ready(request: ApiRequest) -> bool:
    found = await request.app.state.health.findings()
    return bool(found.takes_requests)
