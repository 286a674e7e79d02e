"""One input of each kind, signed for real, and what makes it worthless."""

from itertools import pairwise

import pytest
from tests.protocol.signer import (
    ALL_KINDS,
    KEY,
    MULTISIG,
    NESTED,
    P2PKH,
    P2SH,
    P2TR,
    P2WPKH,
    P2WSH,
    SECRET,
    ecdsa_of,
    sign_input,
)

from dovetail.bitcoin.hashes import hash160, sha256
from dovetail.bitcoin.psbt.script_layers import push
from dovetail.bitcoin.script import Script
from dovetail.bitcoin.sighash import ALL, SINGLE, SignatureHashes
from dovetail.bitcoin.transaction import OutPoint, Transaction, Txid, TxIn, TxOut
from dovetail.bitcoin.units import Sats
from dovetail.crypto.secp256k1 import SecretKey
from dovetail.protocol.verification import Verdict, pushes, verify, verify_input

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
OTHERS = [SecretKey(bytes([n]) * 32) for n in (3, 4, 5)]
LONG_KEY = SECRET.public_key.uncompressed


def hashes_of(*scripts, value=50_000):
    outpoints = [OutPoint(Txid(bytes([n + 1]) * 32), n) for n in range(len(scripts))]
    made = Transaction(2, tuple(map(TxIn, outpoints)), (TxOut(Sats(1_000), P2WPKH),), 0)
    return SignatureHashes(made, [TxOut(Sats(value), script) for script in scripts])


def verdict(script, script_sig=b"", witness=(), *, index=0):
    return verify_input(hashes_of(*[script] * (index + 1)), index, script_sig, witness)


def p2sh(script):
    return Script(b"\xa9\x14" + hash160(script) + b"\x87")


def p2wsh(script):
    return Script(b"\x00\x20" + sha256(script))


def multisig(required, *keys):
    pushed = b"".join(map(push, keys))
    return Script(bytes([0x50 + required]) + pushed + bytes([0x50 + len(keys)]) + b"\xae")


def legacy(script, code, secret=SECRET):
    return ecdsa_of(hashes_of(script).legacy(0, code, ALL), secret=secret)


def segwit(script, code, secret=SECRET):
    return ecdsa_of(hashes_of(script).witness_v0(0, code, ALL), secret=secret)


@pytest.mark.parametrize("script", ALL_KINDS)
def test_every_kind_of_input_is_verified(script):
    hashes = hashes_of(script, P2WPKH)
    final = sign_input(hashes, 0)
    assert verify_input(hashes, 0, *final) is Verdict.VALID
    other = hashes_of(script, P2TR)  # what another input spends concerns Taproot alone
    assert verify_input(other, 0, *final) is (Verdict.INVALID if script == P2TR else Verdict.VALID)


@pytest.mark.parametrize("script", ALL_KINDS)
def test_no_bit_of_a_signed_input_can_be_flipped(script):
    hashes = hashes_of(script)
    script_sig, witness = sign_input(hashes, 0)
    for at in range(0, 8 * len(script_sig), 5):
        flipped = flip(script_sig, at)
        assert verify_input(hashes, 0, flipped, witness) is Verdict.INVALID
    for place, item in enumerate(witness):
        for at in range(0, 8 * len(item), 5):
            changed = (*witness[:place], flip(item, at), *witness[place + 1 :])
            assert verify_input(hashes, 0, script_sig, changed) is Verdict.INVALID


def flip(data, at):
    changed = bytearray(data)
    changed[at // 8] ^= 1 << at % 8
    return bytes(changed)


@pytest.mark.parametrize("script", [P2WPKH, NESTED, P2TR, P2WSH])
def test_a_witness_signs_its_amount(script):
    final = sign_input(hashes_of(script), 0)
    assert verify_input(hashes_of(script, value=50_001), 0, *final) is Verdict.INVALID


@pytest.mark.parametrize("script", ALL_KINDS)
def test_nothing_that_does_not_belong_there_is_let_through(script):
    hashes = hashes_of(script)
    script_sig, witness = sign_input(hashes, 0)
    assert verify_input(hashes, 0, b"\x51" + script_sig, witness) is Verdict.INVALID
    assert verify_input(hashes, 0, b"\x76" + script_sig, witness) is Verdict.INVALID
    if script != P2TR:  # whose second item makes it a script path
        assert verify_input(hashes, 0, script_sig, (b"", *witness)) is Verdict.INVALID
    assert verify_input(hashes, 0, b"", ()) is Verdict.INVALID


def test_a_key_alone_is_a_script_too():
    for key in (KEY, LONG_KEY):
        code = Script(push(key) + b"\xac")
        assert verdict(code, push(legacy(code, code))) is Verdict.VALID
        assert verdict(code, push(legacy(code, code)) * 2) is Verdict.INVALID


def test_a_long_key_signs_without_a_witness_only():
    code = Script(b"\x76\xa9\x14" + hash160(LONG_KEY) + b"\x88\xac")
    assert verdict(code, push(legacy(code, code)) + push(LONG_KEY)) is Verdict.VALID
    program = Script(b"\x00\x14" + hash160(LONG_KEY))
    witness = (segwit(program, code), LONG_KEY)
    assert verdict(program, witness=witness) is Verdict.INVALID


def test_a_hybrid_key_never_signs():
    hybrid = bytes([6 + (LONG_KEY[64] & 1)]) + LONG_KEY[1:]
    code = Script(b"\x76\xa9\x14" + hash160(hybrid) + b"\x88\xac")
    assert verdict(code, push(legacy(code, code)) + push(hybrid)) is Verdict.INVALID
    mixed = multisig(1, KEY, hybrid)
    signed = b"\x00" + push(legacy(mixed, mixed))
    assert verdict(mixed, signed) is Verdict.UNVERIFIABLE


def test_multisig_wants_its_signatures_in_the_order_of_its_keys():
    code = multisig(2, *[each.public_key.compressed for each in OTHERS])
    script = p2wsh(code)
    signatures = [segwit(script, code, secret) for secret in OTHERS]
    for first, second in pairwise(signatures):
        assert verdict(script, witness=(b"", first, second, code)) is Verdict.VALID
        assert verdict(script, witness=(b"", second, first, code)) is Verdict.INVALID
        assert verdict(script, witness=(b"\x01", first, second, code)) is Verdict.INVALID
    assert verdict(script, witness=(b"", signatures[0], code)) is Verdict.INVALID
    assert verdict(script, witness=(b"", *signatures, code)) is Verdict.INVALID
    assert verdict(script, witness=(b"", signatures[0], signatures[0], code)) is Verdict.INVALID


def test_bare_multisig_is_verified():
    bare = multisig(1, KEY)
    assert verdict(bare, b"\x00" + push(legacy(bare, bare))) is Verdict.VALID


@pytest.mark.parametrize("kind", [0x00, 0x04, 0x41, 0x80, 0x84])
def test_a_sighash_type_that_is_none_is_refused(kind):
    hashes = hashes_of(P2WPKH)
    code = b"\x76\xa9" + P2WPKH[1:] + b"\x88\xac"
    signature = ecdsa_of(hashes.witness_v0(0, code, kind))[:-1] + bytes([kind])
    assert verify_input(hashes, 0, b"", (signature, KEY)) is Verdict.INVALID
    taproot = (b"\x44" * 64 + bytes([kind]),)
    assert verdict(P2TR, witness=taproot) is Verdict.INVALID


def test_taproot_single_needs_its_output():
    witness = (b"\x44" * 64 + bytes([SINGLE]),)
    assert verdict(P2TR, witness=witness, index=1) is Verdict.INVALID


@pytest.mark.parametrize("size", [0, 63, 66])
def test_a_taproot_signature_has_its_size(size):
    assert verdict(P2TR, witness=(b"\x01" * size,)) is Verdict.INVALID


def test_a_high_s_is_refused():
    hashes = hashes_of(P2WPKH)
    signature = sign_input(hashes, 0)[1][0]
    r, s = signature[4:37], int.from_bytes(signature[39:-1], "big")
    high = (ORDER - s).to_bytes(33, "big")
    body = b"\x02\x21" + r + b"\x02\x21" + high
    malleated = b"\x30" + bytes([len(body)]) + body + b"\x01"
    assert verify_input(hashes, 0, b"", (malleated, KEY)) is Verdict.INVALID


@pytest.mark.parametrize(
    ("script", "script_sig", "witness"),
    [
        (Script(b"\x51"), b"", ()),
        (p2sh(b"\x51"), b"\x01\x51", ()),
        (p2sh(P2TR), push(P2TR), (b"\x44" * 64,)),
        (p2wsh(b"\x51"), b"", (b"\x51",)),
        (p2wsh(P2WPKH), b"", (P2WPKH,)),
        (P2TR, b"", (b"\x51", b"\xc0" + KEY[1:])),
        (P2TR, b"", (b"\x44" * 64, b"\x50")),
        (Script(b"\x52\x20" + bytes(32)), b"", (b"\x01",)),
        (Script(b"\x51\x02\x4e\x73"), b"", ()),
    ],
)
def test_what_only_a_node_can_run_is_told(script, script_sig, witness):
    assert verdict(script, script_sig, witness) is Verdict.UNVERIFIABLE


@pytest.mark.parametrize(
    ("script", "script_sig", "witness"),
    [
        (p2sh(MULTISIG), push(P2WPKH), ()),
        (p2sh(bytes(521)), push(bytes(521)), ()),
        (p2sh(P2WPKH), b"\x00" + push(P2WPKH), (b"", KEY)),
        (p2sh(P2PKH), push(P2PKH), (b"",)),
        (p2wsh(MULTISIG), b"", (P2WPKH,)),
        (p2wsh(bytes(3601)), b"", (bytes(3601),)),
        (P2WSH, b"", ()),
        (P2PKH, b"", (b"\x01",)),
        (P2SH, b"\x76", ()),
    ],
)
def test_what_no_node_relays_is_refused(script, script_sig, witness):
    assert verdict(script, script_sig, witness) is Verdict.INVALID


def test_the_worst_input_is_the_verdict():
    scripts = (P2WPKH, Script(b"\x51"), P2PKH)
    hashes = hashes_of(*scripts)
    finals = [sign_input(hashes, 0), (b"", ()), sign_input(hashes, 2)]
    assert verify(hashes.transaction.with_signatures(finals[:1] * 3), hashes.spent) is (
        Verdict.INVALID
    )
    unknown = hashes.transaction.with_signatures(finals)
    assert verify(unknown, hashes.spent) is Verdict.UNVERIFIABLE
    valid = hashes_of(P2WPKH)
    signed = valid.transaction.with_signatures([sign_input(valid, 0)])
    assert verify(signed, valid.spent) is Verdict.VALID


@pytest.mark.parametrize(
    ("script", "items"),
    [
        (b"", ()),
        (b"\x00\x51\x60\x4f", (b"", b"\x01", b"\x10", b"\x81")),
        (push(bytes(75)) + push(bytes(76)), (bytes(75), bytes(76))),
        (push(bytes(255)) + push(bytes(256)), (bytes(255), bytes(256))),
        (b"\x01\x01", None),
        (b"\x01\x81", None),
        (b"\x4c\x01\x20", None),
        (b"\x4d\x01\x00\x20", None),
        (b"\x4e\x01\x00\x00\x00\x20", None),
        (b"\x02\x01", None),
        (b"\x4c", None),
        (b"\x4d\x00", None),
        (b"\x50", None),
        (b"\x61", None),
    ],
)
def test_pushes_are_in_their_shortest_form(script, items):
    assert pushes(script) == items
