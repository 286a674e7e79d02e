"""The numbers of the moment of a mailroom that serves."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from dovetail.mailroom.app import Mailroom
from dovetail.serving.connection_limits import ConnectionLimiter

PACKAGE = "dovetail-payjoin"

Gauges: TypeAlias = Mapping[str, tuple[str, Callable[[], float]]]
"""Numbers of the moment by name: what each means, and how to ask for it from any thread."""


def gauges_of(mailroom: Mailroom, limiter: ConnectionLimiter) -> Gauges:
    """Return what can be asked from any thread; an observer of the network sees all of it."""

    def forwards() -> int:
        return 0 if mailroom.relaying is None else mailroom.relaying.count

    def tunnels() -> int:
        return 0 if mailroom.tunnels is None else mailroom.tunnels.count

    return {
        "connections": ("Open connections.", lambda: limiter.count),
        "forwards": ("Requests that are at gateways.", forwards),
        "tunnels": ("Open tunnels.", tunnels),
        "ready": ("Whether requests should come here.", lambda: mailroom.status() != "draining"),
        "writable": ("Whether messages can be written.", lambda: mailroom.status() != "read-only"),
        "clock_sound": ("Whether the clock has not jumped.", lambda: mailroom.status() != "clock"),
    }
