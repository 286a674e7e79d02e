import pytest
from tests.regtest.spending import SOME_SCRIPT, spend

from dovetail.bitcoin.relay_policy import is_final
from dovetail.bitcoin.script import Script
from dovetail.bitcoin.transaction import OutPoint, Transaction, Txid, TxIn, TxOut
from dovetail.bitcoin.units import MAX_SATS, Sats
from dovetail.regtest.index import Coin
from dovetail.regtest.policy import (
    PolicyRejection,
    check_amounts,
    check_form,
    check_standard,
    meets_sequence_locks,
)

COIN = OutPoint(Txid(b"\x07" * 32), 0)
OTHER = OutPoint(Txid(b"\x08" * 32), 0)
KEY = b"\x21\x02" + bytes(31) + b"\x01"
EVERY_PUSH = b"\x51\x01\xff\x4c\x01\xff\x4d\x01\x00\xff\x4e\x01\x00\x00\x00\xff"
TIME_LOCK = 1 << 22


def reason(verdict):
    return None if verdict is None else verdict.reason


def coin(value=10_000, height=1, *, is_coinbase=False):
    return Coin(TxOut(Sats(value), SOME_SCRIPT), height, is_coinbase=is_coinbase)


def multisig(keys):
    return Script(b"\x51" + KEY * keys + bytes([0x50 + keys]) + b"\xae")


def with_script_sig(script_sig):
    return Transaction(
        version=2,
        inputs=(TxIn(COIN, script_sig=script_sig),),
        outputs=(TxOut(Sats(1000), SOME_SCRIPT),),
        lock_time=0,
    )


NULL = OutPoint(Txid(bytes(32)), 0xFFFFFFFF)


@pytest.mark.parametrize(
    ("transaction", "expected"),
    [
        (spend([COIN], [(1000, SOME_SCRIPT)]), None),
        (spend([], [(1000, SOME_SCRIPT)]), "bad-txns-vin-empty"),
        (spend([COIN], []), "bad-txns-vout-empty"),
        (spend([COIN], [(MAX_SATS, SOME_SCRIPT)] * 2), "bad-txns-txouttotal-toolarge"),
        (spend([COIN, COIN], [(1000, SOME_SCRIPT)]), "bad-txns-inputs-duplicate"),
        (spend([NULL], [(1000, SOME_SCRIPT)]), "coinbase"),
        (spend([COIN, NULL], [(1000, SOME_SCRIPT)]), "bad-txns-prevout-null"),
    ],
)
def test_form(transaction, expected):
    assert reason(check_form(transaction)) == expected


@pytest.mark.parametrize(
    ("transaction", "expected"),
    [
        (spend([COIN], [(1000, SOME_SCRIPT)], version=1), None),
        (spend([COIN], [(1000, SOME_SCRIPT)], version=3), None),
        (spend([COIN], [(1000, SOME_SCRIPT)], version=0), "version"),
        (spend([COIN], [(1000, SOME_SCRIPT)], version=4), "version"),
        (spend([COIN], [(294, SOME_SCRIPT)]), None),
        (spend([COIN], [(293, SOME_SCRIPT)]), "dust"),
        (spend([COIN], [(0, Script(b"\x6a\x02hi"))]), "tx-size-small"),
        (spend([COIN], [(0, Script(b"\x6a\x10" + bytes(16)))]), None),
        (spend([COIN], [(1000, Script(b"\x51" * 30))]), "scriptpubkey"),
        (spend([COIN], [(1000, multisig(3))]), None),
        (spend([COIN], [(1000, multisig(4))]), "scriptpubkey"),
        (spend([COIN], [(1000, SOME_SCRIPT)], witness=(bytes(400_000),)), "tx-size"),
        (with_script_sig(b""), None),
        (with_script_sig(EVERY_PUSH), None),
        (with_script_sig(b"\x61"), "scriptsig-not-pushonly"),
        (with_script_sig(b"\x02\xff"), "scriptsig-not-pushonly"),
        (with_script_sig(b"\x4d\x01"), "scriptsig-not-pushonly"),
        (with_script_sig(b"\x4d\x80\x06" + bytes(1664)), "scriptsig-size"),
    ],
)
def test_standardness(transaction, expected):
    assert reason(check_standard(transaction)) == expected


@pytest.mark.parametrize(
    ("lock_time", "sequence", "expected"),
    [
        (0, 0, True),
        (99, 0, True),
        (100, 0, False),
        (100, 0xFFFFFFFF, True),
        (1_699_999_999, 0, True),
        (1_700_000_000, 0, False),
    ],
)
def test_a_lock_time_must_lie_before_the_next_block(lock_time, sequence, expected):
    transaction = spend([COIN], [(1000, SOME_SCRIPT)], lock_time=lock_time, sequence=sequence)
    assert is_final(transaction, 100, 1_700_000_000) is expected


@pytest.mark.parametrize(
    ("version", "sequence", "height", "expected"),
    [
        (2, 10, 60, True),
        (2, 10, 59, False),
        (1, 10, 59, True),
        (2, 10 | 1 << 31, 59, True),
        (2, 0, 50, True),
        # Median times here grow by 512 seconds a block; the coin counts from the block before.
        (2, 10 | TIME_LOCK, 60, True),
        (2, 10 | TIME_LOCK, 59, False),
    ],
)
def test_a_relative_lock_must_have_run_out(version, sequence, height, expected):
    transaction = spend([COIN], [(1000, SOME_SCRIPT)], version=version, sequence=sequence)
    met = meets_sequence_locks(transaction, [coin(height=50)], height, lambda at: 512 * at)
    assert met is expected


def test_every_input_s_relative_lock_counts():
    transaction = spend([COIN, OTHER], [(1000, SOME_SCRIPT)], sequence=10)
    coins = [coin(height=1), coin(height=50)]
    assert not meets_sequence_locks(transaction, coins, 59, lambda _: 0)
    assert meets_sequence_locks(transaction, coins, 60, lambda _: 0)


def test_the_fee_is_what_the_outputs_leave():
    transaction = spend([COIN, OTHER], [(15_000, SOME_SCRIPT)])
    assert check_amounts(transaction, [coin(), coin()], 10) == Sats(5000)
    assert check_amounts(transaction, [coin(), coin(5000)], 10) == Sats(0)


def test_outputs_beyond_the_inputs_are_refused():
    transaction = spend([COIN], [(10_001, SOME_SCRIPT)])
    assert check_amounts(transaction, [coin()], 10) == PolicyRejection("bad-txns-in-belowout")


def test_a_coinbase_matures_after_a_hundred_blocks():
    transaction = spend([COIN], [(10_000, SOME_SCRIPT)])
    young = check_amounts(transaction, [coin(height=5, is_coinbase=True)], 104)
    assert young == PolicyRejection("bad-txns-premature-spend-of-coinbase")
    assert check_amounts(transaction, [coin(height=5, is_coinbase=True)], 105) == Sats(0)


def test_a_refusal_reads_as_bitcoin_core_s():
    assert (
        str(PolicyRejection("min relay fee not met", "0 < 110")) == "min relay fee not met, 0 < 110"
    )
    assert str(PolicyRejection("dust")) == "dust"
