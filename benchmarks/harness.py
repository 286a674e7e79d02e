"""Two ways to do one thing, timed in turns in one run, so that what slows one slows the other."""

import gc
import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from time import perf_counter
from typing import NamedTuple, TypeAlias

Timer: TypeAlias = Callable[[int], float]
"""Does the work this many times; the seconds it took."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A baseline that cannot run here, known by its time in seconds alone."""

    seconds: float


@dataclass(frozen=True, slots=True)
class AtMost:
    """Our time shall be at most `limit` times the baseline's."""

    limit: float

    def met(self, ratio: float) -> bool:
        return ratio <= self.limit

    def __str__(self) -> str:
        return f"<= {self.limit:g}"


@dataclass(frozen=True, slots=True)
class TimesAsFast:
    """We shall be at least `limit` times as fast as the baseline."""

    limit: float

    def met(self, ratio: float) -> bool:
        return ratio >= self.limit

    def __str__(self) -> str:
        return f">= {self.limit:g}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Ours beside a baseline; without a target it is there to be seen only."""

    name: str
    ours: Timer
    baseline: Timer | Figure
    target: AtMost | TimesAsFast | None = None
    per: int = 1
    """How many of the things that the row is about each repetition does."""


@dataclass(frozen=True, slots=True)
class Effort:
    """Short rounds, so that neighbours see the same machine, and as many as there is time for.

    Each side of a round takes about `seconds`; there are `rounds`, or fewer once `limit` seconds
    are over, but never fewer than two.
    """

    rounds: int
    seconds: float
    limit: float


THOROUGH = Effort(rounds=200, seconds=0.003, limit=8.0)
QUICK = Effort(rounds=2, seconds=0.0, limit=0.0)


class Spread(NamedTuple):
    """The median and the quartiles around it."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> "Spread":
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(low, median, high)


class Result(NamedTuple):
    """One row: seconds, and ours over the baseline's, or the reverse where more is better."""

    comparison: Comparison
    ours: Spread
    baseline: Spread
    ratio: Spread

    @property
    def verdict(self) -> str:
        target = self.comparison.target
        if target is None:
            return ""
        return "met" if target.met(self.ratio.median) else "MISSED"


def repeated(work: Callable[[], object]) -> Timer:
    """Time a piece of work that has nothing to exclude from the clock."""

    def timer(repetitions: int) -> float:
        start = perf_counter()
        for _ in range(repetitions):
            work()
        return perf_counter() - start

    return timer


def measure(comparison: Comparison, effort: Effort) -> Result:
    """Take turns, one round each; the ratio is that of neighbours, then its median."""
    baseline = comparison.baseline
    timers = (comparison.ours,) if isinstance(baseline, Figure) else (comparison.ours, baseline)
    repetitions = [_repetitions(timer, effort.seconds) for timer in timers]
    gc.collect()
    gc.freeze()  # what the imports made shall not be looked at again while the clock runs
    rounds: list[list[float]] = []
    end = perf_counter() + effort.limit
    while len(rounds) < 2 or (len(rounds) < effort.rounds and perf_counter() < end):
        pairs = zip(timers, repetitions, strict=True)
        rounds.append([timer(count) / count / comparison.per for timer, count in pairs])
    gc.unfreeze()
    ours = [times[0] for times in rounds]
    theirs = (
        [baseline.seconds] * len(rounds)
        if isinstance(baseline, Figure)
        else [times[1] for times in rounds]
    )
    both = zip(ours, theirs, strict=True)
    if isinstance(comparison.target, TimesAsFast):
        ratios = [their / our for our, their in both]
    else:
        ratios = [our / their for our, their in both]
    return Result(comparison, Spread.of(ours), Spread.of(theirs), Spread.of(ratios))


def _repetitions(timer: Timer, seconds: float) -> int:
    """How often the work fits into the time; the first run, which is slow, is not counted."""
    timer(1)
    return max(1, round(seconds / timer(1)))


HEAD = f"  {'':52}{'ours, us':>22}{'baseline, us':>24}{'ratio':>20}  target"


def line(result: Result) -> str:
    """The row as text: median, and the quartiles in brackets."""
    name, baseline = result.comparison.name, result.comparison.baseline
    theirs = (
        f"{baseline.seconds * 1e6:.0f}, a figure"
        if isinstance(baseline, Figure)
        else _micros(result.baseline)
    )
    ratio = f"{result.ratio.median:.2f} [{result.ratio.low:.2f}-{result.ratio.high:.2f}]"
    target = result.comparison.target
    row = f"  {name:52}{_micros(result.ours):>22}{theirs:>24}{ratio:>20}"
    return row if target is None else f"{row}  {target!s:8}{result.verdict}"


def _micros(spread: Spread) -> str:
    low, median, high = (value * 1e6 for value in spread)
    digits = 1 if median < 1000 else 0
    return f"{median:.{digits}f} [{low:.{digits}f}-{high:.{digits}f}]"


def report(title: str, baseline: str, comparisons: Iterable[Comparison], effort: Effort) -> None:
    """Measure a topic and print it, row by row."""
    print(f"\n{title}\n  baseline: {baseline}\n{HEAD}")
    for comparison in comparisons:
        print(line(measure(comparison, effort)), flush=True)
