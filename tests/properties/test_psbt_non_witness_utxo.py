import random

import pytest

from dovetail.bitcoin.psbt.non_witness_utxo import Previous
from dovetail.bitcoin.script import Script
from dovetail.bitcoin.transaction import OutPoint, Transaction, Txid, TxIn, TxOut
from dovetail.bitcoin.units import Sats
from dovetail.errors import InvalidTransaction

pytestmark = pytest.mark.property


def any_transaction(rng: random.Random) -> Transaction:
    def blob() -> bytes:
        return rng.randbytes(rng.choice((0, 1, 22, 72, 252, 253)))

    witnesses = [tuple(blob() for _ in range(rng.choice((0, 0, 1, 2, 3)))) for _ in range(3)]
    inputs = tuple(
        TxIn(OutPoint(Txid(rng.randbytes(32)), n), blob(), 0xFFFFFFFD, witness)
        for n, witness in enumerate(witnesses[: rng.randint(1, 3)])
    )
    outputs = tuple(TxOut(Sats(rng.randrange(10**9)), Script(blob())) for _ in range(4))
    return Transaction(2, inputs, outputs[: rng.randint(1, 4)], 0)


def accepted(raw: bytes) -> tuple[Txid, int] | None:
    try:
        whole = Transaction.parse(raw)
    except InvalidTransaction:
        return None
    return whole.txid, len(whole.outputs)


def glanced(raw: bytes) -> tuple[Txid, int] | None:
    try:
        previous = Previous(raw)
    except InvalidTransaction:
        return None
    return previous.txid, previous.outputs


def test_a_glance_accepts_what_the_parser_accepts_and_says_the_same():
    rng = random.Random(174)
    for _ in range(4_000):
        raw = any_transaction(rng).serialize()
        assert glanced(raw) == accepted(raw) is not None
        damaged = bytearray(raw)
        for _ in range(rng.randint(1, 3)):
            # Mostly sizes and counts: small numbers near the front of some field.
            damaged[rng.randrange(len(damaged))] = rng.choice((0, 1, 2, 3, 0xFC, 0xFD, 0xFF))
        assert glanced(bytes(damaged)) == accepted(bytes(damaged))
        count = bytes([*raw[:4], rng.choice((0, 1, 2, 0xFD)), *raw[5:]])
        assert glanced(count) == accepted(count)
