"""Mailboxes and the two encrypted messages in them (BIP 77: Short ID, Messages A and B)."""

from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Literal, Self

from dovetail.bitcoin.bech32 import decode_base32, encode_base32
from dovetail.bitcoin.psbt import Psbt
from dovetail.crypto.entropy import Entropy, system
from dovetail.crypto.hpke import (
    setup_auth_receiver,
    setup_auth_sender,
    setup_base_receiver,
    setup_base_sender,
)
from dovetail.crypto.secp256k1 import PublicKey, SecretKey, ellswift_decode, ellswift_encode
from dovetail.errors import InvalidKey, InvalidMessage, InvalidPsbt, PayloadTooLarge
from dovetail.protocol.error_replies import ErrorReply
from dovetail.protocol.params import SenderParams

MESSAGE_SIZE = 7168
ORIGINAL_CAPACITY = 7055
PROPOSAL_CAPACITY = 7088

_SHORT_ID_BYTES = 8
_SHORT_ID_LENGTH = 13
_KEY_BYTES = 33
_ELLSWIFT_BYTES = 64
_INFO_A = b"PjV2MsgA"
_INFO_B = b"PjV2MsgB"


class ShortId(str):
    """A mailbox's name: 13 upper-case characters for 8 bytes; redacted repr (BIP 77, Short ID)."""

    __slots__ = ()

    @classmethod
    def of(cls, key: PublicKey) -> Self:
        """Return the mailbox of the receiver key or the reply key."""
        return cls(_name_of(key))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read 13 characters, all in one case; raises `InvalidMessage`."""
        # Check before decoding, whose time grows with the square of the length.
        if len(text) != _SHORT_ID_LENGTH:
            raise InvalidMessage("A mailbox has a name of 13 characters; check its address.")
        decode_base32(text, InvalidMessage)
        return cls(text.upper())

    def __repr__(self) -> str:
        return "<ShortId>"


@lru_cache(maxsize=256)
def _name_of(key: PublicKey) -> str:
    digest = sha256(key.compressed).digest()
    return encode_base32(digest[:_SHORT_ID_BYTES]).upper()


@dataclass(frozen=True, slots=True, repr=False)
class MessageA:
    """The decrypted Message A: the reply key, and the body without its padding."""

    reply_key: PublicKey
    body: bytes

    def __repr__(self) -> str:
        return f"<MessageA with a body of {len(self.body)} bytes>"


def is_plaintext(message: bytes) -> bool:
    """Whether a v1 sender wrote this into the mailbox (BIP 77, Backwards compatibility).

    An encrypted message is all ASCII once in 2**7168.
    """
    return message.isascii()


def encode_original(psbt: Psbt, params: SenderParams) -> bytes:
    """Write the body of Message A: the PSBT in base64, a new line and the parameters.

    Raises `PayloadTooLarge` above 7055 bytes.
    """
    body = f"{psbt.to_base64()}\n{params.serialize()}".encode()
    if len(body) > ORIGINAL_CAPACITY:
        raise PayloadTooLarge(
            f"The Original PSBT takes {len(body)} of {ORIGINAL_CAPACITY} bytes; "
            "spend fewer coins or leave out their previous transactions."
        )
    return body


def decode_original(body: bytes, *, default_version: Literal[1, 2]) -> tuple[Psbt, SenderParams]:
    """Read the body of Message A (default version 2) or of a plaintext message (1).

    Neither the PSBT nor the parameters are checked by BIP 78's rules yet. For version 1 through a
    directory the caller must also forbid output substitution. Raises `InvalidMessage`, or
    `UnsupportedVersion`, which is one.
    """
    base64, _, query = body.partition(b"\n")
    psbt = parse_base64_psbt(base64)
    text = query.strip().decode("ascii", "replace")
    return psbt, SenderParams.parse(text, default_version=default_version)


def parse_base64_psbt(data: bytes) -> Psbt:
    """Read a PSBT in base64, white space around it allowed; raises `InvalidMessage`."""
    try:
        return Psbt.from_base64(data.decode("ascii").strip())
    except (UnicodeDecodeError, InvalidPsbt) as error:
        raise InvalidMessage("The message holds no PSBT in base64; pay without payjoin.") from error


def seal_message_a(
    body: bytes, *, receiver_key: PublicKey, reply_key: PublicKey, entropy: Entropy = system
) -> bytes:
    """Encrypt the Original for the receiver: 7168 bytes that look random (BIP 77, PjV2MsgA).

    Send them once; a retry must encrypt again (P1). Raises `PayloadTooLarge` above 7055 bytes.
    """
    padded = _padded(body, ORIGINAL_CAPACITY)
    encapsulated, context = setup_base_sender(receiver_key, _INFO_A, entropy=entropy)
    sealed = context.seal(reply_key.compressed + padded)
    return ellswift_encode(encapsulated, entropy=entropy) + sealed


def open_message_a(message: bytes, *, receiver_secret: SecretKey) -> MessageA:
    """Decrypt a message in the receiver's mailbox; anyone who knows the URI can write there.

    Raises `DecryptionError` if it is for another key, and `InvalidMessage` if it does not have
    7168 bytes or does not begin with a reply key.
    """
    encapsulated, sealed = _split(message)
    plaintext = setup_base_receiver(encapsulated, receiver_secret, _INFO_A).open(sealed)
    try:
        reply_key = PublicKey.parse(plaintext[:_KEY_BYTES])
    except InvalidKey as error:
        raise InvalidMessage("The sender's message holds no reply key; ignore it.") from error
    return MessageA(reply_key, plaintext[_KEY_BYTES:].rstrip(b"\0"))


def seal_message_b(
    payload: bytes, *, receiver_secret: SecretKey, reply_key: PublicKey, entropy: Entropy = system
) -> bytes:
    """Encrypt a Proposal PSBT's bytes or an error's JSON for the sender (BIP 77, PjV2MsgB).

    Send the 7168 bytes once; a retry must encrypt again (P1). Raises `PayloadTooLarge` above 7088
    bytes.
    """
    padded = _padded(payload, PROPOSAL_CAPACITY)
    encapsulated, context = setup_auth_sender(reply_key, _INFO_B, receiver_secret, entropy=entropy)
    return ellswift_encode(encapsulated, entropy=entropy) + context.seal(padded)


def open_message_b(
    message: bytes, *, reply_secret: SecretKey, receiver_key: PublicKey
) -> Psbt | ErrorReply:
    """Decrypt and parse a message in the sender's mailbox; only the receiver can have written it.

    Raises `DecryptionError` if it is from anyone else, and `InvalidMessage` if it does not have
    7168 bytes or is neither an error reply nor one PSBT followed by zeros.
    """
    encapsulated, sealed = _split(message)
    context = setup_auth_receiver(encapsulated, reply_secret, _INFO_B, receiver_key)
    plaintext = context.open(sealed)
    text = plaintext.partition(b"\0")[0].strip()
    if text.startswith(b"{"):
        return ErrorReply.parse(text)
    try:
        psbt, used = Psbt.parse_prefix(plaintext)
    except InvalidPsbt as error:
        raise InvalidMessage(
            "The receiver's message holds no PSBT; pay without payjoin."
        ) from error
    if plaintext[used:].strip(b"\0"):
        raise InvalidMessage("The receiver's message goes on after its PSBT; pay without payjoin.")
    return psbt


def _padded(payload: bytes, capacity: int) -> bytes:
    if len(payload) > capacity:
        raise PayloadTooLarge(
            f"A message of {len(payload)} bytes does not fit {capacity}; send a shorter one."
        )
    return payload.ljust(capacity, b"\0")


def _split(message: bytes) -> tuple[PublicKey, bytes]:
    if len(message) != MESSAGE_SIZE:
        raise InvalidMessage(f"A message must have {MESSAGE_SIZE} bytes; ignore this one.")
    return ellswift_decode(message[:_ELLSWIFT_BYTES]), message[_ELLSWIFT_BYTES:]
