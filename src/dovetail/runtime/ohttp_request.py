"""One request through a relay; its error says whether relay or directory failed."""

from collections.abc import Callable
from typing import Any

from dovetail.causes import place
from dovetail.errors import TransportError, UsageError
from dovetail.protocol.requests import OHTTP_MESSAGE_SIZE, OhttpContext, Request
from dovetail.protocol.uri import V1Endpoint
from dovetail.runtime.services import Services
from dovetail.runtime.transport import Reply
from dovetail.runtime.turn import Turn
from dovetail.sessions.reasons import Reason
from dovetail.sessions.receiver import ReceiverSession
from dovetail.sessions.sender import SenderSession

Ask = Callable[[str | None], tuple[Request, OhttpContext]]
"""Makes a fresh request for the relay it is given; each is sent once (P1)."""

_OK, _REFUSED = 200, 400
_GATEWAY_FAILED = (502, 504)
"""The statuses of a relay that could not reach the directory (RFC 9110)."""


async def exchange(
    ask: Ask, session: ReceiverSession | SenderSession, services: Services
) -> tuple[bytes, OhttpContext]:
    """Send the request of `ask` through a relay; returns the encrypted answer and its context.

    The relay is of another operator than the session's directory. One that does not answer with
    an encrypted response is avoided for a while. Raises `TransportError` that says which of relay
    and directory failed; the next try makes a fresh request.
    """
    endpoint = session.payjoin_uri.endpoint
    if isinstance(endpoint, V1Endpoint):
        raise UsageError("This session has no mailbox: it is served over HTTP.")
    relay = services.relays.choose(endpoint.directory)
    request, context = ask(relay)
    posting = services.transport.post(request)
    del request  # it is sent once, and is not kept while the answer is awaited
    try:
        reply = await posting
    except TransportError as error:
        if error.at == "tor":
            raise
        services.relays.failed(relay)
        if relay is None:
            raise TransportError(f"The directory failed. {error}", at="directory") from error
        raise TransportError(f"The OHTTP relay failed. {error}", at="relay") from error
    if reply.status != _OK or len(reply.body) != OHTTP_MESSAGE_SIZE:
        services.relays.failed(relay)
        raise _blamed(reply, relay, endpoint.directory)
    services.relays.worked(relay)
    return reply.body, context


def unreachable(turn: Turn[Any]) -> Reason | None:
    """Why a session that expires was never answered: the relay or directory failed `tries` times.

    None where the other party was silent.
    """
    trouble = turn.watch.trouble
    if turn.failures < turn.policy.tries or not isinstance(trouble, TransportError):
        return None
    match trouble.at:
        case "relay":
            return Reason.RELAY_UNREACHABLE
        case "receiver":
            return Reason.RECEIVER_UNREACHABLE
        case "tor":
            return Reason.TOR_UNREACHABLE
        case _:
            return Reason.DIRECTORY_UNREACHABLE


def _blamed(reply: Reply, relay: str | None, directory: str) -> TransportError:
    through_relay = relay is not None
    if relay is not None and reply.status == _REFUSED and place(relay) == place(directory):
        return TransportError(
            f"{place(relay)} is both the directory and the relay, and refuses to forward to"
            " itself: set `relays` to another operator's.",
            at="relay",
        )
    if through_relay and reply.status in _GATEWAY_FAILED:
        return TransportError(
            f"The OHTTP relay could not reach the directory (status {reply.status}): name another"
            " relay, or wait.",
            at="directory",
        )
    if reply.status != _OK:
        # An outer 4xx may be the gateway's, which a relay passes on.
        who = "The OHTTP relay, or the directory behind it," if through_relay else "The directory"
        answered = f"answered with status {reply.status}"
    else:
        who = "The OHTTP relay" if through_relay else "The directory"
        answered = "gave an answer of its own"
    return TransportError(f"{who} {answered}.", at="relay" if through_relay else "directory")
