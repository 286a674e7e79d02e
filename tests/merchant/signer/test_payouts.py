"""Sweeps to the cold wallet, and payments that the owner approves."""

from pathlib import Path

import msgspec
import pytest
from tests.merchant.signer.deals import COIN_INDEX, COLD_INDEX, THIEF, SignersHouse, shop_coin
from tests.support.keys import Keys

from dovetail.bitcoin import FeeRate, Psbt, Sats, Script
from dovetail.bitcoin.transaction import OutPoint, Transaction, TxIn, TxOut
from dovetail.merchant.keychains import Keychain
from dovetail.merchant.signer import log as logs
from dovetail.merchant.signer import messages
from dovetail.merchant.signer.client import own_inputs, own_outputs
from dovetail.merchant.signer.policy import Limits
from dovetail.protocol.coin import Coin
from dovetail.protocol.verification import Verdict, verify

CUSTOMER = Keys("customer").script(2)
COLD = own_outputs({0: (Keychain.COLD, COLD_INDEX)})
HOT_CHANGE = own_outputs({1: (Keychain.HOT, 8)})


def coin(house: SignersHouse, index: int = COIN_INDEX, value: int = 80_000) -> Coin:
    return shop_coin(house.deal.hot(index), index, value)


def spending(coins: list[Coin], *outputs: tuple[int, Script]) -> Psbt:
    inputs = tuple(TxIn(each.outpoint) for each in coins)
    paid = tuple(TxOut(Sats(value), script) for value, script in outputs)
    empty = Psbt.from_unsigned(Transaction(2, inputs, paid, 0))
    known = tuple(each.psbt_input for each in coins)
    return empty.with_transaction(empty.unsigned_transaction, known, empty.outputs)


def indexes(*named: int) -> dict[OutPoint, int]:
    return {shop_coin(Script(b""), index, 1).outpoint: index for index in named}


def sweep(psbt: Psbt, *, inputs: dict[OutPoint, int] | None = None) -> messages.Sweep:
    own = indexes(COIN_INDEX) if inputs is None else inputs
    return messages.Sweep(psbt=psbt.serialize(), inputs=own_inputs(own), outputs=COLD)


def payment(
    psbt: Psbt, *, name: str = "refund-1", outputs: tuple[messages.OwnOutput, ...] = ()
) -> messages.Queue:
    inputs = own_inputs(indexes(COIN_INDEX))
    return messages.Queue(id=name, psbt=psbt.serialize(), inputs=inputs, outputs=outputs)


# sweeps


def test_a_sweep_to_the_cold_wallet_is_signed(any_house: SignersHouse):
    spent = coin(any_house)
    psbt = spending([spent], (79_000, any_house.deal.cold))
    signed = any_house.signed(sweep(psbt))
    assert verify(signed.extract(), [spent.utxo]) is Verdict.VALID
    assert any_house.signed(sweep(psbt)) == signed


def test_a_sweep_to_anybody_else_is_refused(house: SignersHouse):
    spent = coin(house)
    for outputs in (
        ((79_000, THIEF),),
        ((40_000, house.deal.cold), (39_000, THIEF)),
        ((79_000, house.deal.hot(8)),),
    ):
        assert "cold wallet alone" in house.refusal(sweep(spending([spent], *outputs)))


def test_a_sweep_pays_no_absurd_fee(house: SignersHouse):
    burnt = spending([coin(house)], (60_000, house.deal.cold))
    assert "fee is above" in house.refusal(sweep(burnt))


def test_a_large_sweep_pays_no_more_than_the_sum_of_the_limit(tmp_path: Path):
    limits = Limits(max_fee_rate=FeeRate.from_sat_per_vb(10_000), max_fee=Sats(5_000))
    house = SignersHouse(tmp_path, limits=limits)
    burnt = spending([coin(house)], (74_999, house.deal.cold))
    assert "fee is above" in house.refusal(sweep(burnt))
    house.signed(sweep(spending([coin(house)], (75_000, house.deal.cold))))


def test_a_sweep_pays_no_more_than_it_spends(house: SignersHouse):
    made_up = spending([coin(house)], (90_000, house.deal.cold))
    assert "fee is above" in house.refusal(sweep(made_up))


def test_a_sweep_spends_the_wallets_coins_alone(house: SignersHouse):
    foreign = Keys("another").coin(1, 50_000)
    both = spending([coin(house), foreign], (129_000, house.deal.cold))
    assert "own coins alone" in house.refusal(sweep(both))


def test_coins_of_a_session_are_not_swept_before_they_are_released(house: SignersHouse):
    house.signed(house.deal.request())
    psbt = spending([coin(house)], (79_000, house.deal.cold))
    assert "reserved for a session" in house.refusal(sweep(psbt))
    house.service.answer(messages.Release(session="invoice-1"))
    house.signed(sweep(psbt))


def test_two_sweeps_that_each_hide_a_coin_do_not_burn_it(house: SignersHouse):
    """Signed with two sets of amounts, it would be valid, and most of it a fee."""
    first, second = COIN_INDEX, COIN_INDEX + 1
    true = [coin(house, first, 80_000), coin(house, second, 90_000)]
    answers = []
    for low in (first, second):
        claimed = [coin(house, index, 546 if index == low else 85_000) for index in (first, second)]
        psbt = spending(claimed, (84_000, house.deal.cold))
        answers.append(house.signed(sweep(psbt, inputs=indexes(first, second))))
    assert answers[0] == answers[1]
    assert verify(answers[0].extract(), [each.utxo for each in true]) is Verdict.INVALID


# payments to others


def test_a_payment_waits_for_the_owner(any_house: SignersHouse):
    house = any_house
    spent = coin(house)
    psbt = spending([spent], (30_000, CUSTOMER), (49_000, house.deal.hot(8)))
    assert house.service.answer(payment(psbt, outputs=HOT_CHANGE)) == messages.Done()
    asked = messages.Queued(id="refund-1")
    assert house.service.answer(asked) == messages.Waiting()
    (told,) = house.log.waiting().values()
    assert told.recipients == ((CUSTOMER.hex(), 30_000),)
    assert told.fee == 1_000
    assert CUSTOMER.hex() not in repr(told)
    assert house.log.approve("refund-1")
    signed = house.signed(asked)
    assert verify(signed.extract(), [spent.utxo]) is Verdict.VALID
    assert house.signed(asked) == signed
    assert house.log.waiting() == {}


def test_the_owner_sees_change_that_is_not_the_wallets(house: SignersHouse):
    psbt = spending([coin(house)], (30_000, CUSTOMER), (49_000, THIEF))
    assert "not of the wallet's key" in house.refusal(payment(psbt, outputs=HOT_CHANGE))
    house.service.answer(payment(psbt))
    (told,) = house.log.waiting().values()
    assert (THIEF.hex(), 49_000) in told.recipients


def test_what_is_approved_cannot_be_replaced(house: SignersHouse):
    house.service.answer(payment(spending([coin(house)], (79_000, CUSTOMER))))
    stolen = payment(spending([coin(house)], (79_000, THIEF)))
    assert "Another payment of this id" in house.refusal(stolen)
    house.log.approve("refund-1")
    assert "Another payment of this id" in house.refusal(stolen)
    signed = house.signed(messages.Queued(id="refund-1"))
    assert signed.unsigned_transaction.outputs[0].script_pubkey == CUSTOMER


def test_a_payment_that_nobody_approved_is_not_signed_as_a_sweep(house: SignersHouse):
    psbt = spending([coin(house)], (79_000, CUSTOMER))
    house.service.answer(payment(psbt))
    assert "cold wallet alone" in house.refusal(sweep(psbt))


def test_an_approved_payment_leaves_the_coins_of_sessions(house: SignersHouse):
    house.service.answer(payment(spending([coin(house)], (79_000, CUSTOMER))))
    house.log.approve("refund-1")
    house.signed(house.deal.request())
    assert "reserved for a session" in house.refusal(messages.Queued(id="refund-1"))


@pytest.mark.parametrize(
    ("outputs", "why"),
    [(((10_000, CUSTOMER),), "fee is above"), (((90_000, CUSTOMER),), "fee is above")],
)
def test_a_payment_whose_fee_is_wrong_is_not_queued(house: SignersHouse, outputs, why: str):
    assert why in house.refusal(payment(spending([coin(house)], *outputs)))
    assert house.log.waiting() == {}


def test_a_payment_with_coins_of_others_is_not_queued(house: SignersHouse):
    foreign = Keys("another").coin(1, 50_000)
    both = spending([coin(house), foreign], (129_000, CUSTOMER))
    assert "own coins alone" in house.refusal(payment(both))


def test_an_unknown_payment_is_not_signed(house: SignersHouse):
    assert "no such payment" in house.refusal(messages.Queued(id="refund-9"))
    assert not house.log.approve("refund-9")


def test_a_damaged_payment_is_not_signed(house: SignersHouse):
    house.service.answer(payment(spending([coin(house)], (79_000, CUSTOMER))))
    house.log.approve("refund-1")
    other = msgspec.json.encode(messages.Hello())
    house.log._connection.execute("UPDATE payments SET request = ?", (other,))
    assert "cannot be read" in house.refusal(messages.Queued(id="refund-1"))


def test_a_thief_does_not_fill_the_queue(house: SignersHouse, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(logs, "MOST_WAITING", 2)
    psbt = spending([coin(house)], (79_000, CUSTOMER))
    for number in range(2):
        house.service.answer(payment(psbt, name=f"refund-{number}"))
    assert "Too many payments" in house.refusal(payment(psbt, name="refund-2"))
    assert house.service.answer(payment(psbt, name="refund-0")) == messages.Done()
    house.log.approve("refund-0")
    assert house.service.answer(payment(psbt, name="refund-2")) == messages.Done()


# withdrawn payments, and higher fees


def test_a_withdrawn_payment_is_never_signed(house: SignersHouse):
    psbt = spending([coin(house)], (79_000, CUSTOMER))
    house.service.answer(payment(psbt))
    assert house.service.answer(messages.Withdraw(id="refund-1")) == messages.Done()
    assert house.log.waiting() == {}
    assert not house.log.approve("refund-1")
    assert "was withdrawn" in house.refusal(messages.Queued(id="refund-1"))
    house.service.answer(payment(psbt))
    assert "was withdrawn" in house.refusal(messages.Queued(id="refund-1"))


def test_an_approved_payment_can_be_withdrawn_before_it_is_signed(house: SignersHouse):
    house.service.answer(payment(spending([coin(house)], (79_000, CUSTOMER))))
    assert house.log.approve("refund-1")
    house.service.answer(messages.Withdraw(id="refund-1"))
    assert "was withdrawn" in house.refusal(messages.Queued(id="refund-1"))


def test_what_the_owner_reads_cannot_be_exchanged_by_a_withdrawal(house: SignersHouse):
    house.service.answer(payment(spending([coin(house)], (79_000, CUSTOMER))))
    house.service.answer(messages.Withdraw(id="refund-1"))
    stolen = payment(spending([coin(house)], (79_000, THIEF)))
    assert "Another payment of this id" in house.refusal(stolen)
    assert not house.log.approve("refund-1")


def test_a_payment_that_is_queued_after_its_withdrawal_is_refused(house: SignersHouse):
    assert house.service.answer(messages.Withdraw(id="refund-1")) == messages.Done()
    late = payment(spending([coin(house)], (79_000, CUSTOMER)))
    assert "Another payment of this id" in house.refusal(late)
    assert house.log.waiting() == {}
    assert not house.log.approve("refund-1")


def first_and(house: SignersHouse, psbt: Psbt, *, approved: bool = True) -> messages.Queue:
    """Queue a payment, and return the request of one that is to take its place."""
    first = spending([coin(house)], (30_000, CUSTOMER), (49_000, house.deal.hot(8)))
    house.service.answer(payment(first, outputs=HOT_CHANGE))
    if approved:
        assert house.log.approve("refund-1")
    return msgspec.structs.replace(
        payment(psbt, name="refund-1-2", outputs=HOT_CHANGE), replaces="refund-1"
    )


def test_a_higher_fee_of_an_approved_payment_needs_no_approval(any_house: SignersHouse):
    spent = coin(any_house)
    psbt = spending([spent], (30_000, CUSTOMER), (48_000, any_house.deal.hot(8)))
    request = first_and(any_house, psbt)
    assert any_house.service.answer(request) == messages.Done()
    assert any_house.log.waiting() == {}
    signed = any_house.signed(messages.Queued(id="refund-1-2"))
    assert verify(signed.extract(), [spent.utxo]) is Verdict.VALID


def test_a_payment_that_nobody_approved_has_no_replacement(house: SignersHouse):
    psbt = spending([coin(house)], (30_000, CUSTOMER), (48_000, house.deal.hot(8)))
    assert "was not approved" in house.refusal(first_and(house, psbt, approved=False))
    unknown = msgspec.structs.replace(payment(psbt, name="x"), replaces="nobody")
    assert "was not approved" in house.refusal(unknown)


def test_a_withdrawn_payment_has_no_replacement(house: SignersHouse):
    psbt = spending([coin(house)], (30_000, CUSTOMER), (48_000, house.deal.hot(8)))
    request = first_and(house, psbt)
    house.service.answer(messages.Withdraw(id="refund-1"))
    assert "was withdrawn" in house.refusal(request)


@pytest.mark.parametrize(
    ("customer", "change", "why"),
    [
        (29_000, 49_000, "brings others the same"),
        (31_000, 47_000, "brings others the same"),
        (30_000, 49_000, "pays a higher fee"),
        (30_000, 49_500, "pays a higher fee"),
        (30_000, 30_000, "fee is above"),
    ],
)
def test_a_replacement_changes_nothing_but_the_fee(
    house: SignersHouse, customer: int, change: int, why: str
):
    psbt = spending([coin(house)], (customer, CUSTOMER), (change, house.deal.hot(8)))
    assert why in house.refusal(first_and(house, psbt))


def test_a_replacement_pays_nobody_else(house: SignersHouse):
    psbt = spending([coin(house)], (30_000, CUSTOMER), (40_000, house.deal.hot(8)), (8_000, THIEF))
    assert "brings others the same" in house.refusal(first_and(house, psbt))


def test_a_replacement_spends_the_same_coins(house: SignersHouse):
    """With another coin both payments could be mined, and the customer be paid twice."""
    other = COIN_INDEX + 1
    for coins in ([coin(house, other)], [coin(house), coin(house, other)]):
        total = 80_000 * len(coins)
        psbt = spending(coins, (30_000, CUSTOMER), (total - 32_000, house.deal.hot(8)))
        named = [COIN_INDEX, other][-len(coins) :] if len(coins) > 1 else [other]
        request = msgspec.structs.replace(
            first_and(house, psbt), inputs=own_inputs(indexes(*named))
        )
        assert "spends the same coins" in house.refusal(request)
        house.log._connection.execute("DELETE FROM payments")


def test_a_damaged_payment_has_no_replacement(house: SignersHouse):
    psbt = spending([coin(house)], (30_000, CUSTOMER), (48_000, house.deal.hot(8)))
    request = first_and(house, psbt)
    other = msgspec.json.encode(messages.Hello())
    house.log._connection.execute("UPDATE payments SET request = ?", (other,))
    assert "cannot be read" in house.refusal(request)
