"""Charts over days: how invoices were paid, as bars, and the same in numbers."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from dovetail.bitcoin import UnixTime
from dovetail.merchant.data.census import Settlement
from dovetail.merchant.services.readiness import NoPayjoin

DAYS = 30
DAY = 86_400

_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 640, 170, 34, 22


class Way(StrEnum):
    """How a settled invoice was paid; the values are the colours of the chart."""

    PAYJOIN = "a"
    FALLBACK = "b"
    """Handed over for a payjoin, and paid as an ordinary payment."""
    DIRECT = "c"
    """A payjoin was offered, and the customer's wallet made none."""
    NOT_OFFERED = "d"

    @property
    def words(self) -> str:
        """The same for people."""
        return _WAYS[self]


_WAYS = {
    Way.PAYJOIN: "Payjoin",
    Way.FALLBACK: "Begun as a payjoin, paid as usual",
    Way.DIRECT: "Offered, paid as usual",
    Way.NOT_OFFERED: "Not offered",
}


@dataclass(frozen=True, slots=True)
class Bar:
    """A part of a day's bar, in the units of the drawing."""

    way: Way
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Chart:
    """The bars of the last days, and what they say in words."""

    bars: tuple[Bar, ...]
    days: tuple[str, ...]
    counts: tuple[tuple[str, Counter[Way]], ...]
    """By day, those with at least one settled invoice."""
    most: int
    total: int
    totals: Counter[Way]
    reasons: tuple[tuple[str, int], ...]
    """Why there was no payjoin, the most frequent first."""
    width: int = _WIDTH
    height: int = _HEIGHT
    left: int = _LEFT
    base: int = _HEIGHT - _BOTTOM

    @property
    def rate(self) -> str:
        """The share of payjoins among all settled invoices."""
        if not self.total:
            return "-"
        return f"{100 * self.totals[Way.PAYJOIN] / self.total:.0f} %"


def since(now: UnixTime) -> UnixTime:
    """When the first day of the chart begins, in UTC."""
    return UnixTime((int(now) // DAY - DAYS + 1) * DAY)


def chart_of(found: Iterable[Settlement], now: UnixTime) -> Chart:
    """The chart of the last days up to today."""
    first = int(since(now)) // DAY
    by_day = [Counter[Way]() for _ in range(DAYS)]
    reasons: Counter[str] = Counter()
    for each in found:
        day, way = int(each.at) // DAY - first, way_of(each)
        if not 0 <= day < DAYS:
            continue
        by_day[day][way] += 1
        if way is not Way.PAYJOIN:
            reasons[_reason(each, way)] += 1
    days = tuple(
        datetime.fromtimestamp((first + number) * DAY, UTC).strftime("%Y-%m-%d")
        for number in range(DAYS)
    )
    totals = sum(by_day, Counter[Way]())
    most = max((each.total() for each in by_day), default=0)
    return Chart(
        bars=tuple(_bars(by_day, max(1, most))),
        days=days,
        counts=tuple(
            (day, count) for day, count in zip(days, by_day, strict=True) if count.total()
        ),
        most=most,
        total=totals.total(),
        totals=totals,
        reasons=tuple(reasons.most_common()),
    )


def way_of(settlement: Settlement) -> Way:
    """How an invoice was paid; a payjoin among its transactions counts most."""
    if "payjoin" in settlement.kinds:
        return Way.PAYJOIN
    if "fallback" in settlement.kinds:
        return Way.FALLBACK
    return Way.DIRECT if settlement.no_payjoin is None else Way.NOT_OFFERED


def _reason(settlement: Settlement, way: Way) -> str:
    if way is Way.NOT_OFFERED and settlement.no_payjoin in set(NoPayjoin):
        return NoPayjoin(settlement.no_payjoin).words
    if way is Way.FALLBACK:
        return "The customer's wallet began a payjoin, and it was not completed."
    return "The customer's wallet paid as usual, though a payjoin was offered."


def _bars(by_day: list[Counter[Way]], most: int) -> Iterable[Bar]:
    step = (_WIDTH - _LEFT) / DAYS
    room = _HEIGHT - _BOTTOM - 10
    for day, counts in enumerate(by_day):
        y = float(_HEIGHT - _BOTTOM)
        for way in Way:
            height = room * counts[way] / most
            y -= height
            if height:
                x = _LEFT + day * step + 2
                yield Bar(way, round(x, 1), round(y, 1), round(step - 4, 1), round(height, 1))
