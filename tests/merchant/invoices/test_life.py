"""Where an invoice stands, in each case: in time, short, over, twice, late, lost, and by hand."""

from itertools import permutations

import pytest
from tests.merchant.builders import (
    AMOUNT,
    COLD,
    CREATED,
    EXPIRES,
    MONITORED,
    invoice,
    look,
    mark,
    negotiated,
    pay,
    pinned,
    seen,
    signed,
    state,
)
from tests.protocol.builders import CHANGE

from dovetail.bitcoin import Sats, UnixTime
from dovetail.merchant.invoices.life import Cause, state_of

TIME_UP = EXPIRES - CREATED
OVER = MONITORED - CREATED


def test_a_new_invoice_waits():
    fresh = state()
    assert fresh.words == ("new", "none", "waiting")
    assert fresh.credit.gained == fresh.credit.total == 0
    assert fresh.payments == ()
    assert state(at=TIME_UP - 1).words == fresh.words


def test_a_payment_that_is_seen_is_processed():
    found = state(look(1, pay(1)))
    assert found.words == ("processing", "none", "payment-seen")
    assert (found.credit.paid, found.credit.confirmed) == (AMOUNT, 0)


def test_a_payment_that_is_deep_enough_settles():
    terms = invoice(depth=3)
    assert state(look(1, (pay(1), 2)), terms=terms).words == (
        "processing",
        "none",
        "payment-seen",
    )
    found = state(look(1, (pay(1), 3)), terms=terms)
    assert found.words == ("settled", "none", "confirmed")
    assert found.credit.confirmed == AMOUNT


def test_a_payjoin_settles_by_its_gain():
    begun, _, payjoin = pinned(to=COLD)
    found = state(look(1, (signed(payjoin), 1)), negotiations=(begun,))
    assert found.words == ("settled", "none", "confirmed")
    assert found.credit.gained == AMOUNT


def test_the_shops_part_of_the_fee_does_not_make_the_customer_short():
    begun, _, payjoin = pinned(fee=400)
    found = state(look(1, (payjoin, 1)), negotiations=(begun,))
    assert found.words == ("settled", "none", "confirmed")
    assert (found.credit.gained, found.credit.paid) == (AMOUNT - 400, AMOUNT)


def test_a_payment_settles_unconfirmed_where_the_terms_say_so():
    found = state(look(1, pay(1)), terms=invoice(depth=0))
    assert found.words == ("settled", "none", "accepted-unconfirmed")


def test_a_part_is_not_enough():
    found = state(look(1, (pay(1, value=AMOUNT - 1), 9)))
    assert found.words == ("new", "paid-partially", "underpaid")
    assert found.credit.paid == AMOUNT - 1


def test_a_part_that_lacks_no_more_than_the_tolerance_is_enough():
    terms = invoice(tolerance=Sats(100))
    assert state(look(1, (pay(1, value=AMOUNT - 100), 1)), terms=terms).words == (
        "settled",
        "none",
        "confirmed",
    )
    assert state(look(1, (pay(1, value=AMOUNT - 101), 1)), terms=terms).status == "new"


def test_a_second_payment_completes_the_first():
    parts = pay(1, value=20_000), pay(2, value=30_000)
    assert state(look(1, *parts)).words == ("processing", "none", "completed")
    assert state(look(1, (parts[0], 5), parts[1])).status == "processing"
    found = state(look(1, (parts[0], 5), (parts[1], 1)))
    assert found.words == ("settled", "none", "completed")


def test_more_than_was_asked_for_is_overpaid():
    found = state(look(1, (pay(1, value=AMOUNT + 1), 1)))
    assert found.words == ("settled", "over", "overpaid")
    parts = pay(1, value=20_000), pay(2, value=40_000)
    assert state(look(1, *parts)).words == ("processing", "over", "overpaid")


def test_payments_by_two_customers_are_named():
    found = state(look(1, (pay(1), 1), pay(2)))
    assert found.words == ("settled", "over", "paid-twice")
    assert found.credit.total == 2 * AMOUNT
    assert len(found.payments) == 2


def test_two_customers_may_pay_by_payjoin_and_directly():
    begun, _, payjoin = pinned()
    found = state(look(1, (payjoin, 1), (pay(2), 1)), negotiations=(begun,))
    assert found.words == ("settled", "over", "paid-twice")
    assert found.credit.gained == 2 * AMOUNT


def test_a_direct_payment_after_a_fallback_is_a_second_payment():
    begun, fallback, _ = pinned()
    found = state(look(1, fallback, pay(2)), negotiations=(begun,))
    assert found.words == ("processing", "over", "paid-twice")


def test_a_direct_payment_while_negotiating_pays():
    begun = negotiated(pay(1))
    found = state(look(1, pay(2)), negotiations=(begun,))
    assert found.words == ("processing", "none", "payment-seen")


def test_a_direct_payment_while_a_proposal_is_out_is_named():
    begun, _, payjoin = pinned()
    words = ("processing", "none", "direct-beside-proposal")
    assert state(look(1, pay(2)), negotiations=(begun,)).words == words
    settled = state(look(1, (pay(2), 1)), negotiations=(begun,))
    assert settled.words == ("settled", "none", "direct-beside-proposal")
    both = state(look(1, (pay(2), 1), payjoin), negotiations=(begun,))
    assert both.words == ("settled", "over", "paid-twice")


def test_a_proposal_whose_coins_are_spent_is_no_longer_out():
    begun, _, _ = pinned()
    found = state(look(1, pay(2), pay(1, to=CHANGE)), negotiations=(begun,))
    assert found.cause is Cause.PAYMENT_SEEN


def test_a_payment_after_the_expiration_is_late_and_settles_nothing():
    found = state(look(1, (pay(1), 9), at=TIME_UP), at=TIME_UP)
    assert found.words == ("expired", "late", "paid-late")
    assert (found.credit.late, found.credit.paid, found.credit.gained) == (AMOUNT, 0, AMOUNT)


def test_a_part_in_time_that_is_completed_late_is_late():
    first, rest = pay(1, value=20_000), pay(2, value=30_000)
    looks = look(1, (first, 2)), look(2, (first, 9), (rest, 3), at=TIME_UP)
    found = state(*looks, at=TIME_UP)
    assert found.words == ("expired", "late", "paid-late")
    assert (found.credit.paid, found.credit.late) == (20_000, 30_000)


def test_a_part_that_comes_late_is_a_part():
    found = state(look(1, pay(1, value=9), at=TIME_UP), at=TIME_UP)
    assert found.words == ("expired", "paid-partially", "paid-late")


def test_an_unpaid_invoice_expires():
    assert state(at=TIME_UP).words == ("expired", "none", "expired-unpaid")


def test_an_underpaid_invoice_expires():
    found = state(look(1, (pay(1, value=9), 4)), at=TIME_UP)
    assert found.words == ("expired", "paid-partially", "underpaid")


def test_a_payment_in_time_is_processed_after_the_expiration():
    assert state(look(1, pay(1)), at=TIME_UP).words == ("processing", "none", "payment-seen")
    assert state(look(1, pay(1)), at=OVER - 1).status == "processing"


def test_a_payment_that_never_confirms_makes_the_invoice_invalid():
    assert state(look(1, pay(1)), at=OVER).words == ("invalid", "none", "not-confirmed")


def test_a_payment_that_confirms_after_the_monitoring_settles_all_the_same():
    found = state(look(1, pay(1)), look(2, (pay(1), 1), at=OVER), at=OVER)
    assert found.words == ("settled", "none", "confirmed")


def test_a_second_payment_after_the_expiration_is_over_and_leaves_it_settled():
    looks = look(1, (pay(1), 1)), look(2, (pay(1), 9), pay(2), at=TIME_UP)
    assert state(*looks, at=TIME_UP).words == ("settled", "over", "paid-twice")


def test_a_fallback_in_hand_at_the_expiration_is_broadcast():
    begun = negotiated(pay(1))
    assert state(negotiations=(begun,), at=TIME_UP - 1).fallback_due is None
    found = state(negotiations=(begun,), at=TIME_UP)
    assert found.words == ("processing", "none", "fallback-due")
    assert found.fallback_due == begun


def test_a_fallback_that_was_broadcast_after_the_expiration_is_in_time():
    begun = negotiated(pay(1))
    found = state(look(1, (pay(1), 1), at=TIME_UP + 5), negotiations=(begun,), at=TIME_UP + 5)
    assert found.words == ("settled", "none", "confirmed")
    assert found.fallback_due is None


def test_a_fallback_waits_for_a_person_where_the_policy_says_so():
    begun = negotiated(pay(1))
    found = state(negotiations=(begun,), terms=invoice(broadcasts_fallback=False), at=TIME_UP)
    assert found.words == ("expired", "none", "fallback-held")
    assert found.fallback_due is None


def test_no_fallback_is_due_once_the_monitoring_is_over():
    found = state(negotiations=(negotiated(pay(1)),), at=OVER)
    assert found.words == ("expired", "none", "fallback-held")
    assert found.fallback_due is None


def test_a_fallback_whose_session_ended_is_not_due():
    found = state(negotiations=(negotiated(pay(1)).ended(),), at=TIME_UP)
    assert found.words == ("expired", "none", "expired-unpaid")


def test_a_fallback_that_was_handed_over_late_is_not_due():
    found = state(negotiations=(negotiated(pay(1), at=TIME_UP),), at=TIME_UP)
    assert found.words == ("expired", "none", "expired-unpaid")


def test_a_fallback_whose_coins_are_spent_is_not_due():
    found = state(look(1, pay(1, to=CHANGE)), negotiations=(negotiated(pay(1)),), at=TIME_UP)
    assert found.words == ("expired", "none", "expired-unpaid")


@pytest.mark.parametrize("at", [100, TIME_UP])
def test_no_fallback_is_broadcast_beside_a_payment(at: int):
    """M4: the customer would pay twice, whether the payment came in time or late."""
    found = state(look(1, pay(2), at=at), negotiations=(negotiated(pay(1)),), at=TIME_UP)
    assert found.fallback_due is None
    assert found.status == ("processing" if at == 100 else "expired")


def test_a_fallback_is_due_beside_a_part():
    begun = negotiated(pay(1))
    found = state(look(1, pay(2, value=9)), negotiations=(begun,), at=TIME_UP)
    assert found.words == ("processing", "paid-partially", "fallback-due")
    assert found.fallback_due == begun


def test_of_two_fallbacks_the_first_that_was_handed_over_is_due_alone():
    first, second = negotiated(pay(2), at=10), negotiated(pay(1), at=20)
    for order in permutations((first, second)):
        assert state(negotiations=order, at=TIME_UP).fallback_due == first
    spent = look(1, pay(2, to=CHANGE))
    assert state(spent, negotiations=(first, second), at=TIME_UP).fallback_due == second


def test_a_payment_that_is_replaced_by_another_payee_is_not_counted():
    found = state(look(1, pay(1)), look(2, pay(1, to=CHANGE)))
    assert found.words == ("new", "none", "waiting")
    assert found.credit.gained == 0
    assert [each.status for each in found.payments[0].transactions] == ["replaced", "seen"]


def test_a_reorganised_payment_takes_the_status_back():
    looks = look(1, (pay(1), 1)), look(2, pay(1))
    assert state(*looks).status == "processing"
    assert state(*looks, at=TIME_UP).status == "processing"
    assert state(*looks, at=OVER).status == "invalid"
    assert state(look(1, (pay(1), 1)), look(2), at=TIME_UP).status == "expired"


def test_a_reorganisation_that_leaves_too_few_blocks_takes_the_status_back():
    terms = invoice(depth=3)
    assert state(look(1, (pay(1), 3)), look(2, (pay(1), 2)), terms=terms).status == "processing"


@pytest.mark.parametrize("settled", [True, False])
def test_a_mark_decides_whatever_came(*, settled: bool):
    marks = (mark(settled=settled),)
    status = "settled" if settled else "invalid"
    for looks in [(), (look(1, (pay(1), 9)),), (look(1, pay(1, value=9)),)]:
        found = state(*looks, marks=marks, at=OVER)
        assert found.words == (status, "marked", f"marked-{status}")
        assert found.mark == marks[0]


def test_a_marked_invoice_still_counts_its_money():
    found = state(look(1, (pay(1), 1), pay(2)), marks=(mark(settled=False),))
    assert (found.credit.total, found.credit.confirmed) == (2 * AMOUNT, AMOUNT)


def test_a_later_mark_takes_the_place_of_an_earlier_one():
    marks = mark(2, settled=False), mark(1)
    assert state(marks=marks).status == state(marks=marks[::-1]).status == "invalid"


def test_no_fallback_is_due_for_a_marked_invoice():
    begun = negotiated(pay(1))
    found = state(negotiations=(begun,), marks=(mark(settled=False),), at=TIME_UP)
    assert found.fallback_due is None


def test_the_order_in_which_all_is_recorded_does_not_matter():
    one, fallback, payjoin = pinned(1)
    other = negotiated(pay(2))
    looks = (
        look(1, fallback),
        look(2, payjoin, at=200),
        look(3, (payjoin, 1), (pay(2), 1), at=TIME_UP),
    )
    now = UnixTime(CREATED + TIME_UP)
    found = {
        str(state_of(invoice(), seen(*order), negotiations, now=now))
        for order in permutations(looks)
        for negotiations in permutations((one, other))
    }
    assert len(found) == 1


def test_the_codes_are_stable():
    assert [*Cause] == [
        "waiting",
        "payment-seen",
        "confirmed",
        "accepted-unconfirmed",
        "underpaid",
        "completed",
        "overpaid",
        "paid-twice",
        "direct-beside-proposal",
        "paid-late",
        "expired-unpaid",
        "fallback-due",
        "fallback-held",
        "not-confirmed",
        "replaced",
        "gone",
        "reorganised",
        "marked-settled",
        "marked-invalid",
    ]
