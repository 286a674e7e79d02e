"""Running pairings one after the other, and telling how they went."""

import asyncio
import time
import traceback
from collections.abc import AsyncIterator, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.interop.environment import Costs, Stage, open_stage
from tests.interop.pairing import Pairing
from tests.interop.programs import Peers

PATIENCE = 60.0
"""Seconds after which a pairing has failed."""


@dataclass(frozen=True, slots=True)
class Result:
    """One pairing as it went; neither `fault` nor `missing` where it passed.

    `seconds` are those after its set-up: wallets, coins and programs were there.
    """

    pairing: Pairing
    seconds: float = 0.0
    fault: str = ""
    missing: str = ""
    costs: Costs | None = None

    @property
    def passed(self) -> bool:
        """Whether it was run and went as it should."""
        return not self.fault and not self.missing


@contextmanager
def staged(peers: Peers) -> Generator[Stage]:
    """The world, in a folder of its own that goes with it."""
    with (
        TemporaryDirectory(prefix="dovetail-interop-") as folder,
        open_stage(Path(folder), peers) as stage,
    ):
        yield stage


async def run(pairings: Iterable[Pairing], peers: Peers) -> AsyncIterator[Result]:
    with staged(peers) as stage:
        for pairing in pairings:
            missing = pairing.missing(peers)
            yield (
                await _play(stage, pairing) if missing is None else Result(pairing, missing=missing)
            )


async def _play(stage: Stage, pairing: Pairing) -> Result:
    stage.began, stage.costs = time.monotonic(), None
    try:
        async with asyncio.timeout(PATIENCE):
            await pairing.play(stage, pairing)
    except Exception as error:  # noqa: BLE001 - whatever it is, the other pairings go on
        fault = "".join(traceback.format_exception(error))
        return Result(pairing, time.monotonic() - stage.began, fault)
    return Result(pairing, time.monotonic() - stage.began, costs=stage.costs)
