"""Messages about webhook endpoints and what was delivered to them."""

from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from msgspec import Meta

from dovetail.merchant.messages.base import END, Answer, Count, Request, Seconds, Url

Kind = Annotated[str, Meta(pattern=r"^(invoice|refund)\.[a-z_]{1,40}" + END)]
Kinds = Annotated[tuple[Kind, ...], Meta(min_length=1, max_length=20)]


class NewWebhook(Request, frozen=True, kw_only=True):
    """An endpoint that is to hear of a store's invoices."""

    url: Url
    kinds: Kinds | None = None
    """The types of events that it wants; None: all."""


class WebhookChange(Request, frozen=True, kw_only=True):
    """What is to change about an endpoint; what is left out stays."""

    url: Url | None = None
    active: bool | None = None


class WebhookEndpoint(Answer, frozen=True, kw_only=True):
    """An endpoint."""

    id: UUID
    store_id: UUID
    url: str
    kinds: tuple[str, ...] | None = None
    active: bool
    created_at: Seconds
    secret: str | None = None
    """The key of its signatures, as `whsec_…`; it is told only when it is made or rotated."""


class DeliveryStatus(StrEnum):
    """Where a delivery stands; the values are stable."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    GIVEN_UP = "given-up"
    CANCELLED = "cancelled"


class DeliveryAttempt(Answer, frozen=True, kw_only=True):
    """One attempt to deliver."""

    at: Seconds
    code: int | None = None
    """The HTTP status of the answer; None: there was none."""
    error: str | None = None


class Delivery(Answer, frozen=True, kw_only=True):
    """One event on its way to one endpoint."""

    id: UUID
    endpoint_id: UUID
    invoice_id: UUID
    sequence: Count
    status: DeliveryStatus
    attempts: Count
    created_at: Seconds
    next_at: Seconds | None = None
    last_code: int | None = None
    last_error: str | None = None
    body: dict[str, Any] | None = None
    log: tuple[DeliveryAttempt, ...] = ()
    """The attempts, where the delivery was asked for by itself."""
