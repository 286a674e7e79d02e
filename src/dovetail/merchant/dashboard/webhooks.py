"""The pages of webhooks: the endpoints of the stores, and what was delivered to each."""

from typing import Any
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect
from sqlalchemy import Connection

from dovetail.bitcoin import UnixTime
from dovetail.merchant.api.problems import not_found
from dovetail.merchant.api.routes.common import ApiRequest, parts_of
from dovetail.merchant.dashboard import words
from dovetail.merchant.dashboard.access import PATH, Needs, form_of, visitor_of
from dovetail.merchant.dashboard.rendering import link, page
from dovetail.merchant.dashboard.search import uuid_of
from dovetail.merchant.data import audit, deliveries, events, stores
from dovetail.merchant.data import webhooks as rows
from dovetail.merchant.data.deliveries import DeliveryRow
from dovetail.merchant.data.invoices import PAGE
from dovetail.merchant.data.stores import StoreRow
from dovetail.merchant.data.webhooks import EndpointRow
from dovetail.merchant.messages import NewWebhook, Scope
from dovetail.merchant.pages.language import phrase

LIST = f"{PATH}/webhooks"
NO_URL = phrase("Give a URL that begins with https:// or http://, without a user and a password.")
NO_STORE = phrase("Choose a store.")


@get(LIST, guards=[Needs(Scope.WEBHOOKS_READ)])
async def list_webhooks(request: ApiRequest) -> Response[str]:
    """List the endpoints of all stores."""
    return await _listed(request)


@post(LIST, guards=[Needs(Scope.WEBHOOKS_WRITE)])
async def add_webhook(request: ApiRequest) -> Response[str]:
    """Add an endpoint, and show its secret in this answer alone."""
    form, parts = form_of(request), parts_of(request)
    try:
        wanted = msgspec.convert({"url": form.one("url")}, NewWebhook)
    except msgspec.ValidationError:
        return await _listed(request, error=NO_URL, url=form.one("url"))
    store_id = uuid_of(form.one("store"))
    secret, now = rows.new_secret(), parts.clock()

    def write(connection: Connection) -> EndpointRow | None:
        store = None if store_id is None else stores.store(connection, store_id)
        if store is None:
            return None
        made = rows.add_endpoint(
            connection, store_id=store.id, url=wanted.url, secret=secret, kinds=None, now=now
        )
        _note(connection, request, "webhook.create", made.id, store_id=store.id)
        return made

    made = await parts.database.awrite(write)
    if made is None:
        return await _listed(request, error=NO_STORE, url=wanted.url)
    return page(
        request,
        "secret.html",
        title=phrase("The webhook was made"),
        words=phrase("Give this secret to your shop's software, which checks signatures with it."),
        secret=secret,
        back=link("/webhooks"),
    )


@get(f"{LIST}/{{webhook_id:str}}", guards=[Needs(Scope.WEBHOOKS_READ)])
async def show_webhook(request: ApiRequest, webhook_id: FromPath[str]) -> Response[str]:
    """Show an endpoint and its deliveries, the newest first."""
    row, before = await _found(request, webhook_id), uuid_of(request.query_params.get("before"))

    def read(connection: Connection) -> list[tuple[DeliveryRow, str]]:
        found = deliveries.deliveries_of(connection, row.id, limit=PAGE + 1, before=before)
        return [(each, _kind(connection, each)) for each in found]

    found = await parts_of(request).database.aread(read)
    shown = found[:PAGE]
    last = str(shown[-1][0].id) if len(found) > PAGE else None
    return page(
        request,
        "webhook.html",
        row=row,
        deliveries=shown,
        words=words,
        first=link(f"/webhooks/{row.id}") if before else None,
        next=None if last is None else link(f"/webhooks/{row.id}", before=last),
    )


@post(f"{LIST}/{{webhook_id:str}}/switch", guards=[Needs(Scope.WEBHOOKS_WRITE)])
async def switch_webhook(request: ApiRequest, webhook_id: FromPath[str]) -> Redirect:
    """Switch an endpoint on or off."""
    row = await _found(request, webhook_id)
    active = form_of(request).one("active") == "on"

    def write(connection: Connection) -> None:
        rows.set_endpoint(connection, row.id, active=active)
        _note(connection, request, "webhook.change", row.id, store_id=row.store_id)

    await parts_of(request).database.awrite(write)
    return Redirect(f"{LIST}/{row.id}?done={'on' if active else 'off'}", status_code=303)


@post(f"{LIST}/{{webhook_id:str}}/resend", guards=[Needs(Scope.WEBHOOKS_WRITE)])
async def resend_delivery(request: ApiRequest, webhook_id: FromPath[str]) -> Redirect:
    """Send the event of a delivery again."""
    row, delivery_id = await _found(request, webhook_id), uuid_of(form_of(request).one("delivery"))
    now = parts_of(request).clock()

    def write(connection: Connection) -> bool:
        known = None if delivery_id is None else deliveries.delivery(connection, delivery_id)
        if known is None or known.endpoint_id != row.id:
            return False
        deliveries.resend(connection, known, UnixTime(now))
        _note(connection, request, "delivery.resend", known.id, store_id=row.store_id)
        return True

    if not await parts_of(request).database.awrite(write):
        raise not_found()
    return Redirect(f"{LIST}/{row.id}?done=resend", status_code=303)


HANDLERS = (list_webhooks, add_webhook, show_webhook, switch_webhook, resend_delivery)


async def _listed(request: ApiRequest, *, error: str | None = None, url: str = "") -> Response[str]:
    def read(connection: Connection) -> list[tuple[StoreRow, tuple[EndpointRow, ...]]]:
        known = stores.all_stores(connection)
        return [(each, rows.endpoints_of(connection, each.id)) for each in known]

    return page(
        request,
        "webhooks.html",
        status=200 if error is None else 422,
        stores=await parts_of(request).database.aread(read),
        error=error,
        url=url,
    )


async def _found(request: ApiRequest, text: str) -> EndpointRow:
    webhook_id, row = uuid_of(text), None
    if webhook_id is not None:
        row = await parts_of(request).database.aread(lambda c: rows.endpoint(c, webhook_id))
    if row is None:
        raise not_found()
    return row


def _kind(connection: Connection, row: DeliveryRow) -> str:
    found = events.event(connection, row.event_id)
    return "" if found is None else words.EVENTS.get(found.kind, found.kind)


def _note(
    connection: Connection, request: ApiRequest, what: str, subject: UUID, **more: Any
) -> None:
    audit.add(
        connection,
        who=visitor_of(request).who,
        what=what,
        subject=str(subject),
        now=parts_of(request).clock(),
        **more,
    )
