"""Message A (BIP 77): 7168 bytes, sealed and opened."""

from collections.abc import Iterator
from secrets import token_bytes

from benchmarks.harness import AtMost, Comparison, repeated
from benchmarks.primitives import context, new_key
from btclib_secp256k1 import ellswift, keys

from dovetail.crypto.secp256k1 import SecretKey
from dovetail.protocol.mailbox import ORIGINAL_CAPACITY, open_message_a, seal_message_a

TITLE = "Message A, 7168 bytes"
BASELINE = "key, ECDH, ElligatorSwift, HMACs and ChaCha20-Poly1305, called bare on as many bytes"

_BODY = b"A" * 2000
_PLAINTEXT = bytes(33 + ORIGINAL_CAPACITY)


def comparisons() -> Iterator[Comparison]:
    """Sealing, opening, and one after the other."""
    receiver, reply = SecretKey.generate(), SecretKey.generate()
    receiver_key, reply_key = receiver.public_key, reply.public_key
    public, compressed = receiver_key.uncompressed, reply_key.compressed
    sealed = seal_message_a(_BODY, receiver_key=receiver_key, reply_key=reply_key)
    bare = _seal(public)

    def seal() -> bytes:
        return seal_message_a(_BODY, receiver_key=receiver_key, reply_key=reply_key)

    yield Comparison("seal", repeated(seal), repeated(lambda: _seal(public)), target=AtMost(1.5))
    yield Comparison(
        "open",
        repeated(lambda: open_message_a(sealed, receiver_secret=receiver)),
        repeated(lambda: _open(bare, receiver.reveal(), public, compressed)),
        target=AtMost(1.5),
    )
    yield Comparison(
        "seal and open",
        repeated(lambda: open_message_a(seal(), receiver_secret=receiver)),
        repeated(lambda: _open(_seal(public), receiver.reveal(), public, compressed)),
        target=AtMost(1.5),
    )


def _seal(receiver_key: bytes) -> bytes:
    ephemeral, encapsulated = new_key()
    cipher, nonce, _ = context(ephemeral, receiver_key, encapsulated + receiver_key)
    sealed = cipher.encrypt(nonce, _PLAINTEXT, b"")
    return ellswift.encode(encapsulated, token_bytes(32)) + sealed


def _open(message: bytes, receiver: bytes, receiver_key: bytes, reply_key: bytes) -> bytes:
    encapsulated = ellswift.decode(message[:64], compressed=False)
    cipher, nonce, _ = context(receiver, encapsulated, encapsulated + receiver_key)
    plaintext = cipher.decrypt(nonce, message[64:], b"")
    keys.reserialize(reply_key, compressed=False)
    return plaintext
