"""A BIP 78 endpoint of our own: an HTTP server at which v1 senders pay an agent's sessions.

`Endpoint` is the ASGI application, for a server of your own; `serving` runs one with uvicorn in
the agent's event loop.
"""

from typing import TYPE_CHECKING, Any

from dovetail.endpoint.settings import EndpointSettings as EndpointSettings

if TYPE_CHECKING:
    from dovetail.endpoint.app import Endpoint as Endpoint
    from dovetail.endpoint.server import load_tls as load_tls
    from dovetail.endpoint.server import serving as serving

_HOMES = {
    "Endpoint": "dovetail.endpoint.app",
    "load_tls": "dovetail.endpoint.server",
    "serving": "dovetail.endpoint.server",
}

__all__ = ["Endpoint", "EndpointSettings", "load_tls", "serving"]


def __getattr__(name: str) -> Any:
    """Load what needs uvicorn when it is asked for (PEP 562)."""
    from importlib import import_module  # noqa: PLC0415  # an import of the package costs nothing

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
