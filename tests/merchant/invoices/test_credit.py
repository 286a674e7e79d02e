"""The worth of one transaction to an invoice, to the satoshi."""

import pytest
from tests.merchant.builders import (
    AMOUNT,
    COLD,
    CREATED,
    OURS,
    negotiated,
    own,
    pay,
    pinned,
    signed,
)
from tests.protocol.builders import CHANGE, PAYEE

from dovetail.bitcoin import Sats, Transaction, TxIn, TxOut, UnixTime
from dovetail.merchant.invoices.credit import PaymentKind, Worth, contributed, worth_of
from dovetail.merchant.invoices.negotiation import Negotiation

DIRECT, UNRECOGNIZED = PaymentKind.DIRECT, PaymentKind.UNRECOGNIZED


def worth(transaction: Transaction, *negotiations: Negotiation) -> Worth:
    return worth_of(transaction, script=PAYEE, negotiations=negotiations)


@pytest.mark.parametrize("value", [1, AMOUNT - 1, AMOUNT, 10**12])
def test_a_direct_payment_is_worth_what_it_pays_to_the_script(value: int):
    assert worth(pay(1, value=value)) == Worth(kind=DIRECT, gain=Sats(value))


def test_all_outputs_to_the_script_count_and_no_others():
    outputs = [
        TxOut(Sats(value), script) for value, script in [(3, PAYEE), (9, CHANGE), (4, PAYEE)]
    ]
    transaction = Transaction(2, (TxIn(own(1)),), tuple(outputs), 0)
    assert worth(transaction).gain == 7


def test_the_pinned_payjoin_is_worth_its_gain_without_the_shops_coin():
    begun, _, payjoin = pinned()
    assert worth(signed(payjoin), begun) == Worth(
        kind=PaymentKind.PAYJOIN, gain=Sats(AMOUNT), received_at=begun.received_at
    )


def test_a_payjoin_to_cold_storage_is_worth_its_gain():
    begun, _, payjoin = pinned(to=COLD)
    assert worth(signed(payjoin), begun).gain == AMOUNT


def test_the_shops_part_of_the_fee_is_not_the_customers_debt():
    begun, _, payjoin = pinned(fee=300)
    found = worth(payjoin, begun)
    assert (found.gain, found.fees, found.value) == (AMOUNT - 300, 300, AMOUNT)


def test_a_fallback_is_known_whatever_its_signatures_are():
    begun, fallback, _ = pinned(at=40)
    assert worth(signed(fallback, b"malleated"), begun) == Worth(
        kind=PaymentKind.FALLBACK, gain=Sats(AMOUNT), received_at=UnixTime(CREATED + 40)
    )
    assert worth(fallback, negotiated(fallback)).kind is PaymentKind.FALLBACK


def test_a_payment_to_a_substituted_script_is_credited_by_its_pin_alone():
    begun, _, _ = pinned(to=COLD)
    assert worth(pay(2, to=COLD), begun).kind is UNRECOGNIZED
    assert worth(pay(1, to=COLD), begun) == Worth(kind=UNRECOGNIZED)


def test_a_payment_that_is_nearly_the_pinned_one_is_direct():
    begun, _, _ = pinned()
    other = pay(1, value=AMOUNT - 1)
    assert worth(other, begun) == Worth(kind=DIRECT, gain=Sats(AMOUNT - 1))


@pytest.mark.parametrize("value", [OURS - 1, OURS])
def test_the_shops_own_coin_paid_to_its_own_invoice_is_no_payment(value: int):
    begun, _, _ = pinned()
    assert worth(pay(own(90), value=value), begun) == Worth(kind=UNRECOGNIZED)


def test_a_contributed_coin_is_subtracted_from_whatever_spends_it():
    begun, _, _ = pinned()
    assert worth(pay(2, own(90), value=OURS + 8), begun) == Worth(kind=DIRECT, gain=Sats(8))


def test_the_coins_of_all_pinned_proposals_are_the_shops():
    first, _, _ = pinned(1, ours=90)
    second, _, _ = pinned(2, ours=91)
    found = contributed((first, second, negotiated(pay(3))))
    assert found == {own(90): OURS, own(91): OURS}


def test_the_payjoin_of_each_of_two_negotiations_is_known():
    first, _, _ = pinned(1, ours=90)
    second, fallback, payjoin = pinned(2, ours=91)
    assert worth(payjoin, first, second).kind is PaymentKind.PAYJOIN
    assert worth(fallback, first, second).kind is PaymentKind.FALLBACK


def test_a_spend_that_pays_the_invoice_nothing_is_not_recognized():
    begun, _, _ = pinned()
    assert worth(pay(1, to=CHANGE), begun) == Worth(kind=UNRECOGNIZED)


def test_the_codes_are_stable():
    assert [*PaymentKind] == ["payjoin", "fallback", "direct", "unrecognized"]
