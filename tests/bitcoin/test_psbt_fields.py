"""Each known field's shape, in all three scopes (BIP 174, BIP 371)."""

import pytest
from tests.bitcoin.psbt_builders import KEY, SCHNORR, SIGNATURE, funding, serialize

from dovetail.bitcoin.hashes import hash160, hash256, ripemd160, sha256
from dovetail.bitcoin.psbt import KeyOrigin, Psbt, TapKeyOrigin
from dovetail.errors import InvalidPsbt

ORIGIN = b"\xde\xad\xbe\xef" + b"\x2c\x00\x00\x80" + b"\x01\x00\x00\x00"
LONG_KEY = b"\x04" + b"\x11" * 64
XPUB = b"\x04\x35\x87\xcf\x02" + bytes(40) + KEY
TXOUT = (100_000).to_bytes(8, "little") + b"\x01\x51"
CONTROL_BLOCK = b"\xc0" + b"\x11" * 32
LEAF = b"\xc0\x01\x51"
X_ONLY = b"\x33" * 32

VALID = {
    "global": [
        ("an xpub as deep as its path", b"\x01" + XPUB, ORIGIN),
        ("version 0", b"\xfb", bytes(4)),
        ("a proprietary field", b"\xfc\x03abc\x00data", b"anything"),
        ("a proprietary field of a long subtype", b"\xfc\x00\xfd\x00\x01", b""),
        ("an unknown field", b"\x55key", b"value"),
        ("an unknown field of a long type", b"\xfd\x00\x01key", b"value"),
        ("a long value", b"\x55", bytes(300)),
        ("a long key", b"\x55" + bytes(300), b""),
    ],
    "input": [
        ("a witness UTXO", b"\x01", TXOUT),
        ("a witness UTXO with a long script", b"\x01", bytes(8) + b"\xfd\x00\x01" + bytes(256)),
        ("a signature", b"\x02" + KEY, SIGNATURE),
        ("a signature of an uncompressed key", b"\x02" + LONG_KEY, SIGNATURE),
        ("a sighash type", b"\x03", b"\x01\x00\x00\x00"),
        ("a redeem script", b"\x04", b"\x51"),
        ("a witness script", b"\x05", b"\x51"),
        ("a derivation", b"\x06" + KEY, ORIGIN),
        ("a derivation of the master key", b"\x06" + KEY, ORIGIN[:4]),
        ("a final script_sig", b"\x07", b"\x51"),
        ("a final witness", b"\x08", b"\x02\x00\x01\x51"),
        ("a proof of reserves", b"\x09", b"porCommitment"),
        ("a RIPEMD-160 preimage", b"\x0a" + ripemd160(b"x"), b"x"),
        ("a SHA-256 preimage", b"\x0b" + sha256(b"x"), b"x"),
        ("a HASH160 preimage", b"\x0c" + hash160(b"x"), b"x"),
        ("a HASH256 preimage", b"\x0d" + hash256(b"x"), b"x"),
        ("a key path signature", b"\x13", SCHNORR),
        ("a key path signature with a sighash byte", b"\x13", SCHNORR + b"\x81"),
        ("a script path signature", b"\x14" + X_ONLY + bytes(32), SCHNORR),
        ("a leaf script", b"\x15" + CONTROL_BLOCK, b"\x51\xc0"),
        ("a leaf script at the greatest depth", b"\x15" + CONTROL_BLOCK + bytes(4096), b"\xc0"),
        ("a Taproot derivation", b"\x16" + X_ONLY, b"\x01" + bytes(32) + ORIGIN),
        ("an internal key", b"\x17", X_ONLY),
        ("a Merkle root", b"\x18", X_ONLY),
        ("a proprietary field", b"\xfc\x03abc\x00data", b"anything"),
        ("an unknown field", b"\x19", b"value"),
    ],
    "output": [
        ("a redeem script", b"\x00", b"\x51"),
        ("a witness script", b"\x01", b"\x51"),
        ("a derivation", b"\x02" + KEY, ORIGIN),
        ("an internal key", b"\x05", X_ONLY),
        ("a tree of one leaf", b"\x06", b"\x00" + LEAF),
        ("a tree of three leaves", b"\x06", b"\x01" + LEAF + b"\x02" + LEAF + b"\x02" + LEAF),
        ("a Taproot derivation", b"\x07" + X_ONLY, b"\x00" + ORIGIN),
        ("a proprietary field", b"\xfc\x00\x00", b""),
        ("an unknown field", b"\x35", b"value"),
    ],
}
MALFORMED = {
    "global": [
        ("an xpub of the wrong size", b"\x01" + XPUB + b"\x00", ORIGIN),
        ("an xpub whose path is not as deep", b"\x01" + XPUB, ORIGIN + bytes(4)),
        ("an xpub without an origin", b"\x01" + XPUB, b""),
        ("an xpub with a private key", b"\x01" + XPUB[:45] + b"\x00" + X_ONLY, ORIGIN),
        ("version 1", b"\xfb", b"\x01\x00\x00\x00"),
        ("a version of the wrong size", b"\xfb", bytes(2)),
        ("a version with key data", b"\xfb\x00", bytes(4)),
        *((f"field {n:#04x} of version 2", bytes([n]), b"\x01") for n in range(2, 7)),
        ("a proprietary field without identifier", b"\xfc", b""),
        ("a proprietary field without subtype", b"\xfc\x03abc", b""),
        ("a proprietary field cut short", b"\xfc\x09abc", b""),
        ("a type longer than need be", b"\xfd\x55\x00", b""),
        ("a type cut short", b"\xfd\x55", b""),
    ],
    "input": [
        ("a previous transaction with key data", b"\x00\x00", funding().serialize()),
        ("a previous transaction that is none", b"\x00", b"\x00"),
        ("a witness UTXO with key data", b"\x01\x00", TXOUT),
        ("a witness UTXO of too great a value", b"\x01", b"\xff" * 8 + b"\x00"),
        ("a witness UTXO cut short", b"\x01", TXOUT[:-1]),
        ("a witness UTXO without script", b"\x01", TXOUT[:8]),
        ("a witness UTXO that goes on", b"\x01", TXOUT + b"\x00"),
        ("a signature of no key", b"\x02", SIGNATURE),
        ("a signature of a key too short", b"\x02" + KEY[:-1], SIGNATURE),
        ("a signature of a key with a wrong prefix", b"\x02\x05" + KEY[1:], SIGNATURE),
        ("a signature of a long key with a wrong prefix", b"\x02\x06" + LONG_KEY[1:], SIGNATURE),
        ("a signature too short", b"\x02" + KEY, b"\x30\x05" + bytes(6)),
        ("a signature too long", b"\x02" + KEY, b"\x30\x47" + bytes(72)),
        ("a signature that is no DER sequence", b"\x02" + KEY, b"\x31" + SIGNATURE[1:]),
        ("a signature that does not fill its sequence", b"\x02" + KEY, SIGNATURE[:-1]),
        ("a sighash type with key data", b"\x03\x00", bytes(4)),
        ("a sighash type of the wrong size", b"\x03", bytes(1)),
        ("a redeem script with key data", b"\x04\x00", b"\x51"),
        ("a witness script with key data", b"\x05\x00", b"\x51"),
        ("a derivation of no key", b"\x06", ORIGIN),
        ("a derivation without fingerprint", b"\x06" + KEY, b""),
        ("a derivation cut short", b"\x06" + KEY, ORIGIN[:-1]),
        ("a final script_sig with key data", b"\x07\x00", b"\x51"),
        ("a final witness with key data", b"\x08\x00", b"\x00"),
        ("a final witness without a count", b"\x08", b""),
        ("a final witness cut short", b"\x08", b"\x02\x01\x51"),
        ("a final witness whose last item is cut short", b"\x08", b"\x01\x02\x51"),
        ("a final witness that goes on", b"\x08", b"\x01\x01\x51\x00"),
        ("a final witness of countless items", b"\x08", b"\xff" + b"\xff" * 8),
        ("a wrong RIPEMD-160 preimage", b"\x0a" + ripemd160(b"x"), b"y"),
        ("a wrong SHA-256 preimage", b"\x0b" + sha256(b"x"), b"y"),
        ("a wrong HASH160 preimage", b"\x0c" + hash160(b"x"), b"y"),
        ("a wrong HASH256 preimage", b"\x0d" + hash256(b"x"), b"y"),
        *((f"field {n:#04x} of version 2", bytes([n]), b"") for n in range(0x0E, 0x13)),
        ("a key path signature with key data", b"\x13\x00", SCHNORR),
        ("a key path signature too short", b"\x13", SCHNORR[:-1]),
        ("a key path signature too long", b"\x13", SCHNORR + b"\x01\x01"),
        ("a script path signature of no leaf", b"\x14" + X_ONLY, SCHNORR),
        ("a script path signature too short", b"\x14" + X_ONLY + bytes(32), SCHNORR[:-1]),
        ("a leaf script without control block", b"\x15", b"\xc0"),
        ("a leaf script with half a branch", b"\x15" + CONTROL_BLOCK + bytes(16), b"\xc0"),
        ("a leaf script too deep", b"\x15" + CONTROL_BLOCK + bytes(4128), b"\xc0"),
        ("a leaf script without leaf version", b"\x15" + CONTROL_BLOCK, b""),
        ("a Taproot derivation of a long key", b"\x16" + KEY, b"\x00" + ORIGIN),
        ("a Taproot derivation without its leaves", b"\x16" + X_ONLY, b"\x02" + bytes(36)),
        ("a Taproot derivation without origin", b"\x16" + X_ONLY, b"\x01" + bytes(32)),
        ("a Taproot derivation of countless leaves", b"\x16" + X_ONLY, b"\xff" + b"\xff" * 8),
        ("an internal key with key data", b"\x17\x00", X_ONLY),
        ("an internal key too long", b"\x17", KEY),
        ("a Merkle root with key data", b"\x18\x00", X_ONLY),
        ("a Merkle root too short", b"\x18", X_ONLY[1:]),
        ("a proprietary field cut short", b"\xfc\x09abc", b""),
    ],
    "output": [
        ("a redeem script with key data", b"\x00\x00", b"\x51"),
        ("a witness script with key data", b"\x01\x00", b"\x51"),
        ("a derivation of no key", b"\x02", ORIGIN),
        ("field 0x03 of version 2", b"\x03", bytes(8)),
        ("field 0x04 of version 2", b"\x04", b"\x51"),
        ("an internal key too long", b"\x05", KEY),
        ("a tree with key data", b"\x06\x00", b"\x00" + LEAF),
        ("a tree without leaves", b"\x06", b""),
        ("a tree with half a leaf", b"\x06", b"\x00"),
        ("a tree cut short", b"\x06", b"\x00" + LEAF[:-1]),
        ("a tree that goes on", b"\x06", b"\x00" + LEAF + b"\x00"),
        ("a tree that lacks a leaf", b"\x06", b"\x01" + LEAF),
        ("a tree with a leaf too many", b"\x06", (b"\x01" + LEAF) * 3),
        ("a tree in the wrong order", b"\x06", b"\x02" + LEAF + b"\x01" + LEAF + b"\x02" + LEAF),
        ("a tree too deep", b"\x06", b"\x81" + LEAF),
        ("a tree with an odd leaf version", b"\x06", b"\x00\xc1\x01\x51"),
        ("a Taproot derivation of a long key", b"\x07" + KEY, b"\x00" + ORIGIN),
    ],
}


def cases(table):
    return [
        pytest.param(scope, key, value, id=f"{scope}: {name}")
        for scope, rows in table.items()
        for name, key, value in rows
    ]


def psbt_with(scope, *entries):
    return serialize(**{f"{scope}_entries": entries})


@pytest.mark.parametrize(("scope", "key", "value"), cases(VALID))
def test_a_field_of_the_right_shape_comes_back_byte_for_byte(scope, key, value):
    data = psbt_with(scope, (key, value))
    assert Psbt.parse(data).serialize() == data


@pytest.mark.parametrize(("scope", "key", "value"), cases(MALFORMED))
def test_a_field_of_the_wrong_shape_is_refused(scope, key, value):
    with pytest.raises(InvalidPsbt, match="cannot be read"):
        Psbt.parse(psbt_with(scope, (key, value)))


@pytest.mark.parametrize("scope", ["global", "input", "output"])
def test_a_repeated_key_is_refused(scope):
    with pytest.raises(InvalidPsbt, match="repeated"):
        Psbt.parse(psbt_with(scope, (b"\x55", b"one"), (b"\x55", b"two")))


@pytest.mark.parametrize("scope", ["global", "input", "output"])
def test_keys_that_differ_in_their_data_are_no_repetition(scope):
    data = psbt_with(scope, (b"\x55a", b"one"), (b"\x55", b"two"), (b"\x55b", b"three"))
    assert Psbt.parse(data).serialize() == data


def test_key_origins_are_read_and_written():
    origin = KeyOrigin.parse(ORIGIN)
    assert origin == KeyOrigin(b"\xde\xad\xbe\xef", (0x8000002C, 1))
    assert origin.serialize() == ORIGIN
    tap_origin = TapKeyOrigin((X_ONLY,), origin)
    assert TapKeyOrigin.parse(tap_origin.serialize()) == tap_origin


def test_key_origins_do_not_show_themselves():
    origin = KeyOrigin.parse(ORIGIN)
    assert repr(origin) == "KeyOrigin(depth 2)"
    assert repr(TapKeyOrigin((X_ONLY,), origin)) == "TapKeyOrigin(1 leaves, depth 2)"
