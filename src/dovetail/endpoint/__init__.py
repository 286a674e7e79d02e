"""A BIP 78 endpoint of our own: an HTTP server at which v1 senders pay an agent's sessions.

`Endpoint` is the ASGI application, for a server of your own; `serving` runs one with uvicorn in
the agent's event loop.
"""

from typing import TYPE_CHECKING

from dovetail.endpoint.settings import EndpointSettings as EndpointSettings

if TYPE_CHECKING:
    from dovetail.endpoint.app import Endpoint as Endpoint
    from dovetail.endpoint.server import load_tls as load_tls
    from dovetail.endpoint.server import serving as serving
else:
    from dovetail.names import on_first_use

    __getattr__ = on_first_use(
        __name__, {"app": "Endpoint", "server": "load_tls serving"}, extra="cli"
    )

__all__ = ["Endpoint", "EndpointSettings", "load_tls", "serving"]
