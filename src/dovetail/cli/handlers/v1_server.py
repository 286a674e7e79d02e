"""`receive --listen` and `resume --listen`: v1 senders at a server of one's own (BIP 78)."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dovetail.cli.output import Screen
from dovetail.errors import InvalidUri, UsageError
from dovetail.protocol.uri import V1Endpoint

if TYPE_CHECKING:
    from dovetail.runtime.agent import Agent
    from dovetail.runtime.live_session import LiveReceiver


@dataclass(frozen=True, slots=True)
class Listening:
    """The options of a server; there is none unless there is a `place`."""

    place: tuple[str, int] | None
    certificate: str | None = None
    key: str | None = None
    public_url: str | None = None

    @property
    def wanted(self) -> bool:
        """Whether there is to be a server."""
        return self.place is not None

    @property
    def at_own(self) -> bool:
        """Whether senders come to the user's own server, in this process or another."""
        return self.wanted or self.public_url is not None

    def check(self, *, elsewhere: bool = False) -> None:
        """Raise `UsageError` for options that do not go together.

        `elsewhere` is whether another process may serve at the public URL.
        """
        public = self.public_url is not None and not elsewhere
        if self.place is None and (self.certificate or self.key or public):
            raise UsageError(
                "--public-url, --tls-cert and --tls-key are for a server: say where with --listen."
            )
        if bool(self.certificate) != bool(self.key):
            raise UsageError("TLS takes both a certificate and its key: --tls-cert and --tls-key.")
        if self.public_url is not None:
            _require_public(self.public_url)

    def check_public(self) -> None:
        """Raise `UsageError` where a URI needs to be told how senders reach the server."""
        host = None if self.place is None else self.place[0]
        if self.public_url is None and host not in (None, "localhost", "127.0.0.1", "::1"):
            raise UsageError(
                "Senders cannot use the address where it listens: say how they reach it with"
                " --public-url."
            )


def _require_public(url: str) -> None:
    try:
        V1Endpoint(url)
    except InvalidUri as error:
        raise UsageError(
            "--public-url must be an https URL such as https://example.org/payjoin, or http on an"
            " onion address or this machine: correct it."
        ) from error
    if "?" in url or "#" in url:
        raise UsageError("--public-url has no query and no fragment: leave them out.")


@asynccontextmanager
async def served(
    agent: "Agent", listening: Listening, screen: Screen
) -> AsyncGenerator[str | None]:
    """Serve v1 senders while the command runs; the URL under which they reach it, or None."""
    if not listening.wanted:
        yield None
        return
    from dovetail.serving.logs import STDERR, logging_to  # noqa: PLC0415 - a server is heavy

    def begun(live: "LiveReceiver") -> None:
        screen.say(f"The sender of session {live.session_id} has arrived and is served here too.")

    with logging_to(STDERR, "dovetail", "uvicorn.error"):
        async with door(agent, listening, screen.say, begun) as url:
            yield url


@asynccontextmanager
async def door(
    agent: "Agent",
    listening: Listening,
    say: Callable[[str], None],
    begun: "Callable[[LiveReceiver], None]",
) -> AsyncGenerator[str | None]:
    """The same with a log of the caller's; `begun` is told whose sender has come."""
    if listening.place is None:
        yield None
        return
    # A server is heavy.
    from dovetail.bip78 import V1Server, load_tls, serving  # noqa: PLC0415

    tls = None
    if listening.certificate is not None and listening.key is not None:
        tls = load_tls(Path(listening.certificate), Path(listening.key))
    host, port = listening.place
    async with serving(V1Server(agent, on_follow=begun), host, port, tls=tls) as url:
        known = f", which they reach as {listening.public_url}," if listening.public_url else ""
        say(f"Serving BIP 78 senders at {url}{known} as long as this command runs.")
        yield listening.public_url or url
