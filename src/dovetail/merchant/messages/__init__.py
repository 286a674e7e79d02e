"""The messages of the API: requests and answers, which server and client share.

Amounts are whole satoshis, times whole seconds since 1970 in UTC, and ids UUIDs.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dovetail.merchant.messages.access import ApiKey as ApiKey
    from dovetail.merchant.messages.access import AuditEntry as AuditEntry
    from dovetail.merchant.messages.access import NewApiKey as NewApiKey
    from dovetail.merchant.messages.access import Role as Role
    from dovetail.merchant.messages.access import Scope as Scope
    from dovetail.merchant.messages.base import FieldError as FieldError
    from dovetail.merchant.messages.base import Page as Page
    from dovetail.merchant.messages.base import Problem as Problem
    from dovetail.merchant.messages.invoices import CloseRequest as CloseRequest
    from dovetail.merchant.messages.invoices import Event as Event
    from dovetail.merchant.messages.invoices import Invoice as Invoice
    from dovetail.merchant.messages.invoices import NewInvoice as NewInvoice
    from dovetail.merchant.messages.invoices import NewMark as NewMark
    from dovetail.merchant.messages.invoices import PayjoinOffer as PayjoinOffer
    from dovetail.merchant.messages.invoices import Payment as Payment
    from dovetail.merchant.messages.invoices import PaymentTransaction as PaymentTransaction
    from dovetail.merchant.messages.invoices import SessionStep as SessionStep
    from dovetail.merchant.messages.invoices import SessionView as SessionView
    from dovetail.merchant.messages.refunds import Claim as Claim
    from dovetail.merchant.messages.refunds import NewClaim as NewClaim
    from dovetail.merchant.messages.refunds import NewRefund as NewRefund
    from dovetail.merchant.messages.refunds import Refund as Refund
    from dovetail.merchant.messages.refunds import RefundEntry as RefundEntry
    from dovetail.merchant.messages.stores import Coin as Coin
    from dovetail.merchant.messages.stores import ConfirmationTier as ConfirmationTier
    from dovetail.merchant.messages.stores import NewStore as NewStore
    from dovetail.merchant.messages.stores import StoreChange as StoreChange
    from dovetail.merchant.messages.stores import StorePolicy as StorePolicy
    from dovetail.merchant.messages.stores import StoreView as StoreView
    from dovetail.merchant.messages.webhooks import Delivery as Delivery
    from dovetail.merchant.messages.webhooks import DeliveryAttempt as DeliveryAttempt
    from dovetail.merchant.messages.webhooks import DeliveryStatus as DeliveryStatus
    from dovetail.merchant.messages.webhooks import NewWebhook as NewWebhook
    from dovetail.merchant.messages.webhooks import WebhookChange as WebhookChange
    from dovetail.merchant.messages.webhooks import WebhookEndpoint as WebhookEndpoint
else:
    from dovetail.names import on_first_use

    __getattr__ = on_first_use(
        __name__,
        {
            "access": "ApiKey AuditEntry NewApiKey Role Scope",
            "base": "FieldError Page Problem",
            "invoices": (
                "CloseRequest Event Invoice NewInvoice NewMark PayjoinOffer Payment"
                " PaymentTransaction SessionStep SessionView"
            ),
            "refunds": "Claim NewClaim NewRefund Refund RefundEntry",
            "stores": "Coin ConfirmationTier NewStore StoreChange StorePolicy StoreView",
            "webhooks": (
                "Delivery DeliveryAttempt DeliveryStatus NewWebhook WebhookChange WebhookEndpoint"
            ),
        },
    )
