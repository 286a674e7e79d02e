"""A refund that waits too long to be mined gets a higher fee, where its change can pay it."""

import pytest
from tests.merchant.refunds import CUSTOMER, RefundShop

from dovetail.bitcoin import FeeRate
from dovetail.bitcoin.transaction import TxOut
from dovetail.merchant.services.refund_payments import PATIENCE, Trouble
from dovetail.merchant.signer.policy import SignerRefused


def test_a_payment_that_waits_too_long_gets_a_higher_fee(shop: RefundShop, monkeypatch):
    row = shop.paying()
    (first,) = shop.sent(row)
    shop.clock.now += PATIENCE - 1
    assert len(shop.sent(shop.work(row))) == 1
    shop.clock.now += 1
    shop.work(row)
    assert len(shop.sent(row)) == 1  # the estimate is no higher
    rate = FeeRate.from_sat_per_vb(20)
    monkeypatch.setattr(shop.chain, "fee_rate", lambda *, target: rate)  # noqa: ARG005
    row = shop.work(row, 2)
    _, second = shop.sent(row)
    assert second.raw is not None
    assert [each.txid for each in shop.waiting()] == [second.txid]
    before, after = (each.psbt.unsigned_transaction for each in (first, second))
    assert before.contested() == after.contested()
    paid = TxOut(row.amount, CUSTOMER.script_pubkey)
    assert paid in before.outputs
    assert paid in after.outputs
    assert second.fee > first.fee
    assert (row.status, row.txid) == ("paying", str(second.txid))
    shop.regtest.node.mine(1)
    row = shop.work(row)
    assert (row.status, row.txid) == ("paid", str(second.txid))


def test_the_first_transaction_may_win_although_a_higher_fee_was_tried(
    shop: RefundShop, monkeypatch
):
    row = shop.paying()
    (first,) = shop.sent(row)
    shop.clock.now += PATIENCE
    rate = FeeRate.from_sat_per_vb(20)
    monkeypatch.setattr(shop.chain, "fee_rate", lambda *, target: rate)  # noqa: ARG005
    row = shop.work(row)
    assert row.txid != str(first.txid)
    shop.regtest.node.mine(1)
    row = shop.work(row)
    assert (row.status, row.txid) == ("paid", str(first.txid))


def test_a_higher_fee_that_the_signer_refuses_is_tried_anew_later(shop: RefundShop, monkeypatch):
    row = shop.paying()
    (first,) = shop.sent(row)
    asked: list[str] = []

    def refuses(name: str, *_: object, **__: object) -> None:
        asked.append(name)
        raise SignerRefused("The fee is above the cap.")

    rate = FeeRate.from_sat_per_vb(20)
    monkeypatch.setattr(shop.chain, "fee_rate", lambda *, target: rate)  # noqa: ARG005
    monkeypatch.setattr(shop.signer, "queue", refuses)
    for number in (2, 3):
        shop.clock.now += PATIENCE
        row = shop.work(row, 4)
        assert asked[number - 2 :] == [f"{row.id}-{number}"]
        assert (row.trouble, row.txid) == (Trouble.SIGNER_REFUSES, str(first.txid))
    monkeypatch.undo()
    monkeypatch.setattr(shop.chain, "fee_rate", lambda *, target: rate)  # noqa: ARG005
    shop.clock.now += PATIENCE
    row = shop.work(row, 2)
    *_, last = shop.sent(row)
    assert last.raw is not None
    assert (last.number, row.trouble, row.txid) == (4, None, str(last.txid))
    assert [each.txid for each in shop.waiting()] == [last.txid]


@pytest.mark.parametrize("values", [(20_400,), (21_500,)])
def test_without_change_that_can_pay_it_the_fee_stays(
    shop: RefundShop, monkeypatch, values: tuple[int, ...]
):
    row = shop.paying(*values)
    shop.clock.now += PATIENCE
    rate = FeeRate.from_sat_per_vb(20)
    monkeypatch.setattr(shop.chain, "fee_rate", lambda *, target: rate)  # noqa: ARG005
    assert len(shop.sent(shop.work(row))) == 1
