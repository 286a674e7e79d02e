"""A Bitcoin Core node as wallet and as chain source (JSON-RPC)."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dovetail.wallets.core.chain import CoreChain as CoreChain
    from dovetail.wallets.core.wallet import CoreWallet as CoreWallet
else:
    from dovetail.names import on_first_use

    __getattr__ = on_first_use(__name__, {"chain": "CoreChain", "wallet": "CoreWallet"})
