"""How much of an invoice may be refunded, and which step of a refund follows which."""

from itertools import product

import pytest
from tests.merchant.builders import AMOUNT, CREATED, EXPIRES, coin, invoice, look, mark, pay, state
from tests.support.keys import Keys

from dovetail.bitcoin import Address, Network, Sats, Script
from dovetail.bitcoin.transaction import Transaction, TxIn, TxOut
from dovetail.merchant.invoices.refunds import (
    BEFORE_PAYING,
    FINAL,
    LEAST,
    NOTHING_PAID,
    TRANSITIONS,
    RefundRefused,
    RefundStatus,
    RefundStep,
    StepRefused,
    Taken,
    after,
    amount_of,
    credited,
    is_covered,
    payable,
    refundable,
    require_replacement,
)

LATE = EXPIRES - CREATED + 10
ASKED = Sats(AMOUNT)


def taken(*amounts: int, status: RefundStatus = RefundStatus.OPEN) -> list[Taken]:
    return [Taken(status, Sats(each)) for each in amounts]


def paid(value: int, *, depth: int = 1, at: int = 100):
    return state(look(1, (pay(1, value=value), depth), at=at), at=at)


# the amount


def test_only_confirmed_payments_can_be_refunded():
    assert credited(paid(AMOUNT)) == AMOUNT
    assert credited(paid(AMOUNT, depth=0)) == 0
    both = state(look(1, (pay(1), 1), (pay(2, value=7_000), 0)))
    assert credited(both) == AMOUNT


def test_an_invoice_that_settles_unconfirmed_is_refunded_once_it_is_confirmed():
    terms = invoice(depth=0)
    settled = state(look(1, (pay(1), 0)), terms=terms)
    assert (settled.status, credited(settled)) == ("settled", 0)
    assert credited(state(look(1, (pay(1), 1)), terms=terms)) == AMOUNT


def test_refunds_that_may_still_be_paid_take_their_part_of_the_credit():
    whole = paid(AMOUNT)
    for status in RefundStatus:
        left = AMOUNT if status in NOTHING_PAID else AMOUNT - 20_000
        assert refundable(whole, taken(20_000, status=status)) == left
    assert refundable(whole, taken(30_000, 30_000)) == 0


def test_a_reorganisation_uncovers_a_refund():
    refunds = taken(20_000, status=RefundStatus.APPROVED)
    assert is_covered(paid(AMOUNT), refunds)
    assert not is_covered(paid(AMOUNT, depth=0), refunds)
    assert is_covered(paid(AMOUNT, depth=0), taken(20_000, status=RefundStatus.DECLINED))


def test_the_usual_refund_of_a_settled_invoice_is_what_was_paid_too_much():
    over = paid(AMOUNT + 8_000)
    assert amount_of(over, ASKED, [], None) == 8_000
    assert amount_of(over, ASKED, taken(AMOUNT + 1_000), None) == 7_000


def test_the_usual_refund_of_an_expired_or_invalid_invoice_is_all_that_is_left():
    late = state(look(1, (pay(1), 1), at=LATE), at=LATE)
    assert late.status == "expired"
    assert amount_of(late, ASKED, taken(10_000), None) == AMOUNT - 10_000
    invalid = state(look(1, (pay(1), 1)), marks=(mark(settled=False),))
    assert invalid.status == "invalid"
    assert amount_of(invalid, ASKED, [], None) == AMOUNT


def test_other_refunds_need_an_amount():
    for known in (paid(AMOUNT), paid(20_000)):
        with pytest.raises(RefundRefused, match="name the amount"):
            amount_of(known, ASKED, [], None)
    assert amount_of(paid(AMOUNT), ASKED, [], Sats(20_000)) == 20_000
    assert amount_of(paid(20_000), ASKED, [], Sats(20_000)) == 20_000


def test_no_more_is_refunded_than_was_credited():
    assert amount_of(paid(AMOUNT), ASKED, taken(30_000), Sats(20_000)) == 20_000
    with pytest.raises(RefundRefused, match="Only 20,000 sats"):
        amount_of(paid(AMOUNT), ASKED, taken(30_000), Sats(20_001))


def test_a_refund_that_nodes_would_not_relay_is_refused():
    assert amount_of(paid(AMOUNT), ASKED, [], LEAST) == LEAST
    with pytest.raises(RefundRefused, match="at least 546"):
        amount_of(paid(AMOUNT), ASKED, [], Sats(LEAST - 1))


# the steps


def test_every_step_follows_where_the_table_says_so_and_nowhere_else():
    steps = [each for each in RefundStep if each is not RefundStep.CREATE]
    assert set(steps) == set(TRANSITIONS)
    for status, step in product(RefundStatus, RefundStep):
        move = TRANSITIONS.get(step)
        if move is not None and status in move.sources:
            assert after(status, step) is move.target
        else:
            with pytest.raises(StepRefused):
                after(status, step)


def test_nothing_leads_out_of_an_end_but_a_reorganisation():
    leaving = {step for step in TRANSITIONS if TRANSITIONS[step].sources & FINAL}
    assert leaving == {RefundStep.REORGANISE}


def test_what_is_signed_is_not_called_off():
    for step in (RefundStep.DECLINE, RefundStep.CANCEL):
        assert TRANSITIONS[step].sources == BEFORE_PAYING
    assert RefundStatus.PAYING not in BEFORE_PAYING


def test_an_address_is_not_changed_after_the_approval():
    assert TRANSITIONS[RefundStep.CLAIM].sources == {RefundStatus.OPEN, RefundStatus.CLAIMED}


# the address

KEYS = Keys("customer")


def test_a_usual_address_of_the_network_can_be_paid():
    address = KEYS.address(3)
    assert payable(str(address), Network.REGTEST, LEAST) == address


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("nonsense", "no Bitcoin address"),
        (str(Address.from_script(KEYS.script(1), Network.MAINNET)), "not for regtest"),
        (
            str(Address.from_script(Script(b"\x51\x02\x4e\x73"), Network.REGTEST)),
            "cannot be paid here",
        ),
        (
            str(Address.from_script(Script(b"\x60\x02\x4e\x74"), Network.REGTEST)),
            "cannot be paid here",
        ),
    ],
)
def test_other_addresses_are_refused(text: str, why: str):
    with pytest.raises(RefundRefused, match=why):
        payable(text, Network.REGTEST, Sats(5_000))


def test_an_amount_below_the_dust_limit_of_the_address_is_refused():
    with pytest.raises(RefundRefused, match="too small"):
        payable(str(KEYS.address(1)), Network.REGTEST, Sats(100))


# a higher fee


CUSTOMER, CHANGE = KEYS.script(1), KEYS.script(2)


def draft(*outputs: tuple[int, Script], number: int = 1) -> Transaction:
    paid = tuple(TxOut(Sats(value), script) for value, script in outputs)
    return Transaction(2, (TxIn(coin(number)),), paid, 0)


FIRST = draft((30_000, CUSTOMER), (9_000, CHANGE))


def test_a_replacement_takes_the_fee_from_the_change():
    require_replacement(FIRST, draft((30_000, CUSTOMER), (8_000, CHANGE)), CHANGE)


@pytest.mark.parametrize(
    "other",
    [
        draft((30_000, CUSTOMER), (8_000, CHANGE), number=2),
        draft((29_000, CUSTOMER), (9_000, CHANGE)),
        draft((8_000, CHANGE)),
        draft((30_000, CUSTOMER), (500, KEYS.script(3)), (8_000, CHANGE)),
        draft((30_000, CUSTOMER), (9_000, CHANGE)),
        draft((30_000, CUSTOMER), (9_500, CHANGE)),
    ],
)
def test_a_replacement_that_changes_more_is_refused(other: Transaction):
    with pytest.raises(RefundRefused):
        require_replacement(FIRST, other, CHANGE)
