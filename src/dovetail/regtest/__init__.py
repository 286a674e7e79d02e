"""An embedded regtest chain on Bitcoin Core's consensus code, for demos and tests."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dovetail.regtest.blocks import BlockHash as BlockHash
    from dovetail.regtest.esplora import esplora_app as esplora_app
    from dovetail.regtest.node import RegtestNode as RegtestNode
    from dovetail.regtest.policy import Accepted as Accepted
    from dovetail.regtest.policy import Refused as Refused
    from dovetail.regtest.remote import remote_fund as remote_fund
    from dovetail.regtest.remote import remote_mine as remote_mine
    from dovetail.regtest.server import RegtestServer as RegtestServer
    from dovetail.regtest.server import serve as serve

__all__ = [
    "Accepted",
    "BlockHash",
    "Refused",
    "RegtestNode",
    "RegtestServer",
    "esplora_app",
    "remote_fund",
    "remote_mine",
    "serve",
]

_HOMES = {
    "Accepted": "policy",
    "BlockHash": "blocks",
    "Refused": "policy",
    "RegtestNode": "node",
    "RegtestServer": "server",
    "esplora_app": "esplora",
    "remote_fund": "remote",
    "remote_mine": "remote",
    "serve": "server",
}


def __getattr__(name: str) -> object:
    # The kernel and the HTTP server are loaded only by those who use them.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
