"""Keys, ECDH and ElligatorSwift agree with coincurve; HPKE and OHTTP agree with themselves."""

import coincurve
import pytest
from coincurve._libsecp256k1 import ffi, lib
from hypothesis import given, settings
from hypothesis import strategies as st

from dovetail.crypto import (
    GatewayKey,
    PublicKey,
    SecretKey,
    SeededEntropy,
    decapsulate,
    ellswift_decode,
    ellswift_encode,
    encapsulate,
    setup_auth_receiver,
    setup_auth_sender,
    setup_base_receiver,
    setup_base_sender,
)

pytestmark = pytest.mark.property

fast = settings(derandomize=True, deadline=None, max_examples=100)
secrets = st.binary(max_size=8).map(lambda seed: SecretKey.generate(entropy=SeededEntropy(seed)))


def oracle_ellswift_decode(encoding: bytes) -> bytes:
    context = coincurve.context.GLOBAL_CONTEXT.ctx
    point = ffi.new("secp256k1_pubkey *")
    assert lib.secp256k1_ellswift_decode(context, point, encoding) == 1
    raw: bytes = coincurve.PublicKey(point).format(compressed=False)
    return raw


@fast
@given(key=secrets)
def test_public_keys_agree_with_coincurve(key: SecretKey) -> None:
    oracle = coincurve.PrivateKey(key.reveal()).public_key
    assert key.public_key.compressed == oracle.format(compressed=True)
    assert key.public_key.uncompressed == oracle.format(compressed=False)
    assert PublicKey.parse(oracle.format(compressed=True)) == key.public_key


@fast
@given(ours=secrets, theirs=secrets)
def test_ecdh_agrees_with_coincurve_and_with_the_other_party(
    ours: SecretKey, theirs: SecretKey
) -> None:
    shared = ours.ecdh_x(theirs.public_key)
    assert shared == theirs.ecdh_x(ours.public_key)
    point = coincurve.PublicKey(theirs.public_key.compressed).multiply(ours.reveal())
    assert shared == point.format(compressed=True)[1:]


@fast
@given(encoding=st.binary(min_size=64, max_size=64))
def test_any_64_bytes_decode_as_in_coincurve(encoding: bytes) -> None:
    assert ellswift_decode(encoding).uncompressed == oracle_ellswift_decode(encoding)


@fast
@given(key=secrets, seed=st.binary(max_size=8))
def test_an_encoding_decodes_to_its_point_here_and_in_coincurve(
    key: SecretKey, seed: bytes
) -> None:
    encoding = ellswift_encode(key.public_key, entropy=SeededEntropy(seed))
    assert ellswift_decode(encoding) == key.public_key
    assert oracle_ellswift_decode(encoding) == key.public_key.uncompressed


def test_every_bit_of_a_fresh_keys_encoding_takes_both_values() -> None:
    # The keys are fresh, as on the wire: for one key, the last bit is always the parity of y.
    entropy = SeededEntropy(b"uniform")
    ones = zeros = 0
    for _ in range(80):
        key = SecretKey.generate(entropy=entropy).public_key
        encoding = int.from_bytes(ellswift_encode(key, entropy=entropy))
        ones |= encoding
        zeros |= ~encoding
    everything = (1 << 512) - 1
    assert ones & everything == zeros & everything == everything


@fast
@given(
    recipient=secrets,
    plaintext=st.binary(max_size=8000),
    info=st.binary(max_size=40),
    aad=st.binary(max_size=40),
)
def test_a_base_message_opens_for_its_recipient(
    recipient: SecretKey, plaintext: bytes, info: bytes, aad: bytes
) -> None:
    encapsulated, sealing = setup_base_sender(recipient.public_key, info)
    opening = setup_base_receiver(encapsulated, recipient, info)
    assert opening.open(sealing.seal(plaintext, aad), aad) == plaintext
    assert opening.export(info, 32) == sealing.export(info, 32)


@fast
@given(recipient=secrets, sender=secrets, plaintext=st.binary(max_size=8000))
def test_an_auth_message_opens_as_from_its_sender(
    recipient: SecretKey, sender: SecretKey, plaintext: bytes
) -> None:
    encapsulated, sealing = setup_auth_sender(recipient.public_key, b"info", sender)
    opening = setup_auth_receiver(encapsulated, recipient, b"info", sender.public_key)
    assert opening.open(sealing.seal(plaintext)) == plaintext


@fast
@given(
    key_id=st.integers(0, 255),
    secret=secrets,
    question=st.binary(max_size=8104),
    answer=st.binary(max_size=8144),
)
def test_an_exchange_crosses_both_ways(
    key_id: int, secret: SecretKey, question: bytes, answer: bytes
) -> None:
    key = GatewayKey(key_id, secret)
    request, response_context = encapsulate(key.config, question)
    received, reply_context = decapsulate(key, request)
    assert received == question
    assert response_context.open(reply_context.seal(answer)) == answer
