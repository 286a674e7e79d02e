"""The published vectors of what signatures sign.

BIP 143, Example; BIP 341, wallet-test-vectors.json (keyPathSpending).
"""

import json
from pathlib import Path

import pytest

from dovetail.bitcoin.encoding import Reader
from dovetail.bitcoin.script import Script
from dovetail.bitcoin.sighash import SignatureHashes
from dovetail.bitcoin.transaction import Transaction, TxOut
from dovetail.bitcoin.units import Sats
from dovetail.errors import ParseError
from dovetail.protocol.verification import Verdict, verify, verify_input

HERE = Path(__file__).parent
BIP143 = json.loads((HERE / "bip143.json").read_text(encoding="utf-8"))
BIP341 = json.loads((HERE / "bip341_key_path.json").read_text(encoding="utf-8"))

VALID, UNVERIFIABLE = Verdict.VALID, Verdict.UNVERIFIABLE
VERDICTS = [
    [VALID, VALID],
    [VALID],
    [VALID, UNVERIFIABLE],
    [UNVERIFIABLE, UNVERIFIABLE],
    [VALID],  # six signatures, one of each sighash type
    [UNVERIFIABLE],
]


def hashes_of(vector, kind):
    spent = [TxOut(Sats(value), Script(bytes.fromhex(script))) for script, value in vector["spent"]]
    return SignatureHashes(Transaction.parse(bytes.fromhex(vector[kind])), spent)


@pytest.mark.parametrize("vector", BIP143, ids=[each["name"] for each in BIP143])
def test_bip_143_digests(vector):
    hashes = hashes_of(vector, "unsigned")
    for preimage, digest in vector["preimages"]:
        raw = bytes.fromhex(preimage)
        outpoints = hashes.transaction.contested()
        index = [each.serialize() for each in outpoints].index(raw[68:104])
        script_code = Reader(raw, ParseError, "preimage", 104).prefixed()
        found = hashes.witness_v0(index, script_code, int.from_bytes(raw[-4:], "little"))
        assert found.hex() == digest


@pytest.mark.parametrize(("vector", "verdicts"), [*zip(BIP143, VERDICTS, strict=True)])
def test_bip_143_transactions_are_verified(vector, verdicts):
    hashes = hashes_of(vector, "signed")
    found = [
        verify_input(hashes, index, txin.script_sig, txin.witness)
        for index, txin in enumerate(hashes.transaction.inputs)
    ]
    assert found == verdicts


def test_bip_341_digests():
    hashes = hashes_of(BIP341, "unsigned")
    for index, kind, digest in BIP341["digests"]:
        assert hashes.taproot(index, kind).hex() == digest


def test_the_bip_341_transaction_is_verified_whole_and_no_amount_of_it_can_change():
    hashes = hashes_of(BIP341, "signed")
    assert verify(hashes.transaction, hashes.spent) is Verdict.VALID
    dearer = [TxOut(Sats(hashes.spent[0].value + 1), hashes.spent[0].script_pubkey)]
    assert verify(hashes.transaction, [*dearer, *hashes.spent[1:]]) is Verdict.INVALID
