"""Routes about the webhook endpoints that hear of events in BTCPay Server's words."""

import secrets
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Response, delete, get, post, put
from litestar.enums import MediaType
from litestar.params import FromPath, QueryParameter
from sqlalchemy import Connection

from dovetail.merchant import messages as ours
from dovetail.merchant.api.problems import invalid, not_found
from dovetail.merchant.api.routes.common import ApiRequest, parts_of, visible_store
from dovetail.merchant.data import deliveries, events, record, webhooks
from dovetail.merchant.data.deliveries import DeliveryRow
from dovetail.merchant.data.webhooks import GREENFIELD, EndpointRow
from dovetail.merchant.greenfield import mapping, messages
from dovetail.merchant.greenfield.access import Permitted
from dovetail.merchant.greenfield.common import body_of, note
from dovetail.merchant.greenfield.errors import asked, converted
from dovetail.merchant.invoices import btcpay
from dovetail.merchant.messages import Scope
from dovetail.merchant.webhooks import btcpay_body

LEAST_SECRET = 16
"""Characters of a secret: who guesses it can tell a shop that an order is paid."""

_SECRET_BYTES = 32
_LATEST = 50
_OF_STORE = "/stores/{store_id:uuid}/webhooks"
_OF_WEBHOOK = _OF_STORE + "/{webhook_id:uuid}"
_OF_DELIVERY = _OF_WEBHOOK + "/deliveries/{delivery_id:uuid}"
_GUARDS: Any = [Permitted(Scope.WEBHOOKS_WRITE)]


@get(_OF_STORE, guards=_GUARDS)
async def list_webhooks(request: ApiRequest, store_id: FromPath[UUID]) -> list[messages.Webhook]:
    """List the endpoints of a store that were made here."""
    await visible_store(request, store_id)
    found = await parts_of(request).database.aread(lambda c: webhooks.endpoints_of(c, store_id))
    return [mapping.webhook(row) for row in found if row.form == GREENFIELD]


@post(_OF_STORE, guards=_GUARDS, status_code=200)
async def create_webhook(request: ApiRequest, store_id: FromPath[UUID]) -> messages.Webhook:
    """Add an endpoint; its secret is told in this answer alone."""
    await visible_store(request, store_id)
    given = _given(request)
    parts, secret = parts_of(request), given.secret or secrets.token_urlsafe(_SECRET_BYTES)

    def write(connection: Connection) -> EndpointRow:
        row = webhooks.add_endpoint(
            connection,
            store_id=store_id,
            url=given.url,
            secret=secret,
            kinds=_kinds(given.authorized_events),
            now=parts.clock(),
            form=GREENFIELD,
        )
        if not given.enabled:
            webhooks.set_endpoint(connection, row.id, active=False)
        note(connection, request, "webhook.create", row.id, store_id=store_id)
        return webhooks.endpoint(connection, row.id) or row

    return mapping.webhook(await parts.database.awrite(write), secret)


@get(_OF_WEBHOOK, guards=_GUARDS)
async def get_webhook(
    request: ApiRequest, store_id: FromPath[UUID], webhook_id: FromPath[UUID]
) -> messages.Webhook:
    """Show an endpoint."""
    return mapping.webhook(await _webhook(request, store_id, webhook_id))


@put(_OF_WEBHOOK, guards=_GUARDS)
async def update_webhook(
    request: ApiRequest, store_id: FromPath[UUID], webhook_id: FromPath[UUID]
) -> messages.Webhook:
    """Let an endpoint be as it is told from now on; without a secret it keeps the present one."""
    await _webhook(request, store_id, webhook_id)
    given = _given(request)

    def write(connection: Connection) -> None:
        webhooks.set_endpoint(connection, webhook_id, active=given.enabled, url=given.url)
        kinds = _kinds(given.authorized_events)
        webhooks.set_wanted(connection, webhook_id, kinds=kinds, secret=given.secret)
        note(connection, request, "webhook.change", webhook_id, store_id=store_id)

    await parts_of(request).database.awrite(write)
    return mapping.webhook(await _webhook(request, store_id, webhook_id))


@delete(_OF_WEBHOOK, guards=_GUARDS, status_code=200)
async def delete_webhook(
    request: ApiRequest, store_id: FromPath[UUID], webhook_id: FromPath[UUID]
) -> None:
    """Remove an endpoint, for good; what waits for it is not sent."""
    await _webhook(request, store_id, webhook_id)
    parts = parts_of(request)

    def write(connection: Connection) -> None:
        webhooks.remove(connection, webhook_id, parts.clock())
        note(connection, request, "webhook.remove", webhook_id, store_id=store_id)

    await parts.database.awrite(write)


@get(_OF_WEBHOOK + "/deliveries", guards=_GUARDS)
async def list_deliveries(
    request: ApiRequest,
    store_id: FromPath[UUID],
    webhook_id: FromPath[UUID],
    count: Annotated[int, QueryParameter(ge=1, le=200, required=False)] = _LATEST,
) -> list[messages.Delivery]:
    """List the latest deliveries to an endpoint, the newest first."""
    await _webhook(request, store_id, webhook_id)
    found = await parts_of(request).database.aread(
        lambda c: deliveries.deliveries_of(c, webhook_id, limit=count)
    )
    return [mapping.delivery(row) for row in found]


@get(_OF_DELIVERY, guards=_GUARDS)
async def get_delivery(
    request: ApiRequest,
    store_id: FromPath[UUID],
    webhook_id: FromPath[UUID],
    delivery_id: FromPath[UUID],
) -> messages.Delivery:
    """Show a delivery."""
    await _webhook(request, store_id, webhook_id)
    return mapping.delivery(await _delivery(request, webhook_id, delivery_id))


@get(_OF_DELIVERY + "/request", guards=_GUARDS)
async def get_delivery_request(
    request: ApiRequest,
    store_id: FromPath[UUID],
    webhook_id: FromPath[UUID],
    delivery_id: FromPath[UUID],
) -> Response[bytes]:
    """Show the body of a delivery."""
    await _webhook(request, store_id, webhook_id)
    row = await _delivery(request, webhook_id, delivery_id)
    parts = parts_of(request)

    def read(connection: Connection) -> bytes:
        told = events.event(connection, row.event_id)
        if told is None:
            raise not_found()
        known = record.load(connection, row.invoice_id)
        return btcpay_body.body_of(row, told, known, parts.clock())

    return Response(await parts.database.aread(read), media_type=MediaType.JSON)


@post(_OF_DELIVERY + "/redeliver", guards=_GUARDS, status_code=200)
async def redeliver(
    request: ApiRequest,
    store_id: FromPath[UUID],
    webhook_id: FromPath[UUID],
    delivery_id: FromPath[UUID],
) -> Response[bytes]:
    """Send the event of a delivery again; the answer is the id of the new delivery."""
    await _webhook(request, store_id, webhook_id)
    row = await _delivery(request, webhook_id, delivery_id)
    parts = parts_of(request)

    def write(connection: Connection) -> DeliveryRow:
        note(connection, request, "delivery.resend", delivery_id, store_id=store_id)
        return deliveries.resend(connection, row, parts.clock())

    again = await parts.database.awrite(write)
    return Response(msgspec.json.encode(str(again.id)), media_type=MediaType.JSON)


ROUTES = (
    list_webhooks,
    create_webhook,
    get_webhook,
    update_webhook,
    delete_webhook,
    list_deliveries,
    get_delivery,
    get_delivery_request,
    redeliver,
)


def _given(request: ApiRequest) -> messages.NewWebhook:
    """The endpoint that is asked for; raises `Refused`."""
    given = asked(body_of(request), messages.NewWebhook)
    converted({"url": given.url}, ours.NewWebhook, {})
    if given.secret is not None and len(given.secret) < LEAST_SECRET:
        raise invalid(
            "secret", f"Give at least {LEAST_SECRET} characters, or none: then one is made."
        )
    return given


def _kinds(wanted: messages.AuthorizedEvents) -> tuple[str, ...] | None:
    """The names of events, None: all; raises `Refused` for one that is never told."""
    if wanted.everything:
        return None
    unknown = [each for each in wanted.specific_events if each not in btcpay.EVENTS]
    if unknown or not wanted.specific_events:
        raise invalid(
            "authorizedEvents.specificEvents", f"Give some of {', '.join(btcpay.EVENTS)}."
        )
    return tuple(dict.fromkeys(wanted.specific_events))


async def _webhook(request: ApiRequest, store_id: UUID, webhook_id: UUID) -> EndpointRow:
    await visible_store(request, store_id)
    row = await parts_of(request).database.aread(lambda c: webhooks.endpoint(c, webhook_id))
    if row is None or row.store_id != store_id or row.form != GREENFIELD:
        raise not_found()
    return row


async def _delivery(request: ApiRequest, webhook_id: UUID, delivery_id: UUID) -> DeliveryRow:
    row = await parts_of(request).database.aread(lambda c: deliveries.delivery(c, delivery_id))
    if row is None or row.endpoint_id != webhook_id:
        raise not_found()
    return row
