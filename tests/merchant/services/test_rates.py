"""Exchange rates: what several sources say becomes one rate, or one sentence."""

import logging
from decimal import Decimal
from typing import Any

import pytest
from tests.support.clock import Clock

from dovetail.bitcoin import Sats
from dovetail.errors import ConfigurationError, TransportError
from dovetail.merchant.services.rates import (
    APART,
    SOURCES,
    PublicRates,
    RateUnavailable,
    Source,
    agreed,
    parsed,
    satoshis,
    sources_named,
)
from dovetail.runtime.transport import Reply


def answers(*prices: int) -> dict[str, Decimal]:
    return {f"source{number}": Decimal(price) for number, price in enumerate(prices)}


@pytest.mark.parametrize(
    ("prices", "rate"),
    [
        ((60_000,), 60_000),
        ((60_000, 61_000), 60_500),
        ((60_000, 60_500, 61_000), 60_500),
        ((60_000, 60_600, 90_000), 60_300),
        ((1, 60_000, 60_600), 60_300),
    ],
)
def test_the_rate_is_the_median_of_those_that_agree(prices: tuple[int, ...], rate: int):
    assert agreed(answers(*prices), APART, "EUR") == rate


@pytest.mark.parametrize(
    "prices", [(60_000, 64_000), (50_000, 60_000, 70_000), (1, 2, 60_000, 60_001)]
)
def test_without_a_majority_that_agrees_there_is_no_rate(prices: tuple[int, ...]):
    with pytest.raises(RateUnavailable, match="sources of `rates` are more than 5 % apart for EUR"):
        agreed(answers(*prices), APART, "EUR")


def test_the_shop_says_how_far_apart_they_may_be():
    assert agreed(answers(60_000, 64_000), Decimal("0.1"), "EUR") == 62_000
    with pytest.raises(RateUnavailable, match=r"more than 0\.5 % apart"):
        agreed(answers(60_000, 60_500), Decimal("0.005"), "EUR")


def test_the_source_that_does_not_count_is_named_in_the_log(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING, "dovetail"):
        agreed(answers(60_000, 90_000, 60_600), APART, "EUR")
    assert [record.getMessage() for record in caplog.records] == [
        "The rate source source1 is far from the others, and does not count"
    ]


class Scripted:
    """A transport that answers each URL as it is told, and counts."""

    def __init__(self, told: dict[str, Reply | None]) -> None:
        self.told = told
        self.asked = 0

    async def get(self, url: str, **_: Any) -> Reply:
        self.asked += 1
        reply = self.told[url]
        if reply is None:
            raise TransportError("The server cannot be reached.")
        return reply


def source(name: str) -> Source:
    return Source(name, lambda code: f"https://{name}/{code}", lambda answer: answer["price"])


def rates(told: dict[str, Reply | None], clock: Clock) -> tuple[PublicRates, Scripted]:
    transport = Scripted({f"https://{name}/EUR": reply for name, reply in told.items()})
    return PublicRates(transport, [source(name) for name in told], clock), transport  # type: ignore[arg-type]


def reply(body: bytes, status: int = 200) -> Reply:
    return Reply(status=status, body=body)


async def test_sources_that_are_away_or_talk_nonsense_do_not_count(clock: Clock):
    asked, _ = rates(
        {
            "good": reply(b'{"price": "60000.50"}'),
            "away": None,
            "broken": reply(b"oops"),
            "negative": reply(b'{"price": -1}'),
            "nan": reply(b'{"price": "NaN"}'),
            "failing": reply(b'{"price": 1}', 500),
        },
        clock,
    )
    assert await asked.rate("EUR") == Decimal("60000.50")


async def test_a_rate_is_kept_for_a_minute(clock: Clock):
    asked, transport = rates({"good": reply(b'{"price": 60000}')}, clock)
    await asked.rate("EUR")
    clock.now += 59
    await asked.rate("EUR")
    assert transport.asked == 1
    clock.now += 2
    await asked.rate("EUR")
    assert transport.asked == 2


async def test_when_no_source_answers_the_setting_is_named(clock: Clock):
    asked, _ = rates({"away": None}, clock)
    with pytest.raises(RateUnavailable, match="No source of `rates` gives a rate for EUR now"):
        await asked.rate("EUR")
    none, _ = rates({}, clock)
    with pytest.raises(RateUnavailable, match="No rate source is configured: set `rates`"):
        await none.rate("EUR")


@pytest.mark.parametrize(
    ("name", "body", "price"),
    [
        ("kraken", b'{"error":[],"result":{"XXBTZEUR":{"c":["60000.1","0.1"]}}}', "60000.1"),
        ("coinbase", b'{"data":{"amount":"60000.2","currency":"EUR"}}', "60000.2"),
        ("bitstamp", b'{"last":"60000","high":"61000"}', "60000"),
        ("kraken", b'{"error":["EQuery:Unknown asset pair"]}', None),
        ("coinbase", b"[]", None),
        ("bitstamp", b'{"last":"one"}', None),
    ],
)
def test_each_public_source_is_read(name: str, body: bytes, price: str | None):
    assert parsed(SOURCES[name], body) == (None if price is None else Decimal(price))


def test_an_unknown_source_is_refused_with_those_that_are_known():
    with pytest.raises(ConfigurationError, match="`rates` knows kraken, coinbase, bitstamp"):
        sources_named(["krakn"])


def test_a_spread_comes_on_top_and_is_rounded_up():
    assert satoshis(Decimal(60), Decimal(60_000), spread=0) == Sats(100_000)
    assert satoshis(Decimal(60), Decimal(60_000), spread=15) == Sats(101_500)
    assert satoshis(Decimal("0.01"), Decimal(60_000), spread=1) == Sats(17)
    for price in (Decimal(0), Decimal("NaN"), Decimal(10) ** 20):
        with pytest.raises(ConfigurationError, match="`price`"):
            satoshis(price, Decimal(60_000), spread=0)
