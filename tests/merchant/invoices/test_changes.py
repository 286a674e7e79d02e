"""Each step of an invoice's life has a cause, which says what happened and not where it stands."""

from itertools import pairwise
from typing import Any

import pytest
from tests.merchant.builders import (
    CREATED,
    EXPIRES,
    MONITORED,
    invoice,
    look,
    mark,
    negotiated,
    pay,
    pinned,
    state,
)
from tests.protocol.builders import CHANGE

from dovetail.merchant.invoices.changes import change_between
from dovetail.merchant.invoices.payments import Look

TIME_UP = EXPIRES - CREATED
OVER = MONITORED - CREATED
HALF, REST = pay(1, value=20_000), pay(2, value=30_000)


def cause(before: tuple[Look, ...], *more: Look, at: int = 100, **known: Any) -> str | None:
    """The cause of the change that these looks, and the time, make of what was before."""
    later = known.pop("later", {})
    change = change_between(
        state(*before, **known), state(*before, *more, at=at, **(known | later))
    )
    return None if change is None else change.cause


def test_a_new_invoice_is_a_change_from_nothing():
    change = change_between(None, state())
    assert change is not None
    assert (change.before, change.cause) == (None, "waiting")


def test_nothing_new_is_no_change():
    assert change_between(state(), state(at=TIME_UP - 1)) is None
    settled = (look(1, (pay(1), 1)),)
    assert cause(settled, look(2, (pay(1), 7)), at=TIME_UP) is None


@pytest.mark.parametrize(
    ("before", "more", "expected"),
    [
        ((), look(1, pay(1)), "payment-seen"),
        ((), look(1, (pay(1), 1)), "confirmed"),
        ((look(1, pay(1)),), look(2, (pay(1), 1)), "confirmed"),
        ((), look(1, HALF), "underpaid"),
        ((look(1, HALF),), look(2, (HALF, 1)), "underpaid"),
        ((look(1, HALF),), look(2, HALF, pay(3, value=1)), "underpaid"),
        ((look(1, HALF),), look(2, HALF, REST), "completed"),
        ((look(1, HALF, REST),), look(2, (HALF, 1), (REST, 1)), "confirmed"),
        ((look(1, pay(1)),), look(2, pay(1), REST), "paid-twice"),
        ((look(1, (pay(1), 1)),), look(2, (pay(1), 2), pay(2)), "paid-twice"),
        ((), look(1, pay(1, value=60_000)), "overpaid"),
        ((look(1, pay(1)),), look(2, pay(1, to=CHANGE)), "replaced"),
        ((look(1, pay(1)),), look(2, pay(1, change=9)), "replaced"),
        ((look(1, pay(1)),), look(2, (pay(1, change=9), 1)), "confirmed"),
        ((look(1, pay(1)),), look(2), "gone"),
        ((look(1, (pay(1), 1)),), look(2, pay(1)), "reorganised"),
        ((look(1, (pay(1), 1)),), look(2), "reorganised"),
        ((look(1, (pay(1), 1)),), look(2, (pay(1, change=9), 0)), "reorganised"),
        ((look(1, (pay(1), 1), pay(2)),), look(2, (pay(1), 2)), "gone"),
        ((look(1, pay(1)), look(2)), look(3, pay(1)), "payment-seen"),
        ((look(1, (pay(1), 1)), look(2)), look(3, (pay(1), 1)), "confirmed"),
    ],
)
def test_what_the_chain_shows_is_named(before, more, expected):
    assert cause(before, more) == expected


def test_a_payment_that_loses_the_depth_it_needs_is_reorganised():
    terms = invoice(depth=3)
    assert cause((look(1, (pay(1), 3)),), look(2, (pay(1), 2)), terms=terms) == "reorganised"


def test_an_unconfirmed_payment_that_had_settled_may_be_replaced_or_leave():
    """It is the risk that the settings warn of."""
    terms = invoice(depth=0)
    before = (look(1, pay(1)),)
    assert cause((), before[0], terms=terms) == "accepted-unconfirmed"
    assert cause(before, look(2, pay(1, to=CHANGE)), terms=terms) == "replaced"
    assert cause(before, look(2), terms=terms) == "gone"
    deep = (look(1, (pay(1), 2)),)
    assert cause(deep, look(2), terms=terms) == "reorganised"
    assert cause(deep, look(2, (pay(1), 1)), terms=terms) is None


def test_a_payjoin_that_takes_the_place_of_the_fallback_is_a_replacement():
    begun, fallback, payjoin = pinned()
    before = (look(1, fallback),)
    assert cause(before, look(2, payjoin), negotiations=(begun,)) == "replaced"
    assert cause(before, look(2, (payjoin, 1)), negotiations=(begun,)) == "confirmed"


def test_a_direct_payment_beside_a_proposal_is_named():
    begun, _, payjoin = pinned()
    assert cause((), look(1, pay(2)), negotiations=(begun,)) == "direct-beside-proposal"
    before = (look(1, pay(2)),)
    assert cause(before, look(2, pay(2), payjoin), negotiations=(begun,)) == "paid-twice"


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ((), "expired-unpaid"),
        ((look(1, HALF),), "underpaid"),
        ((look(1, pay(1)),), None),
        ((look(1, pay(1)), look(2)), "expired-unpaid"),
    ],
)
def test_what_the_expiration_makes_is_named(before, expected):
    assert cause(before, at=TIME_UP) == expected


def test_the_end_of_the_monitoring_is_named():
    assert cause((look(1, pay(1)),), at=OVER) == "not-confirmed"


def test_a_late_payment_is_named():
    assert cause((), look(1, pay(1), at=TIME_UP), at=TIME_UP) == "paid-late"


def test_a_late_payment_is_named_again_when_it_is_confirmed_and_when_it_is_not_any_more():
    depths = (0, 1, 2, 0)
    looks = [look(each, (pay(1), depth), at=TIME_UP) for each, depth in enumerate(depths, 1)]
    stands = [state(*looks[: each + 1], at=TIME_UP) for each in range(len(looks))]
    changes = [change_between(*pair) for pair in pairwise(stands)]
    causes = [None if change is None else change.cause for change in changes]
    assert causes == ["paid-late", None, "reorganised"]


def test_a_fallback_in_hand_at_the_expiration_is_named():
    negotiations = (negotiated(pay(1)),)
    assert cause((), at=TIME_UP, negotiations=negotiations) == "fallback-due"
    terms = invoice(broadcasts_fallback=False)
    assert cause((), at=TIME_UP, negotiations=negotiations, terms=terms) == "fallback-held"
    due = state(negotiations=negotiations, at=TIME_UP)
    seen = state(look(1, pay(1), at=TIME_UP), negotiations=negotiations, at=TIME_UP)
    change = change_between(due, seen)
    assert change is not None
    assert change.cause == "payment-seen"


@pytest.mark.parametrize("settled", [True, False])
def test_a_mark_is_named_and_so_is_the_next_one(*, settled: bool):
    first, second = mark(1, settled=settled), mark(2, settled=not settled)
    named = [f"marked-{'settled' if each else 'invalid'}" for each in (settled, not settled)]
    assert cause((), later={"marks": (first,)}) == named[0]
    assert cause((), marks=(first,), later={"marks": (first, second)}) == named[1]
    again = mark(2, settled=settled)
    assert cause((), marks=(first,), later={"marks": (first, again)}) == named[0]


def test_a_marked_invoice_that_loses_its_payment_says_so():
    before = (look(1, (pay(1), 1)),)
    assert cause(before, look(2), marks=(mark(),)) == "reorganised"
    assert cause(before, look(2, (pay(1), 2), pay(2)), marks=(mark(),)) == "paid-twice"
