import pytest
from tests.protocol.builders import ALL_KINDS, P2PKH, P2SH, P2TR, P2WPKH, P2WSH, ecdsa, sign

from dovetail.bitcoin.psbt import PsbtInput
from dovetail.bitcoin.transaction import TxOut
from dovetail.bitcoin.units import Sats
from dovetail.protocol.signature_scope import asks_for_whole_signatures, commits_to_everything

SCHNORR = b"\x44" * 64
CONTROL_BLOCK = b"\xc0" + b"\x11" * 32
ANNEX = b"\x50\x01"


def commits(script, script_sig=b"", witness=()):
    utxo = TxOut(Sats(1000), script)
    return commits_to_everything(PsbtInput().with_final(script_sig, witness), utxo)


@pytest.mark.parametrize("script", ALL_KINDS)
def test_sighash_all_and_default_commit_to_everything(script):
    assert commits(script, *sign(script))


@pytest.mark.parametrize("sighash", [0x02, 0x03, 0x81, 0x82, 0x83])
@pytest.mark.parametrize("script", [kind for kind in ALL_KINDS if kind != P2TR])
def test_other_ecdsa_sighash_types_do_not(script, sighash):
    assert not commits(script, *sign(script, ecdsa(71, sighash)))


def test_one_partial_signature_among_whole_ones_is_found():
    assert not commits(P2WSH, witness=(b"", ecdsa(), ecdsa(70, 0x83), b"\x51"))


def test_taproot_key_paths_may_spell_out_sighash_all():
    assert commits(P2TR, witness=(SCHNORR + b"\x01",))
    assert not commits(P2TR, witness=(SCHNORR + b"\x81",))


def test_an_annex_is_not_taken_for_a_script_path():
    assert commits(P2TR, witness=(SCHNORR, ANNEX))
    assert not commits(P2TR, witness=(SCHNORR + b"\x83", ANNEX))


def test_signatures_of_taproot_script_paths_are_looked_at():
    assert commits(P2TR, witness=(SCHNORR, b"\x51", CONTROL_BLOCK))
    assert not commits(P2TR, witness=(SCHNORR + b"\x02", b"\x51", CONTROL_BLOCK))


def test_long_pushes_are_read_and_opcodes_skipped():
    long_push = b"\x4d\x00\x01" + bytes(256)
    assert commits(P2SH, long_push + b"\x51" + b"\x48" + ecdsa(72))
    assert not commits(P2SH, long_push + b"\x51" + b"\x48" + ecdsa(72, 2))


@pytest.mark.parametrize("end", [b"\x4e\xff", b"\x4b\x30", b"\x4c"])
def test_a_script_that_ends_in_a_push_is_read_to_its_end(end):
    assert commits(P2PKH, sign(P2PKH)[0] + end)


def test_data_that_is_no_signature_is_left_alone():
    assert commits(P2WPKH, witness=(b"\x30\x06\x05" + b"\x02" * 6, b"\x30" * 20))


@pytest.mark.parametrize(
    ("asked", "whole"), [(None, True), (0, True), (1, True), (2, False), (0x81, False)]
)
def test_only_all_and_default_may_be_asked_for(asked, whole):
    psbt_input = PsbtInput() if asked is None else PsbtInput().with_sighash_type(asked)
    assert asks_for_whole_signatures(psbt_input) is whole
