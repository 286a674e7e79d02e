import pytest

from dovetail.bitcoin.psbt.non_witness_utxo import Previous
from dovetail.bitcoin.script import Script
from dovetail.bitcoin.transaction import OutPoint, Transaction, Txid, TxIn, TxOut
from dovetail.bitcoin.units import MAX_SATS, Sats
from dovetail.errors import InvalidTransaction

TXIN = TxIn(OutPoint(Txid(b"\x01" * 32), 0), b"\x51")
TXOUT = TxOut(Sats(1_000), Script(b"\x51"))


def transaction(
    *, inputs: tuple[TxIn, ...] = (TXIN,), outputs: tuple[TxOut, ...] = (TXOUT, TXOUT)
) -> Transaction:
    return Transaction(2, inputs, outputs, 500_000)


USUAL = {
    "without witnesses": transaction(),
    "with a witness": transaction(inputs=(TxIn(TXIN.previous_output, witness=(b"", b"\x01")),)),
}
RARE = {
    "a long script_sig": transaction(inputs=(TxIn(TXIN.previous_output, bytes(300)),)),
    "a long script": transaction(outputs=(TxOut(Sats(1), Script(bytes(300))),)),
    "a long witness item": transaction(inputs=(TxIn(TXIN.previous_output, witness=(bytes(300),)),)),
    "many witness items": transaction(inputs=(TxIn(TXIN.previous_output, witness=(b"",) * 300),)),
    "many outputs": transaction(outputs=(TXOUT,) * 300),
}


@pytest.mark.parametrize("name", [*USUAL, *RARE])
def test_the_id_and_the_outputs_are_known_and_the_rest_is_read_when_asked(name: str):
    whole = (USUAL | RARE)[name]
    previous = Previous(whole.serialize())
    assert previous.txid == whole.txid
    assert previous.outputs == len(whole.outputs)
    assert previous.transaction == whole
    assert previous.transaction is previous.transaction


@pytest.mark.parametrize("whole", USUAL.values(), ids=USUAL)
def test_what_is_cut_short_or_goes_on_is_refused(whole: Transaction):
    raw = whole.serialize()
    for size in range(len(raw)):
        with pytest.raises(InvalidTransaction):
            Previous(raw[:size])
    with pytest.raises(InvalidTransaction):
        Previous(raw + b"\x00")


@pytest.mark.parametrize(
    "raw",
    [
        transaction(inputs=(TXIN, TXIN)).serialize(),
        transaction(outputs=(TxOut(Sats(MAX_SATS), TXOUT.script_pubkey), TXOUT)).serialize(),
        transaction(outputs=()).serialize(),
        bytes(4) + b"\x00\x01" + transaction().serialize()[4:-4] + b"\x00" + bytes(4),
    ],
    ids=["an input twice", "too much money", "no outputs", "a marker without witnesses"],
)
def test_what_could_not_be_mined_is_refused(raw: bytes):
    with pytest.raises(InvalidTransaction):
        Previous(raw)
