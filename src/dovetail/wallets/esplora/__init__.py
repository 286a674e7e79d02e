"""An Esplora server as chain source (Blockstream/esplora, API.md)."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dovetail.wallets.esplora.chain import EsploraChain as EsploraChain
else:
    from dovetail.names import on_first_use

    __getattr__ = on_first_use(__name__, {"chain": "EsploraChain"})
