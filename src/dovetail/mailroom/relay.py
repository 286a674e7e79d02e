"""The OHTTP relay: it hides clients from gateways, and cannot read requests (RFC 9458)."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any, cast

import httpcore2

from dovetail.errors import ConfigurationError, InvalidUri, TransportError
from dovetail.mailroom.gateway import SELF_LOOP_HEADER
from dovetail.mailroom.gateway_prober import PROBE_PATH, Gateways, OptIn, Probe
from dovetail.mailroom.gateway_uri import Dialler, Resolve, Target
from dovetail.mailroom.rate_limits import Meter
from dovetail.mailroom.refusal_log import Refusals
from dovetail.mailroom.resolver import Names
from dovetail.mailroom.settings import MINUTE, MailroomSettings
from dovetail.protocol.requests import (
    GATEWAY_PATH,
    OHTTP_MESSAGE_SIZE,
    OHTTP_REQUEST_TYPE,
    OHTTP_RESPONSE_TYPE,
)
from dovetail.serving.asgi import Receive, Scope, disconnected, media_type, raw_path, read_body
from dovetail.serving.client_shares import Client, Clients, Shares
from dovetail.serving.responses import (
    OHTTP_KEY_PROBLEM,
    PROBLEM_TYPE,
    Response,
    overloaded,
    problem,
    typed,
)

RESPONSE_LIMIT = 65_536
"""The largest answer of a gateway in bytes; an encapsulated response has 8192."""

_CONNECT_TIMEOUT = 10.0
_PROBE_TIMEOUT = 10.0
# Shorter than usual servers' timeouts, so that requests rarely use a closing connection.
_IDLE_CONNECTION = 4.0
_REFUSALS = frozenset((400, 403, 404, 405, 408, 413, 415, 422, 429, 500, 502, 503, 504))
_RETRY_DIGITS = 4
_OHTTP = OHTTP_REQUEST_TYPE.encode()


class Relay:
    """Forwards requests to gateways that opted in, without any data about the client."""

    def __init__(
        self,
        settings: MailroomSettings,
        clients: Clients,
        refusals: Refusals,
        *,
        own_tag: bytes,
        clock: Callable[[], float],
        resolve: Resolve | None = None,
    ) -> None:
        """Mark forwarded requests with `own_tag`, so that our own gateway recognises them.

        `clock` gives seconds that never jump; `resolve` resolves hosts instead of `Names`. Raises
        `ConfigurationError` for a `ca_file` that cannot be read.
        """
        self._own_tag = own_tag
        self._clients = clients
        self._refusals = refusals
        self._meter = Meter(1.0, 1.0, clock)
        self._by_client, self._by_gateway, self._lookups = Shares(1), Shares(1), Shares(1)
        self.dialler = Dialler(local=settings.local, resolve=resolve or Names())
        self._retiring: dict[httpcore2.AsyncConnectionPool, asyncio.TimerHandle] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._settings = settings
        self._pool = self._new_pool(settings, trust(settings.ca_file))
        self._resize(settings)
        self.gateways = Gateways(self._probe, clock=clock)
        self._forwards: set[asyncio.Task[Response]] = set()

    def adopt(self, settings: MailroomSettings, trusted: ssl.SSLContext) -> None:
        """Take new limits and certificates; requests under way end as they began."""
        former, self._pool = self._pool, self._new_pool(settings, trusted)
        loop = asyncio.get_running_loop()
        alarm = loop.call_later(self._settings.forward_timeout, self._retire, former)
        self._retiring[former] = alarm
        self._settings = settings
        self._resize(settings)

    @property
    def count(self) -> int:
        """The number of requests that are being forwarded."""
        return len(self._forwards)

    async def forward(self, scope: Scope, receive: Receive) -> Response:
        """Answer a POST to `/https://host[:port]`."""
        target = self.target_of(scope)
        if isinstance(target, Response):
            return target
        if media_type(scope) != _OHTTP:
            return problem(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"The body must be {OHTTP_REQUEST_TYPE}."
            )
        client = self._clients.of(scope)
        if client is not None and not self._meter.take(client):
            return self._refusals.overloaded("requests of one client")
        seconds = self._settings.read_timeout
        body = await read_body(
            scope, receive, limit=OHTTP_MESSAGE_SIZE, seconds=seconds, exactly=True
        )
        if isinstance(body, Response):
            return body
        return await self._forward_within_limits(receive, target, body, client)

    def target_of(self, scope: Scope) -> Target | Response:
        """Return the gateway that a path names, or the error response."""
        try:
            target = Target.of_path(raw_path(scope))
        except InvalidUri as error:
            return problem(HTTPStatus.BAD_REQUEST, str(error))
        if scope["query_string"]:
            return problem(HTTPStatus.BAD_REQUEST, "A gateway has no query; leave it out.")
        if target.scheme == "http" and not self._settings.local:
            return problem(HTTPStatus.BAD_REQUEST, "The relay forwards only to https gateways.")
        return target

    async def refusal(self, target: Target, client: Client | None = None) -> Response | None:
        """Return the error response if a gateway must not be contacted, or None."""
        if self.gateways.known(target) is None and self.gateways.asking(target) is None:
            share = self._lookups.take(client, lambda: self.gateways.give_up(target))
            if share is None:
                return self._refusals.overloaded("new gateways")
            # The client may leave; the probe that it started still runs to its end.
            self.gateways.ask(target).add_done_callback(lambda _: share.end())
        match await self.gateways.opted_in(target):
            case OptIn.YES:
                return None
            case OptIn.NO:
                return problem(
                    HTTPStatus.FORBIDDEN,
                    "This gateway did not opt in to payjoin relays; use another directory.",
                )
            case OptIn.UNREACHABLE:
                return problem(
                    HTTPStatus.BAD_GATEWAY, "The gateway cannot be reached; try again later."
                )

    def cut(self) -> None:
        """Stop all forwarded requests; the clients get 503."""
        for task in self._forwards:
            task.cancel()

    async def aclose(self) -> None:
        """Close the connections."""
        self.cut()
        await self.gateways.aclose()
        for pool, alarm in list(self._retiring.items()):
            alarm.cancel()
            self._retire(pool)
        await asyncio.gather(*self._closing, return_exceptions=True)
        await self._pool.aclose()

    def _new_pool(
        self, settings: MailroomSettings, trusted: ssl.SSLContext
    ) -> httpcore2.AsyncConnectionPool:
        return httpcore2.AsyncConnectionPool(
            ssl_context=trusted,
            max_connections=settings.max_forwards + 1,
            max_keepalive_connections=settings.max_forwards,
            keepalive_expiry=_IDLE_CONNECTION,
            network_backend=self.dialler,
        )

    def _resize(self, settings: MailroomSettings) -> None:
        per_minute = settings.max_forwards_per_minute
        self._meter.adopt(per_minute / MINUTE, per_minute)
        self._by_client.resize(settings.max_forwards, settings.max_forwards_per_client)
        self._by_gateway.resize(settings.max_forwards)
        self._lookups.resize(settings.max_lookups, settings.max_lookups_per_client)

    def _retire(self, pool: httpcore2.AsyncConnectionPool) -> None:
        """Close connections that were replaced, once their requests have ended."""
        del self._retiring[pool]
        task = asyncio.ensure_future(pool.aclose())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _forward_within_limits(
        self, receive: Receive, target: Target, body: bytes, client: Client | None
    ) -> Response:
        """Hold a place of the client and one of the gateway during a request."""
        task = asyncio.ensure_future(self._deliver(target, body, client))
        with (
            self._by_client.hold(client, task.cancel) as mine,
            self._by_gateway.hold(target, task.cancel) as there,
        ):
            if mine and there:
                return await self._unless_client_leaves(receive, task)
            task.cancel()
            if mine:
                return self._refusals.overloaded("requests to one gateway")
            return self._refusals.overloaded("requests")

    async def _unless_client_leaves(
        self, receive: Receive, task: asyncio.Task[Response]
    ) -> Response:
        """Wait for `task`, but cancel it if the client leaves."""
        self._forwards.add(task)
        gone = asyncio.ensure_future(disconnected(receive))
        gone.add_done_callback(lambda _: task.cancel())
        try:
            await asyncio.wait((task,))
            return overloaded("requests") if task.cancelled() else task.result()
        finally:
            self._forwards.discard(task)
            task.cancel()
            gone.cancel()

    async def _deliver(self, target: Target, body: bytes, client: Client | None) -> Response:
        if (refusal := await self.refusal(target, client)) is not None:
            return refusal
        headers = [
            (b"host", _host(target)),
            (b"content-type", _OHTTP),
            (b"content-length", str(len(body)).encode()),
            (SELF_LOOP_HEADER, self._own_tag),
        ]
        url = f"{target}{GATEWAY_PATH}"
        seconds = self._settings.forward_timeout
        try:
            async with self._request("POST", url, headers, seconds, body) as response:
                return _response_for_client(response, await _read(response))
        except TimeoutError:
            return problem(
                HTTPStatus.GATEWAY_TIMEOUT, "The gateway did not answer in time; try again."
            )
        except TransportError as error:
            return problem(HTTPStatus.BAD_GATEWAY, str(error))

    async def _probe(self, target: Target) -> Probe:
        headers = [(b"host", _host(target)), (b"accept", b"*/*")]
        url = f"{target}{PROBE_PATH}"
        try:
            async with self._request("GET", url, headers, _PROBE_TIMEOUT) as response:
                kind = _first(response, b"content-type").partition(b";")[0].strip().lower()
                stream = cast("Any", response).extensions["network_stream"]
                peer = stream.get_extra_info("server_addr")
                body = await _read(response)
                return Probe(response.status, kind.decode("latin-1"), body, str(peer[0]))
        except TimeoutError as error:
            raise TransportError("The gateway did not answer in time; try again.") from error

    @asynccontextmanager
    async def _request(
        self,
        method: str,
        url: str,
        headers: list[tuple[bytes, bytes]],
        seconds: float,
        body: bytes | None = None,
    ) -> AsyncGenerator[httpcore2.Response]:
        limits = {"connect": _CONNECT_TIMEOUT, "read": seconds, "write": seconds, "pool": seconds}
        try:
            async with (
                asyncio.timeout(seconds),
                self._pool.stream(
                    method, url, headers=headers, content=body, extensions={"timeout": limits}
                ) as response,
            ):
                yield response
        except httpcore2.TimeoutException as error:
            raise TimeoutError from error
        except (httpcore2.NetworkError, httpcore2.ProtocolError, OSError) as error:
            if isinstance(error, TimeoutError):
                raise
            raise TransportError("The gateway cannot be reached; try again later.") from error


def trust(ca_file: Path | None) -> ssl.SSLContext:
    """Return the certificates that the relay trusts; raises `ConfigurationError`."""
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise ConfigurationError(
            "`ca_file` holds no PEM certificates that can be read: correct it."
        ) from error


def _response_for_client(response: httpcore2.Response, body: bytes) -> Response:
    """Return the response for the client: an encapsulated one, or a refusal of our own.

    A gateway's headers and text are not passed on. Redirects are never followed (P1).
    """
    if response.status == HTTPStatus.OK and len(body) == OHTTP_MESSAGE_SIZE:
        return typed(OHTTP_RESPONSE_TYPE, body)
    if 300 <= response.status < 400:
        return problem(HTTPStatus.BAD_GATEWAY, "The gateway has moved; use its new origin.")
    if response.status not in _REFUSALS:
        return problem(
            HTTPStatus.BAD_GATEWAY, "The gateway answered with a status that OHTTP does not use."
        )
    kind = _first(response, b"content-type").partition(b";")[0].strip().lower()
    outdated = kind == PROBLEM_TYPE and OHTTP_KEY_PROBLEM.encode() in body
    refused = problem(
        HTTPStatus(response.status),
        "The gateway refused the request.",
        kind=OHTTP_KEY_PROBLEM if outdated else "about:blank",
    )
    return _with_retry_after(refused, _first(response, b"retry-after"))


def _with_retry_after(refused: Response, seconds: bytes) -> Response:
    """Return the refusal with the gateway's Retry-After, if that is valid."""
    if not (seconds.isdigit() and len(seconds) <= _RETRY_DIGITS):
        return refused
    headers = tuple(line for line in refused.headers if line[0] != b"retry-after")
    return Response(refused.status, (*headers, (b"retry-after", seconds)), refused.body)


def _first(response: httpcore2.Response, name: bytes) -> bytes:
    return next((value for key, value in response.headers if key.lower() == name), b"")


async def _read(response: httpcore2.Response) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_stream():
        body += chunk
        if len(body) > RESPONSE_LIMIT:
            raise TransportError("The gateway's answer is larger than the protocol allows.")
    return bytes(body)


def _host(target: Target) -> bytes:
    default = {"http": 80, "https": 443}[target.scheme]
    return (target.host if target.port == default else f"{target.host}:{target.port}").encode()
