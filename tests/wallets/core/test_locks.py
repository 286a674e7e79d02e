import json
from pathlib import Path

import pytest
from tests.wallets.taped_node import Stage

from dovetail.bitcoin import FeeRate, OutPoint, Sats
from dovetail.errors import InsufficientFunds, WalletError
from dovetail.wallets.core.wallet import LOCKS

RATE = FeeRate.from_sat_per_vb(2)


def record(stage: Stage) -> set[OutPoint]:
    return set(map(OutPoint.parse, json.loads((stage.folder / LOCKS).read_text())))


def test_locks_keep_held_coins_from_the_nodes_own_spending(stage: Stage) -> None:
    held, free = stage.fund(100_000), stage.fund(60_000)
    stage.wallet.hold(lambda: [held])
    assert stage.locked() == {held}
    listed = stage.rpc("listunspent")
    assert [each["txid"] for each in listed] == [str(free.txid)]
    original = stage.wallet.pay(stage.stranger(), Sats(30_000), fee_rate=RATE, unspendable=[held])
    assert original.unsigned_transaction.contested() == (free,)
    with pytest.raises(InsufficientFunds, match="60,000 sats confirmed and free"):
        stage.wallet.pay(stage.stranger(), Sats(90_000), fee_rate=RATE, unspendable=[held])
    assert stage.locked() == {held}


def test_locks_end_with_what_is_held_and_may_be_told_again_and_again(stage: Stage) -> None:
    first, second = stage.fund(100_000), stage.fund(60_000)
    for reserved in ([first, second], [first, second], [second], [second], [first], [], []):
        stage.wallet.hold(reserved.copy)
        assert stage.locked() == set(reserved)
        assert record(stage) == set(reserved)


def test_locks_of_the_user_are_neither_taken_nor_undone(stage: Stage) -> None:
    mine, ours = stage.fund(100_000), stage.fund(60_000)
    stage.rpc("lockunspent", False, [{"txid": str(mine.txid), "vout": mine.vout}])
    assert [coin.outpoint for coin in stage.wallet.coins()] == [ours]
    stage.wallet.hold(lambda: [mine, ours])
    assert record(stage) == {ours}
    stage.wallet.hold(list)
    assert stage.locked() == {mine}
    with pytest.raises(InsufficientFunds):
        stage.wallet.pay(stage.stranger(), Sats(80_000), fee_rate=RATE)


def test_locks_left_by_a_crash_are_undone_at_the_next_look(stage: Stage) -> None:
    coin, other = stage.fund(100_000), stage.fund(60_000)
    stage.wallet.hold(lambda: [coin])
    # Killed after writing down the second lock and before making it, the session being over by now.
    (stage.folder / LOCKS).write_text(json.dumps([str(coin), str(other)]))
    stage.another_wallet().hold(list)
    assert stage.locked() == set()
    assert record(stage) == set()


def test_locks_that_cannot_be_made_stop_no_other(stage: Stage) -> None:
    spent, coin = stage.fund(100_000), stage.fund(60_000)
    payment = stage.wallet.pay(stage.stranger(), Sats(90_000), fee_rate=RATE, unspendable=[coin])
    stage.chain.broadcast(payment.extract())
    foreign = OutPoint.parse(f"{'11' * 32}:0")
    stage.wallet.hold(lambda: [spent, foreign, coin])
    assert stage.locked() == {coin}
    stage.wallet.hold(list)
    assert stage.locked() == set()


def test_locks_for_one_payment_are_gone_when_it_is_built_or_fails(stage: Stage) -> None:
    coin, other = stage.fund(100_000), stage.fund(60_000)
    payment = stage.wallet.pay(stage.stranger(), Sats(30_000), fee_rate=RATE, unspendable=[coin])
    assert payment.unsigned_transaction.contested() == (other,)
    assert stage.locked() == set()
    with pytest.raises(InsufficientFunds):
        stage.wallet.pay(stage.stranger(), Sats(70_000), fee_rate=RATE, unspendable=[coin])
    assert stage.locked() == set()


def test_locks_without_anything_held_ask_nothing_of_the_node(tmp_path: Path) -> None:
    from dovetail.wallets.core.locks import CoinLocks  # noqa: PLC0415

    CoinLocks(None, tmp_path / "none" / LOCKS).settle(list)  # type: ignore[arg-type]
    assert not (tmp_path / "none").exists()


def test_a_damaged_record_of_locks_is_told(stage: Stage) -> None:
    coin = stage.fund(100_000)
    stage.folder.mkdir(exist_ok=True)
    (stage.folder / LOCKS).write_text("{")
    with pytest.raises(WalletError, match=r"core-locks\.json in the data.*cannot be read"):
        stage.wallet.hold(lambda: [coin])
    assert stage.locked() == set()
