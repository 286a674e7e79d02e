import copy
import pickle

import pytest
from btclib_secp256k1 import dsa, ssa

from dovetail.crypto import (
    PublicKey,
    SecretKey,
    SeededEntropy,
    ellswift_decode,
    ellswift_encode,
    verify_ecdsa,
    verify_schnorr,
)
from dovetail.errors import InvalidKey

# SEC 2 §2.4.1: the generator, which is the public key of 1, and the group order.
GENERATOR_X = "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
GENERATOR_Y = "483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8"
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141

GENERATOR = bytes.fromhex("04" + GENERATOR_X + GENERATOR_Y)
ONE = SecretKey((1).to_bytes(32))
MINUS_ONE = SecretKey((ORDER - 1).to_bytes(32))


def test_the_public_key_of_one_is_the_generator() -> None:
    assert ONE.public_key.uncompressed == GENERATOR
    assert ONE.public_key.compressed.hex() == "02" + GENERATOR_X
    assert ONE.public_key is ONE.public_key


def test_a_key_and_its_negation_differ_in_the_parity_of_y() -> None:
    assert MINUS_ONE.public_key.compressed.hex() == "03" + GENERATOR_X
    assert MINUS_ONE.public_key != ONE.public_key


def test_both_serializations_give_the_same_key() -> None:
    key = ONE.public_key
    assert PublicKey.parse(key.compressed) == PublicKey.parse(key.uncompressed) == key
    assert len({PublicKey.parse(key.compressed), key}) == 1


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x02",
        bytes(33),
        b"\x02" + b"\xff" * 32,  # x is above the field's modulus
        b"\x05" + GENERATOR[1:33],
        b"\x02" + GENERATOR[1:32],
        bytes(65),
        GENERATOR[1:],
        GENERATOR[:64] + b"\x00",
        GENERATOR + b"\x00",
        b"\x06" + GENERATOR[1:],  # the hybrid form, which y's parity makes readable
    ],
)
def test_what_is_not_a_public_key_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidKey):
        PublicKey.parse(data)


def test_the_hybrid_form_of_an_odd_y_is_refused_too() -> None:
    with pytest.raises(InvalidKey):
        PublicKey.parse(b"\x07" + MINUS_ONE.public_key.uncompressed[1:])


@pytest.mark.parametrize(
    "secret",
    [b"", bytes(31), bytes(32), bytes(33), ORDER.to_bytes(32), b"\xff" * 32, b"\x01" * 33],
)
def test_what_is_not_a_scalar_is_refused(secret: bytes) -> None:
    with pytest.raises(InvalidKey):
        SecretKey(secret)


def test_a_generated_key_is_what_the_entropy_gives() -> None:
    key = SecretKey.generate(entropy=SeededEntropy(b"key"))
    assert key.reveal() == SeededEntropy(b"key")(32)
    assert SecretKey.generate() != SecretKey.generate()


def test_ecdh_is_the_bare_x_coordinate_of_the_shared_point() -> None:
    assert ONE.ecdh_x(ONE.public_key).hex() == GENERATOR_X
    assert MINUS_ONE.ecdh_x(ONE.public_key).hex() == GENERATOR_X
    # x of 2G, from any table of multiples of the generator.
    two = SecretKey((2).to_bytes(32))
    assert two.ecdh_x(ONE.public_key) == ONE.ecdh_x(two.public_key)
    assert (
        two.ecdh_x(ONE.public_key).hex()
        == "c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5"
    )


def test_secret_keys_compare_by_value_with_each_other_only() -> None:
    assert SecretKey((1).to_bytes(32)) == ONE
    assert ONE != MINUS_ONE
    assert ONE.reveal() != ONE


def test_a_secret_key_has_no_hash() -> None:
    with pytest.raises(TypeError):
        hash(ONE)


@pytest.mark.parametrize("duplicate", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_secret_key_only_leaves_through_reveal(duplicate) -> None:
    with pytest.raises(TypeError, match="reveal"):
        duplicate(ONE)


def test_p4_reprs_and_errors_show_no_key() -> None:
    assert repr(ONE) == "SecretKey(redacted)"
    assert repr(ONE.public_key) == "PublicKey(redacted)"
    with pytest.raises(InvalidKey) as caught:
        PublicKey.parse(b"\x02" + b"\xff" * 32)
    assert "ff" * 4 not in str(caught.value)


def test_an_ellswift_encoding_decodes_to_the_same_point() -> None:
    for secret in (ONE, MINUS_ONE, SecretKey.generate()):
        encoded = ellswift_encode(secret.public_key)
        assert len(encoded) == 64
        assert ellswift_decode(encoded) == secret.public_key


def test_entropy_chooses_among_the_encodings_of_a_point() -> None:
    key = ONE.public_key
    first = ellswift_encode(key, entropy=SeededEntropy(b"1"))
    assert first == ellswift_encode(key, entropy=SeededEntropy(b"1"))
    assert first != ellswift_encode(key, entropy=SeededEntropy(b"2"))


@pytest.mark.parametrize("size", [0, 63, 65])
def test_an_ellswift_encoding_has_64_bytes(size: int) -> None:
    with pytest.raises(InvalidKey, match="64 bytes"):
        ellswift_decode(bytes(size))


DIGEST = bytes(range(32))


def test_signatures_are_verified():
    secret = SecretKey(b"\x07" * 32)
    public_key = secret.public_key
    signature = dsa.sign(DIGEST, secret.reveal())
    assert verify_ecdsa(public_key.compressed, DIGEST, signature)
    assert verify_ecdsa(public_key.uncompressed, DIGEST, signature)
    assert not verify_ecdsa(public_key.compressed, bytes(32), signature)
    schnorr = ssa.sign(DIGEST, secret.reveal())
    assert verify_schnorr(public_key.compressed[1:], DIGEST, schnorr)
    assert not verify_schnorr(public_key.compressed[1:], bytes(32), schnorr)


@pytest.mark.parametrize("size", [0, 32, 34, 64])
def test_keys_of_another_size_sign_nothing(size):
    assert not verify_ecdsa(b"\x02" * size, DIGEST, b"")
    assert not verify_schnorr(b"\x02" * (size + 1), DIGEST, b"")


def test_keys_that_are_no_points_sign_nothing():
    assert not verify_ecdsa(b"\x02" + b"\xff" * 32, DIGEST, dsa.sign(DIGEST, 1))
    assert not verify_schnorr(b"\xff" * 32, DIGEST, bytes(64))


def test_hybrid_keys_sign_nothing():
    secret = SecretKey(b"\x07" * 32)
    point = secret.public_key.uncompressed
    hybrid = bytes([6 + (point[64] & 1)]) + point[1:]
    assert not verify_ecdsa(hybrid, DIGEST, dsa.sign(DIGEST, secret.reveal()))


@pytest.mark.parametrize(
    "signature",
    [
        "",
        "30",
        # BIP 66, DER encoding reference: each breaks one rule of the valid signature of the number.
        "3006020101020101" + "00",  # goes on
        "3007020101020101",  # another length
        "30060201ff020101",  # negative
        "300702020001020101",  # a zero too many
        "3006020101030101",  # no integer
        "3081060201010201" + "01",  # a longer length than needed
    ],
)
def test_what_is_not_strict_der_is_no_signature(signature):
    key = SecretKey(b"\x07" * 32).public_key.compressed
    assert not verify_ecdsa(key, DIGEST, bytes.fromhex(signature))


@pytest.mark.parametrize("size", [0, 63, 65])
def test_schnorr_signatures_have_64_bytes(size):
    key = SecretKey(b"\x07" * 32).public_key.compressed
    assert not verify_schnorr(key[1:], DIGEST, bytes(size))
