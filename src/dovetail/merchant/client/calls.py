"""What the shop's API is asked, without I/O: one function describes each operation.

Ids are UUIDs, and what a call needs of a key is told by the OpenAPI document of the shop.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Generic, TypeVar
from urllib.parse import quote
from uuid import UUID, uuid4

import msgspec

from dovetail.merchant import messages
from dovetail.merchant.invoices.invoice import InvoiceStatus
from dovetail.merchant.invoices.refunds import RefundStatus
from dovetail.merchant.messages.base import Page, Request

T = TypeVar("T")
PREFIX = "/api/v1"
JSON = "application/json"
EVENT_STREAM = "text/event-stream"
PAGE = 100
"""How many entries a page has if the caller names no other number."""

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, repr=False)
class Call(Generic[T]):
    """One request, and the type of its answer."""

    method: str
    path: str
    """Without the prefix of the API."""
    answer: type[T]
    query: Pairs = ()
    body: Request | None = None
    headers: Pairs = ()
    repeats: bool = False
    """Whether it may be sent again when it is unknown what came of it."""
    accepts: str = JSON

    def __repr__(self) -> str:
        return f"<Call {self.method} {self.path.partition('/claims/')[0] or '/claims/…'}>"

    @property
    def content(self) -> bytes | None:
        """The body as JSON."""
        return None if self.body is None else msgspec.json.encode(self.body)

    def at_page(self, cursor: str) -> "Call[T]":
        """The same for another page."""
        others = tuple(pair for pair in self.query if pair[0] != "cursor")
        return replace(self, query=(*others, ("cursor", cursor)))


def create_invoice(
    store_id: UUID, invoice: messages.NewInvoice, *, idempotency_key: str | None = None
) -> Call[messages.Invoice]:
    """Create an invoice.

    `idempotency_key` is 1 to 255 printable characters of your own, such as the id of the order: a
    second request with it gives the first one's invoice. Without one a new one is made, which holds
    for the repeated attempts of this call.
    """
    return Call(
        "POST",
        f"/stores/{store_id}/invoices",
        messages.Invoice,
        body=invoice,
        headers=(("idempotency-key", idempotency_key or str(uuid4())),),
        repeats=True,
    )


def list_invoices(
    *,
    store_id: UUID | None = None,
    status: Collection[InvoiceStatus] = (),
    order_id: str | None = None,
    created_from: int | None = None,
    created_before: int | None = None,
    cursor: str | None = None,
    limit: int = PAGE,
) -> Call[Page[messages.Invoice]]:
    """List invoices, the newest first: those that match all that is given.

    `created_from` and `created_before` are seconds since 1970; `cursor` is where the previous page
    ended, and `limit` the size of a page, 1 to 200.
    """
    query = _given(
        store_id=store_id,
        order_id=order_id,
        created_from=created_from,
        created_before=created_before,
        cursor=cursor,
        limit=limit,
    )
    wanted = tuple(("status", each.value) for each in status)
    return _get("/invoices", Page[messages.Invoice], query + wanted)


def get_invoice(invoice_id: UUID) -> Call[messages.Invoice]:
    """Show an invoice."""
    return _get(f"/invoices/{invoice_id}", messages.Invoice)


def list_payments(invoice_id: UUID) -> Call[list[messages.Payment]]:
    """List the payments of an invoice, the oldest first, also those that do not count."""
    return _get(f"/invoices/{invoice_id}/payments", list[messages.Payment])


def get_session(invoice_id: UUID) -> Call[messages.SessionView]:
    """Show the payjoin session of an invoice: its timeline, and the reason for no payjoin."""
    return _get(f"/invoices/{invoice_id}/session", messages.SessionView)


def close_invoice(invoice_id: UUID) -> Call[messages.CloseRequest]:
    """End the payjoin session of an invoice, after one more poll; what it holds is still paid."""
    return Call("POST", f"/invoices/{invoice_id}/close", messages.CloseRequest, repeats=True)


def mark_invoice(invoice_id: UUID, mark: messages.NewMark) -> Call[messages.Invoice]:
    """Decide by hand that an invoice is settled or invalid, whatever the chain shows."""
    return Call("POST", f"/invoices/{invoice_id}/mark", messages.Invoice, body=mark)


def list_events(invoice_id: UUID, *, after: int = 0) -> Call[list[messages.Event]]:
    """List the events of an invoice, those after number `after`."""
    return _get(f"/invoices/{invoice_id}/events", list[messages.Event], _given(after=after))


def stream_events(invoice_id: UUID, *, after: int = 0) -> Call[messages.Event]:
    """Follow the events of an invoice, those after number `after`."""
    return Call(
        "GET",
        f"/invoices/{invoice_id}/events/stream",
        messages.Event,
        headers=(("last-event-id", str(after)),),
        repeats=True,
        accepts=EVENT_STREAM,
    )


def create_refund(invoice_id: UUID, refund: messages.NewRefund) -> Call[messages.Refund]:
    """Make a refund; send its customer the claim link, whose secret is in this answer alone."""
    return Call("POST", f"/invoices/{invoice_id}/refunds", messages.Refund, body=refund)


def list_refunds(
    *,
    store_id: UUID | None = None,
    status: Collection[RefundStatus] = (),
    cursor: str | None = None,
    limit: int = PAGE,
) -> Call[Page[messages.Refund]]:
    """List refunds, the newest first: those that match all that is given.

    `cursor` is where the previous page ended, and `limit` the size of a page, 1 to 200.
    """
    query = _given(store_id=store_id, cursor=cursor, limit=limit)
    wanted = tuple(("status", each.value) for each in status)
    return _get("/refunds", Page[messages.Refund], query + wanted)


def list_refunds_of_invoice(invoice_id: UUID) -> Call[list[messages.Refund]]:
    """List the refunds of an invoice, the oldest first."""
    return _get(f"/invoices/{invoice_id}/refunds", list[messages.Refund])


def get_refund(refund_id: UUID) -> Call[messages.Refund]:
    """Show a refund with its steps."""
    return _get(f"/refunds/{refund_id}", messages.Refund)


def cancel_refund(refund_id: UUID) -> Call[messages.Refund]:
    """Take a refund back, before it is being paid."""
    return Call("POST", f"/refunds/{refund_id}/cancel", messages.Refund)


def approve_refund(refund_id: UUID) -> Call[messages.Refund]:
    """Approve a refund whose customer has given an address; the owner then approves its payment."""
    return Call("POST", f"/refunds/{refund_id}/approve", messages.Refund)


def decline_refund(refund_id: UUID) -> Call[messages.Refund]:
    """Decline a refund, before it is being paid."""
    return Call("POST", f"/refunds/{refund_id}/decline", messages.Refund)


def get_claim(token: str) -> Call[messages.Claim]:
    """Show a refund as its customer sees it; `token` is the secret of the claim link."""
    return _get(f"/claims/{quote(token, safe='')}", messages.Claim)


def give_claim_address(token: str, claim: messages.NewClaim) -> Call[messages.Claim]:
    """Give the address to which the refund is paid; it may be changed until the approval."""
    path = f"/claims/{quote(token, safe='')}"
    return Call("PUT", path, messages.Claim, body=claim, repeats=True)


def list_stores() -> Call[list[messages.StoreView]]:
    """List the stores that the key sees."""
    return _get("/stores", list[messages.StoreView])


def create_store(store: messages.NewStore) -> Call[messages.StoreView]:
    """Create a store on a wallet that exists."""
    return Call("POST", "/stores", messages.StoreView, body=store)


def get_store(store_id: UUID) -> Call[messages.StoreView]:
    """Show a store."""
    return _get(f"/stores/{store_id}", messages.StoreView)


def change_store(store_id: UUID, change: messages.StoreChange) -> Call[messages.StoreView]:
    """Change the name of a store, or its policy for new invoices."""
    return Call("PATCH", f"/stores/{store_id}", messages.StoreView, body=change)


def list_coins(store_id: UUID) -> Call[list[messages.Coin]]:
    """List the hot coins of a store's wallet that no block spends."""
    return _get(f"/stores/{store_id}/coins", list[messages.Coin])


def list_webhooks(store_id: UUID) -> Call[list[messages.WebhookEndpoint]]:
    """List the webhook endpoints of a store."""
    return _get(f"/stores/{store_id}/webhooks", list[messages.WebhookEndpoint])


def create_webhook(store_id: UUID, webhook: messages.NewWebhook) -> Call[messages.WebhookEndpoint]:
    """Add a webhook endpoint; keep its secret, which is told in this answer alone."""
    return Call("POST", f"/stores/{store_id}/webhooks", messages.WebhookEndpoint, body=webhook)


def change_webhook(
    webhook_id: UUID, change: messages.WebhookChange
) -> Call[messages.WebhookEndpoint]:
    """Switch an endpoint on or off, or give it another URL."""
    return Call("PATCH", f"/webhooks/{webhook_id}", messages.WebhookEndpoint, body=change)


def rotate_webhook(webhook_id: UUID) -> Call[messages.WebhookEndpoint]:
    """Give an endpoint a new secret; the present one signs beside it for a day."""
    return Call("POST", f"/webhooks/{webhook_id}/rotate", messages.WebhookEndpoint)


def list_deliveries(
    webhook_id: UUID, *, cursor: str | None = None, limit: int = PAGE
) -> Call[Page[messages.Delivery]]:
    """List the deliveries to an endpoint, the newest first, in pages of 1 to 200."""
    query = _given(cursor=cursor, limit=limit)
    return _get(f"/webhooks/{webhook_id}/deliveries", Page[messages.Delivery], query)


def resend_delivery(delivery_id: UUID) -> Call[messages.Delivery]:
    """Send the event of a delivery again, as a delivery of its own."""
    return Call("POST", f"/deliveries/{delivery_id}/resend", messages.Delivery)


def list_keys() -> Call[list[messages.ApiKey]]:
    """List the keys that can do no more than this one."""
    return _get("/keys", list[messages.ApiKey])


def create_key(key: messages.NewApiKey) -> Call[messages.ApiKey]:
    """Make a key that can do no more than this one; its secret is told in this answer alone."""
    return Call("POST", "/keys", messages.ApiKey, body=key)


def revoke_key(key_id: UUID) -> Call[messages.ApiKey]:
    """Revoke a key, for good."""
    return Call("DELETE", f"/keys/{key_id}", messages.ApiKey, repeats=True)


def list_audit(*, cursor: str | None = None, limit: int = PAGE) -> Call[Page[messages.AuditEntry]]:
    """List what people and keys did, the newest first, in pages of 1 to 200."""
    return _get("/audit", Page[messages.AuditEntry], _given(cursor=cursor, limit=limit))


def _get(path: str, answer: type[T], query: Pairs = ()) -> Call[T]:
    return Call("GET", path, answer, query=query, repeats=True)


def _given(**query: object) -> Pairs:
    return tuple((name, str(value)) for name, value in query.items() if value is not None)
