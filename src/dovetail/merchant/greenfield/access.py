"""Who calls by `Authorization: token …`, and what a key may do in BTCPay Server's words."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from litestar.handlers import BaseRouteHandler

from dovetail.merchant.api.caller import AnyConnection, Caller, Keys
from dovetail.merchant.messages import Scope

SCHEME = "token"

PERMISSIONS: Mapping[Scope, str] = MappingProxyType(
    {
        Scope.INVOICES_READ: "btcpay.store.canviewinvoices",
        Scope.INVOICES_CREATE: "btcpay.store.cancreateinvoice",
        Scope.INVOICES_WRITE: "btcpay.store.canmodifyinvoices",
        Scope.STORES_READ: "btcpay.store.canviewstoresettings",
        Scope.STORES_WRITE: "btcpay.store.canmodifystoresettings",
        Scope.WEBHOOKS_WRITE: "btcpay.store.webhooks.canmodifywebhooks",
        Scope.REFUNDS_WRITE: "btcpay.store.cancreatenonapprovedpullpayments",
        Scope.REFUNDS_READ: "btcpay.store.canviewpullpayments",
        Scope.REFUNDS_APPROVE: "btcpay.store.canmanagepayouts",
        Scope.COINS_READ: "btcpay.store.canviewwallet",
    }
)
"""What BTCPay Server calls each scope; what it has no word for is not told."""


@dataclass(frozen=True, slots=True)
class Permitted:
    """A guard that lets only keys with this scope through; None: any key.

    An unknown parameter of the query changes nothing: clients send those of other releases.
    """

    scope: Scope | None

    async def __call__(self, connection: AnyConnection, _: BaseRouteHandler) -> None:
        """Raise `Refused` for any other request, and leave the caller in the state."""
        keys: Keys = connection.app.state.access
        caller = await keys.caller(connection, SCHEME)
        connection.scope["state"]["caller"] = caller
        if self.scope is not None:
            caller.require(self.scope)


def permissions_of(caller: Caller) -> tuple[str, ...]:
    """Return a key's permissions, each for each store to which the key is limited."""
    names = [name for scope, name in PERMISSIONS.items() if scope.value in caller.scopes]
    if caller.store_ids is None:
        return tuple(names)
    return tuple(f"{name}:{each}" for each in sorted(caller.store_ids) for name in names)
