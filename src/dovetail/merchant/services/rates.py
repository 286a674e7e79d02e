"""Exchange rates: the price of one bitcoin in a currency, from several public sources."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_UP, Decimal, InvalidOperation
from statistics import median
from typing import Any, Protocol

import msgspec

from dovetail.bitcoin import Sats
from dovetail.errors import ConfigurationError, InfrastructureError, TransportError
from dovetail.runtime.transport import Transport

logger = logging.getLogger(__name__)

FRESH = 60.0
"""Seconds for which a rate is used again."""

LIMIT = 65_536
APART = Decimal("0.05")
"""How far sources may be apart, as a share of the rate, unless the shop says otherwise."""

_SATS = Decimal(100_000_000)
_OK = 200
_MOST = 21_000_000 * 100_000_000


class RateUnavailable(InfrastructureError):
    """No source gives a rate now, or the sources contradict each other."""


class Rates(Protocol):
    """Gives exchange rates."""

    async def rate(self, currency: str) -> Decimal:
        """Return the price of one bitcoin in a currency of ISO 4217; raises `RateUnavailable`."""
        ...


@dataclass(frozen=True, slots=True)
class Source:
    """A public source: its URL for a currency, and where the price is in its answer."""

    name: str
    url: Callable[[str], str]
    price: Callable[[Any], Any]


def _kraken(answer: Any) -> Any:
    (pair,) = answer["result"].values()
    return pair["c"][0]


SOURCES: Mapping[str, Source] = {
    each.name: each
    for each in (
        Source(
            "kraken", lambda code: f"https://api.kraken.com/0/public/Ticker?pair=XBT{code}", _kraken
        ),
        Source(
            "coinbase",
            lambda code: f"https://api.coinbase.com/v2/prices/BTC-{code}/spot",
            lambda answer: answer["data"]["amount"],
        ),
        Source(
            "bitstamp",
            lambda code: f"https://www.bitstamp.net/api/v2/ticker/btc{code.lower()}/",
            lambda answer: answer["last"],
        ),
    )
}


def sources_named(names: Sequence[str]) -> tuple[Source, ...]:
    """Return the sources of these names; raises `ConfigurationError` for an unknown one."""
    for name in names:
        if name not in SOURCES:
            raise ConfigurationError(
                f"`rates` knows {', '.join(SOURCES)}; correct or remove the other one."
            )
    return tuple(SOURCES[name] for name in names)


@dataclass(slots=True)
class PublicRates:
    """The median of the public sources that agree, kept for a minute.

    While the highest and the lowest are too far apart, the one that is farthest from the median
    does not count. Where that leaves no majority no rate is given: some are wrong, and an invoice
    must not depend on which.
    """

    transport: Transport
    sources: Sequence[Source]
    clock: Callable[[], float]
    apart: Decimal = APART
    """As a share of the median."""
    _known: dict[str, tuple[float, Decimal]] = field(
        default_factory=dict[str, tuple[float, Decimal]], repr=False
    )

    async def rate(self, currency: str) -> Decimal:
        """See `Rates.rate`."""
        kept = self._known.get(currency)
        if kept is not None and 0 <= self.clock() - kept[0] < FRESH:
            return kept[1]
        if not self.sources:
            raise RateUnavailable(
                "No rate source is configured: set `rates`, or ask for an amount in satoshis."
            )
        asked = await asyncio.gather(*(self._ask(each, currency) for each in self.sources))
        names = (each.name for each in self.sources)
        answers = {name: each for name, each in zip(names, asked, strict=True) if each is not None}
        found = agreed(answers, self.apart, currency)
        self._known[currency] = self.clock(), found
        return found

    async def _ask(self, source: Source, currency: str) -> Decimal | None:
        try:
            reply = await self.transport.get(source.url(currency), limit=LIMIT)
        except TransportError as error:
            logger.info("The rate source %s failed: %s", source.name, type(error).__name__)
            return None
        price = parsed(source, reply.body) if reply.status == _OK else None
        if price is None:
            logger.info("The rate source %s gives no usable rate", source.name)
        return price


def parsed(source: Source, body: bytes) -> Decimal | None:
    """Return the price in an answer; None if there is no usable one."""
    try:
        price = Decimal(str(source.price(msgspec.json.decode(body))))
    except (msgspec.DecodeError, LookupError, TypeError, ValueError, AttributeError):
        return None
    except InvalidOperation:
        return None
    return price if price.is_finite() and 0 < price < _MOST else None


def agreed(answers: Mapping[str, Decimal], apart: Decimal, currency: str) -> Decimal:
    """Return the median of the sources that agree, by their names; raises `RateUnavailable`.

    `apart` is how far the highest and the lowest may be from each other, as a share of the median.
    """
    if not answers:
        raise RateUnavailable(
            f"No source of `rates` gives a rate for {currency} now: try again later, or ask for an"
            " amount in satoshis."
        )
    left = dict(answers)
    while 2 * len(left) > len(answers):
        middle = Decimal(median(left.values()))
        if max(left.values()) - min(left.values()) <= middle * apart:
            return middle
        farthest = max(left, key=lambda name: abs(left[name] - middle))
        logger.warning("The rate source %s is far from the others, and does not count", farthest)
        del left[farthest]
    raise RateUnavailable(
        f"The sources of `rates` are more than {(apart * 100).normalize():f} % apart for"
        f" {currency}: try again later, or ask for an amount in satoshis."
    )


def satoshis(price: Decimal, rate: Decimal, *, spread: int) -> Sats:
    """Return what a price costs in satoshis, rounded up; `spread` is in thousandths on top.

    Raises `ConfigurationError` for a price that is not positive, or more than all bitcoin.
    """
    if not price.is_finite() or price <= 0:
        raise ConfigurationError("`price` must be more than 0; correct it.")
    exact = price / rate * _SATS * (1000 + spread) / 1000
    amount = int(exact.to_integral_value(ROUND_UP))
    if amount > _MOST:
        raise ConfigurationError("`price` is more than all bitcoin; correct it.")
    return Sats(amount)
