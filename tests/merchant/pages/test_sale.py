"""The page of a point of sale over a real port, on both databases, and what comes after it."""

import json
from decimal import Decimal

import msgspec
import pytest
from tests.merchant.counter import CAFE, KEYPAD, TEA, Counter, open_counter
from tests.merchant.pages import gallery
from tests.merchant.pages.site import Html

from dovetail.merchant.api.limits import Rate
from dovetail.merchant.data import invoices, points_of_sale, stores
from dovetail.merchant.data.invoices import InvoiceFilter
from dovetail.merchant.data.schema import stores as stores_table
from dovetail.merchant.invoices.sales import Item, Why, sale_in
from dovetail.merchant.pages import sale
from dovetail.serving.client_shares import Clients

EVERYBODY = Clients(proxies=())
EVIL = "<b>Tea</b>\"'%(x)s"


@pytest.fixture
async def counter(database):
    async with open_counter(database) as made:
        yield made


def made(counter: Counter):
    return counter.database.read(lambda c: invoices.page(c, InvoiceFilter()))


async def refused(told, status: int, words: str) -> Html:
    assert told.status == status
    shown = Html(told.body.decode())
    assert words in shown.text
    assert shown.values("role", "p")[0] == "alert"
    return shown


async def test_the_page_shows_what_is_sold(counter) -> None:
    row = counter.point()
    shown = await counter.page(f"/pos/{row.token}")
    for words in (
        "Shop Counter",
        "Sencha, a pot From Shizuoka 4.50 EUR",
        "Mochi 2.00 EUR Sold out",
        "At most 200.00 EUR",
        "5 % 10 % 15 %",
    ):
        assert words in shown.text
    assert set(shown.values("name", "input")) == {
        *("sale", "version", "count-0", "count-1", "amount", "tip"),
    }
    assert shown.values("action", "form") == [f"/pos/{row.token}?lang=en"]


async def test_a_keypad_alone_has_no_items_and_no_tips(counter) -> None:
    shown = await counter.page(f"/pos/{counter.point(currency=None, menu=KEYPAD).token}")
    assert {"Amount in sats", "At most 1,000,000 sats"} <= set(shown.words)
    assert set(shown.values("name", "input")) == {"sale", "version", "amount"}
    assert "00" in shown.values("data-key", "button")


async def test_without_a_keypad_no_amount_is_asked_for(counter) -> None:
    menu = msgspec.structs.replace(CAFE, keypad=False)
    row = counter.point(menu=menu)
    assert "amount" not in (await counter.page(f"/pos/{row.token}")).values("name", "input")
    told = await counter.buy(row, amount="1")
    await refused(told, 422, "What is sold here has changed.")


async def test_a_sale_leads_to_its_invoice(counter) -> None:
    row = counter.point()
    bought = counter.sold(await counter.buy(row, count_0="2", amount="1,30", tip="10"))
    assert (bought.price, bought.currency) == ("11.33", "EUR")
    assert bought.amount == 22_660
    noted = sale_in(bought.metadata)
    assert noted is not None
    assert [(each.name, each.count) for each in noted.lines] == [("Sencha, a pot", 2)]
    assert json.loads(bought.metadata or b"")["point_of_sale"]["tip"] == "1.03"


async def test_satoshis_are_asked_for_without_a_rate(counter) -> None:
    counter.rates.known.clear()
    row = counter.point(currency=None, menu=KEYPAD)
    assert counter.sold(await counter.buy(row, amount="2500")).amount == 2_500


async def test_the_way_to_the_invoice_keeps_the_language(counter) -> None:
    row = counter.point()
    told = await counter.buy(row, "?lang=de", count_0="1")
    assert told.headers["location"].endswith("?counter=1&lang=de")
    told = await counter.buy(row, "?lang=//a.example", count_0="1")
    assert told.headers["location"].endswith("?counter=1&lang=en")


async def test_the_same_form_twice_makes_one_invoice(counter) -> None:
    row = counter.point()
    fields = await counter.form(row) | {"count-0": "1"}
    first, second = [await counter.send(row, fields) for _ in range(2)]
    assert first.headers["location"] == second.headers["location"]
    assert len(made(counter)) == 1


async def test_the_same_form_with_something_else_is_asked_again(counter) -> None:
    row = counter.point()
    fields = await counter.form(row) | {"count-0": "1"}
    await counter.send(row, fields)
    told = await counter.send(row, fields | {"count-0": "2"})
    shown = await refused(told, 409, "This sale was made already.")
    assert "2" in shown.values("value", "input")
    assert fields["sale"] not in shown.values("value", "input")
    assert len(made(counter)) == 1


async def test_the_same_form_after_its_payment_is_asked_again(counter) -> None:
    """The next customer with the same order must not see that the one before has paid."""
    row = counter.point()
    fields = await counter.form(row) | {"count-0": "1"}
    bought = counter.sold(await counter.send(row, fields))
    counter.look(bought, int(bought.amount))
    await refused(await counter.send(row, fields), 409, "This sale was made already.")


@pytest.mark.parametrize(
    ("fields", "english", "german"),
    [
        ({}, "There is nothing to pay yet.", "Es ist noch nichts zu zahlen."),
        ({"tip": "10"}, "There is nothing to pay yet.", "Es ist noch nichts zu zahlen."),
        ({"count_0": "100"}, "at most 99 times", "höchstens 99-mal"),
        ({"count_0": "-1"}, "at most 99 times", "höchstens 99-mal"),
        ({"count_0": "1.5"}, "at most 99 times", "höchstens 99-mal"),
        ({"count_2": "1"}, "What is sold here has changed.", "Das Angebot hat sich geändert."),
        ({"count_0": "1", "tip": "7"}, "What is sold here has", "Das Angebot hat sich"),
        ({"count_0": "1", "tip": "x"}, "What is sold here has", "Das Angebot hat sich"),
        ({"amount": "1,234.50"}, "such as 12.50.", "zum Beispiel als 12,50 ein."),
        ({"amount": "12.345"}, "such as 12.50.", "zum Beispiel als 12,50 ein."),
        ({"amount": "-3"}, "such as 12.50.", "zum Beispiel als 12,50 ein."),
        ({"amount": "200.01"}, "at most 200.00 EUR.", "höchstens 200,00 EUR ein."),
        ({"amount": "0.01"}, "it is too small or too large", "zu klein oder zu groß"),
    ],
)
async def test_what_is_not_sold_is_refused_in_the_customers_language(
    counter, fields, english, german
) -> None:
    row = counter.point()
    for lang, words in (("?lang=en", english), ("?lang=de", german)):
        await refused(await counter.buy(row, lang, **fields), 422, words)
    assert made(counter) == ()


async def test_more_than_all_bitcoin_is_refused(counter) -> None:
    counter.rates.known["EUR"] = Decimal("0.01")
    menu = msgspec.structs.replace(CAFE, items=(Item(name="Palace", price=Decimal(999_999_999)),))
    row = counter.point(menu=menu)
    await refused(await counter.buy(row, count_0="99"), 422, "it is too small or too large")


async def test_without_a_rate_the_page_says_so(counter) -> None:
    counter.rates.known.clear()
    told = await counter.buy(counter.point(), count_0="1")
    shown = await refused(told, 503, "There is no exchange rate now.")
    assert "1" in shown.values("value", "input")


async def test_the_price_is_the_servers(counter) -> None:
    row = counter.point()
    fields = {"count_0": "1", "price": "0.01", "total": "0.01", "data-units": "1"}
    assert counter.sold(await counter.buy(row, **fields)).price == "4.50"


async def test_a_page_from_before_a_change_shows_the_new_prices_first(counter) -> None:
    row = counter.point()
    fields = await counter.form(row) | {"count-0": "1"}
    dearer = msgspec.structs.replace(
        CAFE, items=(msgspec.structs.replace(TEA, price=Decimal("5.00")),)
    )
    counter.database.write(
        lambda c: points_of_sale.change(
            c, row, title=row.title, currency="EUR", menu=dearer, by="Ada", now=row.created_at
        )
    )
    told = await counter.send(row, fields)
    shown = await refused(told, 422, "What is sold here has changed.")
    assert "5.00 EUR" in shown.text
    assert "1" not in shown.values("value", "input")
    assert counter.sold(await counter.buy(row, count_0="1")).price == "5.00"


async def test_texts_of_the_shop_and_of_a_form_are_no_html(counter) -> None:
    menu = msgspec.structs.replace(
        CAFE, items=(Item(name=EVIL, price=Decimal(1), description=EVIL),)
    )
    row = counter.point(title=EVIL, menu=menu)
    told = await counter.buy(row, count_0=EVIL[:20], amount=EVIL[:20])
    assert b"<b>" not in told.body
    shown = await refused(told, 422, EVIL)
    assert shown.values("value", "input").count(EVIL[:20]) == 2


async def test_an_unknown_and_a_closed_point_of_sale_are_no_page(counter) -> None:
    row = counter.point()
    fields = await counter.form(row) | {"count-0": "1"}
    counter.database.write(
        lambda c: points_of_sale.archive(c, row, archived=True, by="Ada", now=row.created_at)
    )
    for unknown in ("nothing", "x" * 22, "x" * 500, "%00" * 22, "%C3%A4" * 22, "a/b"):
        shown = await counter.page(f"/pos/{unknown}", status=404)
        assert "There is no such page" in shown.text
    await counter.page(f"/pos/{row.token}", status=404)
    assert (await counter.send(row, fields)).status == 404


async def test_an_archived_store_sells_nothing(counter) -> None:
    row = counter.point()
    counter.database.write(lambda c: c.execute(stores_table.update().values(archived_at=1)))
    assert counter.database.read(stores.all_stores)[0].archived_at == 1
    await counter.page(f"/pos/{row.token}", status=404)


async def test_guesses_of_addresses_cost_as_much_as_wrong_keys(database) -> None:
    few = Rate(burst=22, per_second=0.001)
    async with open_counter(database, clients=EVERYBODY, address=few) as counter:
        for _ in range(2):
            await counter.page(f"/pos/{'x' * 22}", status=404)
        await counter.page(f"/pos/{'x' * 22}", status=429)


async def test_a_network_makes_so_many_sales_and_no_more(database) -> None:
    few = Rate(burst=2, per_second=0.01)
    async with open_counter(database, clients=EVERYBODY, sales=few) as counter:
        row = counter.point()
        for _ in range(2):
            counter.sold(await counter.buy(row, count_0="1"))
        told = await counter.buy(row, count_0="1")
        assert told.status == 429
        assert 90 < int(told.headers["retry-after"]) <= 100
        assert "Too many requests" in Html(told.body.decode()).text
        await refused(await counter.buy(row), 422, "There is nothing to pay yet.")


async def test_a_point_of_sale_makes_so_many_sales_and_no_more(database) -> None:
    """Also where the server cannot tell its clients apart."""
    few = Rate(burst=2, per_second=0.01)
    async with open_counter(database, sales_of_one=few) as counter:
        row, other = counter.point(), counter.point()
        told = [(await counter.buy(row, count_0="1")).status for _ in range(3)]
        assert told == [303, 303, 429]
        counter.sold(await counter.buy(other, count_0="1"))


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_another_sites_form_is_refused(counter, site) -> None:
    row = counter.point()
    fields = await counter.form(row) | {"count-0": "1"}
    assert (await counter.send(row, fields, sec_fetch_site=site)).status == 403
    assert made(counter) == ()
    assert (await counter.send(row, fields, sec_fetch_site="same-origin")).status == 303


@pytest.mark.parametrize("name", ["", "short", "x" * 65, "a b c d e f g h i j"])
async def test_a_form_without_a_name_of_its_own_is_refused(counter, name) -> None:
    row = counter.point()
    fields = await counter.form(row) | {"count-0": "1", "sale": name}
    assert (await counter.send(row, fields)).status == 400


async def test_the_invoice_fills_the_screen_and_leads_back(counter) -> None:
    row = counter.point()
    told = await counter.buy(row, count_0="1")
    bought, path = counter.sold(told), told.headers["location"]
    shown = await counter.page(path)
    for words in ("Shop · Counter", "4.50 EUR", "0.00009000 BTC · 9,000 sats", "Time left"):
        assert words in shown.text
    assert f"/pos/{row.token}?lang=en" in shown.values("href", "a")
    assert f"/i/{bought.id}?counter=1&lang=de" in shown.values("href", "a")
    assert "New sale" not in shown.text
    counter.look(bought, int(bought.amount))
    shown = await counter.page(path)
    assert "Payment received" in shown.text
    assert "New sale" in shown.text
    assert f"/pos/{row.token}?lang=en" in shown.values("href", "a")


async def test_an_expired_sale_leads_back_too(counter, clock) -> None:
    told = await counter.buy(counter.point(), count_0="1")
    clock.pass_by(901)
    shown = await counter.page(told.headers["location"])
    assert {"The time to pay is over", "New sale"} <= set(shown.words)


async def test_a_part_that_is_missing_is_shown_at_the_counter(counter) -> None:
    told = await counter.buy(counter.point(), count_0="1")
    counter.look(counter.sold(told), 4_000)
    shown = await counter.page(told.headers["location"])
    assert "A part is still missing" in shown.text
    assert "5,000 sats" in shown.text
    assert "The rest of 9,000 sats · 4.50 EUR" in shown.text


async def test_the_counter_shows_an_invoice_from_elsewhere_without_a_way_back(counter) -> None:
    row = counter.point()
    other = counter.point()
    counter.database.write(
        lambda c: points_of_sale.archive(c, other, archived=True, by="Ada", now=row.created_at)
    )
    for noted in (
        {},
        {"point": str(other.id)},
        {"point": "nothing"},
        {"point": str(row.store_id)},
    ):
        note = {"title": "x", "total": "1"} | noted
        metadata = msgspec.json.encode({"point_of_sale": note} if noted else {})
        made = counter.add(gallery.add, metadata=metadata)
        shown = await counter.page(f"/i/{made.id}?counter=1")
        assert "Waiting for your payment" in shown.text
        assert not any("/pos/" in each for each in shown.values("href", "a"))


async def test_a_point_of_sale_of_another_store_is_no_way_back(counter) -> None:
    row = counter.point()
    note = {"point": str(row.id), "title": "x", "total": "1"}
    counter.open_store()
    made = counter.add(gallery.add, metadata=msgspec.json.encode({"point_of_sale": note}))
    shown = await counter.page(f"/i/{made.id}?counter=1")
    assert not any("/pos/" in each for each in shown.values("href", "a"))


def test_every_refusal_of_a_sale_has_its_words() -> None:
    assert set(sale._REFUSALS) == set(Why)
