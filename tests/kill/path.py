"""One path that a payment can take, what is true of it whoever is killed, and how it is run."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.kill.commands import Tweak
from tests.kill.dialects import Dialect
from tests.kill.ledger import Ending, Party
from tests.kill.servers import Coins

from dovetail.sessions.reasons import Reason

Acts = Callable[[Any], object]
"""What people do in a `Play`."""


def nothing(_play: Any) -> None:
    """No set-up: kills may come from the very first effect on."""


@dataclass(frozen=True, slots=True)
class Way:
    """One path: its set-up, which no kill disturbs, and its acts, up to the final settling."""

    name: str
    acts: Acts
    setup: Acts = nothing
    ends: tuple[Ending, ...] = (Ending.FALLBACK,)
    """How it ends where nobody is killed; several where the two race."""
    parties: tuple[Party, ...] = (Party.SENDER, Party.RECEIVER)
    settings: Mapping[Party, Mapping[str, str]] = field(default_factory=dict)
    tweaks: Mapping[Party, tuple[Tweak, ...]] = field(default_factory=dict)
    coins: Coins = Coins.USUAL
    always: bool = False
    """It ends so whoever is killed: nothing is forgotten that a payjoin needs."""
    why: Reason | None = None
    """The sender's reason, where nobody is killed."""
    depth: int = 1
    """How many confirmations both wait for."""
    mailroom: Mapping[str, float] = field(default_factory=dict)
    """How the mailroom is set up after the path's own set-up."""
    most: int = 1_000
    """The last effect at which somebody is killed, where they go on for as long as it lasts."""
    stride: int = 1
    """Every so many effects are enough, as another path has the same ones."""
    alone: bool = False
    """One `resume` at a time: two cannot listen at one port."""
    dialect: Dialect = Dialect.ESPLORA
    """In whose words the chain server refuses a transaction."""
    beside: bool = False
    """A wallet that knows of no session pays a second time."""
    may_release: bool = False
    may_stray: bool = False
    timeless: bool = False
    """No clock is set forward, so that the installed command can go on."""


@dataclass(frozen=True, slots=True)
class Kill:
    """Which party dies at which of its effects."""

    party: Party
    at: int


@dataclass(frozen=True, slots=True)
class How:
    """What is done to the parties of a path."""

    way: Way
    kill: Kill | None = None
    twice: bool = False
    """Two `resume` processes on each database, always."""
    real: bool = False
    """After the kill, a `dovetail resume` that knows nothing of this harness."""
    mailroom: Mapping[str, float] = field(default_factory=dict)


class Stuck(Exception):
    """A run did not get where its path leads."""
