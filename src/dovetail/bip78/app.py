"""The ASGI application: checks HTTP requests by BIP 78 and passes them to sessions."""

import asyncio
import logging
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext, suppress
from http import HTTPStatus
from typing import TypeVar, cast

from dovetail.bip78.dispatch import Dispatcher, OnFollow, PendingRequest
from dovetail.bip78.responses import refusal, unavailable
from dovetail.bip78.settings import V1ServerSettings
from dovetail.errors import ConfigurationError
from dovetail.protocol.error_replies import ErrorCode
from dovetail.protocol.requests import V1_TYPE
from dovetail.runtime.agent import Agent
from dovetail.serving.asgi import (
    Receive,
    Scope,
    Send,
    caught,
    disconnected,
    header,
    live,
    media_type,
    raw_path,
    read_body,
    send_answer,
)
from dovetail.serving.client_shares import Client, Clients, Shares
from dovetail.serving.responses import Response, preflight
from dovetail.stores.ports import SessionId

_CLOSE = (b"connection", b"close")
_PREFLIGHT = preflight("OPTIONS, POST")

T = TypeVar("T")

_log = logging.getLogger(__name__)


class V1Server:
    """Answers v1 senders from the sessions of `agent`; use it in the agent's event loop.

    A sender waits until its session has a proposal or an error, which is durable before it is
    sent. The session assumes that the sender has the proposal, even if the response is lost.
    """

    def __init__(
        self,
        agent: Agent,
        settings: V1ServerSettings | None = None,
        *,
        on_follow: OnFollow = lambda _live: None,
    ) -> None:
        """`on_follow` is called with each session that a request made the agent run."""
        self.settings = settings or V1ServerSettings()
        limits = self.settings
        self.clients = Clients(proxies=limits.proxies, forwarded=limits.client_header)
        self._dispatcher = Dispatcher(agent, on_follow)
        self._bodies = Shares(limits.max_bodies, limits.max_bodies_per_client)
        self._held = Shares(limits.max_held, limits.max_held_per_client)
        self._of_session = Shares(sys.maxsize, limits.max_held_per_session)
        self._draining = False
        self._cut = asyncio.Event()
        self._under_way: set[asyncio.Future[Response | PendingRequest]] = set()

    def drain(self) -> None:
        """Refuse new requests; answer waiting senders before `drain_timeout` ends."""
        if not self._draining:
            self._draining = True
            loop = asyncio.get_running_loop()
            loop.call_later(self.settings.drain_timeout * 0.75, self._cut.set)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope."""
        match scope["type"]:
            case "http":
                fault = unavailable(HTTPStatus.INTERNAL_SERVER_ERROR)
                route = self._route(scope, receive)
                answer = await caught(route, store=unavailable(), fault=fault)
                with suppress(OSError):  # the sender has gone
                    await send_answer(send, answer)
            case "lifespan":
                await live(receive, send, nullcontext())
            case _:
                raise ConfigurationError("The server uses a protocol other than HTTP: use HTTP.")

    async def _route(self, scope: Scope, receive: Receive) -> Response:
        if scope["method"] == "OPTIONS":
            return _PREFLIGHT
        if scope["method"] != "POST":
            allowed = (b"allow", b"OPTIONS, POST")
            return _rejected(HTTPStatus.METHOD_NOT_ALLOWED, allowed)
        if self._draining:
            return unavailable()
        session_id = await self._dispatcher.find(raw_path(scope).rstrip("/").rpartition("/")[2])
        if session_id is None:
            return unavailable(HTTPStatus.NOT_FOUND)
        refused = self._refused(scope)
        if refused is not None:
            return refused
        client = self.clients.of(scope)
        taken = await self._take(scope, receive, client, session_id)
        if isinstance(taken, Response):
            return taken
        waiting = asyncio.ensure_future(self._dispatcher.wait(taken))
        try:
            with self._place(client, session_id, waiting.cancel) as admitted:
                if not admitted:
                    return _overloaded("senders who wait")
                return await self._until(receive, waiting)
        finally:
            waiting.cancel()

    @contextmanager
    def _place(
        self, client: Client | None, session_id: SessionId, evict: Callable[[], object]
    ) -> Generator[bool]:
        """Hold a place of the waiting senders; yields False if there is none."""
        with self._held.hold(client, evict) as mine, self._of_session.hold(session_id) as there:
            yield mine and there

    def _refused(self, scope: Scope) -> Response | None:
        """Return the error response by the request's head, before its body is read, or None."""
        if media_type(scope) != V1_TYPE.encode():
            return _rejected(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, _CLOSE)
        length = header(scope, b"content-length")
        if length is None or not length.isdigit() or header(scope, b"transfer-encoding"):
            return _rejected(HTTPStatus.LENGTH_REQUIRED, _CLOSE)
        if int(length) > self.settings.body_limit:
            return _rejected(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _CLOSE)
        return None

    async def _take(
        self, scope: Scope, receive: Receive, client: Client | None, session_id: SessionId
    ) -> Response | PendingRequest:
        """Read a body and pass it to its session, while holding a place for bodies.

        While the body is read, the place can be evicted. A body that was read is passed on even if
        the sender leaves.
        """
        reading = asyncio.ensure_future(self._read(scope, receive))
        share = self._bodies.take(client, reading.cancel)
        if share is None:
            reading.cancel()
            return _overloaded("bodies", _CLOSE)
        try:
            await asyncio.wait((reading,))
            if reading.cancelled():
                return _overloaded("bodies", _CLOSE)
            body = reading.result()
        except BaseException:
            share.end()
            raise
        finally:
            reading.cancel()
        if isinstance(body, Response):
            share.end()
            return body
        share.evict = _ignore_eviction
        query = bytes(scope["query_string"]).decode("latin-1")
        work = asyncio.ensure_future(self._dispatcher.take(session_id, body, query))
        self._under_way.add(work)
        work.add_done_callback(lambda _: share.end())
        work.add_done_callback(self._done)
        return await self._until(receive, work)

    async def _read(self, scope: Scope, receive: Receive) -> bytes | Response:
        body = await read_body(
            scope,
            receive,
            limit=self.settings.body_limit,
            seconds=self.settings.read_timeout,
        )
        return _rejected(HTTPStatus(body.status), _CLOSE) if isinstance(body, Response) else body

    async def _until(self, receive: Receive, work: asyncio.Future[T]) -> T | Response:
        """Return the result of `work`, or an error if the sender leaves or time is up."""
        ends = [asyncio.ensure_future(each) for each in (disconnected(receive), self._cut.wait())]
        first = {cast("asyncio.Future[object]", each) for each in (work, *ends)}
        try:
            await asyncio.wait(
                first, timeout=self.settings.hold, return_when=asyncio.FIRST_COMPLETED
            )
            return unavailable() if work.cancelled() or not work.done() else work.result()
        finally:
            for each in ends:
                each.cancel()
            await asyncio.gather(*ends, return_exceptions=True)

    def _done(self, answer: asyncio.Future[Response | PendingRequest]) -> None:
        self._under_way.discard(answer)
        if not answer.cancelled() and answer.exception() is not None:
            _log.info("A request ended with %s", type(answer.exception()).__name__)


def _ignore_eviction() -> None:
    """Do nothing on an eviction: the session already processes the request, which is short."""


def _overloaded(what: str, *headers: tuple[bytes, bytes]) -> Response:
    _log.warning("A request was refused: too many %s, or its client has reached its limit.", what)
    answer = unavailable()
    return Response(answer.status, (*answer.headers, *headers), answer.body)


def _rejected(status: HTTPStatus, *headers: tuple[bytes, bytes]) -> Response:
    return refusal(ErrorCode.ORIGINAL_PSBT_REJECTED, status=status, headers=headers)
