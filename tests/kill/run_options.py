"""How a run is made, and that it got nowhere."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.kill.commands import Tweak
from tests.kill.dialects import Dialect
from tests.kill.ledger import Party


@dataclass(frozen=True, slots=True)
class Kill:
    """Which party dies at which of its effects."""

    party: Party
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class How:
    """How a run is made: settings and tweaks of the parties, and what is done to them."""

    kill: Kill | None = None
    twice: bool = False
    """Two `resume` processes on each database, always."""
    real: bool = False
    """After the kill, a `dovetail resume` that knows nothing of this harness."""
    depth: int = 1
    """How many confirmations the parties wait for."""
    mailroom: Mapping[str, float] = field(default_factory=dict)
    dialect: Dialect = Dialect.ESPLORA
    settings: Mapping[Party, Mapping[str, str]] = field(default_factory=dict)
    tweaks: Mapping[Party, tuple[Tweak, ...]] = field(default_factory=dict)


class Stuck(Exception):
    """A run did not get where its path leads."""
