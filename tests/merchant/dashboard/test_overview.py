"""The first page, the coins and the charts."""

import time

from tests.merchant import builders
from tests.merchant import refunds as samples
from tests.merchant.dashboard.browsing import BOTH
from tests.merchant.dashboard.showroom import payjoin_paid
from tests.merchant.shop import add_one, add_shop

from dovetail.bitcoin import OutPoint, Sats, Transaction, Txid, TxIn, TxOut, UnixTime
from dovetail.merchant.dashboard import charts
from dovetail.merchant.dashboard.charts import DAY, Way, chart_of, fees_of
from dovetail.merchant.dashboard.coins import purses
from dovetail.merchant.data import coins
from dovetail.merchant.data.census import Settlement, settlements

NOW = UnixTime(100 * DAY + 5000)


def settled(day: int, *kinds: str, no_payjoin: str | None = None, fees: int = 0) -> Settlement:
    return Settlement(UnixTime(NOW - day * DAY), frozenset(kinds), no_payjoin, Sats(fees))


async def test_an_empty_shop_says_what_to_do(office) -> None:
    said = (await (await office.user()).get("/dashboard")).said
    assert "There is no store yet" in said
    assert "No invoice has settled" in said


async def test_the_parts_of_the_shop_are_told_in_words(office) -> None:
    office.database.write(add_shop)
    said = (await (await office.user()).get("/dashboard")).said
    for words in ("Database Well", "Chain source Well", "Workers None", "Signer None"):
        assert words in said, words
    assert "cannot take payments as it should" in said
    assert "No cold storage is set" in said


@BOTH
async def test_settled_invoices_are_drawn_by_day(office) -> None:
    store = office.database.write(add_shop)
    now = int(office.database.now())
    row = office.database.write(lambda c: add_one(c, store, now=now))
    samples.see(office.database, row, builders.pay(1, to=row.script), depth=1)
    (found,) = office.database.read(lambda c: settlements(c, UnixTime(0)))
    assert (found.kinds, found.no_payjoin) == (frozenset({"direct"}), None)
    chart = chart_of([found], found.at)
    assert (chart.total, chart.totals[Way.DIRECT], chart.share) == (1, 1, 0)
    assert fees_of([found], found.at).payjoins == 0


def test_a_chart_counts_each_way_on_its_day() -> None:
    chart = chart_of(
        [
            settled(0, "payjoin"),
            settled(0, "payjoin", "direct"),
            settled(1, "fallback"),
            settled(1, "direct"),
            settled(29, "direct", no_payjoin="no-coin"),
            settled(30, "payjoin"),
        ],
        NOW,
    )
    assert (chart.total, chart.plot.most, chart.share) == (5, 2, 40)
    first, last = chart.plot.first, chart.plot.last
    assert [day for day, _ in chart.counts] == [first, last - DAY, last]
    assert {way: chart.totals[way] for way in Way} == {
        Way.PAYJOIN: 2,
        Way.FALLBACK: 1,
        Way.DIRECT: 1,
        Way.NOT_OFFERED: 1,
    }
    assert sum(count for _, count in chart.reasons) == 3
    assert any("no confirmed coin" in words for words, _ in chart.reasons)
    plot = chart.plot
    highest = [bar for bar in plot.bars if bar.colour == Way.PAYJOIN.value]
    assert (highest[0].y, highest[0].height) == (plot.top, plot.base - plot.top)
    assert all(plot.left <= bar.x and bar.x + bar.width <= plot.width for bar in plot.bars)


def test_the_fees_of_payjoins_are_added_up_by_day() -> None:
    fees = fees_of(
        [
            settled(0, "payjoin", fees=100),
            settled(0, "payjoin", fees=250),
            settled(3, "payjoin"),
            settled(4, "direct"),
            settled(29, "payjoin", "direct", fees=175),
            settled(30, "payjoin", fees=9_999),
        ],
        NOW,
    )
    assert [(each.day, each.payjoins, int(each.fees)) for each in fees.days] == [
        (fees.plot.first, 1, 175),
        (fees.plot.last - 3 * DAY, 1, 0),
        (fees.plot.last, 2, 350),
    ]
    assert (fees.payjoins, int(fees.total), int(fees.average)) == (4, 525, 131)
    heights = {bar.x: bar.height for bar in fees.plot.bars}
    low, high = (heights[each] for each in sorted(heights))
    assert (fees.plot.most, high, low) == (350, fees.plot.base - fees.plot.top, high / 2)


@BOTH
async def test_what_a_payjoin_cost_the_shop_is_on_the_first_page(office, clock) -> None:
    clock.now = int(time.time())
    store = office.database.write(lambda c: add_shop(c, now=clock.now))
    office.database.write(lambda c: payjoin_paid(c, store, clock.now - 600, fee=1_234))
    (found,) = office.database.read(lambda c: settlements(c, UnixTime(0)))
    assert (found.kinds, int(found.fees)) == (frozenset({"payjoin"}), 1_234)
    said = (await (await office.user()).get("/dashboard")).said.replace("\xa0", " ")
    assert "100% of 1 settled invoice was paid by payjoin." in said
    assert "1,234 sats of miner's fees for 1 payjoin, 1,234 sats each." in said


def test_an_empty_chart_has_no_rate() -> None:
    chart = chart_of([], NOW)
    assert (chart.total, chart.share, chart.plot.bars) == (0, 0, ())
    assert int(fees_of([], NOW).average) == 0
    assert charts.since(NOW) == 71 * DAY


async def test_coins_say_whether_they_are_free_and_who_holds_them(office) -> None:
    store = office.database.write(add_shop)
    row = office.database.write(lambda c: add_one(c, store))
    paid = Transaction(
        2,
        (TxIn(builders.coin(5)),),
        tuple(TxOut(Sats(10_000 + number), row.script) for number in range(5)),
        0,
    )
    outpoints = [OutPoint(paid.txid, number) for number in range(5)]

    def write(connection) -> None:
        coins.see_outputs(connection, store.wallet_id, paid, 7)
        coins.set_place(connection, outpoints[1], height=None, absent=False)
        coins.set_place(connection, outpoints[2], height=7, absent=True)
        coins.set_spend(connection, outpoints[3], by=Txid(bytes(32)), height=None)

    office.database.write(write)
    (purse,) = purses(office.database)
    states = {each.coin.outpoint.vout: each.state.words for each in purse.coins}
    assert states == {
        0: "Free",
        1: "Unconfirmed",
        2: "Gone from the chain",
        3: "Being spent",
        4: "Free",
    }
    assert [each.coin.outpoint.vout for each in purse.coins] == [4, 3, 2, 1, 0]
    assert (int(purse.total), int(purse.free)) == (50_010, 20_004)
    said = (await (await office.user()).get("/dashboard/coins")).said
    assert "Being spent" in said
    assert "20,004" in said
