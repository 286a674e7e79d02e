"""Points of sale and their acts in the audit trail, on both databases."""

import re
from decimal import Decimal

import pytest
from sqlalchemy import update
from tests.merchant.counter import CAFE, KEYPAD, add_point
from tests.merchant.shop import add_shop

from dovetail.bitcoin import UnixTime
from dovetail.errors import ConfigurationError
from dovetail.merchant.data import audit, points_of_sale
from dovetail.merchant.data.schema import points_of_sale as table

NOW = UnixTime(1_800_000_000)


def add(database, **given):
    return database.write(lambda c: add_point(c, add_shop(c), **given))


def read(database, row):
    return database.read(lambda c: points_of_sale.point(c, row.id))


def acts(database) -> list[tuple[str, str]]:
    found = database.read(lambda c: audit.page(c, limit=9))
    return [(each.what, each.who) for each in reversed(found)]


def test_a_point_of_sale_is_found_by_its_id_and_its_address(database) -> None:
    row = add(database)
    assert read(database, row) == row
    assert database.read(lambda c: points_of_sale.point_at(c, row.token)) == row
    assert database.read(points_of_sale.all_points) == (row,)
    assert database.read(lambda c: points_of_sale.point_at(c, "nothing")) is None
    assert acts(database) == [("point-of-sale.create", "test")]


def test_an_address_cannot_be_guessed_and_is_no_secret_of_the_repr(database) -> None:
    store = database.write(add_shop)
    tokens = {database.write(lambda c: add_point(c, store)).token for _ in range(20)}
    assert len(tokens) == 20
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{22}", each) for each in tokens)
    row = database.read(points_of_sale.all_points)[0]
    assert repr(row) == f"<PointRow {row.id}>"


def test_a_change_is_kept_and_has_another_version(database) -> None:
    row = add(database)
    database.write(
        lambda c: points_of_sale.change(
            c, row, title="Bar", currency=None, menu=KEYPAD, by="Ada", now=NOW
        )
    )
    changed = read(database, row)
    assert (changed.title, changed.currency, changed.menu) == ("Bar", None, KEYPAD)
    assert changed.token == row.token
    assert changed.version != row.version
    assert acts(database)[-1] == ("point-of-sale.change", "Ada")


def test_a_version_is_of_what_is_sold(database) -> None:
    store = database.write(add_shop)
    one, same = (database.write(lambda c: add_point(c, store)) for _ in range(2))
    others = [
        database.write(lambda c, given=given: add_point(c, store, **given))
        for given in ({"title": "Bar"}, {"currency": "USD"}, {"menu": KEYPAD})
    ]
    assert one.version == same.version
    assert len({one.version, *(each.version for each in others)}) == 4


def test_another_address_ends_the_old_one(database) -> None:
    row = add(database)
    token = database.write(lambda c: points_of_sale.give_address(c, row, by="Ada", now=NOW))
    assert token != row.token
    assert database.read(lambda c: points_of_sale.point_at(c, row.token)) is None
    found = database.read(lambda c: points_of_sale.point_at(c, token))
    assert found is not None
    assert found.id == row.id
    assert acts(database)[-1] == ("point-of-sale.address", "Ada")


def test_a_closed_point_of_sale_has_no_page_until_it_is_opened_again(database) -> None:
    row = add(database)
    for archived, act in ((True, "archive"), (False, "restore")):
        database.write(
            lambda c, archived=archived: points_of_sale.archive(
                c, row, archived=archived, by="Ada", now=NOW
            )
        )
        found = database.read(lambda c: points_of_sale.point_at(c, row.token))
        assert (found is None) is archived
        assert (read(database, row).archived_at == NOW) is archived
        assert acts(database)[-1] == (f"point-of-sale.{act}", "Ada")


def test_prices_are_kept_as_they_were_typed(database) -> None:
    row = add(database)
    assert read(database, row).menu == CAFE
    assert [str(each.price) for each in read(database, row).menu.items] == ["4.50", "3.20", "2.00"]
    assert read(database, row).menu.most == Decimal("200.00")


def test_a_menu_that_cannot_be_read_is_named(database) -> None:
    row = add(database)
    database.write(lambda c: c.execute(update(table).values(menu=b'{"items": 7}')))
    with pytest.raises(ConfigurationError, match=f"The point of sale {row.id} cannot be read"):
        read(database, row)
