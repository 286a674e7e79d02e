"""The commands of a party, each in a process of its own with its ports wrapped and counted."""

import hashlib
import os
import ssl
import time
from asyncio import selector_events
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tests.kill.processes import Process, SharedClock

from dovetail.cli import context, exits, open_parts
from dovetail.cli.app import app
from dovetail.protocol.requests import OHTTP_MESSAGE_SIZE
from dovetail.runtime import agent, transport
from dovetail.runtime.transport import HttpTransport
from dovetail.stores.sql import SqliteStore
from dovetail.testing.counting import (
    CountingChain,
    CountingStore,
    CountingTransport,
    CountingWallet,
)
from dovetail.testing.kill import Killer

Tweak = Callable[[], AbstractContextManager[Any]]
"""What a party's process has changed about it: a peer that is not like us."""


_TLS = ssl.create_default_context()
"""Reading the system's certificates takes longer than all else that a command does here."""


@dataclass(frozen=True, slots=True)
class Command:
    """One `dovetail …` of one party."""

    words: tuple[str, ...]
    home: Path
    settings: Mapping[str, str]
    clock: SharedClock
    bodies: Path
    tweaks: tuple[Tweak, ...] = ()

    def start(self, killer: Killer) -> Process:
        return Process(lambda: self._work(killer), self.home / "command.log")

    def _work(self, killer: Killer) -> int:
        for name in [each for each in os.environ if each.startswith("DOVETAIL_")]:
            del os.environ[name]
        os.environ.update(self.settings)
        with ExitStack() as changes:
            changes.enter_context(_wrapped(killer, self.clock, self.bodies))
            for tweak in self.tweaks:
                changes.enter_context(tweak())
            return int(exits.run(app, list(self.words)))


@contextmanager
def _wrapped(killer: Killer, clock: SharedClock, bodies: Path) -> Any:
    """The command's own ports, counted; nothing else about it is changed but its haste."""
    open_wallet, open_chain, policy = (
        open_parts.open_wallet,
        open_parts.open_chain,
        context.Home.policy,
    )

    @contextmanager
    def counted_chain(place: context.Home) -> Any:
        with open_chain(place) as chain:
            yield CountingChain(chain, killer)

    class CountedTransport(CountingTransport):
        def __init__(self, **settings: Any) -> None:
            self._web = HttpTransport(**settings)
            self.require_way = self._web.require_way
            self.most_at_once = self._web.most_at_once
            super().__init__(self._web, killer, leaving=lambda r: _record(bodies, ASKED, r.body))

        async def aclose(self) -> None:
            await self._web.aclose()

    class CountedStore:
        @classmethod
        def open(cls, path: Path, **settings: Any) -> CountingStore:
            return CountingStore(SqliteStore.open(path, **settings), killer)

    def hasty(place: context.Home) -> Any:
        quick = {"watch_interval": 0.05, "poll_pause": 0.05, "first_retry": 0.05}
        chosen = policy.fget(place)  # type: ignore[attr-defined]  # a property
        return replace(chosen, longest_retry=0.2, tries=3, **quick)

    with (
        _watched_sockets(bodies),
        patch.object(
            open_parts,
            "open_wallet",
            lambda place, **kw: CountingWallet(open_wallet(place, **kw), killer),
        ),
        patch.object(open_parts, "open_chain", counted_chain),
        patch.object(transport, "HttpTransport", CountedTransport),
        patch.object(agent, "SqliteStore", CountedStore),
        patch.object(context.Home, "policy", property(hasty)),
        patch.object(time, "time", clock),
        patch.object(ssl, "create_default_context", lambda *_a, **_k: _TLS),
    ):
        yield


ASKED, LEFT = "asked", "left"
"""A ciphertext on its way to the transport, and one that a socket was given."""


@contextmanager
def _watched_sockets(bodies: Path) -> Any:
    """P1 is judged at the socket: whatever it is given is looked at, whoever sends it again."""
    give = selector_events._SelectorSocketTransport.write  # type: ignore[attr-defined]

    def write(transport: Any, data: Any) -> None:
        sent = bytes(data)
        body = sent if len(sent) == OHTTP_MESSAGE_SIZE else sent.partition(b"\r\n\r\n")[2]
        _record(bodies, LEFT, body)
        give(transport, data)

    with patch.object(selector_events._SelectorSocketTransport, "write", write):  # type: ignore[attr-defined]
        yield


def _record(bodies: Path, where: str, body: bytes) -> None:
    """Write a ciphertext down, as its digest and that of its encapsulated key."""
    if len(body) == OHTTP_MESSAGE_SIZE:
        key = hashlib.sha256(body[7:72]).hexdigest()
        whole = hashlib.sha256(body).hexdigest()
        with bodies.open("a") as file:
            file.write(f"{where} {whole} {key}\n")
