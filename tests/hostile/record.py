"""What is written down about each trick: the page in the docs is made of it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from tests.hostile.payment import Ends, Played, Stage


class Peer(Enum):
    """Who plays a trick: a heading, and who is deceived."""

    RECEIVER = "Receivers", "The sender is to be robbed, tracked or kept waiting."
    SENDER = "Senders", "The receiver is to be robbed, probed or paid with air."
    DIRECTORY = (
        "Directories",
        "It stores the messages and serves its keys; it can lose what it stores, and lie.",
    )
    RELAY = (
        "Relays",
        "It carries the ciphertexts; it can drop, repeat, swap and spoil them.",
    )
    WEB = (
        "BIP 78 servers",
        "The server of a v1 Payjoin URI sees the Original PSBT and answers over HTTP.",
    )
    CLIENT = (
        "BIP 78 clients",
        "Whoever knows its address can write to an endpoint of one's own.",
    )
    LINK = ("Payjoin URIs", "A Payjoin URI comes from a stranger: by a page, a message, a QR code.")
    CHAIN = (
        "Chain sources",
        "What a source says about blocks is believed; what it says twice is not.",
    )

    def __init__(self, heading: str, words: str) -> None:
        self.heading = heading
        self.words = words


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One trick in words."""

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


Play = Callable[[Stage], Awaitable[Played]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trick(Record):
    """A trick that is played in a session, or instead of one."""

    play: Play


Decorator = Callable[[Callable[..., Any]], Trick]
"""Makes a trick of a function that plays it, or a part of it."""


def trick(
    *,
    peer: Peer,
    we: str,
    rule: str,
    told: str,
    ends: Ends,
    playing: Callable[[Any], Play] | None = None,
    name: str = "",
    words: str = "",
) -> Decorator:
    """The function's name is the trick's and its docstring what they do, unless these are given.

    `playing` makes a play of a function that is only a part of one.
    """

    def made(deed: Callable[..., Any]) -> Trick:
        return Trick(
            peer=peer,
            name=name or deed.__name__.replace("_", " "),
            trick=words or " ".join((deed.__doc__ or "").split()),
            we=we,
            rule=rule,
            told=told,
            ends=ends,
            play=deed if playing is None else playing(deed),
        )

    return made


def tricks_in(module: Mapping[str, object]) -> tuple[Trick, ...]:
    """The tricks of a module, in the order in which they stand there."""
    found: list[Trick] = []
    for value in module.values():
        several = value if isinstance(value, tuple) else (value,)
        found += [each for each in several if isinstance(each, Trick)]
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Link(Record):
    """A Payjoin URI that confuses, made of an honest one."""

    spoil: Callable[[str], str]
