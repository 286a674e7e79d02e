"""Charts over days: how invoices were paid, and what the shop paid in fees; and the numbers."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from dovetail.bitcoin import Sats, UnixTime
from dovetail.merchant.data.census import Settlement
from dovetail.merchant.pages.language import phrase
from dovetail.merchant.services.readiness import NoPayjoin

DAYS = 30
DAY = 86_400

_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 640, 170, 52, 10, 22
_STEP = (_WIDTH - _LEFT) / DAYS
_THICK = round(_STEP - 4, 1)


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
    Way.PAYJOIN: phrase("Payjoin"),
    Way.FALLBACK: phrase("Begun as a payjoin, paid as usual"),
    Way.DIRECT: phrase("Offered, paid as usual"),
    Way.NOT_OFFERED: phrase("Not offered"),
}


@dataclass(frozen=True, slots=True)
class Bar:
    """A part of a day's bar, in the units of the drawing."""

    colour: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Plot:
    """The bars of the last days, each a stack of counts, and the scale beside them."""

    bars: tuple[Bar, ...]
    first: UnixTime
    """When the first day begins."""
    last: UnixTime
    """When the last day begins, which is today."""
    most: int
    """The height of the highest bar, in what is counted."""
    width: int = _WIDTH
    height: int = _HEIGHT
    left: int = _LEFT
    top: int = _TOP
    base: int = _HEIGHT - _BOTTOM


@dataclass(frozen=True, slots=True)
class Chart:
    """How the invoices of the last days were paid."""

    plot: Plot
    counts: tuple[tuple[UnixTime, Counter[Way]], ...]
    """By the beginning of the day, those with at least one settled invoice."""
    total: int
    totals: Counter[Way]
    reasons: tuple[tuple[str, int], ...]
    """Why there was no payjoin, the most frequent first."""

    @property
    def share(self) -> int:
        """The share of payjoins among all settled invoices, in percent."""
        return round(100 * self.totals[Way.PAYJOIN] / self.total) if self.total else 0


@dataclass(frozen=True, slots=True)
class FeesOfDay:
    """What the payjoins of a day have cost the shop."""

    day: UnixTime
    payjoins: int
    fees: Sats


@dataclass(frozen=True, slots=True)
class Fees:
    """What the shop has paid of the payjoins' fees in the last days."""

    plot: Plot
    days: tuple[FeesOfDay, ...]
    """Those with at least one payjoin."""

    @property
    def payjoins(self) -> int:
        """How many there were."""
        return sum(each.payjoins for each in self.days)

    @property
    def total(self) -> Sats:
        """What all of them have cost."""
        return Sats.sum(each.fees for each in self.days)

    @property
    def average(self) -> Sats:
        """What one has cost, rounded to whole satoshis."""
        return Sats(round(int(self.total) / self.payjoins)) if self.payjoins else Sats(0)


def since(now: UnixTime) -> UnixTime:
    """When the first day of the charts begins, in UTC."""
    return UnixTime((int(now) // DAY - DAYS + 1) * DAY)


def chart_of(found: Iterable[Settlement], now: UnixTime) -> Chart:
    """How the invoices of the last days were paid, up to today."""
    by_day = [Counter[Way]() for _ in range(DAYS)]
    reasons: Counter[str] = Counter()
    for day, each in _placed(found, now):
        way = way_of(each)
        by_day[day][way] += 1
        if way is not Way.PAYJOIN:
            reasons[_reason(each, way)] += 1
    totals = sum(by_day, Counter[Way]())
    return Chart(
        plot=_plot([{way.value: counts[way] for way in Way} for counts in by_day], now),
        counts=tuple((_day(now, day), each) for day, each in enumerate(by_day) if each.total()),
        total=totals.total(),
        totals=totals,
        reasons=tuple(reasons.most_common()),
    )


def fees_of(found: Iterable[Settlement], now: UnixTime) -> Fees:
    """What the payjoins of the last days have cost the shop, up to today."""
    payjoins, fees = [0] * DAYS, [0] * DAYS
    for day, each in _placed(found, now):
        if way_of(each) is Way.PAYJOIN:
            payjoins[day] += 1
            fees[day] += int(each.fees)
    return Fees(
        plot=_plot([{Way.PAYJOIN.value: each} for each in fees], now),
        days=tuple(
            FeesOfDay(_day(now, day), count, Sats(fees[day]))
            for day, count in enumerate(payjoins)
            if count
        ),
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
        return phrase("The customer's wallet began a payjoin, and it was not completed.")
    return phrase("The customer's wallet paid as usual, though a payjoin was offered.")


def _placed(found: Iterable[Settlement], now: UnixTime) -> Iterator[tuple[int, Settlement]]:
    """Each settlement of the last days with the number of its day."""
    first = int(since(now)) // DAY
    for each in found:
        day = int(each.at) // DAY - first
        if 0 <= day < DAYS:
            yield day, each


def _day(now: UnixTime, number: int) -> UnixTime:
    return UnixTime(int(since(now)) + number * DAY)


def _plot(stacks: Sequence[dict[str, int]], now: UnixTime) -> Plot:
    """Bars of these heights by colour, a stack a day."""
    most = max(sum(each.values()) for each in stacks)
    return Plot(
        bars=tuple(_bars(stacks, max(1, most))),
        first=since(now),
        last=_day(now, DAYS - 1),
        most=most,
    )


def _bars(stacks: Sequence[dict[str, int]], most: int) -> Iterator[Bar]:
    room = _HEIGHT - _BOTTOM - _TOP
    for day, counts in enumerate(stacks):
        x, y = _LEFT + day * _STEP + (_STEP - _THICK) / 2, float(_HEIGHT - _BOTTOM)
        for colour, count in counts.items():
            height = room * count / most
            y -= height
            if count:
                yield Bar(colour, round(x, 1), round(y, 1), _THICK, round(height, 1))
