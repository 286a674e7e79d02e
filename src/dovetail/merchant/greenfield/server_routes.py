"""Routes about the server, the key that asks, and stores."""

from typing import Annotated
from uuid import UUID

from litestar import delete, get
from litestar.params import FromPath, QueryParameter
from litestar.response import Redirect
from sqlalchemy import Connection

from dovetail.merchant.api.caller import secret_of
from dovetail.merchant.api.problems import not_found
from dovetail.merchant.api.routes.common import ApiRequest, caller, parts_of, visible_store
from dovetail.merchant.data import api_keys, audit, stores
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
    return _key(request)


@delete("/api-keys/current", guards=[Permitted(None)], status_code=200)
async def revoke_key(request: ApiRequest) -> messages.ApiKey:
    """Revoke the key that asks, for good."""
    own, now = caller(request), parts_of(request).clock()

    def write(connection: Connection) -> None:
        api_keys.revoke(connection, own.id, now)
        audit.add(connection, who=own.who, what="key.revoke", subject=str(own.id), now=now)

    await parts_of(request).database.awrite(write)
    return _key(request)


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


@get(
    "/stores/{store_id:uuid}/payment-methods/{payment_method_id:str}",
    guards=[Permitted(Scope.STORES_READ)],
)
async def store_payment_method(
    request: ApiRequest, store_id: FromPath[UUID], payment_method_id: FromPath[str]
) -> messages.StorePaymentMethod | list[messages.StorePaymentMethod]:
    """Show a way in which a store is paid; software for earlier releases names kinds of ways."""
    await visible_store(request, store_id)
    shown = messages.StorePaymentMethod(payment_method_id=PAYMENT_METHOD)
    match payment_method_id.lower():
        case "onchain":
            return [shown]
        case "lightningnetwork":
            return []
        case _ if payment_method_id in mapping.SAME_METHOD:
            return shown
        case _:
            raise not_found()


@get("/i/{invoice_id:uuid}")
async def checkout(
    invoice_id: FromPath[UUID],
    view: Annotated[str | None, QueryParameter(required=False)] = None,
) -> Redirect:
    """Lead to the page of an invoice: plugins make its address of the server's URL."""
    query = "?view=modal" if view == "modal" else ""
    return Redirect(f"/i/{invoice_id}{query}")


ROUTES = (
    server_info,
    server_health,
    current_key,
    revoke_key,
    list_stores,
    get_store,
    store_payment_methods,
    store_payment_method,
)


def _key(request: ApiRequest) -> messages.ApiKey:
    own = caller(request)
    return messages.ApiKey(
        api_key=secret_of(request, SCHEME) or "",
        label=own.name,
        permissions=permissions_of(own),
    )


async def _is_ready(request: ApiRequest) -> bool:
    found = await request.app.state.health.findings()
    return bool(found.sees_payments)
