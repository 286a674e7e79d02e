from base64 import b64decode
from collections.abc import Callable

import pytest
from tests.protocol.examples import (
    ORIGINAL,
    PROPOSAL,
    RECEIVER,
    RECEIVER_KEY,
    REPLY,
    STRANGER,
    peer_message,
)

from dovetail.bitcoin.psbt import Psbt
from dovetail.bitcoin.units import FeeRate, Sats
from dovetail.crypto.entropy import SeededEntropy
from dovetail.crypto.hpke import (
    setup_auth_receiver,
    setup_auth_sender,
    setup_base_receiver,
    setup_base_sender,
)
from dovetail.crypto.secp256k1 import ellswift_decode, ellswift_encode
from dovetail.errors import (
    DecryptionError,
    InvalidMessage,
    PayloadTooLarge,
    UnsupportedVersion,
)
from dovetail.protocol.error_replies import ErrorCode, ErrorReply
from dovetail.protocol.mailbox import (
    MESSAGE_SIZE,
    ORIGINAL_CAPACITY,
    PROPOSAL_CAPACITY,
    ShortId,
    decode_original,
    encode_original,
    is_plaintext,
    open_message_a,
    open_message_b,
    seal_message_a,
    seal_message_b,
)
from dovetail.protocol.params import FeeContribution, SenderParams

PSBT = Psbt.from_base64(ORIGINAL)
PARAMS = SenderParams(2, FeeRate(250), FeeContribution(Sats(182), 0), output_substitution=False)


def seal_a(body: bytes) -> bytes:
    return seal_message_a(body, receiver_key=RECEIVER.public_key, reply_key=REPLY.public_key)


def seal_b(payload: bytes) -> bytes:
    return seal_message_b(payload, receiver_secret=RECEIVER, reply_key=REPLY.public_key)


def open_b(message: bytes) -> Psbt | ErrorReply:
    return open_message_b(message, reply_secret=REPLY, receiver_key=RECEIVER.public_key)


def grown(psbt: Psbt, size: int) -> Psbt:
    """The same PSBT, made up to a size in bytes by an unknown global field."""
    raw = psbt.serialize()
    field = b"\x02\xf0\x01\xfd"
    # The global map ends where the unsigned transaction does.
    end = 5 + 1 + 1 + 1 + 0x73
    length = size - len(raw) - len(field) - 2
    value = length.to_bytes(2, "little") + bytes(length)
    return Psbt.parse(raw[:end] + field + value + raw[end:])


# Source: BIP 77, Payjoin URI, where the mailbox and the receiver key stand side by side.
def test_the_short_id_of_bip_77_follows_from_its_receiver_key() -> None:
    assert ShortId.of(RECEIVER_KEY) == "TXJCGKTKXLUUZ"


def test_a_short_id_is_read_in_either_case() -> None:
    assert ShortId.parse("txjcgktkxluuz") == ShortId.parse("TXJCGKTKXLUUZ") == "TXJCGKTKXLUUZ"
    assert repr(ShortId.parse("txjcgktkxluuz")) == "<ShortId>"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "TXJCGKTKXLUU",
        "TXJCGKTKXLUUZZ",
        "TXJCGKTKXLUUP",
        "TXJCGKTKXLUUB",
        "txjcgktkxluuZ",
        "TXJCGKTKXLUU\n",
    ],
)
def test_other_text_is_no_short_id(text: str) -> None:
    with pytest.raises(InvalidMessage):
        ShortId.parse(text)


# Source: rust-payjoin, core/send/v2, SERIALIZED_BODY_V2, for BIP 78's Original PSBT.
def test_the_original_is_written_as_other_implementations_write_it() -> None:
    assert encode_original(PSBT, SenderParams()) == f"{ORIGINAL}\nv=2".encode()


def test_an_original_reads_back() -> None:
    assert decode_original(encode_original(PSBT, PARAMS), default_version=2) == (PSBT, PARAMS)


@pytest.mark.parametrize("tail", ["", "\n", "\r\n", "\n\n"])
def test_an_original_without_parameters_has_the_version_of_its_channel(tail: str) -> None:
    body = (ORIGINAL + tail).encode()
    assert decode_original(body, default_version=2) == (PSBT, SenderParams())
    assert decode_original(body, default_version=1) == (PSBT, SenderParams(version=1))


def test_an_original_of_another_version_is_told_apart() -> None:
    with pytest.raises(UnsupportedVersion):
        decode_original(f"{ORIGINAL}\nv=3".encode(), default_version=2)


@pytest.mark.parametrize(
    "body",
    [b"", b"\nv=2", b"cHNidP8=\nv=2", b"\xff\nv=2", ORIGINAL.encode()[1:], b64decode(ORIGINAL)],
)
def test_a_body_without_a_psbt_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidMessage, match="no PSBT"):
        decode_original(body, default_version=2)


def test_the_largest_original_fits_and_the_next_does_not() -> None:
    # 7055 bytes: four thirds of 5286 for the PSBT, a new line and six bytes of parameters.
    largest = grown(PSBT, 5286)
    body = encode_original(largest, SenderParams())
    assert len(body) == 7052
    opened = open_message_a(seal_a(body), receiver_secret=RECEIVER)
    assert decode_original(opened.body, default_version=2) == (largest, SenderParams())
    with pytest.raises(PayloadTooLarge, match="7056 of 7055"):
        encode_original(grown(PSBT, 5289), SenderParams())


def test_message_a_opens_with_the_receivers_key() -> None:
    opened = open_message_a(seal_a(b"psbt\nv=2"), receiver_secret=RECEIVER)
    assert opened.reply_key == REPLY.public_key
    assert opened.body == b"psbt\nv=2"
    assert "v=2" not in repr(opened)


# Source: BIP 77, PjV2MsgA Byte Representation.
def test_message_a_has_the_layout_of_bip_77() -> None:
    message = seal_a(b"body")
    assert len(message) == MESSAGE_SIZE == 7168
    context = setup_base_receiver(ellswift_decode(message[:64]), RECEIVER, b"PjV2MsgA")
    plaintext = context.open(message[64:])
    assert plaintext == REPLY.public_key.compressed + b"body" + bytes(7051)


# Source: BIP 77, PjV2MsgB Byte Representation.
def test_message_b_has_the_layout_of_bip_77() -> None:
    message = seal_b(b"payload")
    assert len(message) == MESSAGE_SIZE
    context = setup_auth_receiver(
        ellswift_decode(message[:64]), REPLY, b"PjV2MsgB", RECEIVER.public_key
    )
    assert context.open(message[64:]) == b"payload" + bytes(7081)


# Source: tests/vectors/rust_payjoin_messages.json.
def test_messages_of_another_implementation_open() -> None:
    message_a = open_message_a(peer_message("message_a"), receiver_secret=RECEIVER)
    assert message_a.reply_key == REPLY.public_key
    assert decode_original(message_a.body, default_version=2) == (PSBT, SenderParams())
    assert open_b(peer_message("message_b_proposal")) == Psbt.from_base64(PROPOSAL)
    unsupported = ErrorReply(ErrorCode.VERSION_UNSUPPORTED, (1, 2))
    assert open_b(peer_message("message_b_error")) == unsupported


def test_the_same_entropy_gives_the_same_bytes_and_fresh_entropy_others() -> None:
    def both(seed: bytes) -> tuple[bytes, bytes]:
        entropy = SeededEntropy(seed)
        return (
            seal_message_a(
                b"", receiver_key=RECEIVER.public_key, reply_key=REPLY.public_key, entropy=entropy
            ),
            seal_message_b(
                b"", receiver_secret=RECEIVER, reply_key=REPLY.public_key, entropy=entropy
            ),
        )

    assert both(b"one") == both(b"one")
    assert both(b"one") != both(b"two")
    assert seal_a(b"") != seal_a(b"")
    assert seal_b(b"") != seal_b(b"")


def test_both_messages_hold_up_to_their_capacity() -> None:
    assert open_message_a(seal_a(b"a" * ORIGINAL_CAPACITY), receiver_secret=RECEIVER).body
    with pytest.raises(PayloadTooLarge, match="7056 bytes does not fit 7055"):
        seal_a(b"a" * (ORIGINAL_CAPACITY + 1))
    full = grown(PSBT, PROPOSAL_CAPACITY)
    assert open_b(seal_b(full.serialize())) == full
    with pytest.raises(PayloadTooLarge, match="7089 bytes does not fit 7088"):
        seal_b(b"b" * (PROPOSAL_CAPACITY + 1))


def flipped(message: bytes, at: int) -> bytes:
    changed = bytearray(message)
    changed[at] ^= 1
    return bytes(changed)


@pytest.mark.parametrize("at", [3, 64, 7167])
def test_changed_messages_do_not_open(at: int) -> None:
    with pytest.raises(DecryptionError):
        open_message_a(flipped(seal_a(b""), at), receiver_secret=RECEIVER)
    with pytest.raises(DecryptionError):
        open_b(flipped(seal_b(b""), at))


def test_messages_open_with_no_other_key() -> None:
    with pytest.raises(DecryptionError):
        open_message_a(seal_a(b""), receiver_secret=STRANGER)
    with pytest.raises(DecryptionError):
        open_message_b(seal_b(b""), reply_secret=STRANGER, receiver_key=RECEIVER.public_key)


def test_a_proposal_by_a_stranger_does_not_open() -> None:
    forged = seal_message_b(
        b64decode(PROPOSAL), receiver_secret=STRANGER, reply_key=REPLY.public_key
    )
    with pytest.raises(DecryptionError):
        open_b(forged)


@pytest.mark.parametrize("size", [0, 63, 64, 7167, 7169])
def test_messages_of_another_size_are_refused(size: int) -> None:
    with pytest.raises(InvalidMessage, match="7168 bytes"):
        open_message_a(bytes(size), receiver_secret=RECEIVER)
    with pytest.raises(InvalidMessage, match="7168 bytes"):
        open_b(bytes(size))


def test_message_a_without_a_reply_key_is_refused() -> None:
    encapsulated, context = setup_base_sender(RECEIVER.public_key, b"PjV2MsgA")
    message = ellswift_encode(encapsulated) + context.seal(bytes(7088))
    with pytest.raises(InvalidMessage, match="no reply key"):
        open_message_a(message, receiver_secret=RECEIVER)


def test_the_message_kinds_cannot_be_mistaken_for_each_other() -> None:
    encapsulated, context = setup_auth_sender(RECEIVER.public_key, b"PjV2MsgB", REPLY)
    message = ellswift_encode(encapsulated) + context.seal(bytes(7088))
    with pytest.raises(DecryptionError):
        open_message_a(message, receiver_secret=RECEIVER)


def test_a_proposal_reads_back_without_its_padding() -> None:
    proposal = Psbt.from_base64(PROPOSAL)
    opened = open_b(seal_b(proposal.serialize()))
    assert opened == proposal
    assert isinstance(opened, Psbt)
    assert opened.serialize() == b64decode(PROPOSAL)


@pytest.mark.parametrize("code", list(ErrorCode))
def test_an_error_reply_reads_back(code: ErrorCode) -> None:
    assert open_b(seal_b(ErrorReply(code).serialize())) == ErrorReply(code)


# Source: rust-payjoin, core/receive/error.rs: the shape and spacing of its JSON.
def test_an_error_reply_of_another_implementation_is_read() -> None:
    payload = b' {"errorCode":"unavailable","message":"Receiver error"}\n'
    assert open_b(seal_b(payload)) == ErrorReply(ErrorCode.UNAVAILABLE)


@pytest.mark.parametrize(
    ("payload", "sentence"),
    [
        (b"", "no PSBT"),
        (b"[]", "no PSBT"),
        (b"psbt\xff", "no PSBT"),
        (ORIGINAL.encode(), "no PSBT"),
        (b"{", "not JSON"),
        (b"{}", "no code"),
        (b64decode(PROPOSAL) + b"\x00\x01", "goes on after its PSBT"),
        (b64decode(PROPOSAL) * 2, "goes on after its PSBT"),
    ],
)
def test_a_reply_with_neither_a_proposal_nor_an_error_is_refused(
    payload: bytes, sentence: str
) -> None:
    with pytest.raises(InvalidMessage, match=sentence):
        open_b(seal_b(payload))


@pytest.mark.parametrize("seal", [seal_a, seal_b])
def test_an_encrypted_message_is_not_taken_for_plaintext(seal: Callable[[bytes], bytes]) -> None:
    assert is_plaintext(f"{ORIGINAL}\n".encode())
    assert not is_plaintext(seal(b""))
