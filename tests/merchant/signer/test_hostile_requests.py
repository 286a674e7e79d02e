"""What a server in the hands of a thief may ask of the signer, and is refused."""

import msgspec
import pytest
from tests.merchant.signer.deals import (
    AMOUNT,
    COIN_INDEX,
    FEE,
    INVOICE_INDEX,
    THIEF,
    SignersHouse,
    shop_coin,
)
from tests.support.keys import Keys

from dovetail.bitcoin import FeeRate, Psbt, PsbtInput, Sats, Script
from dovetail.bitcoin.transaction import TxOut
from dovetail.merchant.keychains import Keychain
from dovetail.merchant.signer import keys, messages
from dovetail.merchant.signer.client import own_inputs, own_outputs
from dovetail.merchant.signer.policy import Limits
from dovetail.protocol.verification import Verdict, verify

NO_RICHER = "no richer"
TOO_MUCH = "takes more from the wallet"


def out(value: int, script: Script) -> TxOut:
    return TxOut(Sats(value), script)


def test_an_honest_payjoin_is_signed(any_house: SignersHouse):
    deal = any_house.deal
    signed = any_house.signed(deal.request())
    transaction = signed.unsigned_transaction
    ours = transaction.contested().index(next(iter(deal.own)))
    assert signed.inputs[ours].is_finalized
    assert [each.is_finalized for each in signed.inputs].count(True) == 1
    spent = [*deal.original.utxos(), *(coin.utxo for coin in deal.coin_list)]
    customer = deal.customer.sign(signed)
    assert verify(customer.extract(), spent) is Verdict.VALID


def test_a_payjoin_to_the_hot_address_is_signed_too(any_house: SignersHouse):
    deal = any_house.deal.but(settles_cold=False)
    any_house.signed(deal.request())


def test_the_script_of_the_fallback_is_derived_without_being_named(any_house: SignersHouse):
    deal = any_house.deal.but(settles_cold=False)
    any_house.signed(deal.request(outputs=()))


# taking coins


def test_the_coin_cannot_go_to_somebody_else(house: SignersHouse):
    deal = house.deal
    stolen = deal.psbt(out(deal.joined, THIEF), deal.change)
    assert NO_RICHER in house.refusal(deal.request(stolen))


def test_the_coin_cannot_go_to_somebody_else_under_the_name_of_an_own_script(house: SignersHouse):
    deal = house.deal
    stolen = deal.psbt(out(deal.joined, THIEF), deal.change)
    claims = own_outputs({0: (Keychain.COLD, 1)})
    assert "not of the wallet's key" in house.refusal(deal.request(stolen, outputs=claims))


def test_an_output_that_is_not_there_cannot_be_named(house: SignersHouse):
    deal = house.deal
    stolen = deal.psbt(out(deal.joined, THIEF), deal.change)
    claims = own_outputs({5: (Keychain.COLD, 1)})
    assert "not of the wallet's key" in house.refusal(deal.request(stolen, outputs=claims))


def test_the_customers_payment_cannot_go_to_somebody_else(house: SignersHouse):
    """The wallet gets its own coin back and a satoshi, the thief the payment."""
    deal = house.deal
    taken = deal.psbt(out(80_001, deal.cold), out(AMOUNT - FEE - 1, THIEF), deal.change)
    assert TOO_MUCH in house.refusal(deal.request(taken))


def test_a_part_of_the_payment_cannot_go_to_somebody_else(house: SignersHouse):
    deal = house.deal
    taken = deal.psbt(out(deal.joined - 15_000, deal.cold), out(15_000, THIEF), deal.change)
    assert TOO_MUCH in house.refusal(deal.request(taken))


def test_the_fee_cannot_take_the_coin(house: SignersHouse):
    deal = house.deal
    burnt = deal.psbt(out(deal.joined - 50_000, deal.cold), deal.change)
    assert TOO_MUCH in house.refusal(deal.request(burnt))


def test_a_payment_that_demands_nothing_cannot_drain_the_wallet_by_fees(house: SignersHouse):
    """A thief opens sessions of one satoshi, pays it, and takes the fee that is allowed."""
    deal = house.deal.but(session="cheap", amount=1_000)
    house.opened("cheap", 1)
    drained = deal.psbt(out(79_900, deal.cold), out(1_000, THIEF), deal.change)
    assert NO_RICHER in house.refusal(deal.request(drained))


def test_a_signature_that_is_claimed_to_be_long_raises_no_limit(house: SignersHouse):
    """The weight of an input is the signer's own knowledge."""
    deal = house.deal
    burnt = deal.psbt(out(deal.joined - 40_000, deal.cold), deal.change)
    final = burnt.inputs[1].with_final(witness=(bytes(60_000), bytes(33)))
    assert TOO_MUCH in house.refusal(deal.request(burnt.with_input(1, final)))


def test_the_sum_of_the_limit_holds_whatever_the_rate(tmp_path):
    limits = Limits(max_fee_rate=FeeRate.from_sat_per_vb(10_000), max_fee=Sats(2_000))
    house = SignersHouse(tmp_path, limits=limits).opened()
    deal = house.deal
    dear = deal.psbt(out(deal.joined + FEE - 2_001, deal.cold), deal.change)
    assert TOO_MUCH in house.refusal(deal.request(dear))
    house.signed(deal.request(deal.psbt(out(deal.joined + FEE - 2_000, deal.cold), deal.change)))


# what an invoice demands


def test_less_than_the_invoice_demands_is_not_joined(house: SignersHouse):
    deal = house.deal.but(amount=AMOUNT - 1)
    assert "less than the invoice demands" in house.refusal(deal.request())


def test_a_payment_to_another_index_is_not_the_invoices(house: SignersHouse):
    deal = house.deal
    assert "less than the invoice demands" in house.refusal(
        deal.request(fallback_index=INVOICE_INDEX + 1)
    )


def test_the_demand_of_a_session_cannot_be_lowered(house: SignersHouse):
    why = house.refusal(messages.Open(session="invoice-1", demand=1))
    assert "the first one counts" in why
    assert "less than" in house.refusal(house.deal.but(amount=AMOUNT - 1).request())


def test_a_session_that_was_not_opened_gets_nothing(house: SignersHouse):
    assert "no such session" in house.refusal(house.deal.request(session="invoice-2"))


def test_a_payjoin_that_leaves_the_fallback_payable_is_refused(house: SignersHouse):
    deal = house.deal
    other = deal.but(customer=Keys("another customer"))
    why = house.refusal(deal.request(fallback=other.fallback.serialize()))
    assert "leaves out a coin" in why


# which coins, and how often


def test_a_coin_of_another_session_is_not_signed(house: SignersHouse):
    house.signed(house.deal.request())
    house.opened("invoice-2")
    second = house.deal.but(session="invoice-2", customer=Keys("another customer"))
    assert "reserved for another session" in house.refusal(second.request())


def test_a_second_transaction_of_a_session_is_not_signed(house: SignersHouse):
    deal = house.deal
    house.signed(deal.request())
    other = deal.psbt(out(deal.joined - 1, deal.cold), deal.change)
    assert "signed for this before" in house.refusal(deal.request(other))


def test_a_released_session_is_not_signed_for_again(house: SignersHouse):
    deal = house.deal
    house.signed(deal.request())
    house.service.answer(messages.Release(session="invoice-1"))
    other = deal.psbt(out(deal.joined - 1, deal.cold), deal.change)
    assert "signed for this before" in house.refusal(deal.request(other))


def test_the_same_request_has_the_same_answer(any_house: SignersHouse):
    deal = any_house.deal
    first = any_house.service.answer(deal.request())
    any_house.restart()
    assert any_house.service.answer(deal.request()) == first


def understated(house: SignersHouse, *, low: int) -> Psbt:
    """A payment of both coins to a thief, in which the coin at an index is claimed to be small."""
    deal = house.deal.but(coins={COIN_INDEX: 80_000, COIN_INDEX + 1: 90_000})
    claimed = [
        shop_coin(deal.hot(index), index, 546 if index == low else value)
        for index, value in deal.coins.items()
    ]
    # The outputs suffice for one coin and the payment, so that the other coin is the thief's.
    paid = out(91_000 + AMOUNT, deal.cold)
    return deal.psbt(paid, deal.change, out(75_000, THIEF), own=claimed)


def test_two_signatures_that_each_hide_another_coin_are_not_both_given(house: SignersHouse):
    """Each set of amounts makes one signature valid; both together would pay the thief."""
    deal = house.deal.but(coins={COIN_INDEX: 80_000, COIN_INDEX + 1: 90_000})
    requests = [
        deal.request(understated(house, low=index), session=session)
        for index, session in ((COIN_INDEX, "invoice-1"), (COIN_INDEX + 1, "invoice-2"))
    ]
    house.opened("invoice-2")
    first = house.signed(requests[0])
    house.service.answer(messages.Release(session="invoice-1"))
    assert "for something else" in house.refusal(requests[1])
    again = msgspec.structs.replace(requests[1], session="invoice-1")
    assert house.signed(again) == first, "in its own session the first answer is the only one"
    coins = [coin.utxo for coin in deal.coin_list]
    joined = deal.customer.sign(first).extract()
    assert verify(joined, [*deal.original.utxos(), *coins]) is Verdict.INVALID


def test_a_coin_whose_amount_is_understated_has_no_valid_signature(any_house: SignersHouse):
    deal = any_house.deal
    lied = deal.but(coins={COIN_INDEX: 1_000})
    psbt = lied.psbt(out(AMOUNT + 1_000 - FEE, lied.cold), lied.change, out(79_000, THIEF))
    signed = deal.customer.sign(any_house.signed(lied.request(psbt)))
    spent = [*deal.original.utxos(), deal.coin_list[0].utxo]
    assert verify(signed.extract(), spent) is Verdict.INVALID


def test_an_own_coin_that_is_not_named_is_refused(house: SignersHouse):
    deal = house.deal.but(coins={COIN_INDEX: 80_000, COIN_INDEX + 1: 90_000})
    one = own_inputs({outpoint: at for outpoint, at in deal.own.items() if at == COIN_INDEX})
    taken = deal.psbt(out(80_000 + AMOUNT, deal.cold), out(89_000, THIEF), deal.change)
    assert "does not name" in house.refusal(deal.request(taken, inputs=one))


def test_a_known_coin_cannot_be_hidden_behind_another_script(house: SignersHouse):
    deal = house.deal.but(coins={COIN_INDEX: 80_000, COIN_INDEX + 1: 90_000})
    house.opened("invoice-2")
    held = house.deal.but(session="invoice-2", coins={COIN_INDEX + 1: 90_000})
    house.signed(held.request())
    taken = deal.psbt(out(80_000 + AMOUNT, deal.cold), out(89_000, THIEF), deal.change)
    foreign = taken.inputs[2].with_witness_utxo(out(90_000, THIEF))
    one = own_inputs({outpoint: at for outpoint, at in deal.own.items() if at == COIN_INDEX})
    why = house.refusal(deal.request(taken.with_input(2, foreign), inputs=one))
    assert "does not name" in why


def test_a_coin_that_is_not_in_the_transaction_is_not_signed(house: SignersHouse):
    deal = house.deal
    more = own_inputs({**deal.own, shop_coin(deal.hot(9), 9, 1).outpoint: 9})
    assert "not in the transaction" in house.refusal(deal.request(inputs=more))


def test_the_customers_coin_is_not_the_wallets(house: SignersHouse):
    deal = house.deal
    theirs = own_inputs({**deal.own, deal.fallback.contested()[0]: 4})
    assert "not of the wallet's key" in house.refusal(deal.request(inputs=theirs))


# how it is signed


@pytest.mark.parametrize("sighash", [2, 3, 0x81, 0x82, 0x83])
def test_no_signature_leaves_anything_open(any_house: SignersHouse, sighash: int):
    deal = any_house.deal
    psbt = deal.psbt()
    open_ended = psbt.with_input(1, psbt.inputs[1].with_sighash_type(sighash))
    assert "whole transaction" in any_house.refusal(deal.request(open_ended))


def test_a_coin_without_its_amount_is_not_signed(house: SignersHouse):
    deal = house.deal
    bare = deal.psbt().with_input(1, PsbtInput())
    assert "cannot be signed" in house.refusal(deal.request(bare))


def test_an_index_far_out_is_signed_for_without_deriving_all_before_it(
    any_house: SignersHouse, monkeypatch: pytest.MonkeyPatch
):
    """A signer that starts again behind a shop of many invoices signs at once."""
    monkeypatch.setattr(keys, "STEP", 10)
    deal = any_house.deal.but(coins={2**31 - 1: 80_000})
    spent = [*deal.original.utxos(), deal.coin_list[0].utxo]
    signed = deal.customer.sign(any_house.signed(deal.request()))
    assert verify(signed.extract(), spent) is Verdict.VALID
    assert any_house.keys.owns(deal.hot(10))


def test_garbage_is_refused(house: SignersHouse):
    deal = house.deal
    for change in ({"psbt": b"psbt\xff"}, {"psbt": b""}, {"fallback": b"\x00"}):
        assert "cannot be read" in house.refusal(deal.request(**change))
    beyond = messages.OwnInput(coin=f"{'ab' * 32}:9999999999", index=1)
    assert "cannot be read" in house.refusal(deal.request(inputs=(beyond,)))


def test_without_a_cold_wallet_nothing_is_cold(tmp_path):
    house = SignersHouse(tmp_path, cold=False).opened()
    deal = house.deal.but(settles_cold=False)
    named = own_outputs({0: (Keychain.COLD, 1)})
    assert "knows no cold wallet" in house.refusal(deal.request(outputs=named))
