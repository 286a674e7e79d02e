"""The wallet and chain interfaces that sessions need (`ports`), and their adapters."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dovetail.wallets.ports import Accepted as Accepted
    from dovetail.wallets.ports import Balance as Balance
    from dovetail.wallets.ports import Chain as Chain
    from dovetail.wallets.ports import Output as Output
    from dovetail.wallets.ports import Payment as Payment
    from dovetail.wallets.ports import Refused as Refused
    from dovetail.wallets.ports import SettlingWallet as SettlingWallet
    from dovetail.wallets.ports import Spend as Spend
    from dovetail.wallets.ports import SweepingWallet as SweepingWallet
    from dovetail.wallets.ports import Unknown as Unknown
    from dovetail.wallets.ports import Wallet as Wallet
    from dovetail.wallets.ports import query_each as query_each
else:
    from dovetail.names import on_first_use

    __getattr__ = on_first_use(
        __name__,
        {
            "ports": "Accepted Balance Chain Output Payment Refused SettlingWallet Spend"
            " SweepingWallet Unknown Wallet query_each"
        },
    )
