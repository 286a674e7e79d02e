"""A wallet of descriptors on BDK (extra `bdk`)."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dovetail.wallets.bdk.wallet import BdkWallet as BdkWallet
else:
    from dovetail.names import on_first_use

    __getattr__ = on_first_use(__name__, {"wallet": "BdkWallet"})
