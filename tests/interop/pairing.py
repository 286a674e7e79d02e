"""One pairing: who pays whom through whose mailrooms, and what is to come of it."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tests.interop.books import Books
from tests.interop.dovetail_peer import EAGER, OurReceiver, OurSender, our_v1_receiver, ours
from tests.interop.environment import Stage
from tests.interop.mailrooms import Make
from tests.interop.programs import Missing, Peers
from tests.interop.rust_peer import (
    TheirReceiver,
    TheirSender,
    TheirV1Receiver,
    their_v1_receiver,
    theirs,
)

from dovetail import Policy

Payer = OurSender | TheirSender
Payee = OurReceiver | TheirReceiver | TheirV1Receiver
US, THEM = Make.OURS, Make.THEIRS


@dataclass(frozen=True, slots=True)
class Pairing:
    """A row of the matrix; `play` raises where anything goes otherwise than it should."""

    group: str
    what: str
    sender: Make
    receiver: Make
    directory: Make | None
    relay: Make | None
    play: "Play"
    version: str = "v2"

    def missing(self, peers: Peers) -> str | None:
        """Why it cannot be run here, and how to get what is not there."""
        wanted = (
            (peers.peer, (self.sender, self.receiver)),
            (peers.mailroom, (self.directory, self.relay)),
        )
        lacking = (each for each, makes in wanted if THEM in makes and isinstance(each, Missing))
        return next((each.why for each in lacking), None)

    def directory_url(self, stage: Stage) -> str:
        assert self.directory is not None
        return stage.mailrooms.directories[self.directory]

    def relay_url(self, stage: Stage) -> str:
        """Through whom both go; nobody in v1 over HTTPS."""
        return "" if self.relay is None else stage.mailrooms.relays[self.relay]


Play = Callable[[Stage, Pairing], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Purses:
    """The coins both come with, their script types, and what our own side's user decided."""

    paying: tuple[int, ...] = (200_000,)
    charging: tuple[int, ...] = (150_000,)
    sender_kind: str = "P2WPKH"
    receiver_kind: str = "P2WPKH"
    policy: Policy = EAGER


USUAL, POOR = Purses(), Purses(charging=())


def payer_of(stage: Stage, pairing: Pairing, purses: Purses) -> AbstractAsyncContextManager[Payer]:
    relay, kind, coins = pairing.relay_url(stage), purses.sender_kind, purses.paying
    if pairing.sender is THEM:
        return theirs(TheirSender, stage, relay, *coins, kind=kind)
    return ours(OurSender, stage, relay or None, *coins, kind=kind, policy=purses.policy)


def payee_of(stage: Stage, pairing: Pairing, purses: Purses) -> AbstractAsyncContextManager[Payee]:
    relay, coins = pairing.relay_url(stage), purses.charging
    us = pairing.receiver is US
    if not relay:
        return our_v1_receiver(stage, *coins) if us else their_v1_receiver(stage, *coins)
    at: Any = {"kind": purses.receiver_kind, "directory": pairing.directory_url(stage)}
    if us:
        return ours(OurReceiver, stage, relay, *coins, policy=purses.policy, **at)
    return theirs(TheirReceiver, stage, relay, *coins, **at)


@asynccontextmanager
async def both(
    stage: Stage, pairing: Pairing, purses: Purses = USUAL
) -> AsyncGenerator[tuple[Payer, Payee, "Books"]]:
    """Sender and receiver, and the books that must balance in the end."""
    # The sender leaves first: a server says goodbye to TLS clients that are still there, and waits.
    async with (
        payee_of(stage, pairing, purses) as payee,
        payer_of(stage, pairing, purses) as payer,
        stage.mining(),
    ):
        yield payer, payee, await Books.open(stage, payer, payee)


Act = Callable[[Any, Any, Books], Awaitable[object]]
"""What payer and payee do, of whichever make."""


def anybody(act: Act, purses: Purses = USUAL) -> Play:
    async def play(stage: Stage, pairing: Pairing) -> None:
        async with both(stage, pairing, purses) as (payer, payee, books):
            await act(payer, payee, books)

    return play


def we_pay(group: str, what: str, act: Act, purses: Purses = USUAL) -> Pairing:
    """We pay them, through their directory by our relay."""
    return Pairing(group, what, US, THEM, THEM, US, anybody(act, purses))


def they_pay(group: str, what: str, act: Act, purses: Purses = USUAL) -> Pairing:
    """They pay us, through our directory by their relay."""
    return Pairing(group, what, THEM, US, US, THEM, anybody(act, purses))
