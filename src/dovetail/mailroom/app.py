"""The ASGI application of a mailroom: opens its parts and routes requests to them."""

import asyncio
import logging
import re
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from http import HTTPStatus
from typing import Self

from dovetail.crypto.entropy import Entropy, system
from dovetail.errors import ConfigurationError, DovetailError
from dovetail.mailroom import health
from dovetail.mailroom.bootstrap import Tunnels
from dovetail.mailroom.clock import SteadyClock, monotonic_seconds
from dovetail.mailroom.counts import Census, Counts
from dovetail.mailroom.data_folder import hold
from dovetail.mailroom.directory import Directory, mailbox_of
from dovetail.mailroom.gateway import Admit, Gateway
from dovetail.mailroom.gateway_uri import Resolve
from dovetail.mailroom.keys import KeyRing
from dovetail.mailroom.kinds import kind_of
from dovetail.mailroom.landing import Landing
from dovetail.mailroom.long_polls import LongPolls
from dovetail.mailroom.mailboxes import Mailboxes
from dovetail.mailroom.refusal_log import Refusals
from dovetail.mailroom.relay import Relay
from dovetail.mailroom.reloading import Fresh, blocked_by
from dovetail.mailroom.settings import MailroomSettings
from dovetail.mailroom.v1 import BODY_LIMIT, V1Senders
from dovetail.mailroom.watch import Watch
from dovetail.protocol.requests import GATEWAY_PATH
from dovetail.serving.asgi import (
    Receive,
    Scope,
    Send,
    caught,
    disconnected,
    live,
    raw_path,
    read_body,
    send_answer,
    where,
)
from dovetail.serving.client_shares import Clients
from dovetail.serving.responses import (
    Response,
    not_found,
    out_of_order,
    preflight,
    problem,
    wrong_method,
)

KEYS_PATH = "/ohttp-keys"

_TAG_BYTES = 32
_FORWARD = re.compile(r"/https?:/", re.IGNORECASE)
_FAULT = "The mailroom failed; try again."
_PREFLIGHT = preflight("GET, OPTIONS, POST", (b"access-control-max-age", b"86400"))

_log = logging.getLogger(__name__)


class Mailroom:
    """Directory, gateway and relay. Open it with `async with`, or by ASGI's lifespan.

    Use it from one event loop. Only one process may serve a `data_dir`.
    """

    def __init__(
        self,
        settings: MailroomSettings,
        *,
        clock: Callable[[], float] = time.time,
        passed: Callable[[], float] = monotonic_seconds,
        resolve: Resolve | None = None,
        entropy: Entropy = system,
        admit: Admit | None = None,
    ) -> None:
        """Create the mailroom; nothing is opened yet.

        `clock` gives Unix time and may jump; `passed` gives seconds and never jumps. `resolve`
        resolves the hosts of gateways instead of `Names`. `admit` may refuse requests that the
        gateway has opened.
        """
        self._admit = admit
        self.settings = settings
        self.clients = Clients(proxies=settings.proxies, forwarded=settings.client_header)
        self.counts = Counts()
        self.refusals = Refusals(self.counts)
        self._clock = SteadyClock(clock, passed)
        self._passed = passed
        self._resolve = resolve
        self._entropy = entropy
        self._open = AsyncExitStack()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._draining = self._leaving = False
        self._watch = Watch(self.counts, self._census, heartbeat=settings.heartbeat)
        self._keys: KeyRing | None = None
        self._mailboxes: Mailboxes | None = None
        self._waits = LongPolls(
            seconds=settings.wait,
            limit=settings.max_waits,
            per_mailbox=settings.max_waits_per_mailbox,
            per_client=settings.max_waits_per_client,
        )
        self._v1: V1Senders | None = None
        self._directory: Directory | None = None
        self._gateway: Gateway | None = None
        self._relay: Relay | None = None
        self._tunnels: Tunnels | None = None
        self._landing = Landing(settings)

    async def __aenter__(self) -> Self:
        """Open the files and start housekeeping.

        Raises `StoreUnavailable` and `ConfigurationError`; nothing stays open then.
        """
        self._loop = asyncio.get_running_loop()
        self.clients.blocked = blocked_by(self.settings)
        async with AsyncExitStack() as opened:
            tag = self._entropy(_TAG_BYTES).hex().encode()
            if self.settings.directory:
                self._open_directory(opened, tag)
            if self.settings.relay:
                self._open_relay(opened, tag)
            task = asyncio.create_task(self._run_housekeeping())
            opened.push_async_callback(_cancel, task)
            opened.push_async_callback(_cancel, asyncio.create_task(self._watch.run()))
            self._open = opened.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Finish all writes and close everything."""
        self._drain()
        self._directory = self._gateway = self._relay = self._tunnels = None
        await self._open.aclose()

    @property
    def tunnels(self) -> Tunnels | None:
        """The relay's tunnels, or None while the mailroom is closed."""
        return self._tunnels

    @property
    def relaying(self) -> Relay | None:
        """The relay, or None while the mailroom is closed or has none."""
        return self._relay

    def adopt(self, fresh: Fresh) -> None:
        """Go on with new settings and certificates, which `prepare` has checked.

        Raises `StoreUnavailable`; then nothing is changed.
        """
        settings = fresh.settings
        if self._mailboxes is not None:
            self._mailboxes.resize(settings)  # first, as it may fail
        self.settings = settings
        self.clients.adopt(proxies=settings.proxies, forwarded=settings.client_header)
        self.clients.blocked = fresh.blocked
        self._watch.heartbeat = settings.heartbeat
        self._landing = fresh.landing
        if self._gateway is not None:
            self._gateway.read_timeout = settings.read_timeout
        if self._relay is not None and self._tunnels is not None:
            self._relay.adopt(settings, fresh.trusted)
            self._tunnels.adopt(settings)

    def rotate_keys(self) -> int:
        """Publish a new OHTTP key from now on, and return its id.

        Raises `ConfigurationError` for a mailroom without a directory, and `StoreUnavailable`.
        """
        if self._keys is None:
            raise ConfigurationError("This mailroom keeps no mailboxes, so it has no OHTTP keys.")
        self._keys.rotate(self._clock())
        return self._keys.standings[-1].key_id

    def leave(self) -> None:
        """Tell from now on that this mailroom is not ready, and go on serving."""
        self._leaving = True

    def drain(self) -> None:
        """End long polls at once, and forwarded requests a little later. Safe from any thread."""
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed: nothing is left to end
                self._loop.call_soon_threadsafe(self._drain)

    async def housekeeping(self) -> None:
        """Remove expired messages and keys, rotate the keys when due, log what was refused.

        A failure is logged and tried again later; it does not stop the other tasks.
        """
        chores = (self._tidy_mailboxes, self._tidy_keys, self._watch_the_clock)
        for chore in chores:
            try:
                await chore()
            except DovetailError as error:
                _log.error("Housekeeping failed and is tried again: %s", error)
            except Exception as error:  # noqa: BLE001  # it must run as long as the server
                _log.error("Housekeeping failed with %s at\n%s", type(error).__name__, where(error))
        self.refusals.log_counts()

    async def _tidy_mailboxes(self) -> None:
        if self._mailboxes is not None:
            self._mailboxes.revive()
            begun = self._passed()
            removed = await self._mailboxes.purge()
            self.counts.purged(removed, self._passed() - begun, self._clock())

    async def _tidy_keys(self) -> None:
        now = self._clock()
        if self._keys is not None:
            self._keys.forget(now)
            if self._keys.age(now) >= self.settings.key_lifetime:
                self._keys.rotate(now)

    async def _watch_the_clock(self) -> None:
        self._clock()
        if self._clock.jumped:
            _log.error(
                "The clock of this machine was changed by more than an hour: messages and keys "
                "still expire by the old time. If the clock is right now, restart the "
                "mailroom."
            )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope."""
        match scope["type"]:
            case "http":
                fault = problem(HTTPStatus.INTERNAL_SERVER_ERROR, _FAULT)
                routed = self._route(scope, receive)
                answer = await caught(routed, store=out_of_order(), fault=fault)
                self.counts.answered(kind_of(scope["method"], raw_path(scope)), answer.status)
                await send_answer(send, answer)
            case "websocket":
                await self._serve_websocket(scope, receive, send)
            case "lifespan":
                await live(receive, send, self)
            case _:
                raise ConfigurationError("The server uses a protocol other than HTTP: use HTTP.")

    async def _route(self, scope: Scope, receive: Receive) -> Response:
        method, path = scope["method"], raw_path(scope)
        if method == "OPTIONS":
            return _PREFLIGHT
        if self._gateway is not None and path == GATEWAY_PATH:
            if method == "POST":
                return await self._gateway.relay(scope, receive)
            return _only_get(method, self._gateway.describe(scope["query_string"]), "POST")
        if self._gateway is not None and path == KEYS_PATH:
            return _only_get(method, self._gateway.describe_keys(scope["query_string"]))
        if self._relay is not None and _FORWARD.match(path):
            if method == "POST":
                return await self._relay.forward(scope, receive)
            return wrong_method("POST")
        if path.startswith(health.PATH):
            versions = [1, 2] if self.settings.v1 else [2]
            return _only_get(method, health.answer(path, self.status, versions))
        if (page := self._landing.at(path, self._clock())) is not None:
            return _only_get(method, page)
        if self._directory is not None:
            return await self._plaintext(self._directory, scope, receive)
        return not_found()

    async def _plaintext(self, directory: Directory, scope: Scope, receive: Receive) -> Response:
        short_id = mailbox_of(raw_path(scope))
        if short_id is None:
            return not_found()
        if scope["method"] != "POST":
            return wrong_method("POST")
        seconds = self.settings.read_timeout
        body = await read_body(scope, receive, limit=BODY_LIMIT, seconds=seconds)
        if isinstance(body, Response):
            return directory.refuse_plaintext(body)
        query = bytes(scope["query_string"])
        client = self.clients.of(scope)
        return await directory.post_plaintext(
            short_id, body, query, lambda: disconnected(receive), client
        )

    def status(self) -> str:
        """Return the status as a word. Counts would show what other users do."""
        if self._draining or self._leaving:
            return health.DRAINING
        if self._mailboxes is not None and not self._mailboxes.writable:
            return "read-only"
        return "clock" if self._clock.jumped else "ok"

    def _census(self) -> Census:
        mailboxes = self._mailboxes
        if mailboxes is None:
            return Census()
        senders = 0 if self._v1 is None else self._v1.waiting.count
        return Census(mailboxes.count, mailboxes.space.used, self._waits.count, senders)

    async def _serve_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._tunnels is None:
            await receive()
            await send({"type": "websocket.close"})
            return
        with suppress(OSError):  # the client has gone
            await self._tunnels.websocket(scope, receive, send)

    def _open_directory(self, opened: AsyncExitStack, tag: bytes) -> None:
        settings = self.settings
        opened.enter_context(hold(settings.data_dir))
        self._mailboxes = Mailboxes(settings, clock=self._clock, passed=self._passed)
        self._mailboxes.wrote = self.counts.wrote
        opened.callback(self._mailboxes.close)
        self._keys = KeyRing.open(
            settings.key_file,
            honoured=settings.honoured,
            now=self._clock(),
            entropy=self._entropy,
        )
        if settings.v1:
            # A sender that repeats its request shares the wait of the first one.
            waits = LongPolls(
                seconds=settings.wait,
                limit=settings.max_v1_waits,
                per_mailbox=2,
                per_client=settings.max_v1_waits_per_client,
            )
            self._v1 = V1Senders(waits)
        self._directory = Directory(self._mailboxes, self._waits, self._v1, self.refusals)
        self._gateway = Gateway(
            self._keys,
            self._directory,
            self.clients,
            own_tag=None if settings.local else tag,
            read_timeout=settings.read_timeout,
            admit=self._admit,
        )

    def _open_relay(self, opened: AsyncExitStack, tag: bytes) -> None:
        settings = self.settings
        self._relay = Relay(
            settings,
            self.clients,
            self.refusals,
            own_tag=tag,
            clock=self._passed,
            resolve=self._resolve,
        )
        opened.push_async_callback(self._relay.aclose)
        self._tunnels = Tunnels(self._relay, settings, self.clients, self.counts)
        opened.push_async_callback(self._tunnels.aclose)

    def _drain(self) -> None:
        if self._draining:
            return
        self._draining = True
        self._waits.drain()
        if self._v1 is not None:
            self._v1.waiting.drain()
        if self._relay is not None and self._tunnels is not None:
            # Requests at another directory get some time, then 503 instead of a closed connection.
            loop = asyncio.get_running_loop()
            loop.call_later(self.settings.drain_timeout * 0.75, self._relay.cut)
            self._tunnels.cut()

    async def _run_housekeeping(self) -> None:
        while True:
            await self.housekeeping()
            await asyncio.sleep(self.settings.housekeeping)


def create_app(settings: MailroomSettings, *, clock: Callable[[], float] = time.time) -> Mailroom:
    """Create the ASGI application. ASGI's lifespan or `async with` opens its files."""
    return Mailroom(settings, clock=clock)


def _only_get(method: str, answer: Response, *others: str) -> Response:
    return answer if method in ("GET", "HEAD") else wrong_method("GET", *others)


async def _cancel(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
