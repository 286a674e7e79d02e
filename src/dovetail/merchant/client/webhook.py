"""What a webhook delivers: checked, and as a typed event."""

import time
from collections.abc import Mapping, Sequence
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from dovetail.errors import ConfigurationError, ParseError
from dovetail.merchant.invoices.invoice import InvoiceException, InvoiceStatus
from dovetail.merchant.messages.base import Amount, Answer, Seconds
from dovetail.merchant.webhooks import signature


class WebhookEvent(Answer, frozen=True, kw_only=True):
    """One step of an invoice's life, as a webhook tells it."""

    delivery: str
    """The id of the delivery. The same one may come twice: keep the ids that were handled."""
    type: str
    """Such as `invoice.settled`."""
    at: Seconds
    invoice_id: UUID
    store_id: UUID
    sequence: Annotated[int, Meta(ge=1)]
    """Its number among the invoice's events. A later one may come before an earlier one."""
    status: InvoiceStatus
    exception: InvoiceException
    cause: str
    amount_sats: Amount
    order_id: str | None
    metadata: dict[str, Any]
    data: dict[str, Any]
    """All that was sent, such as sums in satoshis."""


class _Sent(msgspec.Struct, frozen=True):
    type: str
    timestamp: Seconds
    data: dict[str, Any]


def verify_webhook(
    headers: Mapping[str, str],
    body: bytes,
    secrets: str | Sequence[str],
    *,
    now: float | None = None,
) -> WebhookEvent:
    """Return the event that a webhook delivers, if a secret of the endpoint signed it just now.

    `body` is the request's body byte by byte, as it came. `secrets` are the `whsec_…` of the
    endpoint: two of them for the day after a rotation. `now` is in seconds since 1970; the time of
    the delivery may differ from it by 300. Raises `ParseError` for anything else: answer it with
    status 400. Raises `ConfigurationError` for a secret that cannot be one.
    """
    known = [secrets] if isinstance(secrets, str) else list(secrets)
    if not known:
        raise ConfigurationError("`secrets` is empty: give the secret of the webhook endpoint.")
    at = int(time.time() if now is None else now)
    delivery = _delivery(headers, body, known, at)
    try:
        sent = msgspec.json.decode(body, type=_Sent)
        return msgspec.convert(
            sent.data
            | {"delivery": delivery, "type": sent.type, "at": sent.timestamp, "data": sent.data},
            WebhookEvent,
        )
    except msgspec.MsgspecError as error:
        raise ParseError(
            "The webhook is signed, and is no event of an invoice: check whether the shop has a"
            " much newer release than this client."
        ) from error


def _delivery(headers: Mapping[str, str], body: bytes, secrets: list[str], now: int) -> str:
    """The id of a delivery that one of the secrets has signed."""
    for each in secrets[:-1]:
        try:
            return signature.verify(headers, body, each, now=now)
        except ParseError:
            continue
    return signature.verify(headers, body, secrets[-1], now=now)
