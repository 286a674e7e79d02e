"""An Electrum server as chain source (Electrum protocol 1.4 to 1.7)."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dovetail.wallets.electrum.chain import ElectrumChain as ElectrumChain
else:
    from dovetail.names import on_first_use

    __getattr__ = on_first_use(__name__, {"chain": "ElectrumChain"})
