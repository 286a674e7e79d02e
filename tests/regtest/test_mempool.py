from dataclasses import replace

import pytest
from tests.regtest.spending import (
    MINER_WITNESS,
    OPEN_SCRIPT,
    SOME_SCRIPT,
    Wallet,
    open_coins,
    spend,
)

from dovetail.bitcoin.script import Address
from dovetail.bitcoin.transaction import OutPoint, Transaction, Txid
from dovetail.bitcoin.units import FeeRate, Sats
from dovetail.regtest.index import script_hash
from dovetail.regtest.node import RegtestNode
from dovetail.regtest.policy import Accepted, PolicyRejection

UNKNOWN = OutPoint(Txid(b"\x55" * 32), 0)


def pay(coins, value, **details) -> Transaction:
    return spend(coins, [(value, OPEN_SCRIPT)], **details)


def first_output(transaction: Transaction) -> OutPoint:
    return OutPoint(transaction.txid, 0)


def refusal(node: RegtestNode, transaction: Transaction) -> str:
    before = node.mempool_txids()
    verdict = node.send(transaction)
    assert isinstance(verdict, PolicyRejection)
    assert node.mempool_txids() == before
    return verdict.reason


def accept(node: RegtestNode, *transactions: Transaction) -> None:
    for transaction in transactions:
        verdict = node.send(transaction)
        assert isinstance(verdict, Accepted), verdict


def test_a_good_transaction_is_taken_and_described(node):
    (coin,) = open_coins(node, 10_000)
    transaction = pay([coin], 9_000)
    assert node.send(transaction) == Accepted(transaction.txid, Sats(1000), transaction.weight)
    assert node.mempool_txids() == (transaction.txid,)


def test_a_test_changes_nothing(node):
    (coin,) = open_coins(node, 10_000)
    assert isinstance(node.test(pay([coin], 9_000)), Accepted)
    assert node.mempool_txids() == ()
    assert len(node.mempool) == 0


def test_missing_inputs_are_refused(node):
    (coin,) = open_coins(node, 10_000)
    assert refusal(node, pay([UNKNOWN], 1000)) == "bad-txns-inputs-missingorspent"
    no_such_output = OutPoint(coin.txid, 99)
    assert refusal(node, pay([no_such_output], 1000)) == "bad-txns-inputs-missingorspent"


def test_a_coin_spent_in_the_chain_is_missing(node):
    (coin,) = open_coins(node, 10_000)
    accept(node, pay([coin], 9_000))
    node.mine()
    assert refusal(node, pay([coin], 8_000)) == "bad-txns-inputs-missingorspent"


def test_a_transaction_already_here_or_already_mined_is_named_so(node):
    (coin,) = open_coins(node, 10_000)
    transaction = pay([coin], 9_000)
    accept(node, transaction)
    assert refusal(node, transaction) == "txn-already-in-mempool"
    assert refusal(node, pay([coin], 9_000, witness=())) == "txn-same-nonwitness-data-in-mempool"
    node.mine()
    assert refusal(node, transaction) == "txn-already-known"


def test_form_and_standardness_are_asked_first(node):
    assert refusal(node, spend([UNKNOWN], [])) == "bad-txns-vout-empty"
    assert refusal(node, pay([UNKNOWN], 100)) == "dust"


def test_the_minimum_relay_fee_is_a_tenth_of_a_sat_per_virtual_byte(node):
    (coin,) = open_coins(node, 10_000)
    least = int(FeeRate.RELAY_MIN.fee(pay([coin], 9_000).weight))
    low = node.send(pay([coin], 10_000 - least + 1))
    assert str(low) == f"min relay fee not met, {least - 1} < {least}"
    accept(node, pay([coin], 10_000 - least))


def test_an_overspend_and_a_premature_coinbase_are_refused(node):
    (coin,) = open_coins(node, 10_000)
    assert refusal(node, pay([coin], 10_001)) == "bad-txns-in-belowout"
    height = node.height - 98
    young = OutPoint(node.chain.block_at(height).transactions[0].txid, 0)
    spending = pay([young], 10_000, witness=MINER_WITNESS)
    assert refusal(node, spending) == "bad-txns-premature-spend-of-coinbase"
    node.mine()
    accept(node, spending)


def test_a_script_that_does_not_verify_is_refused(node):
    coins = open_coins(node, 10_000, 10_000)
    verdict = node.send(pay(coins, 15_000, witness=MINER_WITNESS))
    assert str(verdict) == (
        "mandatory-script-verify-flag-failed (the script does not verify), input 0"
    )


@pytest.mark.parametrize("taproot", [False, True])
def test_a_bad_signature_is_refused(server, taproot):
    wallet = Wallet(server.url, taproot=taproot)
    node = server.node
    node.fund(Address.parse(wallet.address()).script_pubkey, Sats(100_000))
    wallet.full_scan()
    good = Transaction.parse(bytes(wallet.payment(SOME_SCRIPT, 50_000).serialize()))
    signature, *rest = good.inputs[0].witness
    forged = signature[:20] + bytes([signature[20] ^ 1]) + signature[21:]
    bad = replace(good, inputs=(replace(good.inputs[0], witness=(forged, *rest)),))
    assert refusal(node, bad).startswith("mandatory-script-verify-flag-failed")
    accept(node, good)


def test_lock_times_hold_until_the_block_that_meets_them(node):
    (coin,) = open_coins(node, 10_000)
    transaction = pay([coin], 9_000, lock_time=node.height + 1)
    assert refusal(node, transaction) == "non-final"
    node.mine()
    accept(node, transaction)


def test_a_lock_time_in_seconds_is_held_against_the_median_time(node):
    (coin,) = open_coins(node, 10_000)
    transaction = pay([coin], 9_000, lock_time=node.median_time)
    assert refusal(node, transaction) == "non-final"
    while node.median_time <= transaction.lock_time:
        node.mine()
    accept(node, transaction)


def test_relative_locks_hold_until_the_block_that_meets_them(node):
    (coin,) = open_coins(node, 10_000)
    transaction = pay([coin], 9_000, sequence=3)
    assert refusal(node, transaction) == "non-BIP68-final"
    node.mine(2)
    accept(node, transaction)
    child = pay([first_output(transaction)], 8_000, sequence=1)
    assert refusal(node, child) == "non-BIP68-final"


def test_a_relative_lock_in_time_is_held_against_median_times():
    clock = [1_700_000_000.0]
    with RegtestNode(blocks=110, clock=lambda: clock[0]) as node:
        (coin,) = open_coins(node, 10_000)
        transaction = pay([coin], 9_000, sequence=1 << 22 | 1)
        assert refusal(node, transaction) == "non-BIP68-final"
        clock[0] += 1024
        node.mine(11)
        accept(node, transaction)


def test_a_child_of_a_waiting_transaction_is_taken_and_mined_behind_it(node):
    (coin,) = open_coins(node, 10_000)
    parent = pay([coin], 9_000)
    child = pay([first_output(parent)], 8_000)
    accept(node, parent, child)
    node.mine()
    assert node.chain.block_at(node.height).txids[1:] == (parent.txid, child.txid)
    assert node.mempool_txids() == ()


class TestReplacement:
    def test_a_higher_fee_replaces_and_evicts_what_built_on_the_old(self, node):
        (coin,) = open_coins(node, 100_000)
        old = pay([coin], 99_000, sequence=0xFFFFFFFF)
        child = pay([first_output(old)], 98_000)
        accept(node, old, child)
        new = pay([coin], 97_000)
        verdict = node.send(new)
        assert isinstance(verdict, Accepted)
        assert verdict.replaced == (old.txid, child.txid)
        assert node.mempool_txids() == (new.txid,)
        assert node.spender(coin) == new.txid
        assert node.spender(first_output(old)) is None

    def test_the_fee_rate_must_be_higher(self, node):
        coins = open_coins(node, 50_000, 50_000)
        accept(node, pay(coins[:1], 49_000))
        # More fee, but for twice the weight.
        verdict = node.send(pay(coins, 100_000 - 1_200))
        assert str(verdict).startswith("insufficient fee, rejecting replacement; new feerate")

    def test_the_fee_must_cover_all_that_is_evicted(self, node):
        (coin,) = open_coins(node, 100_000)
        old = pay([coin], 99_000)
        accept(node, old, pay([first_output(old)], 89_000))
        verdict = node.send(pay([coin], 98_000))
        assert str(verdict).endswith("less fees than conflicting txs; 2000 < 11000")

    def test_the_replacement_pays_for_its_own_relay(self, node):
        (coin,) = open_coins(node, 100_000)
        old = pay([coin], 99_000)
        accept(node, old)
        least = int(FeeRate.RELAY_MIN.fee(old.weight))
        verdict = node.send(pay([coin], 99_000 - least + 1))
        assert str(verdict).endswith(f"not enough additional fees to relay; {least - 1} < {least}")
        accept(node, pay([coin], 99_000 - least))

    def test_no_new_unconfirmed_input_may_be_added(self, node):
        first, second = open_coins(node, 50_000, 50_000)
        parent = pay([first], 49_000)
        accept(node, parent, pay([second], 49_000))
        assert refusal(node, pay([second, first_output(parent)], 80_000)) == (
            "replacement-adds-unconfirmed"
        )

    def test_an_unconfirmed_input_of_the_old_may_be_kept(self, node):
        (coin,) = open_coins(node, 50_000)
        parent = pay([coin], 49_000)
        accept(node, parent, pay([first_output(parent)], 48_000))
        new = pay([first_output(parent)], 47_000)
        accept(node, new)
        assert node.mempool_txids() == (parent.txid, new.txid)

    def test_a_replacement_cannot_spend_what_it_replaces(self, node):
        (coin,) = open_coins(node, 50_000)
        old = pay([coin], 49_000)
        accept(node, old)
        both = pay([coin, first_output(old)], 80_000)
        assert refusal(node, both) == "bad-txns-spends-conflicting-tx"

    def test_no_more_than_a_hundred_transactions_are_evicted(self, node):
        coins = open_coins(node, *[10_000] * 101)
        accept(node, *(pay([coin], 9_500) for coin in coins))
        assert refusal(node, pay(coins, 500_000)) == "too many potential replacements"
        accept(node, pay(coins[:100], 500_000))
        assert len(node.mempool) == 2

    def test_without_full_rbf_only_a_signalling_transaction_is_replaced(self):
        with RegtestNode(blocks=110, full_rbf=False) as node:
            first, second = open_coins(node, 50_000, 50_000)
            accept(node, pay([first], 49_000, sequence=0xFFFFFFFE), pay([second], 49_000))
            assert refusal(node, pay([first], 40_000)) == "txn-mempool-conflict"
            accept(node, pay([second], 40_000))


def test_a_chain_of_25_is_the_longest(node):
    (coin,) = open_coins(node, 100_000)
    value = 100_000
    for _ in range(25):
        value -= 1000
        transaction = pay([coin], value)
        accept(node, transaction)
        coin = first_output(transaction)
    assert refusal(node, pay([coin], value - 1000)) == "too-long-mempool-chain"


def test_a_transaction_has_at_most_24_descendants(node):
    (coin,) = open_coins(node, 100_000)
    parent = spend([coin], [(3_000, OPEN_SCRIPT)] * 25)
    outputs = [OutPoint(parent.txid, vout) for vout in range(25)]
    accept(node, parent, *(pay([output], 2_000) for output in outputs[:24]))
    assert refusal(node, pay(outputs[24:], 2_000)) == "too-long-mempool-chain"


def test_a_block_evicts_what_it_contradicts_and_what_built_on_that(node):
    (coin,) = open_coins(node, 50_000)
    waiting = pay([coin], 49_000)
    accept(node, waiting, pay([first_output(waiting)], 48_000))
    mined = pay([coin], 30_000)
    node.reorg(1, transactions=[*node.chain.block_at(node.height).transactions[1:], mined])
    assert node.confirmations(mined.txid) == 2
    assert node.mempool_txids() == ()


def test_a_reorganisation_returns_what_it_took_out_of_the_chain(node):
    (coin,) = open_coins(node, 50_000)
    parent = pay([coin], 49_000)
    accept(node, parent)
    node.mine()
    child = pay([first_output(parent)], 48_000)
    accept(node, child)
    node.reorg(1)
    assert node.mempool_txids() == (parent.txid, child.txid)
    node.mine()
    assert node.confirmations(child.txid) == 1


def test_a_heavy_mempool_is_mined_over_several_blocks(node):
    coins = open_coins(node, *[1_000_000] * 11)
    heavy = [spend([coin], [(330, OPEN_SCRIPT)] * 2250) for coin in coins]
    accept(node, *heavy)
    child = spend([OutPoint(heavy[-1].txid, vout) for vout in range(2)], [(400, SOME_SCRIPT)])
    accept(node, child)
    node.mine()
    assert node.mempool_txids() == (heavy[-1].txid, child.txid)
    node.mine()
    assert node.mempool_txids() == ()


def test_histories_of_scripts_name_what_pays_and_what_spends(node):
    (coin,) = open_coins(node, 50_000)
    parent = spend([coin], [(49_000, SOME_SCRIPT)])
    accept(node, parent)
    assert node.mempool.history(script_hash(SOME_SCRIPT)) == (parent.txid,)
    assert node.mempool.history(script_hash(OPEN_SCRIPT)) == (parent.txid,)
    assert node.mempool.history(bytes(32)) == ()


def test_a_node_relays_from_the_rate_on_that_it_was_given(node):
    (coin,) = open_coins(node, 10_000)
    least = FeeRate.BROADCAST_MIN.fee(pay([coin], 9_000).weight)
    enough, low = pay([coin], 10_000 - least), pay([coin], 10_001 - least)
    node.mempool.min_fee_rate = FeeRate.BROADCAST_MIN
    assert refusal(node, low) == "min relay fee not met"
    accept(node, enough)
    assert node.mempool.usual_fee_rate == FeeRate.BROADCAST_MIN
    with RegtestNode(min_fee_rate=FeeRate.from_sat_per_vb(3)) as older:
        assert older.mempool.usual_fee_rate == older.mempool.min_fee_rate
