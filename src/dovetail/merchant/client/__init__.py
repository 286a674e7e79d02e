"""The client for a shop's API: `Shop` blocks, `AsyncShop` is for asyncio, and webhooks are checked.

It needs the packages of the extra `client`, and none of the shop's own.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dovetail.merchant.client.async_shop import AsyncShop as AsyncShop
    from dovetail.merchant.client.errors import ShopProblem as ShopProblem
    from dovetail.merchant.client.errors import ShopUnreachable as ShopUnreachable
    from dovetail.merchant.client.retries import Retries as Retries
    from dovetail.merchant.client.shop import Shop as Shop
    from dovetail.merchant.client.webhook import WebhookEvent as WebhookEvent
    from dovetail.merchant.client.webhook import verify_webhook as verify_webhook
    from dovetail.merchant.invoices.invoice import InvoiceStatus as InvoiceStatus
    from dovetail.merchant.invoices.refunds import RefundStatus as RefundStatus
else:
    from dovetail.names import on_first_use

    __getattr__ = on_first_use(
        __name__,
        {
            "async_shop": "AsyncShop",
            "calls": "InvoiceStatus RefundStatus",
            "errors": "ShopProblem ShopUnreachable",
            "retries": "Retries",
            "shop": "Shop",
            "webhook": "WebhookEvent verify_webhook",
        },
        extra="client",
    )
