"""Run a mailroom as a program or in a thread.

- `serve(host, port, settings)` runs until a signal stops it; `ready` gets the URL.
- `MailroomServer(settings)` does the same in a thread, for tests and demos.
"""

import asyncio
import logging
import socket
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Self

import uvicorn

from dovetail.collecting import rare_collections
from dovetail.errors import ConfigurationError, DovetailError
from dovetail.mailroom import control
from dovetail.mailroom.app import Mailroom
from dovetail.mailroom.gauges import gauges_of
from dovetail.mailroom.machine import Machine, shortfalls
from dovetail.mailroom.operator_answers import answers_of
from dovetail.mailroom.reloading import blocked_by, prepare
from dovetail.mailroom.settings import MailroomSettings
from dovetail.serving.activation import inherited_listener
from dovetail.serving.certificate import Certificate
from dovetail.serving.connection_limits import ConnectionLimiter
from dovetail.serving.logs import STDERR, JsonLines, logging_to
from dovetail.serving.sockets import bind, url_of
from dovetail.serving.stop_signals import stop_signals
from dovetail.serving.uvicorn_config import affordable, allow_many_files, configuration, started

if TYPE_CHECKING:
    from concurrent.futures import Future

_BACKLOG = 1_024
_ALIVE_SECONDS = 1.0
_WEBSOCKET_MESSAGE = 65_536

_log = logging.getLogger(__name__)


class MailroomServer:
    """A mailroom in a thread. Use it as a context manager, or close it.

    Without settings it is for local use and uses a temporary folder. `port` 0 takes a free one.
    Raises `ConfigurationError` when the port cannot be listened on or the settings are wrong, and
    `StoreUnavailable`.
    """

    def __init__(
        self,
        settings: MailroomSettings | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        mailroom: Mailroom | None = None,
        answers: bool = False,
        reload: Callable[[], MailroomSettings] | None = None,
        listener: socket.socket | None = None,
    ) -> None:
        """`mailroom` replaces the one made from the settings, `listener` host and port.

        With `answers` it answers its operator at a socket in the data folder. `reload` returns the
        settings to go on with when it is asked to; otherwise only files are read anew.
        """
        self._read = reload
        self._answers = answers
        with ExitStack() as opened:
            if mailroom is None:
                if settings is None:
                    folder = Path(opened.enter_context(TemporaryDirectory()))
                    settings = MailroomSettings(folder, local=True)
                mailroom = Mailroom(settings)
            self.mailroom = mailroom
            self.host = host
            self._certificate = _certificate(mailroom.settings)
            if listener is None:
                listener = opened.enter_context(bind(host, port))
            else:
                opened.enter_context(listener)
            self.port: int = listener.getsockname()[1]
            self.metrics_url: str | None = None
            self._loop: asyncio.AbstractEventLoop | None = None
            self._limiter: ConnectionLimiter | None = None
            self._failure: BaseException | None = None
            self._running = threading.Event()
            self._stop: _Stop | None = None
            self._hurried: _Stop | None = None
            self._thread = threading.Thread(
                target=self._run, args=(listener,), name="dovetail-mailroom", daemon=True
            )
            self._thread.start()
            opened.callback(self._finish)
            self._running.wait()
            self.check()
            self._resources = opened.pop_all()

    @property
    def url(self) -> str:
        """The URL of relay and directory, without a slash at the end."""
        scheme = "http" if self._certificate is None else "https"
        return url_of(self.host, self.port, scheme=scheme)

    def close(self) -> None:
        """End long polls, finish running requests and close; a second call does nothing."""
        self._resources.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def reload(self) -> "Future[str]":
        """Read settings, certificates and blocklists anew.

        Whether that went well is in the log, and in the words of the result. Where anything is
        wrong, nothing changes. Safe from any thread; the settings are read in one of their own.
        """
        if self._loop is None:
            raise ConfigurationError("The mailroom has not begun: try again.")
        return asyncio.run_coroutine_threadsafe(self._reload(), self._loop)

    def hurry(self) -> None:
        """End `drain_delay` early, if the mailroom was told to stop. Safe from any thread."""
        if self._hurried is not None:
            self._hurried.set()

    def check(self) -> None:
        """Raise the error that ended the server, if there is one."""
        if self._failure is not None:
            raise self._failure

    @property
    def alive(self) -> bool:
        """Whether the server is running."""
        return self._thread.is_alive()

    @asynccontextmanager
    async def _answering(self, limiter: ConnectionLimiter) -> AsyncGenerator[None]:
        if not self._answers:
            yield
            return
        answers = answers_of(
            self.mailroom,
            gauges_of(self.mailroom, limiter),
            self.url,
            reload=self._reload,
            read_blocklists=self._read_blocklists,
        )
        async with control.answering(self.mailroom.settings.data_dir, answers):
            yield

    async def _read_blocklists(self) -> None:
        mailroom = self.mailroom
        mailroom.clients.blocked = await asyncio.to_thread(blocked_by, mailroom.settings)
        if self._limiter is not None:
            self._limiter.expel()

    async def _reload(self) -> str:
        try:
            running = self.mailroom.settings
            wanted = running if self._read is None else await asyncio.to_thread(self._read)
            fresh = await asyncio.to_thread(prepare, running, wanted)
            certificate = self._certificate
            tls = None if certificate is None else await asyncio.to_thread(certificate.read)
            self.mailroom.adopt(fresh)
        except DovetailError as error:
            words = f"Nothing was changed, as the new settings are wrong: {error}"
            _log.error("%s", words)
            return words
        if certificate is not None and tls is not None:
            certificate.use(tls)
        if self._limiter is not None:
            self._limiter.adopt(**_limits(fresh.settings))
            self._limiter.introductions = fresh.settings.proxy_protocol
            self._limiter.expel()
        words = "The settings, certificates and blocklists were read anew."
        if fresh.later:
            names = ", ".join(f"`{name}`" for name in fresh.later)
            words += f" Only a restart changes {names}."
        _log.warning("%s", words)
        return words

    def _run(self, listener: socket.socket) -> None:
        settings = self.mailroom.settings
        limiter = self._limiter = ConnectionLimiter(
            clients=self.mailroom.clients,
            tunnels=lambda: self.mailroom.tunnels,
            tls=None if self._certificate is None else self._certificate.context,
            **_limits(settings),
        )
        limiter.refused = self.mailroom.counts.refused
        limiter.introductions = settings.proxy_protocol
        server = uvicorn.Server(
            configuration(
                self.mailroom,
                limiter,
                drain=settings.drain_timeout,
                backlog=_BACKLOG,
                ws="websockets-sansio",
                ws_max_size=_WEBSOCKET_MESSAGE,
                ws_per_message_deflate=False,
            )
        )
        try:
            with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
                runner.run(self._serve(listener, server, limiter))
        except BaseException as error:  # noqa: BLE001  # the waiting thread must get the error
            self._failure = error
        finally:
            self._running.set()

    async def _serve(
        self, listener: socket.socket, server: uvicorn.Server, limiter: ConnectionLimiter
    ) -> None:
        stop = self._stop = _Stop()
        hurried = self._hurried = _Stop()
        self._loop = asyncio.get_running_loop()
        # Listen only when everything is open: peers cache a wrong answer for a week.
        async with (
            self.mailroom,
            _metrics(self.mailroom, limiter) as self.metrics_url,
            self._answering(limiter),
        ):
            serving = asyncio.create_task(server.serve([listener]))
            serving.add_done_callback(lambda _: stop.set())
            await started(server, serving)
            self._running.set()
            await stop.wait()
            self.mailroom.leave()
            with suppress(TimeoutError):
                async with asyncio.timeout(self.mailroom.settings.drain_delay):
                    await hurried.wait()
            self.mailroom.drain()
            limiter.close()
            server.should_exit = True
            try:
                await serving
            finally:  # uvloop cannot close while a socket listens
                for listening in getattr(server, "servers", ()):
                    listening.close()

    def _finish(self) -> None:
        if self._stop is not None:
            self._stop.set()
        self._thread.join()


@asynccontextmanager
async def _metrics(mailroom: Mailroom, limiter: ConnectionLimiter) -> AsyncGenerator[str | None]:
    """Serve the metrics in the block, if a place is set for them; yields their URL."""
    if mailroom.settings.metrics is None:
        yield None
        return
    from dovetail.mailroom.metrics import Metrics  # noqa: PLC0415  # where metrics are on
    from dovetail.serving.metrics_server import metrics_serving  # noqa: PLC0415

    metrics = Metrics(mailroom.counts, gauges_of(mailroom, limiter))
    async with metrics_serving(metrics.text, *mailroom.settings.metrics) as url:
        yield url


class _Stop:
    """An event of the server's loop that any thread may set."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()

    def set(self) -> None:
        with suppress(RuntimeError):  # the loop has ended already
            self._loop.call_soon_threadsafe(self._event.set)

    async def wait(self) -> None:
        await self._event.wait()


def serve(
    host: str,
    port: int,
    settings: MailroomSettings,
    *,
    ready: Callable[[str], None] | None = None,
    reload: Callable[[], MailroomSettings] | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM, then end long polls and finish running requests.

    A socket that the service manager has passed replaces host and port. Call it in the main
    thread; `ready` gets the URL when the server listens. At SIGHUP the mailroom
    goes on with the settings that `reload` returns; without that only certificates and blocklists
    are read anew. Raises the same errors as `MailroomServer`.
    """
    serving: list[MailroomServer] = []

    def hurry() -> None:
        for each in serving:
            each.hurry()

    def hang_up() -> None:
        for each in serving:
            each.reload()

    lines = JsonLines() if settings.json_log else None
    with (
        logging_to(STDERR, "dovetail", "uvicorn.error", lines=lines),
        _heard(),
        rare_collections(),
        stop_signals(hang_up=hang_up, again=hurry) as stop,
    ):
        allow_many_files(settings.max_connections, beside=settings.files_beside)
        for each in shortfalls(settings, Machine.look(settings.data_dir)):
            _log.warning("%s", each)
        listener = inherited_listener()
        if listener is not None:
            host = listener.getsockname()[0]
        with MailroomServer(
            settings, host=host, port=port, listener=listener, answers=True, reload=reload
        ) as server:
            serving.append(server)
            if ready is not None:
                ready(server.url)
            while server.alive and not stop.wait(_ALIVE_SECONDS):
                pass
        server.check()


@contextmanager
def _heard() -> Generator[None]:
    """Write the mailroom's lines of level INFO too, such as the heartbeat."""
    logger = logging.getLogger("dovetail.mailroom")
    former = logger.level
    logger.setLevel(min(logging.INFO, logger.getEffectiveLevel()))
    try:
        yield
    finally:
        logger.setLevel(former)


def _limits(settings: MailroomSettings) -> dict[str, Any]:
    """Return the limits of connections, as the limiter takes them."""
    return {
        "limit": affordable(settings.max_connections, beside=settings.files_beside),
        "per_client": settings.max_connections_per_client,
        "seconds": settings.read_timeout,
        "keep_alive": settings.keep_alive,
    }


def _certificate(settings: MailroomSettings) -> Certificate | None:
    chain, key = settings.tls_cert, settings.tls_key
    if chain is None or key is None:
        return None
    return Certificate(chain, key, names=("tls_cert", "tls_key"))
