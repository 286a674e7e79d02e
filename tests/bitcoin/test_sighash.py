"""What the vectors of the BIPs leave out; the legacy digests are checked by a consensus oracle."""

from dataclasses import replace

import pytest
from tests.bitcoin.psbt_builders import P2WPKH, transaction

from dovetail.bitcoin.hashes import hash256
from dovetail.bitcoin.sighash import ALL, ANYONECANPAY, NONE, SINGLE, SignatureHashes
from dovetail.bitcoin.transaction import TxOut
from dovetail.bitcoin.units import Sats
from dovetail.errors import UsageError

SPENT = (TxOut(Sats(1_000), P2WPKH), TxOut(Sats(2_000), P2WPKH))


def test_every_input_needs_the_output_it_spends():
    with pytest.raises(UsageError):
        SignatureHashes(transaction(2), SPENT[:1])


@pytest.mark.parametrize("kind", [SINGLE, SINGLE | ANYONECANPAY])
def test_single_without_an_output_signs_the_number_one(kind):
    hashes = SignatureHashes(transaction(2, 1), SPENT)
    assert hashes.legacy(1, P2WPKH, kind) == bytes([1]) + bytes(31)


def test_single_without_an_output_is_no_taproot_signature():
    with pytest.raises(UsageError):
        SignatureHashes(transaction(2, 1), SPENT).taproot(1, SINGLE)


def test_legacy_single_blanks_the_outputs_before_its_own():
    outputs = transaction(2, 2).outputs
    made = replace(transaction(2, 2), outputs=(replace(outputs[0], value=Sats(5)), outputs[1]))
    other = replace(made, outputs=outputs)
    digests = {SignatureHashes(each, SPENT).legacy(1, P2WPKH, SINGLE) for each in (made, other)}
    assert len(digests) == 1


def test_legacy_none_signs_no_output_and_no_sequence_of_others():
    made = transaction(2, 1)
    first, second = made.inputs
    other = replace(made, inputs=(replace(first, sequence=7), second), outputs=made.outputs * 2)
    digests = {SignatureHashes(each, SPENT).legacy(1, P2WPKH, NONE) for each in (made, other)}
    assert len(digests) == 1


def test_legacy_anyone_can_pay_signs_no_other_input():
    made = transaction(2, 1)
    alone = replace(made, inputs=made.inputs[1:])
    kind = ALL | ANYONECANPAY
    digest = SignatureHashes(made, SPENT).legacy(1, P2WPKH, kind)
    assert digest == SignatureHashes(alone, SPENT[1:]).legacy(0, P2WPKH, kind)


def test_the_legacy_digest_is_the_transaction_with_the_script_in_its_input():
    made = transaction(2, 1)
    first, second = made.inputs
    signing = replace(made, inputs=(first, replace(second, script_sig=bytes(P2WPKH))))
    expected = hash256(signing.serialize(witness=False) + b"\x01\x00\x00\x00")
    assert SignatureHashes(made, SPENT).legacy(1, P2WPKH, 1) == expected
