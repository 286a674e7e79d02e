"""The numbers of the moment of a mailroom that serves."""

from dovetail.mailroom.app import Mailroom
from dovetail.mailroom.metrics import Gauges
from dovetail.serving.connection_limits import ConnectionLimiter


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
