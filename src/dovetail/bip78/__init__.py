"""A BIP 78 endpoint: an HTTP server for v1 senders that pay an agent's sessions.

`V1Server` is the ASGI application, for your own server. `serving` runs it with uvicorn in the
agent's event loop.
"""

from typing import TYPE_CHECKING

from dovetail.bip78.settings import V1ServerSettings as V1ServerSettings

if TYPE_CHECKING:
    from dovetail.bip78.app import V1Server as V1Server
    from dovetail.bip78.server import load_tls as load_tls
    from dovetail.bip78.server import serving as serving
else:
    from dovetail.names import on_first_use

    __getattr__ = on_first_use(
        __name__, {"app": "V1Server", "server": "load_tls serving"}, extra="cli"
    )

__all__ = ["V1Server", "V1ServerSettings", "load_tls", "serving"]
