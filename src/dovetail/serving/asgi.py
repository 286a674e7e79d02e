"""The part of ASGI that the servers use: read bodies within limits, send responses."""

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import AbstractAsyncContextManager
from http import HTTPStatus
from typing import Any

from dovetail.errors import DovetailError, StoreError
from dovetail.serving.responses import Response, problem

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_log = logging.getLogger(__name__)

# After an early answer, a server reads and drops at most this many bytes of the rest of the body;
# it closes the connection when more is left.
MAX_DISCARDED = 1 << 20


def address_of(name: Any) -> tuple[str, int] | None:
    """Return host and port of an IPv4 or IPv6 address."""
    return (name[0], name[1]) if name and not isinstance(name, str) else None


def header(scope: Scope, name: bytes) -> bytes | None:
    """Return the first header with this lower-case name."""
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value)
    return None


def media_type(scope: Scope) -> bytes:
    """Return the request's media type in lower case and without parameters."""
    value = header(scope, b"content-type") or b""
    return value.partition(b";")[0].strip().lower()


def raw_path(scope: Scope) -> str:
    """Return the path as it was sent, still percent-encoded."""
    path = scope.get("raw_path") or scope["path"].encode()
    return bytes(path).decode("latin-1")


async def read_body(
    scope: Scope, receive: Receive, *, limit: int, seconds: float, exactly: bool = False
) -> bytes | Response:
    """Read a body of at most (or `exactly`) `limit` bytes, or return the error response.

    An announced length is checked before anything is read. At most the limit and one chunk are
    held in memory.
    """
    announced = header(scope, b"content-length")
    if announced is not None and announced.isdigit():
        size = int(announced[:20])
        if size > limit or (exactly and size < limit):
            return _wrong_size(limit, more=size > limit, close=size > MAX_DISCARDED)
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            more = True
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return problem(HTTPStatus.BAD_REQUEST, "The request was cut off; repeat it.")
                body += message.get("body", b"")
                more = message.get("more_body", False)
                if len(body) > limit:
                    return _wrong_size(limit, more=True, close=more)
    except TimeoutError:
        detail = "The request arrived too slowly; repeat it."
        return problem(HTTPStatus.REQUEST_TIMEOUT, detail, close=True)
    if exactly and len(body) < limit:
        return _wrong_size(limit, more=False, close=False)
    return bytes(body)


async def send_answer(send: Send, answer: Response) -> None:
    """Send a response. Other origins may read it, because some wallets run in browsers."""
    headers = [
        *answer.headers,
        (b"access-control-allow-origin", b"*"),
        (b"access-control-expose-headers", b"retry-after"),
    ]
    if answer.status != HTTPStatus.NO_CONTENT:
        headers.append((b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


async def caught(answer: Awaitable[Response], *, store: Response, fault: Response) -> Response:
    """Return the answer, or the one for a failing `store` or for a `fault` of the program."""
    try:
        return await answer
    except StoreError as error:
        _log.error("A request could not be served: %s", error)
        return store
    except Exception as error:  # noqa: BLE001  # a bug must not stop the server
        _log.error("A request failed with %s at\n%s", type(error).__name__, where(error))
        return fault


def where(error: BaseException) -> str:
    """Return the traceback without the error's text, which could quote a request (P4)."""
    return "".join(traceback.format_tb(error.__traceback__))


async def live(receive: Receive, send: Send, parts: AbstractAsyncContextManager[object]) -> None:
    """Serve ASGI's lifespan: `parts` are open between start-up and shutdown."""
    await receive()
    try:
        await parts.__aenter__()
    except DovetailError as error:
        await send({"type": "lifespan.startup.failed", "message": str(error)})
        return
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await parts.__aexit__(None, None, None)
    await send({"type": "lifespan.shutdown.complete"})


async def disconnected(receive: Receive) -> None:
    """Return when the client has gone; its body must have been read."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _wrong_size(limit: int, *, more: bool, close: bool) -> Response:
    if more:
        status, word = HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "more"
    else:
        status, word = HTTPStatus.BAD_REQUEST, "less"
    detail = f"The body has {word} than {limit} bytes; send a message of the right size."
    return problem(status, detail, close=close)
