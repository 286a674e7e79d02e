"""Routes about stores, coins, webhooks, keys and the audit trail."""

from typing import Any
from uuid import UUID

import msgspec
from litestar import Router, delete, get, patch, post
from litestar.params import FromPath, JSONBody
from sqlalchemy import Connection

from dovetail.errors import ConfigurationError
from dovetail.merchant import messages
from dovetail.merchant.api import views
from dovetail.merchant.api.caller import scoped
from dovetail.merchant.api.problems import Kind, Refused, invalid, not_found
from dovetail.merchant.api.routes.common import (
    ApiRequest,
    Cursor,
    Limit,
    caller,
    page_of,
    parse_cursor,
    parts_of,
    visible_store,
)
from dovetail.merchant.data import api_keys, audit, coins, deliveries, stores, wallets, webhooks
from dovetail.merchant.data.api_keys import KeyRow
from dovetail.merchant.data.audit import AuditRow
from dovetail.merchant.data.deliveries import DeliveryRow
from dovetail.merchant.data.events import event
from dovetail.merchant.data.invoices import PAGE
from dovetail.merchant.data.webhooks import EndpointRow
from dovetail.merchant.messages import Scope


@get("/stores", guards=[scoped(Scope.STORES_READ)])
async def list_stores(request: ApiRequest) -> list[messages.StoreView]:
    """List the stores that the key sees."""
    seen = caller(request).store_ids
    found = await parts_of(request).database.aread(stores.all_stores)
    return [views.store(row) for row in found if seen is None or row.id in seen]


@post("/stores", guards=[scoped(Scope.STORES_WRITE)])
async def create_store(
    request: ApiRequest, data: JSONBody[messages.NewStore]
) -> messages.StoreView:
    """Create a store on a wallet that exists."""
    if caller(request).store_ids is not None:
        raise Refused(Kind.FORBIDDEN, "This key is limited to stores: use one that is not.")
    parts = parts_of(request)

    def write(connection: Connection) -> stores.StoreRow:
        if wallets.wallet(connection, data.wallet_id) is None:
            raise ConfigurationError("`wallet_id` names no wallet of this shop; correct it.")
        row = stores.add_store(
            connection,
            wallet_id=data.wallet_id,
            name=data.name,
            policy=data.policy,
            now=parts.clock(),
        )
        _note(connection, request, "store.create", row.id, store_id=row.id)
        return row

    return views.store(await parts.database.awrite(write))


@get("/stores/{store_id:uuid}", guards=[scoped(Scope.STORES_READ)])
async def get_store(request: ApiRequest, store_id: FromPath[UUID]) -> messages.StoreView:
    """Show a store."""
    return views.store(await visible_store(request, store_id))


@patch("/stores/{store_id:uuid}", guards=[scoped(Scope.STORES_WRITE)])
async def change_store(
    request: ApiRequest, store_id: FromPath[UUID], data: JSONBody[messages.StoreChange]
) -> messages.StoreView:
    """Change the policy of a store, for new invoices."""
    await visible_store(request, store_id)

    def write(connection: Connection) -> None:
        if data.policy is not None:
            stores.change_policy(connection, store_id, data.policy)
        if data.name is not None:
            stores.rename(connection, store_id, data.name)
        _note(connection, request, "store.change", store_id, store_id=store_id, detail=_given(data))

    await parts_of(request).database.awrite(write)
    return views.store(await visible_store(request, store_id))


@get("/stores/{store_id:uuid}/coins", guards=[scoped(Scope.COINS_READ)])
async def list_coins(request: ApiRequest, store_id: FromPath[UUID]) -> list[messages.Coin]:
    """List the hot coins of a store's wallet that no block spends."""
    row = await visible_store(request, store_id)
    found = await parts_of(request).database.aread(lambda c: coins.coins_of(c, row.wallet_id))
    return [views.coin(each) for each in found if not each.absent]


@get("/stores/{store_id:uuid}/webhooks", guards=[scoped(Scope.WEBHOOKS_READ)])
async def list_webhooks(
    request: ApiRequest, store_id: FromPath[UUID]
) -> list[messages.WebhookEndpoint]:
    """List the webhook endpoints of a store."""
    await visible_store(request, store_id)
    found = await parts_of(request).database.aread(lambda c: webhooks.endpoints_of(c, store_id))
    return [_endpoint(row) for row in found]


@post("/stores/{store_id:uuid}/webhooks", guards=[scoped(Scope.WEBHOOKS_WRITE)])
async def create_webhook(
    request: ApiRequest, store_id: FromPath[UUID], data: JSONBody[messages.NewWebhook]
) -> messages.WebhookEndpoint:
    """Add a webhook endpoint; its secret is told in this answer alone."""
    await visible_store(request, store_id)
    parts, secret = parts_of(request), webhooks.new_secret()

    def write(connection: Connection) -> EndpointRow:
        row = webhooks.add_endpoint(
            connection,
            store_id=store_id,
            url=data.url,
            secret=secret,
            kinds=data.kinds,
            now=parts.clock(),
        )
        _note(connection, request, "webhook.create", row.id, store_id=store_id)
        return row

    return _endpoint(await parts.database.awrite(write), secret)


@patch("/webhooks/{webhook_id:uuid}", guards=[scoped(Scope.WEBHOOKS_WRITE)])
async def change_webhook(
    request: ApiRequest, webhook_id: FromPath[UUID], data: JSONBody[messages.WebhookChange]
) -> messages.WebhookEndpoint:
    """Switch an endpoint on or off, or give it another URL."""
    row = await _visible_webhook(request, webhook_id)

    def write(connection: Connection) -> None:
        active = row.active if data.active is None else data.active
        webhooks.set_endpoint(connection, webhook_id, active=active, url=data.url)
        _note(
            connection,
            request,
            "webhook.change",
            webhook_id,
            store_id=row.store_id,
            detail={"changed": sorted(_given(data))},
        )

    await parts_of(request).database.awrite(write)
    return _endpoint(await _visible_webhook(request, webhook_id))


@post("/webhooks/{webhook_id:uuid}/rotate", guards=[scoped(Scope.WEBHOOKS_WRITE)], status_code=200)
async def rotate_webhook(
    request: ApiRequest, webhook_id: FromPath[UUID]
) -> messages.WebhookEndpoint:
    """Give an endpoint a new secret; the present one signs beside it for a day."""
    row = await _visible_webhook(request, webhook_id)
    parts, secret = parts_of(request), webhooks.new_secret()

    def write(connection: Connection) -> None:
        webhooks.rotate(connection, webhook_id, secret, parts.clock())
        _note(connection, request, "webhook.rotate", webhook_id, store_id=row.store_id)

    await parts.database.awrite(write)
    return _endpoint(await _visible_webhook(request, webhook_id), secret)


@get("/webhooks/{webhook_id:uuid}/deliveries", guards=[scoped(Scope.WEBHOOKS_READ)])
async def list_deliveries(
    request: ApiRequest, webhook_id: FromPath[UUID], cursor: Cursor = None, limit: Limit = PAGE
) -> messages.Page[messages.Delivery]:
    """List the deliveries to an endpoint, the newest first."""
    await _visible_webhook(request, webhook_id)
    before = parse_cursor(cursor)

    def read(connection: Connection) -> list[tuple[DeliveryRow, int]]:
        found = deliveries.deliveries_of(connection, webhook_id, limit=limit + 1, before=before)
        return [(row, _sequence(connection, row)) for row in found]

    found = await parts_of(request).database.aread(read)
    return page_of(found, limit, lambda each: _delivery(*each), lambda each: each[0].id)


@post("/deliveries/{delivery_id:uuid}/resend", guards=[scoped(Scope.WEBHOOKS_WRITE)])
async def resend_delivery(request: ApiRequest, delivery_id: FromPath[UUID]) -> messages.Delivery:
    """Send the event of a delivery again, as a delivery of its own."""
    parts = parts_of(request)
    row = await parts.database.aread(lambda c: deliveries.delivery(c, delivery_id))
    if row is None:
        raise not_found()
    endpoint = await _visible_webhook(request, row.endpoint_id)

    def write(connection: Connection) -> tuple[DeliveryRow, int]:
        again = deliveries.resend(connection, row, parts.clock())
        _note(connection, request, "delivery.resend", delivery_id, store_id=endpoint.store_id)
        return again, _sequence(connection, again)

    return _delivery(*await parts.database.awrite(write))


@get("/keys", guards=[scoped(Scope.KEYS_READ)])
async def list_keys(request: ApiRequest) -> list[messages.ApiKey]:
    """List the keys that can do no more than this one."""
    found = await parts_of(request).database.aread(api_keys.all_keys)
    return [_key(row) for row in found if _is_within(request, row)]


@post("/keys", guards=[scoped(Scope.KEYS_WRITE)])
async def create_key(request: ApiRequest, data: JSONBody[messages.NewApiKey]) -> messages.ApiKey:
    """Make a key that can do no more than this one; its secret is told in this answer alone."""
    own = caller(request)
    if beyond := sorted(set(data.scopes) - own.scopes):
        raise Refused(
            Kind.FORBIDDEN, f"This key lacks the scope `{beyond[0]}`, so that no key of it has it."
        )
    if own.store_ids is not None and not own.store_ids >= (data.store_ids or {UUID(int=0)}):
        raise invalid("store_ids", "Name stores that this key sees.")
    parts = parts_of(request)

    def write(connection: Connection) -> tuple[KeyRow, str]:
        made = api_keys.add_key(
            connection,
            name=data.name,
            scopes=data.scopes,
            store_ids=data.store_ids,
            now=parts.clock(),
        )
        _note(connection, request, "key.create", made[0].id)
        return made

    row, secret = await parts.database.awrite(write)
    return _key(row, secret)


@delete("/keys/{key_id:uuid}", guards=[scoped(Scope.KEYS_WRITE)], status_code=200)
async def revoke_key(request: ApiRequest, key_id: FromPath[UUID]) -> messages.ApiKey:
    """Revoke a key, for good."""
    parts = parts_of(request)
    row = await parts.database.aread(lambda c: api_keys.key(c, key_id))
    if row is None or not _is_within(request, row):
        raise not_found()

    def write(connection: Connection) -> KeyRow:
        api_keys.revoke(connection, key_id, parts.clock())
        _note(connection, request, "key.revoke", key_id)
        return api_keys.key(connection, key_id) or row

    return _key(await parts.database.awrite(write))


@get("/audit", guards=[scoped(Scope.AUDIT_READ)])
async def list_audit(
    request: ApiRequest, cursor: Cursor = None, limit: Limit = PAGE
) -> messages.Page[messages.AuditEntry]:
    """List what people and keys did, the newest first."""
    before, seen = parse_cursor(cursor), caller(request).store_ids
    only = None if seen is None else tuple(seen)
    found = await parts_of(request).database.aread(
        lambda c: audit.page(c, limit=limit + 1, before=before, store_ids=only)
    )
    return page_of(found, limit, _entry, lambda row: row.id)


_STORES = (list_stores, create_store, get_store, change_store, list_coins)
_WEBHOOKS = (
    list_webhooks,
    create_webhook,
    change_webhook,
    rotate_webhook,
    list_deliveries,
    resend_delivery,
)
_KEYS = (list_keys, create_key, revoke_key, list_audit)

ROUTER = Router(
    "/",
    route_handlers=[
        Router("/", route_handlers=_STORES, tags=["stores"]),
        Router("/", route_handlers=_WEBHOOKS, tags=["webhooks"]),
        Router("/", route_handlers=_KEYS, tags=["keys"]),
    ],
)


def _note(
    connection: Connection,
    request: ApiRequest,
    what: str,
    subject: UUID,
    *,
    store_id: UUID | None = None,
    detail: dict[str, Any] | None = None,
) -> None:
    audit.add(
        connection,
        who=caller(request).who,
        what=what,
        subject=str(subject),
        store_id=store_id,
        now=parts_of(request).clock(),
        detail=detail,
    )


def _given(change: messages.StoreChange | messages.WebhookChange) -> dict[str, Any]:
    found = msgspec.to_builtins(change)
    return {name: value for name, value in found.items() if value is not None}


async def _visible_webhook(request: ApiRequest, webhook_id: UUID) -> EndpointRow:
    row = await parts_of(request).database.aread(lambda c: webhooks.endpoint(c, webhook_id))
    if row is None:
        raise not_found()
    caller(request).require_store(row.store_id)
    return row


def _is_within(request: ApiRequest, row: KeyRow) -> bool:
    """Whether a key can do no more than the caller's."""
    own = caller(request)
    return row.scopes <= own.scopes and (
        own.store_ids is None or (row.store_ids is not None and row.store_ids <= own.store_ids)
    )


def _sequence(connection: Connection, row: DeliveryRow) -> int:
    found = event(connection, row.event_id)
    return 0 if found is None else found.seq


def _endpoint(row: EndpointRow, secret: str | None = None) -> messages.WebhookEndpoint:
    return messages.WebhookEndpoint(
        id=row.id,
        store_id=row.store_id,
        url=row.url,
        kinds=row.kinds,
        active=row.active,
        created_at=int(row.created_at),
        secret=secret,
    )


def _delivery(row: DeliveryRow, sequence: int) -> messages.Delivery:
    return messages.Delivery(
        id=row.id,
        endpoint_id=row.endpoint_id,
        invoice_id=row.invoice_id,
        sequence=sequence,
        status=messages.DeliveryStatus(row.status),
        attempts=row.attempts,
        created_at=row.created_at,
        next_at=row.next_at,
        last_code=row.last_code,
        last_error=row.last_error,
    )


def _key(row: KeyRow, secret: str | None = None) -> messages.ApiKey:
    return messages.ApiKey(
        id=row.id,
        name=row.name,
        scopes=row.scopes,
        store_ids=row.store_ids,
        created_at=row.created_at,
        last_used_at=row.last_used_at,
        revoked_at=row.revoked_at,
        secret=secret,
    )


def _entry(row: AuditRow) -> messages.AuditEntry:
    shown: dict[str, Any] = row.detail
    return messages.AuditEntry(
        id=row.id, at=row.at, who=row.who, what=row.what, subject=row.subject, detail=shown
    )
