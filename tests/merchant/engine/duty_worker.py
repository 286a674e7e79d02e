"""A worker in a process of its own, whose duties record in a table that they are done.

Usage: python -m tests.merchant.engine.duty_worker URL NAME
"""

import asyncio
import os
import signal
import sys
from functools import partial

import psycopg

from dovetail.merchant.engine.procrastinate_duties import ProcrastinateDuties

_DONE = "INSERT INTO done (worker, duty) VALUES (%s, %s)"


async def _count(url: str, worker: str, duty: str) -> None:
    while True:
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            await connection.execute(_DONE, (worker, duty))
        await asyncio.sleep(0.1)


async def _main(url: str, worker: str) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    registry = {"count": partial(_count, url, worker)}
    async with ProcrastinateDuties.open(url, registry) as duties:
        print("ready", os.getpid(), flush=True)  # noqa: T201
        await duties.run(stop)


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], sys.argv[2]))
