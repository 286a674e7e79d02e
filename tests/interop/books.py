"""Who had what before a payment, and who has what after it."""

import asyncio
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from tests.interop.environment import Costs, Ending, How, Stage

from dovetail.bitcoin import Address, Network

AMOUNT = 50_000
MOST_FEES = 16_000
"""Satoshis that a party may pay to miners in any of the pairings."""


@dataclass(frozen=True, slots=True)
class Books:
    """Who had what; `close` asks the chain who has what now. Both have `coins` and a `balance`."""

    stage: Stage
    payer: Any
    payee: Any
    paid_from: int
    paid_to: int

    @classmethod
    async def open(cls, stage: Stage, payer: Any, payee: Any) -> "Books":
        """Before the payment, which begins now."""
        books = cls(stage, payer, payee, await payer.balance(), await payee.balance())
        stage.began = time.monotonic()
        return books

    async def close(
        self,
        *endings: Ending,
        how: How = How.PAYJOIN,
        amount: int = AMOUNT,
        elsewhere: int = 0,
        coins: int | None = 1,
    ) -> tuple[int, int]:
        """The payment was made once, as both say and `how` it should, and nobody lost a satoshi.

        `elsewhere` went to third parties; `coins` are how many a payjoin has of the receiver's.
        Returns what the sender lost and what the receiver got.
        """
        txid = endings[0].txid
        assert txid is not None, endings
        for ending in endings:
            unwatched = ending.how is How.UNWATCHED and how is How.PAYJOIN
            assert ending.how is how or unwatched, endings
            assert ending.txid == txid, endings
        transaction = self.stage.confirmed(txid)
        assert transaction is not None, "no block holds the payment"
        spent = set(transaction.contested())
        assert spent & set(self.payer.coins)
        theirs = len(spent & set(self.payee.coins))
        assert theirs == 0 if how is How.FALLBACK else theirs and coins in (None, theirs), theirs
        got = await self.payee.balance() - self.paid_to
        lost = self.paid_from - await self.payer.balance() - elsewhere
        self.stage.costs = Costs(lost - got, transaction.weight, got)
        assert amount - MOST_FEES < got <= amount, got
        assert amount < lost <= amount + MOST_FEES, lost
        if how is How.FALLBACK:
            assert got == amount, got
        return lost, got

    async def both(
        self,
        paying: Coroutine[None, None, Ending],
        charging: Coroutine[None, None, Ending],
        **how: Any,
    ) -> tuple[Ending, Ending]:
        """Both parties at the same time, to the end that is wanted."""
        paid, got = await at_once(paying, charging)
        await self.close(paid, got, **how)
        return paid, got


async def at_once(
    paying: Coroutine[None, None, Ending], charging: Coroutine[None, None, Ending]
) -> tuple[Ending, Ending]:
    """Both parties at the same time; where one fails, the other stops."""
    async with asyncio.TaskGroup() as group:
        tasks = group.create_task(paying), group.create_task(charging)
    return tasks[0].result(), tasks[1].result()


def address_in(uri: str) -> str:
    return uri.removeprefix("bitcoin:").partition("?")[0]


def stranger(number: int) -> str:
    """An address of nobody who takes part."""
    return str(Address.from_script(b"\0\x14" + bytes([number]) * 20, Network.REGTEST))
