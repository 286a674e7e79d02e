"""What is written down about each trick: the page in the docs is made of it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Link(Record):
    """A Payjoin URI that confuses, made of an honest one."""

    spoil: Callable[[str], str]
