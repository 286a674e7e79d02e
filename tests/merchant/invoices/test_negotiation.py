"""A negotiation and its pin: the payjoin that is expected, fixed before the sender has it."""

from dataclasses import replace

import pytest
from tests.merchant.builders import (
    AMOUNT,
    COLD,
    CREATED,
    OURS,
    coin,
    negotiated,
    own,
    pay,
    pinned,
    proposal,
    signed,
)
from tests.protocol import builders
from tests.protocol.builders import PAYEE

from dovetail.bitcoin import Psbt, Sats, TxOut
from dovetail.errors import InvalidPsbt, UsageError
from dovetail.merchant.invoices.negotiation import Pin, skeleton_of


def test_a_negotiation_knows_what_the_customer_handed_over():
    begun = negotiated(pay(1, 2), at=30)
    assert begun.coins == {coin(1), coin(2)}
    assert begun.value == AMOUNT
    assert begun.received_at == CREATED + 30
    assert begun.held
    assert begun.pin is None


def test_a_skeleton_is_the_same_before_and_after_signing():
    assert signed(pay(1)).txid != pay(1).txid
    assert skeleton_of(signed(pay(1))) == skeleton_of(pay(1)) == pay(1).txid


def test_a_pin_has_the_receivers_inputs_and_outputs_and_the_gain():
    begun, _, payjoin = pinned(fee=200)
    assert begun.pin == Pin(
        skeleton=payjoin.txid,
        inputs=((own(90), Sats(OURS)),),
        outputs=(payjoin.outputs[0],),
        gain=Sats(AMOUNT - 200),
        fees=Sats(200),
    )


def test_a_pin_has_an_output_that_takes_the_place_of_the_invoices():
    begun, _, payjoin = pinned(to=COLD)
    assert begun.pin is not None
    assert begun.pin.outputs == (TxOut(Sats(AMOUNT + OURS), COLD),)
    assert begun.pin.gain == AMOUNT
    assert begun.pin.is_met_by(signed(payjoin))


def test_a_pin_of_a_real_proposal_has_its_exact_gain():
    original = builders.original()
    made = builders.build_proposal(
        original, builders.params(min_fee_rate=10), builders.coin(70_000)
    )
    begun = negotiated(original.extract()).pinned(made, scripts={PAYEE})
    transaction = made.unsigned_transaction
    ours = sum(each.value for each in transaction.outputs if each.script_pubkey == PAYEE)
    assert begun.pin is not None
    assert begun.pin.gain == ours - 70_000
    assert begun.pin.gain + begun.pin.fees == 50_000
    assert begun.pin.fees > 0


def test_a_payjoin_that_brings_more_costs_the_shop_no_fee():
    begun = negotiated(pay(1)).pinned(
        proposal(pay(1, own(90), value=AMOUNT + OURS + 5)), scripts={PAYEE}
    )
    assert begun.pin is not None
    assert (begun.pin.gain, begun.pin.fees) == (AMOUNT + 5, 0)


@pytest.mark.parametrize(
    "other",
    [
        pay(1, own(90), value=AMOUNT + OURS - 1),
        pay(1, own(91), value=AMOUNT + OURS),
        pay(2, own(90), value=AMOUNT + OURS),
        pay(1, value=AMOUNT + OURS),
        pay(1, own(90), value=AMOUNT + OURS, change=999),
        pay(1, own(90), to=COLD, value=AMOUNT + OURS),
        replace(pay(1, own(90), value=AMOUNT + OURS), lock_time=1),
    ],
)
def test_a_pin_is_met_by_no_other_transaction(other):
    begun, _, _ = pinned()
    assert begun.pin is not None
    assert not begun.pin.is_met_by(signed(other))


def test_a_proposal_without_a_coin_of_the_original_is_not_pinned():
    """Both could confirm, and the customer would pay twice (M4)."""
    begun = negotiated(pay(1, 2))
    with pytest.raises(UsageError, match="lacks an input of the Original"):
        begun.pinned(proposal(pay(1, own(90), value=AMOUNT + OURS)), scripts={PAYEE})


@pytest.mark.parametrize("value", [0, OURS - 1, OURS])
def test_a_proposal_that_brings_the_shop_nothing_is_not_pinned(value: int):
    with pytest.raises(UsageError, match="no richer"):
        negotiated(pay(1)).pinned(proposal(pay(1, own(90), value=value)), scripts={PAYEE})


def test_an_output_to_a_script_that_is_not_ours_is_no_gain():
    with pytest.raises(UsageError, match="no richer"):
        negotiated(pay(1)).pinned(
            proposal(pay(1, own(90), to=COLD, value=AMOUNT + OURS)), scripts={PAYEE}
        )


def test_a_proposal_must_hold_the_utxos_of_our_coins():
    bare = Psbt.from_unsigned(pay(1, own(90), value=AMOUNT + OURS))
    with pytest.raises(InvalidPsbt):
        negotiated(pay(1)).pinned(bare, scripts={PAYEE})


def test_a_pin_never_changes():
    begun, _, payjoin = pinned()
    assert begun.pinned(proposal(payjoin), scripts={PAYEE}) == begun
    other = proposal(pay(1, own(91), value=AMOUNT + OURS))
    with pytest.raises(UsageError, match="Another proposal was pinned"):
        begun.pinned(other, scripts={PAYEE})


@pytest.mark.parametrize(
    "wrong", [{"gain": Sats(AMOUNT + 1)}, {"gain": Sats(0)}, {"inputs": ()}, {"outputs": ()}]
)
def test_a_pin_whose_sum_is_wrong_is_refused(wrong):
    begun, _, _ = pinned()
    assert begun.pin is not None
    with pytest.raises(UsageError, match="does not pay the receiver as its pin says"):
        replace(begun.pin, **wrong)


def test_a_negotiation_that_has_ended_holds_no_fallback():
    begun, _, _ = pinned()
    assert begun.ended() == replace(begun, held=False)


def test_reprs_tell_counts_alone():
    begun, _, _ = pinned()
    assert repr(begun) == "<Negotiation about 1 coins>"
    assert repr(begun.pin) == "<Pin of 1 inputs and 1 outputs>"
