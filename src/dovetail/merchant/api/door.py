"""The outermost part of the application: what holds for each request, before any route.

It gives each request an id and each answer its security headers, limits clients by address, answers
to no other name than its own, and reads the body within its limits of size and time. So no route
meets a slow or large body.
"""

import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from http import HTTPStatus
from math import ceil
from uuid import UUID

import msgspec

from dovetail.merchant.api.health import HealthPages
from dovetail.merchant.api.limits import Buckets, Limits
from dovetail.merchant.api.mounts import Mount, mount_at
from dovetail.merchant.api.problems import Kind, Refused, retry_later
from dovetail.merchant.api.site import Site
from dovetail.serving.asgi import Message, Receive, Scope, Send, media_type, read_body
from dovetail.serving.client_shares import Clients
from dovetail.serving.logs import about
from dovetail.serving.responses import Response
from dovetail.stores.uuid7 import Uuid7

HEADERS = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
)
"""What each answer has, unless its route says otherwise."""
_HSTS = (b"strict-transport-security", b"max-age=31536000")

Answered = Callable[[str, str, int, float | None], None]
"""Takes the method, the template of the path, the status, and the seconds; None for a stream."""

NO_ROUTE = "none"
_STREAM = "/stream"
_TOLD = frozenset(
    {
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.MISDIRECTED_REQUEST,
        HTTPStatus.TOO_MANY_REQUESTS,
    }
)
"""What the log tells of each refusal: whoever tries what they may not do."""

App = Callable[[Scope, Receive, Send], Awaitable[None]]

_log = logging.getLogger(__name__)


class Door:
    """An ASGI application before another one."""

    def __init__(
        self,
        app: App,
        *,
        limits: Limits,
        addresses: Buckets,
        clients: Clients,
        site: Site,
        health: HealthPages,
        answered: Answered | None = None,
        mounts: Sequence[Mount],
    ) -> None:
        """`addresses` counts the requests of each client's network, except those about health.

        `answered` hears of each of them, when its answer was sent. The `mounts` say what
        bodies they take, and how they word refusals.
        """
        self._mounts = mounts
        self._answered = answered
        self._app = app
        self._health = health
        self._limits = limits
        self._addresses = addresses
        self._clients = clients
        self._site = site
        self._ids = Uuid7()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1000, "reason": ""})
            return
        began = time.monotonic()
        answer = _Answer(send, self._ids(), tls=self._site.is_secure(scope))
        state = scope["state"]
        state["request_id"] = answer.request_id
        state["client"] = self._clients.of(scope)
        if await self._health.answers(scope, answer.send):
            return
        with about(request=answer.request_id):
            await self._serve(scope, receive, answer, began)

    async def _serve(self, scope: Scope, receive: Receive, answer: "_Answer", began: float) -> None:
        state = scope["state"]
        try:
            body = await self._admitted(scope, receive)
        except Refused as refused:
            await answer.whole(mount_at(self._mounts, scope["path"]).refusal(scope, refused))
        else:
            state["body"] = body
            with ExitStack() as at_end:
                state["at_end"] = at_end
                await self._app(scope, _replayed(body, receive), answer.send)
        seconds = time.monotonic() - began
        route = scope.get("path_template", NO_ROUTE)
        if self._answered is not None:
            timed = None if route.endswith(_STREAM) else seconds
            self._answered(scope["method"], route, answer.status, timed)
        _log.debug(
            "%s %s answered with %d in %d ms",
            scope["method"],
            route,
            answer.status,
            seconds * 1000,
        )
        if answer.status in _TOLD:
            who = getattr(state.get("caller") or state.get("visitor"), "who", "nobody known")
            _log.warning(
                "%s %s was refused with %d: asked by %s",
                scope["method"],
                route,
                answer.status,
                who,
            )

    async def _admitted(self, scope: Scope, receive: Receive) -> bytes:
        """Return the body of a request that is within the limits; raises `Refused`."""
        wait = self._addresses.take(scope["state"]["client"])
        if wait:
            raise too_many(wait, "from this address")
        if not self._site.has(scope):
            raise Refused(Kind.MISDIRECTED)
        body = await read_body(
            scope, receive, limit=self._limits.body_bytes, seconds=self._limits.body_seconds
        )
        if isinstance(body, Response):
            raise _unread(body)
        wanted = mount_at(self._mounts, scope["path"]).takes
        if body and media_type(scope) != wanted:
            raise Refused(
                Kind.UNSUPPORTED_MEDIA_TYPE, f"Send the body as `content-type: {wanted.decode()}`."
            )
        return body


def too_many(wait: float, whose: str) -> Refused:
    """The refusal of one request too many; `wait` is in seconds."""
    seconds = max(1, ceil(wait))
    return retry_later(
        Kind.RATE_LIMITED,
        f"There are too many requests {whose}; repeat this one after {seconds} s.",
        seconds,
    )


_UNREAD = {
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: Kind.TOO_LARGE,
    HTTPStatus.REQUEST_TIMEOUT: Kind.TIMEOUT,
}


def _unread(answer: Response) -> Refused:
    """The refusal of a body that was not read, as the server's own part tells it."""
    told = msgspec.json.decode(answer.body)
    close = {"connection": "close"} if (b"connection", b"close") in answer.headers else {}
    kind = _UNREAD.get(HTTPStatus(answer.status), Kind.MALFORMED)
    return Refused(kind, told["detail"], headers=close)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the body, which was read already, and then what comes after it."""
    left = [body]

    async def replayed() -> Message:
        if left:
            return {"type": "http.request", "body": left.pop(), "more_body": False}
        return await receive()

    return replayed


class _Answer:
    """Adds the headers that each answer has, and remembers its status."""

    def __init__(self, send: Send, request_id: UUID, *, tls: bool) -> None:
        self._send = send
        self.request_id = request_id
        self._more: tuple[tuple[bytes, bytes], ...] = (
            *HEADERS,
            (b"x-request-id", str(request_id).encode()),
        )
        if tls:
            self._more += (_HSTS,)
        self.status = 0

    async def send(self, message: Message) -> None:
        """Send a message of ASGI."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = list(message["headers"])
            known = {name.lower() for name, _ in headers}
            headers += [each for each in self._more if each[0] not in known]
            message["headers"] = headers
        await self._send(message)

    async def whole(self, answer: Response) -> None:
        """Send a whole answer."""
        length = (b"content-length", str(len(answer.body)).encode())
        headers = [*answer.headers, length]
        await self.send(
            {"type": "http.response.start", "status": answer.status, "headers": headers}
        )
        await self.send({"type": "http.response.body", "body": answer.body, "more_body": False})
