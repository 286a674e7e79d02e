"""The rules that the embedded node has no test of its own for."""

from dataclasses import replace

import pytest
from tests.bitcoin.psbt_builders import P2PKH, P2TR, P2WPKH, transaction

from dovetail.bitcoin.relay_policy import not_relayed, not_relayed_spending, relative_lock
from dovetail.bitcoin.script import Script
from dovetail.bitcoin.transaction import TxIn, TxOut
from dovetail.bitcoin.units import Sats

P2WSH = Script(b"\x00\x20" + bytes(32))
P2A = Script(b"\x51\x02\x4e\x73")


def spending(*witness, script_sig=b""):
    made = transaction()
    txin = TxIn(made.inputs[0].previous_output, script_sig, witness=witness)
    return replace(made, inputs=(txin,))


def test_a_transaction_of_the_usual_form_is_relayed():
    assert not_relayed(transaction()) is None
    assert not_relayed_spending(spending(b"\x01"), [TxOut(Sats(1), P2WPKH)]) is None


def test_version_3_is_small():
    large = replace(transaction(outputs=400), version=3)
    assert not_relayed(large) == "TRUC-violation"
    assert not_relayed(replace(large, version=2)) is None


@pytest.mark.parametrize("script", [b"\x51", b"\x52\x20" + bytes(32)])
def test_outputs_of_no_known_kind_are_not_spent(script):
    spent = [TxOut(Sats(1), Script(script))]
    assert not_relayed_spending(spending(), spent) == "bad-txns-nonstandard-inputs"


@pytest.mark.parametrize(
    ("script", "witness", "relayed"),
    [
        (P2WSH, (bytes(80), bytes(3600)), True),
        (P2WSH, (bytes(81), b""), False),
        (P2WSH, (*[b""] * 100, b""), True),
        (P2WSH, (*[b""] * 101, b""), False),
        (P2WSH, (bytes(3601),), False),
        (P2TR, (bytes(64),), True),
        (P2TR, (bytes(64), b"\x50"), False),
        (P2TR, (b"\x51", b"\xc0" + bytes(32)), True),
        (P2A, (), True),
        (P2A, (b"",), False),
        (P2PKH, (), True),
    ],
)
def test_a_witness_is_as_nodes_relay_it(script, witness, relayed):
    reason = not_relayed_spending(spending(*witness), [TxOut(Sats(1), script)])
    assert reason == (None if relayed else "bad-witness-nonstandard")


@pytest.mark.parametrize(
    ("version", "sequence", "lock"),
    [
        (2, 10, (10, False)),
        (2, 10 | 1 << 22, (10, True)),
        (2, 10 | 1 << 31, None),
        (1, 10, None),
    ],
)
def test_relative_locks(version, sequence, lock):
    made = transaction()
    txin = replace(made.inputs[0], sequence=sequence)
    assert relative_lock(replace(made, version=version, inputs=(txin,)), 0) == lock
