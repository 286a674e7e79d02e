"""What the pages of the dashboard share: services, and the limits of guesses."""

import asyncio
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

from litestar import Request
from litestar.handlers import BaseRouteHandler

from dovetail.merchant.api.limits import Buckets, Rate
from dovetail.merchant.services.health import Health
from dovetail.merchant.services.invoices import Invoices
from dovetail.merchant.services.parts import Parts
from dovetail.merchant.services.refunds import Refunds
from dovetail.merchant.services.sign_in import SignIns
from dovetail.merchant.services.users import Users

CLIENT_TRIES = Rate(burst=20, per_second=1 / 30)
"""Passwords and codes that one network may try."""

NAME_TRIES = Rate(burst=10, per_second=1 / 60)
"""Those that may be tried for one name, from anywhere."""

_HASHES = 2
"""Passwords that are checked at the same time: each takes 64 MB for a moment."""
_DESK = "desk"


class Gate:
    """Lets few guesses through, and few passwords be checked at once."""

    def __init__(self) -> None:
        """Nobody has tried yet."""
        self._clients = Buckets(CLIENT_TRIES)
        self._names = Buckets(NAME_TRIES)
        self.hashing = asyncio.Semaphore(_HASHES)

    def wait(self, client: Hashable | None, name: str) -> float:
        """Count a try; return 0, or the seconds to wait if it is one too many."""
        return self._clients.take(client) or self._names.take(name.casefold())


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """The services behind the pages."""

    parts: Parts
    health: Health
    users: Users
    sign_ins: SignIns
    gate: Gate = field(default_factory=Gate)

    @property
    def invoices(self) -> Invoices:
        """What is done with invoices."""
        return Invoices(self.parts)

    @property
    def refunds(self) -> Refunds:
        """What is done with refunds."""
        return Refunds(self.parts.database, self.parts.clock)

    @property
    def options(self) -> dict[str, Any]:
        """The options of the routers, in which handlers and guards find it.

        Litestar copies options deeply, and leaves functions as they are.
        """
        return {_DESK: lambda: self}


def desk_at(handler: BaseRouteHandler) -> Desk:
    """The desk of a route."""
    found: Desk = handler.opt[_DESK]()
    return found


def desk_of(request: Request[Any, Any, Any]) -> Desk:
    """The desk of a request."""
    return desk_at(request.route_handler)
