"""What the pages of the dashboard share: services, and the limits of guesses."""

import asyncio
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

from litestar.connection import ASGIConnection

from dovetail.merchant.api.limits import Buckets, Rate
from dovetail.merchant.services.health import Health
from dovetail.merchant.services.invoices import Invoices
from dovetail.merchant.services.parts import Parts
from dovetail.merchant.services.passkeys import Passkeys
from dovetail.merchant.services.refunds import Refunds
from dovetail.merchant.services.sign_in import SignIns
from dovetail.merchant.services.users import Users

CLIENT_TRIES = Rate(burst=20, per_second=1 / 30)
"""Passwords and codes that one network may try."""

PAIR_TRIES = Rate(burst=10, per_second=1 / 60)
"""Those that one network may try for one name."""

NAME_TRIES = Rate(burst=40, per_second=1 / 60)
"""Those that may be tried for one name from anywhere: at most 100 in an hour."""

KNOWN_TRIES = Rate(burst=10, per_second=1 / 60)
"""Those of a browser in which the user of the name has signed in before."""

CHALLENGES = Rate(burst=30, per_second=1 / 5)
"""How often one network, or one known browser, may ask for something to sign by a passkey."""

_HASHES = 2
"""Passwords that are checked at the same time: each takes 64 MB for a moment."""
DESK = "desk"
"""Where the pages find it in the state of the application."""


class Gate:
    """Lets few guesses through, and few passwords be checked at once.

    Guesses of strangers fill the limits of their networks and of the name. They hold up nobody who
    is `known`: a browser in which the user has signed in before, or in which they are signed in.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Nobody has tried yet; `clock` gives seconds that never go back."""
        self._clients = Buckets(CLIENT_TRIES, clock=clock)
        self._pairs = Buckets(PAIR_TRIES, clock=clock)
        self._names = Buckets(NAME_TRIES, clock=clock)
        self._known = Buckets(KNOWN_TRIES, clock=clock)
        self._challenges = Buckets(CHALLENGES, clock=clock)
        self.hashing = asyncio.Semaphore(_HASHES)

    def wait(self, client: Hashable | None, name: str, known: Hashable | None = None) -> float:
        """Count a try; return 0, or the seconds to wait if it is one too many."""
        if known is not None:
            return self._known.take(known)
        folded = name.casefold()
        pair = None if client is None else (client, folded)
        return self._clients.take(client) or self._pairs.take(pair) or self._names.take(folded)

    def wait_to_ask(self, client: Hashable | None, known: Hashable | None = None) -> float:
        """Count a challenge for a passkey, as `wait` counts a try."""
        return self._challenges.take(client if known is None else known)


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """The services behind the pages."""

    parts: Parts
    health: Health
    users: Users
    sign_ins: SignIns
    gate: Gate = field(default_factory=Gate)

    @property
    def passkeys(self) -> Passkeys:
        """What is done with passkeys."""
        return Passkeys(self.parts.database)

    @property
    def invoices(self) -> Invoices:
        """What is done with invoices."""
        return Invoices(self.parts)

    @property
    def refunds(self) -> Refunds:
        """What is done with refunds."""
        return Refunds(self.parts.database, self.parts.clock)


def desk_of(connection: ASGIConnection[Any, Any, Any, Any]) -> Desk:
    """The desk of a request."""
    found: Desk = connection.app.state[DESK]
    return found
