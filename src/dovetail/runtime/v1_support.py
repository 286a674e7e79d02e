"""Whether a directory takes senders that speak only BIP 78, asked before a URI names it."""

import json
from typing import cast

from dovetail.causes import place
from dovetail.errors import ConfigurationError, TransportError
from dovetail.runtime.ohttp_keys import tunnel_to
from dovetail.runtime.relays import Relays
from dovetail.runtime.transport import Transport

HEALTH_PATH = "/health"
_LARGEST = 4096
_OK = 200


async def require_v1(directory: str, transport: Transport, relays: Relays) -> None:
    """Raise `ConfigurationError` where the mailroom at `directory`, an origin, refuses v1 senders.

    Not every directory has a health page that tells; without one, the user's setting is trusted.
    The page is fetched in the same way as the keys, so the directory learns no more.
    """
    relay = tunnel_to(directory, relays)
    try:
        reply = await transport.get(directory + HEALTH_PATH, proxy=relay, limit=_LARGEST)
    except TransportError:
        return
    versions = _versions(reply.body) if reply.status == _OK else None
    if versions is not None and 1 not in versions:
        raise ConfigurationError(
            f"The directory {place(directory)} takes no senders that speak only BIP 78, as its"
            f" {HEALTH_PATH} says: make the URI without `v1`, take another `directory`, or be"
            " paid at a server of your own (`endpoint`)."
        )


def _versions(body: bytes) -> list[object] | None:
    """The versions of payjoin that are served; None where that is not said."""
    try:
        told: object = json.loads(body)
    except (ValueError, RecursionError):
        return None
    versions = cast("dict[str, object]", told).get("versions") if isinstance(told, dict) else None
    return cast("list[object]", versions) if isinstance(versions, list) else None
