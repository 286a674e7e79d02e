"""How this server is: each part in a word, asked every few seconds at most.

Whether it answers is one thing, and its proxy asks for it. Whether payments are seen is another:
without a chain source a customer must still find the page of an invoice.

A part that hangs costs one thread, and no request waits for it longer than a moment.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection

from dovetail.errors import DovetailError
from dovetail.merchant.data import workers
from dovetail.merchant.data.database import Database
from dovetail.merchant.data.migrations import is_current
from dovetail.merchant.services.parts import Parts

FRESH = 5.0
"""Seconds for which what was found of a part is told again."""

PATIENCE = 2.0
"""Seconds to wait for a part's answer."""

LATELY = 60.0
"""Seconds for which a chain source that was seen counts as there."""

SIGN_OF_LIFE = 10.0
"""Seconds for which a worker that gave a sign of life counts as alive."""


class Word(StrEnum):
    """How a part is; the values are stable."""

    OK = "ok"
    AWAY = "away"
    OTHER_SCHEMA = "other-schema"
    NONE = "none"
    """There is none: no signer is set, or no worker is alive."""


class Overall(StrEnum):
    """How the server is as a whole; the values are stable."""

    READY = "ready"
    DEGRADED = "degraded"
    """Payments come in, and no payjoin is offered."""
    BLIND = "blind"
    """Requests are answered, and no payment is seen: the chain source or all workers are away."""
    NOT_READY = "not-ready"
    """Nothing can be answered: the database is away, or has another schema."""
    STOPPING = "stopping"


@dataclass(frozen=True, slots=True)
class Findings:
    """How each part is, and what that means for the whole."""

    overall: Overall
    parts: dict[str, Word]

    @property
    def takes_requests(self) -> bool:
        """Whether a proxy should send requests here."""
        return self.sees_payments or self.overall is Overall.BLIND

    @property
    def sees_payments(self) -> bool:
        """Whether what customers pay is noticed now."""
        return self.overall in (Overall.READY, Overall.DEGRADED)


class Health:
    """Looks after the parts of a server. Use it from one event loop."""

    def __init__(
        self,
        parts: Parts,
        *,
        works: Callable[[], bool] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`works` tells whether the engine of this process runs; None: workers are elsewhere."""
        self._stopping = False
        self._chain = _Seen(parts, clock)
        self.works = works
        self._probes = {
            "database": _Probe(lambda: _database(parts.database), clock),
            "chain": _Probe(self._chain, clock),
            "workers": _Probe(lambda: self._workers(parts.database), clock),
            "signer": _Probe(lambda: _signer(parts), clock),
        }

    def stop(self) -> None:
        """Tell from now on that the server stops."""
        self._stopping = True

    async def findings(self) -> Findings:
        """How the parts are; asked at most every `FRESH` seconds, whoever asks."""
        words = await asyncio.gather(*(each.word() for each in self._probes.values()))
        parts = dict(zip(self._probes, words, strict=True))
        return Findings(self._overall(parts), parts)

    def _overall(self, parts: dict[str, Word]) -> Overall:
        if self._stopping:
            return Overall.STOPPING
        if parts["database"] is not Word.OK:
            return Overall.NOT_READY
        if any(parts[each] is not Word.OK for each in ("chain", "workers")):
            return Overall.BLIND
        return Overall.READY if parts["signer"] is Word.OK else Overall.DEGRADED

    def _workers(self, database: Database) -> Word:
        if self.works is not None:
            return Word.OK if self.works() else Word.NONE
        if not database.is_shared:
            return Word.NONE
        living = database.read(lambda c: workers.living(c, SIGN_OF_LIFE))
        return Word.OK if living else Word.NONE


class _Probe:
    """Asks one part, in one thread at most, and keeps the answer for a while."""

    def __init__(self, ask: Callable[[], Word], clock: Callable[[], float]) -> None:
        self._ask = ask
        self._clock = clock
        self._known: tuple[float, Word] | None = None
        self._asking: asyncio.Task[Word] | None = None

    async def word(self) -> Word:
        """How the part is, or was a moment ago."""
        if self._known is not None and 0 <= self._clock() - self._known[0] < FRESH:
            return self._known[1]
        if self._asking is None:
            self._asking = asyncio.create_task(self._asked())
        done, _ = await asyncio.wait({self._asking}, timeout=PATIENCE)
        if done:
            return await done.pop()
        self._known = self._clock(), Word.AWAY
        return Word.AWAY

    async def _asked(self) -> Word:
        try:
            word = await asyncio.to_thread(self._ask)
        except DovetailError:
            word = Word.AWAY
        finally:
            self._asking = None
        self._known = self._clock(), word
        return word


class _Seen:
    """Whether the chain source was seen lately: it may miss a call, or be restarted."""

    def __init__(self, parts: Parts, clock: Callable[[], float]) -> None:
        self._parts = parts
        self._clock = clock
        self._at: float | None = None

    def __call__(self) -> Word:
        try:
            self._parts.chain.height()
        except DovetailError:
            lately = self._at is not None and self._clock() - self._at < LATELY
            return Word.OK if lately else Word.AWAY
        self._at = self._clock()
        return Word.OK


def _database(database: Database) -> Word:
    def read(connection: Connection) -> bool:
        return is_current(connection)

    return Word.OK if database.read(read) else Word.OTHER_SCHEMA


def _signer(parts: Parts) -> Word:
    if parts.signer is None:
        return Word.NONE
    parts.signer.descriptors()
    return Word.OK
