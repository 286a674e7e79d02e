"""PSBT version 2: what is kept, what is converted, what is refused (BIP 370)."""

from dataclasses import replace

import pytest
from tests.bitcoin.psbt_builders import KEY, SIGNATURE, funding, paying_from, spending, transaction

from dovetail.bitcoin.psbt import InputField, KeyMap, Psbt, PsbtV2, read_psbt
from dovetail.bitcoin.psbt.version2 import is_version_2
from dovetail.bitcoin.transaction import TxIn
from dovetail.errors import InvalidPsbt

# One input and two outputs, as a signer exported it; the smallest that was met.
EXPORTED = (
    "cHNidP8BAgQCAAAAAQQBAQEFAQIB+wQCAAAAAAEOIAsK2SFBnByHGXNdctxzn56p4GONH+TB7vD5lECEgV/IAQ8EAAAAAAAB"
    "AwgACK8vAAAAAAEEFgAUxDD2TEdW2jENvRoIVXLvKZkmJywAAQMIi73rCwAAAAABBBYAFE3Rk6yWSlasG54cyoRU/i9HT4UT"
    "AA=="
)


def test_it_is_kept_byte_for_byte():
    assert PsbtV2.from_base64(EXPORTED).to_base64() == EXPORTED


def test_it_says_the_same_in_version_0():
    psbt = read_psbt(EXPORTED)
    unsigned = psbt.unsigned_transaction
    assert (unsigned.version, unsigned.lock_time) == (2, 0)
    assert [txin.sequence for txin in unsigned.inputs] == [0xFFFFFFFF]
    assert [int(txout.value) for txout in unsigned.outputs] == [800_000_000, 199_998_859]
    assert Psbt.parse(psbt.serialize()) == psbt


def test_version_0_is_read_as_it_is():
    psbt = paying_from(funding().outputs[1].script_pubkey)
    assert read_psbt(psbt.serialize()) == psbt
    assert read_psbt(psbt.to_base64()) == psbt


def test_where_version_0_is_spoken_version_2_is_named():
    with pytest.raises(InvalidPsbt, match="version 2"):
        Psbt.from_base64(EXPORTED)


def test_version_0_goes_to_version_2_and_back():
    psbt = paying_from(funding().outputs[1].script_pubkey)
    psbt = psbt.with_input(0, psbt.inputs[0].with_partial_signature(KEY, SIGNATURE))
    unsigned = replace(psbt.unsigned_transaction, lock_time=800_000)
    sequence = replace(unsigned.inputs[0], sequence=0xFFFFFFFD)
    changed = replace(unsigned, inputs=(sequence,))
    psbt = psbt.with_transaction(changed, psbt.inputs, psbt.outputs)
    converted = PsbtV2.of(psbt)
    assert converted.version_0 == psbt
    assert converted.version_0.serialize() == psbt.serialize()
    assert converted.lock_time == 800_000
    assert PsbtV2.parse(converted.serialize()) == converted


def test_a_signature_made_in_version_0_comes_back_into_what_was_handed_over():
    handed = PsbtV2.of(spending(funding()))
    modifiable = handed.global_map.with_value(0x06, b"\x03")
    locked = handed.inputs[0].with_value(0x12, (10_000).to_bytes(4, "little"))
    handed = PsbtV2(modifiable, (locked.with_value(0xFC, b"\x01", b"\x01a\x00"),), handed.outputs)
    known = handed.version_0.inputs[0].with_partial_signature(KEY, SIGNATURE)
    back = handed.with_version_0(handed.version_0.with_input(0, known))
    assert back.global_map == handed.global_map
    assert back.inputs[0] == handed.inputs[0].with_value(InputField.PARTIAL_SIG, SIGNATURE, KEY)
    assert handed.with_version_0(handed.version_0) == handed
    finished = known.with_final(witness=(SIGNATURE, KEY)).cleared_of(InputField.PARTIAL_SIG)
    final = back.with_version_0(handed.version_0.with_input(0, finished))
    assert final.version_0.inputs[0].map == finished.map
    assert final.lock_time == 10_000


def test_another_transactions_signatures_are_not_taken():
    other = Psbt.from_unsigned(transaction(2))
    with pytest.raises(InvalidPsbt, match="different transactions"):
        PsbtV2.from_base64(EXPORTED).with_version_0(other)


@pytest.mark.parametrize(
    "raw",
    [b"", b"psbt", b"psbt\xff", b"psbt\xff\x01", b"psbt\xff\x00", b"PSBT\xff" + bytes(9)],
)
def test_what_is_no_psbt_is_none_of_version_2(raw):
    assert not is_version_2(raw)
    with pytest.raises(InvalidPsbt):
        PsbtV2.parse(raw)


def spoilt(global_map=None, inputs=None, outputs=None):
    psbt = PsbtV2.from_base64(EXPORTED)
    return (
        psbt.global_map if global_map is None else global_map,
        psbt.inputs if inputs is None else inputs,
        psbt.outputs if outputs is None else outputs,
    )


@pytest.mark.parametrize("maps", [spoilt(inputs=()), spoilt(outputs=())])
def test_the_counts_are_those_of_the_maps(maps):
    with pytest.raises(InvalidPsbt, match="other maps than it announces"):
        PsbtV2(*maps)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (0x02, bytes(3)),
        (0x03, bytes(5)),
        (0x04, b"\x01\x00"),
        (0x06, b""),
        (0xFB, bytes(4)),
        (0x00, bytes(10)),
    ],
)
def test_a_global_field_has_its_shape(kind, value):
    changed = PsbtV2.from_base64(EXPORTED).global_map.with_value(kind, value)
    with pytest.raises(InvalidPsbt):
        PsbtV2(*spoilt(global_map=changed))


@pytest.mark.parametrize(
    ("kind", "value"),
    [(0x0E, bytes(31)), (0x0F, bytes(3)), (0x10, bytes(5)), (0x11, bytes(3)), (0x12, b"\x01")],
)
def test_an_input_field_has_its_shape(kind, value):
    changed = PsbtV2.from_base64(EXPORTED).inputs[0].with_value(kind, value)
    with pytest.raises(InvalidPsbt):
        PsbtV2(*spoilt(inputs=(changed,)))


@pytest.mark.parametrize(
    ("kind", "keydata", "value"),
    [
        (0x03, b"", bytes(7)),
        (0x03, b"", (2_100_000_000_000_001).to_bytes(8, "little")),
        (0x04, b"\x01", b""),
    ],
)
def test_an_output_field_has_its_shape(kind, keydata, value):
    first, second = PsbtV2.from_base64(EXPORTED).outputs
    with pytest.raises(InvalidPsbt):
        PsbtV2(*spoilt(outputs=(first, second.with_value(kind, value, keydata))))


def test_bytes_behind_the_end_are_refused():
    with pytest.raises(InvalidPsbt, match="goes on"):
        PsbtV2.parse(PsbtV2.from_base64(EXPORTED).serialize() + b"\x00")


def test_more_maps_than_there_are_bytes_for_are_not_waited_for():
    psbt = PsbtV2.from_base64(EXPORTED)
    greedy = psbt.global_map.with_value(0x04, b"\xfe\xff\xff\xff\xff")
    raw = psbt.serialize()
    made = KeyMap(greedy.entries)
    parts = [b"psbt\xff"]
    for key, value in made.entries:
        parts += [bytes([len(key)]), key, bytes([len(value)]), value]
    with pytest.raises(InvalidPsbt, match="too early"):
        PsbtV2.parse(b"".join(parts) + b"\x00" + raw[-40:])


def test_an_output_is_spent_once():
    psbt = PsbtV2.from_base64(EXPORTED)
    counted = psbt.global_map.with_value(0x04, b"\x02")
    with pytest.raises(InvalidPsbt):
        PsbtV2(counted, psbt.inputs * 2, psbt.outputs)


def test_the_repr_shows_counts_only():
    assert repr(PsbtV2.from_base64(EXPORTED)) == "<PsbtV2 of 1 inputs, 2 outputs>"


def test_an_unsigned_sequence_is_written():
    made = transaction()
    psbt = Psbt.from_unsigned(replace(made, inputs=(TxIn(made.inputs[0].previous_output),)))
    assert PsbtV2.of(psbt).inputs[0].get(0x10) == b"\xff" * 4
