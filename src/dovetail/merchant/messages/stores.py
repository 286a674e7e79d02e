"""Messages about shops' stores and their coins."""

from typing import Annotated
from uuid import UUID

from msgspec import Meta

from dovetail.merchant.messages.base import Answer, Count, Hex32, Name, Request, Seconds, Sum
from dovetail.merchant.messages.invoices import Currency

_DAY = 86_400


class ConfirmationTier(Request, frozen=True, kw_only=True):
    """The confirmations that invoices from this amount on need."""

    from_sats: Sum
    confirmations: Annotated[int, Meta(ge=0, le=100)]


class StorePolicy(Request, frozen=True, kw_only=True):
    """The terms of a store's new invoices. Invoices that exist keep theirs."""

    expiry_seconds: Annotated[int, Meta(ge=60, le=30 * _DAY)] = 900
    monitoring_seconds: Annotated[int, Meta(ge=0, le=30 * _DAY)] = _DAY
    """How long after the expiration payments are waited for, and confirmations counted."""
    tolerance_permille: Annotated[int, Meta(ge=0, le=999)] = 0
    """How much less than the amount counts as paid, in thousandths of it."""
    confirmations: Annotated[tuple[ConfirmationTier, ...], Meta(min_length=1, max_length=20)] = (
        ConfirmationTier(from_sats=0, confirmations=1),
    )
    """By amount, which begin with 0 and rise."""
    accept_unconfirmed: bool = False
    """Whether a payment may settle without a confirmation. Its sender can take it back."""
    broadcasts_fallback: bool = True
    """Whether a fallback that is in hand when the invoice expires is broadcast."""
    payjoin_minimum_sats: Sum = 0
    """The least amount for which payjoin is offered."""
    secrets_seconds: Annotated[int, Meta(ge=0, le=3650 * _DAY)] = 90 * _DAY
    """How long after the monitoring session logs, metadata and secrets are kept."""
    currency: Currency | None = None
    """The currency of prices that name none."""
    spread_permille: Annotated[int, Meta(ge=0, le=999)] = 0
    """What is added to a price in a currency, in thousandths."""


class NewStore(Request, frozen=True, kw_only=True):
    """A store that is to be made."""

    name: Name
    wallet_id: UUID
    """The wallet that is to be paid."""
    policy: StorePolicy = StorePolicy()


class StoreChange(Request, frozen=True, kw_only=True):
    """What is to change about a store; what is left out stays."""

    name: Name | None = None
    policy: StorePolicy | None = None


class StoreView(Answer, frozen=True, kw_only=True):
    """A store."""

    id: UUID
    name: str
    wallet_id: UUID
    policy: StorePolicy
    created_at: Seconds
    archived_at: Seconds | None = None


class Coin(Answer, frozen=True, kw_only=True):
    """A coin of a store's wallet, as the chain watcher saw it last."""

    txid: Hex32
    vout: Count
    value_sats: Sum
    keychain: str
    """`hot`: the signer can spend it; `cold`: no server can."""
    height: Count | None = None
    """The height of its block; None: it is unconfirmed."""
    spent_by: Hex32 | None = None
