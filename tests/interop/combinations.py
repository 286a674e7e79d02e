"""Every sender with every receiver through every directory and relay; every script type."""

import asyncio
from collections.abc import Iterator
from itertools import product

from tests.interop.dovetail_peer import KINDS
from tests.interop.environment import Ending, Stage
from tests.interop.mailrooms import Make
from tests.interop.pairing import AMOUNT, Pairing, Purses, both

US, THEM = Make.OURS, Make.THEIRS


def combinations() -> Iterator[Pairing]:
    """The sixteen."""
    for sender, receiver, directory, relay in product((US, THEM), repeat=4):
        yield Pairing(
            "Every combination", "a payjoin", sender, receiver, directory, relay, _payjoin
        )


def script_types() -> Iterator[Pairing]:
    """Each input type on each side, in both directions."""
    for (sender, receiver), paying, charging in product(((US, THEM), (THEM, US)), KINDS, KINDS):
        yield Pairing(
            "Script types",
            f"{paying} pays {charging}",
            sender,
            receiver,
            receiver,
            sender,
            _with(Purses(sender_kind=paying, receiver_kind=charging)),
        )


async def _payjoin(stage: Stage, pairing: Pairing) -> None:
    await payjoin(stage, pairing, Purses())


def _with(purses: Purses):
    return lambda stage, pairing: payjoin(stage, pairing, purses)


async def payjoin(stage: Stage, pairing: Pairing, purses: Purses) -> None:
    """The whole of it, with nothing special."""
    async with both(stage, pairing, purses) as (payer, payee, books):
        uri = await payee.ask(AMOUNT)
        paid, got = await at_once(payer.pay(uri), payee.serve())
        await books.close(paid, got)


async def at_once(paying, charging) -> tuple[Ending, Ending]:
    """Both parties at the same time; where one fails, the other stops."""
    async with asyncio.TaskGroup() as group:
        tasks = group.create_task(paying), group.create_task(charging)
    return tasks[0].result(), tasks[1].result()
