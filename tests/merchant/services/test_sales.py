"""Sales become invoices, each form once, on both databases."""

import asyncio
from decimal import Decimal

import msgspec
import pytest
from tests.merchant.counter import CAFE, HOT, FixedRates, add_point
from tests.merchant.quiet import quiet_parts
from tests.merchant.refunds import add_store

from dovetail.merchant.data import audit, invoices
from dovetail.merchant.data.idempotency import IdempotencyConflict
from dovetail.merchant.data.invoices import InvoiceFilter
from dovetail.merchant.invoices.sales import sale_in, sale_of
from dovetail.merchant.services.invoices import Invoices
from dovetail.merchant.services.rates import RateUnavailable
from dovetail.merchant.services.sales import SaleMade, Sales

FORM = "a-form-of-the-page"


@pytest.fixture
async def parts(database):
    async with quiet_parts(database, clock=database.now, rates=FixedRates()) as made:
        yield made


@pytest.fixture
def sales(parts) -> Sales:
    return Sales(parts, Invoices(parts))


@pytest.fixture
def point(database):
    store = add_store(database, HOT)
    return database.write(lambda c: add_point(c, store))


def sale(point, *, tea: int = 2):
    return sale_of(
        CAFE,
        point=str(point.id),
        title=point.title,
        currency=point.currency,
        counts={0: tea},
        tip_percent=10,
    )


def all_invoices(database):
    return database.read(lambda c: invoices.page(c, InvoiceFilter()))


async def test_a_sale_becomes_an_invoice_of_the_store(sales, point, database) -> None:
    wanted = sale(point)
    invoice_id = await sales.sell(point, wanted, FORM)
    (row,) = all_invoices(database)
    assert (row.id, row.store_id, row.label) == (invoice_id, point.store_id, "Counter")
    assert (row.price, row.currency, row.amount) == ("9.90", "EUR", 19_800)
    assert sale_in(row.metadata) == wanted
    (act,) = database.read(lambda c: audit.page(c, limit=1))
    assert (act.what, act.who, act.subject) == (
        "invoice.create",
        f"point of sale {point.id}",
        str(invoice_id),
    )


async def test_forms_that_come_at_once_make_one_invoice(sales, point, database) -> None:
    told = await asyncio.gather(*(sales.sell(point, sale(point), FORM) for _ in range(5)))
    (row,) = all_invoices(database)
    assert set(told) == {row.id}


async def test_another_form_makes_another_invoice(sales, point, database) -> None:
    first, second = [await sales.sell(point, sale(point), FORM + each) for each in "ab"]
    assert {first, second} == {each.id for each in all_invoices(database)}
    assert len({each.address for each in all_invoices(database)}) == 2


async def test_a_form_is_for_one_sale(sales, point, database) -> None:
    await sales.sell(point, sale(point), FORM)
    with pytest.raises(IdempotencyConflict):
        await sales.sell(point, sale(point, tea=3), FORM)
    assert len(all_invoices(database)) == 1


async def test_a_form_whose_invoice_is_over_leads_nowhere(sales, point, clock, database) -> None:
    """A customer must not see that somebody else has paid."""
    await sales.sell(point, sale(point), FORM)
    (row,) = all_invoices(database)
    clock.pass_by(row.expires_at - row.created_at)
    with pytest.raises(SaleMade):
        await sales.sell(point, sale(point), FORM)


async def test_without_a_rate_nothing_is_made(sales, parts, point, database) -> None:
    parts.rates.known.clear()
    with pytest.raises(RateUnavailable):
        await sales.sell(point, sale(point), FORM)
    assert all_invoices(database) == ()
    parts.rates.known["EUR"] = Decimal(50_000)
    await sales.sell(point, sale(point), FORM)


async def test_satoshis_need_no_rate(sales, parts, point, database) -> None:
    parts.rates.known.clear()
    plain = msgspec.structs.replace(sale(point), currency=None, total=Decimal(990))
    await sales.sell(point, plain, FORM)
    (row,) = all_invoices(database)
    assert (row.price, row.currency, row.amount) == (None, None, 990)
