"""An embedded regtest chain on Bitcoin Core's consensus code, for demos and tests."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dovetail.regtest.blocks import BlockHash as BlockHash
    from dovetail.regtest.esplora import esplora_app as esplora_app
    from dovetail.regtest.node import RegtestNode as RegtestNode
    from dovetail.regtest.policy import Accepted as Accepted
    from dovetail.regtest.policy import PolicyRejection as PolicyRejection
    from dovetail.regtest.remote import remote_fund as remote_fund
    from dovetail.regtest.remote import remote_mine as remote_mine
    from dovetail.regtest.server import RegtestServer as RegtestServer
    from dovetail.regtest.server import serve as serve
else:
    # The kernel and the HTTP server are loaded only by those who use them.
    from dovetail.names import on_first_use

    __getattr__ = on_first_use(
        __name__,
        {
            "blocks": "BlockHash",
            "esplora": "esplora_app",
            "node": "RegtestNode",
            "policy": "Accepted PolicyRejection",
            "remote": "remote_fund remote_mine",
            "server": "RegtestServer serve",
        },
        extra="regtest",
    )
