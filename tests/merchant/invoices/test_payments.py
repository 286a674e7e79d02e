"""One record for the same coins, whatever replaces whatever, and in any order of the looks."""

from itertools import permutations

import pytest
from tests.merchant.builders import (
    AMOUNT,
    COLD,
    CREATED,
    EXPIRES,
    invoice,
    look,
    own,
    pay,
    pinned,
    seen,
    signed,
)
from tests.protocol.builders import CHANGE

from dovetail.bitcoin import UnixTime
from dovetail.merchant.invoices.credit import PaymentKind
from dovetail.merchant.invoices.negotiation import Negotiation
from dovetail.merchant.invoices.payments import (
    Found,
    Look,
    Payment,
    Payments,
    PaymentStatus,
    PaymentTransaction,
)

SEEN, CONFIRMED = PaymentStatus.SEEN, PaymentStatus.CONFIRMED
REPLACED, REORGANISED, GONE = (
    PaymentStatus.REPLACED,
    PaymentStatus.REORGANISED,
    PaymentStatus.GONE,
)
AFTER = 1_000
"""A time after the expiration."""


def records(*looks: Look, negotiations: tuple[Negotiation, ...] = ()) -> tuple[Payment, ...]:
    return seen(*looks).records(invoice(), negotiations)


def statuses(payment: Payment) -> list[PaymentStatus]:
    return [each.status for each in payment.transactions]


def only(*looks: Look, negotiations: tuple[Negotiation, ...] = ()) -> PaymentTransaction:
    (payment,) = records(*looks, negotiations=negotiations)
    (transaction,) = payment.transactions
    return transaction


def test_before_the_first_look_there_is_nothing():
    assert records() == ()
    assert Payments().found == ()


def test_a_payment_is_seen_and_then_confirmed():
    first = only(look(1, pay(1)))
    assert (first.status, first.depth, first.counts) == (SEEN, 0, True)
    later = only(look(1, pay(1)), look(2, (pay(1), 3), at=700))
    assert (later.status, later.depth, later.counts) == (CONFIRMED, 3, True)
    assert later.first_seen == first.first_seen == CREATED + 100


def test_a_transaction_that_is_seen_twice_is_one():
    assert only(look(1, pay(1), pay(1)), look(2, pay(1))).value == AMOUNT


def test_payments_of_different_coins_are_different_payments():
    found = records(look(1, pay(2)), look(2, pay(2), pay(1), at=200))
    assert [each.id for each in found] == [pay(2).txid, pay(1).txid]
    assert [len(each.counted) for each in found] == [1, 1]


def test_a_replacement_takes_the_place_of_what_it_replaces_in_the_same_record():
    bumped = pay(1, change=500)
    (payment,) = records(look(1, pay(1)), look(2, bumped, at=200))
    assert payment.id == pay(1).txid
    assert statuses(payment) == [REPLACED, SEEN]
    assert [each.txid for each in payment.counted] == [bumped.txid]


def test_a_payjoin_takes_the_place_of_the_fallback():
    begun, fallback, payjoin = pinned()
    (payment,) = records(look(1, fallback), look(2, payjoin, at=200), negotiations=(begun,))
    assert [each.kind for each in payment.transactions] == ["fallback", "payjoin"]
    assert [each.txid for each in payment.counted] == [payjoin.txid]


def test_a_fallback_takes_the_place_of_the_payjoin():
    begun, fallback, payjoin = pinned()
    (payment,) = records(look(1, payjoin), look(2, (fallback, 1), at=200), negotiations=(begun,))
    assert payment.id == payjoin.txid
    assert [(each.txid, each.value) for each in payment.counted] == [(fallback.txid, AMOUNT)]


def test_a_replacement_that_pays_others_is_kept_in_the_record():
    stolen = pay(1, to=CHANGE)
    (payment,) = records(look(1, pay(1)), look(2, stolen, at=200))
    assert statuses(payment) == [REPLACED, SEEN]
    assert payment.counted == ()
    assert payment.transactions[1].kind is PaymentKind.UNRECOGNIZED


def test_money_that_no_pin_expects_is_on_the_record_and_is_not_credited():
    begun, _, _ = pinned(to=COLD)
    stray = only(look(1, pay(2, to=COLD)), negotiations=(begun,))
    assert (stray.kind, stray.stands, stray.counts) == (PaymentKind.UNRECOGNIZED, True, False)


def test_a_payment_that_left_the_mempool_is_gone_and_may_come_back():
    gone = only(look(1, pay(1)), look(2))
    assert (gone.status, gone.counts, gone.value) == (GONE, False, AMOUNT)
    assert only(look(1, pay(1)), look(2), look(3, pay(1))).status is SEEN


@pytest.mark.parametrize("back", [(), (pay(1),)])
def test_a_payment_whose_block_left_the_chain_is_reorganised(back):
    found = only(look(1, (pay(1), 2)), look(2, *back))
    assert found.status is REORGANISED
    assert (found.depth, found.counts) == (0, bool(back))


def test_a_confirmed_payment_that_a_reorganisation_replaces_is_replaced():
    (payment,) = records(look(1, (pay(1), 2)), look(2, (pay(1, change=9), 1), at=200))
    assert statuses(payment) == [REPLACED, CONFIRMED]
    assert [each.depth for each in payment.transactions] == [0, 1]


def test_a_reorganised_payment_that_confirms_again_is_confirmed():
    found = only(look(1, (pay(1), 2)), look(2), look(3, (pay(1), 1)))
    assert (found.status, found.depth) == (CONFIRMED, 1)


def test_two_transactions_for_the_same_coins_are_never_counted_both():
    """A source that is asked in several calls may name both; the deeper one counts."""
    (payment,) = records(look(1, pay(1), (pay(1, change=9), 1)))
    assert [each.txid for each in payment.counted] == [pay(1, change=9).txid]
    assert sorted(statuses(payment)) == [CONFIRMED, REPLACED]


@pytest.mark.parametrize("least", [1, 40_000])
def test_of_two_equally_deep_transactions_the_one_that_brings_less_counts(least: int):
    (payment,) = records(look(1, pay(1), pay(1, value=least)))
    assert [each.value for each in payment.counted] == [least]


def test_payments_that_one_transaction_replaces_become_one_record():
    (payment,) = records(
        look(1, pay(1, value=10)), look(2, pay(2, value=20), at=200), look(3, pay(1, 2), at=300)
    )
    assert payment.id == pay(1, value=10).txid
    assert statuses(payment) == [REPLACED, REPLACED, SEEN]
    assert [each.value for each in payment.counted] == [AMOUNT]


def test_payments_that_come_back_from_one_that_had_replaced_both_count_both():
    (payment,) = records(
        look(1, pay(1), pay(2)), look(2, pay(1, 2), at=200), look(3, pay(1), pay(2), at=300)
    )
    assert [each.txid for each in payment.counted] == sorted([pay(1).txid, pay(2).txid])
    assert sum(each.value for each in payment.counted) == 2 * AMOUNT


def test_two_customers_whose_payjoins_share_a_coin_of_ours_are_two_records():
    """A coin that one customer has seen is offered to the next one (P3)."""
    one, fallback, first = pinned(1, ours=90)
    other, _, second = pinned(2, ours=90)
    looks = look(1, first), look(2, second, fallback, at=200)
    found = records(*looks, negotiations=(one, other))
    assert [[each.kind for each in payment.transactions] for payment in found] == [
        ["payjoin", "fallback"],
        ["payjoin"],
    ]
    assert [len(payment.counted) for payment in found] == [1, 1]


def test_two_payjoins_that_share_a_coin_of_ours_are_not_counted_both():
    one, _, first = pinned(1, ours=90)
    other, _, second = pinned(2, ours=90)
    found = records(look(1, (first, 1)), look(2, (first, 2), second), negotiations=(one, other))
    assert sorted(len(payment.counted) for payment in found) == [0, 1]


def test_a_spend_of_our_own_coins_alone_is_a_record_of_its_own():
    begun, _, payjoin = pinned()
    sweep = pay(own(90), value=10)
    found = records(look(1, payjoin), look(2, sweep, at=200), negotiations=(begun,))
    assert [statuses(payment) for payment in found] == [[REPLACED], [SEEN]]


def test_a_legacy_payment_whose_signatures_changed_is_the_same_record():
    begun, fallback, _ = pinned()
    (payment,) = records(
        look(1, signed(fallback, b"one")),
        look(2, (signed(fallback, b"two"), 1), at=200),
        negotiations=(begun,),
    )
    assert [each.kind for each in payment.transactions] == ["fallback", "fallback"]
    assert len(payment.counted) == 1


def test_a_payment_at_the_expiration_is_late():
    at = EXPIRES - CREATED
    assert not only(look(1, pay(1), at=at - 1)).late
    assert only(look(1, pay(1), at=at)).late


def test_a_payment_that_the_shop_saw_late_is_in_time_by_its_block():
    late = only(look(1, Found(pay(1), 2, since=EXPIRES), at=AFTER))
    in_time = only(look(1, Found(pay(1), 2, since=UnixTime(EXPIRES - 1)), at=AFTER))
    assert (late.late, in_time.late) == (True, False)


def test_a_server_that_saw_it_after_us_does_not_make_it_late():
    assert not only(look(1, Found(pay(1), 0, since=UnixTime(EXPIRES + 9)), at=100)).late


def test_a_payment_that_was_handed_over_in_time_is_in_time():
    begun, fallback, payjoin = pinned(at=10)
    for transaction in (fallback, payjoin):
        found = only(look(1, transaction, at=AFTER), negotiations=(begun,))
        assert (found.first_seen, found.late) == (CREATED + 10, False)


def test_a_payment_that_was_handed_over_late_is_late():
    begun, fallback, _ = pinned(at=EXPIRES - CREATED)
    assert only(look(1, fallback, at=AFTER), negotiations=(begun,)).late


def test_a_replacement_is_in_time_where_it_pays_no_more():
    """Else one satoshi in time would be an option on a better rate."""
    in_time = look(1, pay(1, value=40_000))
    for value, late in [(39_000, False), (40_000, False), (40_001, True)]:
        bumped = pay(1, value=value, change=9)
        (payment,) = records(in_time, look(2, bumped, at=AFTER))
        assert payment.transactions[1].late is late


def test_a_late_payment_is_not_in_time_by_another_customers():
    """It is linked to the other one by a transaction that had replaced both."""
    (payment,) = records(
        look(1, pay(1)),
        look(2, pay(1), pay(2, value=10), at=AFTER),
        look(3, pay(1, 2, value=AMOUNT + 10), at=AFTER + 1),
        look(4, pay(1), pay(2, value=10), at=AFTER + 2),
    )
    assert [(each.value, each.late) for each in payment.counted] == [(AMOUNT, False), (10, True)]


def test_looks_may_come_in_any_order_and_twice():
    begun, fallback, payjoin = pinned()
    direct = pay(2)
    looks = (
        look(1, fallback, at=100),
        look(2, payjoin, direct, at=200),
        look(3, (payjoin, 1), direct, at=AFTER),
        look(4, direct, at=AFTER + 1),
    )
    expected = seen(*looks)
    for order in permutations(looks):
        payments = seen(*order, *order[:2])
        assert payments == expected
        assert payments.records(invoice(), (begun,)) == expected.records(invoice(), (begun,))


def test_a_look_that_comes_late_does_not_bring_back_what_a_newer_one_missed():
    assert only(look(2), look(1, pay(1))).status is GONE
    assert only(look(2, (pay(1), 5)), look(1, pay(1))).depth == 5


def test_the_codes_are_stable():
    assert [*PaymentStatus] == ["seen", "confirmed", "replaced", "reorganised", "gone"]
