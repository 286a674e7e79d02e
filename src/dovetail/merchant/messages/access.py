"""Messages about API keys, and the audit trail."""

from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from msgspec import Meta

from dovetail.merchant.messages.base import Answer, Name, Request, Seconds


class Scope(StrEnum):
    """What a key may do; the values are stable."""

    STORES_READ = "stores:read"
    STORES_WRITE = "stores:write"
    INVOICES_READ = "invoices:read"
    INVOICES_CREATE = "invoices:create"
    INVOICES_WRITE = "invoices:write"
    """Close and mark."""
    REFUNDS_READ = "refunds:read"
    REFUNDS_WRITE = "refunds:write"
    """Ask for refunds, and take them back."""
    REFUNDS_APPROVE = "refunds:approve"
    """Approve and decline refunds; the owner's word at the signer is needed beside it."""
    COINS_READ = "coins:read"
    WEBHOOKS_READ = "webhooks:read"
    WEBHOOKS_WRITE = "webhooks:write"
    KEYS_READ = "keys:read"
    KEYS_WRITE = "keys:write"
    """Make and revoke keys, which can do no more than this one."""
    AUDIT_READ = "audit:read"


class Role(StrEnum):
    """What a user is; the values are stable."""

    OWNER = "owner"
    MANAGER = "manager"
    VIEWER = "viewer"

    @property
    def scopes(self) -> frozenset[Scope]:
        """What a user of this role may do."""
        return _SCOPES[self]


_READING = frozenset(
    {
        Scope.STORES_READ,
        Scope.INVOICES_READ,
        Scope.REFUNDS_READ,
        Scope.COINS_READ,
        Scope.WEBHOOKS_READ,
    }
)
_SCOPES = {
    Role.OWNER: frozenset(Scope),
    Role.MANAGER: _READING
    | {
        Scope.INVOICES_CREATE,
        Scope.INVOICES_WRITE,
        Scope.REFUNDS_WRITE,
        Scope.WEBHOOKS_WRITE,
        Scope.AUDIT_READ,
    },
    Role.VIEWER: _READING,
}

PLUGIN_SCOPES = frozenset(
    {
        Scope.STORES_READ,
        Scope.INVOICES_READ,
        Scope.INVOICES_CREATE,
        Scope.INVOICES_WRITE,
        Scope.WEBHOOKS_WRITE,
        Scope.REFUNDS_WRITE,
    }
)
"""What a plugin for BTCPay Server needs; some refuse a key that may do more."""

Scopes = Annotated[frozenset[Scope], Meta(min_length=1)]
StoreIds = Annotated[frozenset[UUID], Meta(min_length=1, max_length=1000)]


class NewApiKey(Request, frozen=True, kw_only=True):
    """A key that is to be made."""

    name: Name
    scopes: Scopes
    store_ids: StoreIds | None = None
    """The stores to which it is limited; None: all, also later ones."""


class ApiKey(Answer, frozen=True, kw_only=True):
    """A key."""

    id: UUID
    name: str
    scopes: frozenset[str]
    store_ids: frozenset[UUID] | None = None
    created_at: Seconds
    last_used_at: Seconds | None = None
    revoked_at: Seconds | None = None
    secret: str | None = None
    """What to send as `Authorization: Bearer …`; it is told only when the key is made."""


class AuditEntry(Answer, frozen=True, kw_only=True):
    """One act of a person or a key."""

    id: UUID
    at: Seconds
    who: str
    what: str
    subject: str
    detail: dict[str, Any]
