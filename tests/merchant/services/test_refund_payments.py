"""A refund is paid by one transaction: pinned, approved by the owner, kept, and broadcast."""

from dataclasses import replace

import pytest
from tests.merchant.refunds import CUSTOMER, RefundShop, see

from dovetail.bitcoin import FeeRate, OutPoint, Sats, UnixTime
from dovetail.bitcoin.transaction import Transaction, TxIn, TxOut
from dovetail.errors import CoinsTaken, InsufficientFunds, WalletError
from dovetail.merchant.data import coins, events, invoices, refund_payments, wallets
from dovetail.merchant.data.wallets import Purpose
from dovetail.merchant.invoices.refunds import RefundRefused
from dovetail.merchant.services.refund_payments import RefundPayments, Trouble
from dovetail.merchant.services.sweeping import prepare_sweep
from dovetail.sessions import receiver


def test_an_approved_refund_is_paid_once_the_owner_approves_it_at_the_signer(shop: RefundShop):
    shop.fund(60_000, 100_000)
    row = shop.approved()
    assert (row.amount, row.due) == (20_000, True)
    row = shop.work(row, 3)
    assert (row.status, row.trouble) == ("queued", Trouble.OWNER_WAITED_FOR)
    assert shop.waiting() == []
    ((name, told),) = shop.house.log.waiting().items()
    assert (name, told.recipients) == (str(row.id), ((CUSTOMER.script_pubkey.hex(), 20_000),))
    assert shop.house.log.approve(name)
    row = shop.work(row, 2)
    assert (row.status, row.trouble) == ("paying", None)
    (sent,) = shop.waiting()
    assert str(sent.txid) == row.txid
    assert TxOut(Sats(20_000), CUSTOMER.script_pubkey) in sent.outputs
    shop.regtest.node.mine(1)
    row = shop.work(row)
    assert (row.status, row.depth, row.due) == ("paid", 1, True)
    shop.regtest.node.mine(5)
    row = shop.work(row)
    assert (row.depth, row.due) == (6, False)
    assert shop.coins() == 1  # also where the chain watcher is late
    assert shop.steps(row) == ["create", "claim", "approve", "queue", "sign", "confirm"]


def test_one_coin_pays_and_the_change_comes_back(shop: RefundShop):
    shop.fund(25_000, 60_000, 100_000)
    row = shop.work(shop.approved(), 2)
    (payment,) = shop.sent(row)
    transaction = payment.psbt.unsigned_transaction
    (utxo,) = payment.psbt.utxos()
    assert utxo.value == 25_000
    assert sum(each.value for each in transaction.outputs) + payment.fee == 25_000
    (change,) = [each for each in transaction.outputs if each.value != 20_000]
    at = shop.database.read(lambda c: wallets.address_at(c, change.script_pubkey))
    assert at is not None
    assert (at.purpose, at.invoice_id) == (Purpose.CHANGE, row.invoice_id)
    assert shop.house.log.approve(payment.name)
    shop.work(row, 2)
    shop.regtest.node.mine(1)
    shop.look()
    assert shop.coins() == 3  # the change is a coin like the others


def test_several_coins_pay_where_none_is_enough(shop: RefundShop):
    shop.fund(9_000, 8_000, 7_000)
    row = shop.work(shop.approved())
    assert row.status == "queued"
    assert len(shop.sent(row)[0].psbt.inputs) == 3


def test_a_rest_that_would_be_dust_is_a_fee(shop: RefundShop):
    shop.fund(20_400)
    row = shop.work(shop.approved())
    (payment,) = shop.sent(row)
    assert [each.value for each in payment.psbt.unsigned_transaction.outputs] == [20_000]
    assert payment.fee == 400


def test_without_coins_it_waits_for_a_deposit(shop: RefundShop):
    row = shop.work(shop.approved())
    assert (row.status, row.trouble) == ("approved", Trouble.NO_COINS)
    shop.fund(60_000)
    row = shop.work(row)
    assert row.status == "queued"


def test_without_a_signer_it_says_so(shop: RefundShop):
    shop.fund(60_000)
    row = shop.work(shop.approved())
    nobody = replace(shop.parts, signer=None)
    RefundPayments(nobody).work()
    assert shop.row(row.id).trouble == Trouble.NO_SIGNER


def test_a_signer_that_is_away_stops_nothing_for_good(shop: RefundShop, monkeypatch):
    shop.fund(60_000)
    row = shop.work(shop.approved())

    def away(*_: object, **__: object) -> None:
        raise WalletError("The signer does not answer.")

    with monkeypatch.context() as patched:
        patched.setattr(shop.parts.signer, "queue", away)
        assert shop.work(row).trouble == Trouble.SIGNER_AWAY
    assert shop.work(row).trouble == Trouble.OWNER_WAITED_FOR


def test_credit_that_a_reorganisation_took_is_not_paid_out(shop: RefundShop):
    shop.fund(60_000)
    invoice = shop.invoice()
    row = shop.approved(invoice)
    see(shop.database, invoice)  # the payment is gone
    row = shop.work(row)
    assert (row.status, row.trouble) == ("approved", Trouble.NOT_COVERED)
    assert shop.sent(row) == ()
    assert shop.coins() == 1


def test_credit_that_is_taken_while_the_owner_decides_is_not_paid_out(shop: RefundShop):
    shop.fund(60_000)
    invoice = shop.invoice()
    row = shop.work(shop.approved(invoice), 3)
    assert shop.house.log.approve(str(row.id))
    see(shop.database, invoice)  # the payment is gone
    row = shop.work(row, 2)
    assert (row.status, row.trouble) == ("queued", Trouble.NOT_COVERED)
    assert shop.waiting() == []
    assert [each.raw for each in shop.sent(row)] == [None]


def test_a_payment_first_seen_deep_in_the_chain_is_over(shop: RefundShop):
    shop.fund(60_000, 100_000)
    row = shop.work(shop.approved(), 3)
    assert shop.house.log.approve(str(row.id))
    row = shop.work(row, 2)
    shop.regtest.node.mine(6)
    row = shop.work(row, 2)
    assert (row.status, row.depth, row.due) == ("paid", 6, False)


def test_the_coins_of_a_refund_are_nobody_elses(shop: RefundShop):
    shop.fund(60_000)
    row = shop.work(shop.approved(amount=5_000))
    wallet = shop.parts.wallet(shop.store.wallet_id)
    assert (shop.coins(), wallet.coins()) == (0, ())
    (spent,) = shop.sent(row)[0].psbt.unsigned_transaction.contested()
    second = shop.work(shop.approved(amount=5_000))
    assert second.trouble == Trouble.NO_COINS
    shop.service.decline(row.id, by="owner")
    assert (shop.coins(), len(wallet.coins())) == (1, 1)
    second = shop.work(second)
    assert shop.sent(second)[0].psbt.unsigned_transaction.contested() == (spent,)


def test_a_refund_takes_no_coin_of_a_session(shop: RefundShop):
    shop.fund(60_000)
    coin = _reserved(shop)
    row = shop.approved()
    assert shop.work(row).trouble == Trouble.NO_COINS
    with pytest.raises(CoinsTaken, match="A session holds"):
        shop.database.write(lambda c: refund_payments.hold_coins(c, row.id, [coin]))


def test_a_session_that_took_a_refunds_coin_too_late_gets_no_signature(shop: RefundShop):
    shop.fund(60_000)
    row = shop.work(shop.approved())
    (spent,) = shop.sent(row)[0].psbt.unsigned_transaction.contested()
    invoice = shop.invoice()
    coin = _reserved(shop, spent, invoice.id)
    wallet = shop.parts.wallet(shop.store.wallet_id)
    with pytest.raises(WalletError, match="A refund spends one"):
        wallet.sign(shop.sent(row)[0].psbt, inputs=[coin])


def _reserved(shop: RefundShop, coin: OutPoint | None = None, invoice_id=None) -> OutPoint:
    """A coin that a session holds."""
    log = shop.database.sessions.new_receiver()
    receiver.create_v1(
        address=shop.give_hot(),
        url="https://shop.example/pj",
        expires_at=UnixTime(shop.database.now() + 600),
    ).save(log)
    (known, *_) = shop.database.read(lambda c: coins.coins_of(c, shop.store.wallet_id))
    wanted = coin or known.outpoint
    assert shop.database.sessions.reserve(log.session_id, [wanted]) == frozenset()
    if invoice_id is not None:
        shop.database.write(lambda c: invoices.set_session(c, invoice_id, log.session_id))
    return wanted


def test_a_sweep_leaves_the_coins_of_refunds(shop: RefundShop):
    shop.fund(60_000)
    shop.work(shop.approved())
    wallet = shop.parts.wallet_row(shop.store.wallet_id)
    rate = FeeRate.from_sat_per_vb(2)
    with pytest.raises(InsufficientFunds, match="nothing is swept"):
        prepare_sweep(shop.database, wallet, shop.signer, keep=0, fee_rate=rate)


def test_a_declined_refund_is_withdrawn_at_the_signer(shop: RefundShop):
    shop.fund(60_000)
    row = shop.work(shop.approved(), 2)
    assert shop.house.log.approve(str(row.id))
    row = shop.service.decline(row.id, by="owner")
    assert (row.status, row.due) == ("declined", True)
    row = shop.work(row)
    assert (row.due, shop.house.log.waiting(), shop.waiting()) == (False, {}, [])
    with pytest.raises(WalletError, match="withdrawn"):
        shop.signer.queued(str(row.id))


def test_a_refund_that_is_being_paid_is_not_called_off(shop: RefundShop):
    shop.fund(60_000)
    row = shop.work(shop.approved(), 2)
    assert shop.house.log.approve(str(row.id))
    row = shop.work(row)
    assert row.status == "paying"
    for call_off in (shop.service.decline, shop.service.cancel):
        with pytest.raises(RefundRefused, match="being paid"):
            call_off(row.id, by="owner")


def test_a_refund_that_ends_before_its_signature_is_kept_is_not_broadcast(shop: RefundShop):
    shop.fund(60_000)
    row = shop.work(shop.approved(), 2)
    assert shop.house.log.approve(str(row.id))
    shop.service.decline(row.id, by="owner")
    with pytest.raises(RefundRefused, match="was declined"):
        shop.payments.advance(row)  # a worker that is late
    assert (shop.waiting(), shop.sent(row)[0].raw) == ([], None)


def test_a_block_that_leaves_the_chain_takes_the_payment_back_and_it_is_sent_again(
    shop: RefundShop,
):
    row = shop.paying()
    shop.regtest.node.mine(1)
    row = shop.work(row)
    assert row.status == "paid"
    _reorganise(shop)
    row = shop.work(row, 2)
    assert (row.status, row.depth) == ("paying", 0)
    assert [str(each.txid) for each in shop.waiting()] == [row.txid]
    shop.regtest.node.mine(1)
    assert shop.work(row).status == "paid"


def _reorganise(shop: RefundShop) -> None:
    shop.regtest.node.reorg(1)


def test_a_refund_whose_coin_was_spent_otherwise_fails_and_frees_its_share(shop: RefundShop):
    invoice = shop.invoice()
    shop.fund(60_000)
    row = shop.work(shop.approved(invoice))
    _spend_otherwise(shop, row)
    shop.regtest.node.mine(5)
    assert shop.work(row).status == "queued"
    shop.regtest.node.mine(1)
    row = shop.work(row, 2)
    assert (row.status, row.due) == ("failed", False)
    assert shop.house.log.waiting() == {}
    assert shop.claimed(invoice).amount == row.amount


def test_a_signed_payment_whose_coin_was_spent_otherwise_fails(shop: RefundShop):
    shop.fund(60_000)
    row = shop.work(shop.approved(), 2)
    assert shop.house.log.approve(str(row.id))
    row = shop.work(row)
    _spend_otherwise(shop, row)
    assert shop.work(row).trouble == Trouble.NETWORK_REFUSES
    shop.regtest.node.mine(6)
    row = shop.work(row)
    assert (row.status, row.due) == ("failed", False)


def _spend_otherwise(shop: RefundShop, row) -> None:
    """Another program with the same keys spends the refund's coin."""
    psbt = shop.sent(row)[0].psbt
    (utxo,) = psbt.utxos()
    (spent,) = psbt.unsigned_transaction.contested()
    at = shop.database.read(lambda c: wallets.address_at(c, utxo.script_pubkey))
    assert at is not None
    output = TxOut(Sats(int(utxo.value) - 2_000), CUSTOMER.script_pubkey)
    other = Transaction(2, (TxIn(spent),), (output,), 0)
    other_psbt = psbt.with_transaction(other, psbt.inputs, psbt.outputs[:1])
    signed = shop.house.keys.sign(other_psbt, {spent: at.index})
    shop.regtest.node.send(signed.extract())


def test_two_workers_at_once_make_one_transaction(shop: RefundShop):
    shop.fund(60_000, 61_000)
    row = shop.approved()
    for expected in ("queued", "paying"):
        shop.payments.advance(row)
        with pytest.raises(RefundRefused):
            shop.payments.advance(row)
        row = shop.row(row.id)
        assert row.status == expected
        if expected == "queued":
            shop.work(row)
            assert shop.house.log.approve(str(row.id))
    assert len(shop.sent(row)) == 1


def test_a_signer_that_signs_another_transaction_is_not_believed(shop: RefundShop, monkeypatch):
    shop.fund(60_000, 61_000)
    first = shop.work(shop.approved(amount=5_000))
    shop.payments.work()
    shop.house.log.approve(str(first.id))
    other = shop.signer.queued(str(first.id))
    second = shop.work(shop.approved(amount=6_000))
    monkeypatch.setattr(shop.parts.signer, "queued", lambda _: other)
    with pytest.raises(WalletError, match="another transaction"):
        shop.payments.advance(second)
    assert shop.row(second.id).status == "queued"


def test_each_step_is_an_event_of_the_invoice(shop: RefundShop):
    row = shop.paying()
    found = shop.database.read(lambda c: events.events_of(c, row.invoice_id))
    assert [each.seq for each in found] == list(range(1, len(found) + 1))
    told = [each for each in found if each.kind.startswith("refund.")]
    assert [each.kind.partition(".")[2] for each in told] == [
        "created",
        "claimed",
        "approved",
        "queued",
        "paying",
    ]
    assert all(str(CUSTOMER) not in str(each.data) for each in told)
    assert told[-1].data["refund"]["txid"] == row.txid


def test_every_trouble_says_what_to_do():
    assert all(each.words.endswith(".") for each in Trouble)
