"""One request through a relay, with the blame put where it belongs."""

from collections.abc import Callable

from dovetail.errors import TransportError
from dovetail.protocol.exchange import OHTTP_MESSAGE_SIZE, OhttpContext, Request
from dovetail.runtime.services import Services

Ask = Callable[[str | None], tuple[Request, OhttpContext]]
"""Makes a fresh request for the relay it is given; what it made leaves once (P1)."""

_OK = 200


async def exchange(ask: Ask, services: Services) -> tuple[bytes, OhttpContext]:
    """Send what `ask` makes through a relay; the encrypted answer and the context that opens it.

    A relay that does not answer with an encrypted response is spared for a while. Raises
    `TransportError`; the next try has to ask afresh.
    """
    relay = services.relays.choose()
    request, context = ask(relay)
    try:
        reply = await services.transport.post(request)
    except TransportError:
        services.relays.failed(relay)
        raise
    who = "relay" if relay else "directory"
    if reply.status != _OK:
        services.relays.failed(relay)
        raise TransportError(f"The {who} answered with status {reply.status}: it is tried again.")
    if len(reply.body) != OHTTP_MESSAGE_SIZE:
        services.relays.failed(relay)
        raise TransportError(f"The {who} gave an answer of its own: it is tried again.")
    services.relays.worked(relay)
    return reply.body, context
