"""The page of hostile peers as data: each of its rows is a test, and some trick plays it."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

from tests.hostile.payment import Ends, Played, Stage

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "hostile-peers.md"
Play = Callable[[Stage], Awaitable[Played]]
Deed = TypeVar("Deed", bound=Callable[..., Any])


class Peer(Enum):
    """Who plays a trick, by the heading of the page."""

    RECEIVER = "Receivers"
    SENDER = "Senders"
    DIRECTORY = "Directories"
    RELAY = "Relays"
    WEB = "BIP 78 servers"
    CLIENT = "BIP 78 clients"
    CHAIN = "Chain sources"
    LINK = "Payjoin URIs"


@dataclass(frozen=True, slots=True)
class Row:
    peer: Peer
    name: str
    trick: str
    """What they do, in a sentence."""
    we: str
    """What Dovetail does, in a sentence."""
    rule: str
    """What stops it: a section of a BIP, a rule of ours, or a check by its name."""
    told: str
    """What the user reads, word for word."""
    ends: Ends

    @property
    def key(self) -> str:
        """Its name as a function's."""
        return re.sub(r"\W+", "_", self.name.replace("'", "").lower())


def _rows() -> tuple[Row, ...]:
    found: list[Row] = []
    for section in PAGE.read_text().split("\n## ")[1:]:
        heading, *lines = section.splitlines()
        for line in lines:
            if line.startswith("| **"):
                told, we, rule, words, ends = line[2:-2].split(" | ")
                name, _, trick = told.removeprefix("**").partition(".** ")
                name = name[:1].lower() + name[1:]
                found.append(Row(Peer(heading), name, trick, we, rule, words, Ends(ends)))
    return tuple(found)


ROWS = _rows()


class Tricks(dict[str, Play]):
    """The plays of a module, by the keys of their rows."""

    def __call__(self, play: Play) -> Play:
        return self.by(lambda whole: whole)(play)

    def by(self, way: Callable[..., Play]) -> Callable[[Deed], Deed]:
        """For a function that is a part of a play, of which `way` makes a whole one."""

        def add(deed: Deed) -> Deed:
            self[deed.__name__] = way(deed)
            return deed

        return add
