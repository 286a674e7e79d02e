import copy
import pickle

import pytest

from dovetail.crypto import (
    OpenContext,
    SealContext,
    SecretKey,
    SeededEntropy,
    setup_auth_receiver,
    setup_auth_sender,
    setup_base_receiver,
    setup_base_sender,
)
from dovetail.errors import ContextUsedUp, DecryptionError, UsageError

RECIPIENT = SecretKey(b"\x01" * 32)
SENDER = SecretKey(b"\x02" * 32)
STRANGER = SecretKey(b"\x03" * 32)


def base_pair(info: bytes = b"info") -> tuple[SealContext, OpenContext]:
    encapsulated, sealing = setup_base_sender(RECIPIENT.public_key, info)
    return sealing, setup_base_receiver(encapsulated, RECIPIENT, info)


def auth_pair(info: bytes = b"info") -> tuple[SealContext, OpenContext]:
    encapsulated, sealing = setup_auth_sender(RECIPIENT.public_key, info, SENDER)
    return sealing, setup_auth_receiver(encapsulated, RECIPIENT, info, SENDER.public_key)


PAIRS = pytest.mark.parametrize("pair", [base_pair, auth_pair])


@PAIRS
def test_what_is_sealed_opens(pair) -> None:
    sealing, opening = pair()
    ciphertext = sealing.seal(b"payjoin", b"aad")
    assert len(ciphertext) == len(b"payjoin") + 16
    assert opening.open(ciphertext, b"aad") == b"payjoin"


@PAIRS
@pytest.mark.parametrize("at", [0, 6, 7, 22])
def test_a_ciphertext_changed_anywhere_does_not_open(pair, at: int) -> None:
    sealing, opening = pair()
    ciphertext = bytearray(sealing.seal(b"payjoin"))
    ciphertext[at] ^= 1
    with pytest.raises(DecryptionError, match="ask for it again"):
        opening.open(bytes(ciphertext))


@PAIRS
def test_other_associated_data_does_not_open(pair) -> None:
    sealing, opening = pair()
    with pytest.raises(DecryptionError):
        opening.open(sealing.seal(b"payjoin", b"one"), b"other")


@pytest.mark.parametrize("size", [0, 15])
def test_a_ciphertext_shorter_than_its_tag_does_not_open(size: int) -> None:
    _, opening = base_pair()
    with pytest.raises(DecryptionError):
        opening.open(bytes(size))


def test_another_recipient_info_or_encapsulated_key_does_not_open() -> None:
    encapsulated, sealing = setup_base_sender(RECIPIENT.public_key, b"info")
    ciphertext = sealing.seal(b"payjoin")
    for context in (
        setup_base_receiver(encapsulated, STRANGER, b"info"),
        setup_base_receiver(encapsulated, RECIPIENT, b"other"),
        setup_base_receiver(STRANGER.public_key, RECIPIENT, b"info"),
        setup_auth_receiver(encapsulated, RECIPIENT, b"info", SENDER.public_key),
    ):
        with pytest.raises(DecryptionError):
            context.open(ciphertext)


def test_an_authenticated_message_opens_only_as_from_its_sender() -> None:
    encapsulated, sealing = setup_auth_sender(RECIPIENT.public_key, b"info", SENDER)
    ciphertext = sealing.seal(b"payjoin")
    for context in (
        setup_auth_receiver(encapsulated, RECIPIENT, b"info", STRANGER.public_key),
        setup_base_receiver(encapsulated, RECIPIENT, b"info"),
    ):
        with pytest.raises(DecryptionError):
            context.open(ciphertext)


@PAIRS
def test_p1_a_context_seals_one_message(pair) -> None:
    sealing, _ = pair()
    sealing.seal(b"first")
    with pytest.raises(ContextUsedUp):
        sealing.seal(b"second")


@PAIRS
def test_p1_a_context_opens_one_message_even_if_that_fails(pair) -> None:
    sealing, opening = pair()
    ciphertext = sealing.seal(b"payjoin")
    with pytest.raises(DecryptionError):
        opening.open(bytes(32))
    with pytest.raises(ContextUsedUp):
        opening.open(ciphertext)


def test_p1_every_message_has_a_fresh_ephemeral_key() -> None:
    first, _ = setup_base_sender(RECIPIENT.public_key, b"info")
    second, _ = setup_base_sender(RECIPIENT.public_key, b"info")
    assert first != second


def test_the_same_entropy_replays_the_same_message() -> None:
    messages = []
    for _ in range(2):
        encapsulated, sealing = setup_auth_sender(
            RECIPIENT.public_key, b"info", SENDER, entropy=SeededEntropy(b"replay")
        )
        messages.append((encapsulated, sealing.seal(b"payjoin")))
    assert messages[0] == messages[1]


@PAIRS
@pytest.mark.parametrize("length", [0, 1, 32, 33, 8160])
def test_both_ends_export_the_same_secret_at_any_time(pair, length: int) -> None:
    sealing, opening = pair()
    before = sealing.export(b"label", length)
    opening.open(sealing.seal(b"payjoin"))
    assert len(before) == length
    assert before == opening.export(b"label", length) == sealing.export(b"label", length)


def test_exports_of_other_labels_or_lengths_are_unrelated() -> None:
    sealing, _ = base_pair()
    exported = sealing.export(b"label", 32)
    assert sealing.export(b"other", 32) != exported
    assert sealing.export(b"label", 33)[:32] != exported


@pytest.mark.parametrize("length", [-1, 8161, 2**16])
def test_an_export_of_impossible_length_is_refused(length: int) -> None:
    sealing, _ = base_pair()
    with pytest.raises(UsageError, match="8160"):
        sealing.export(b"label", length)


@PAIRS
@pytest.mark.parametrize("duplicate", [pickle.dumps, copy.deepcopy])
def test_p1_contexts_cannot_be_duplicated(pair, duplicate) -> None:
    for context in pair():
        with pytest.raises(TypeError, match="cannot be pickled"):
            duplicate(context)


def test_p1_a_shallow_copy_shares_the_single_use() -> None:
    sealing, _ = base_pair()
    twin = copy.copy(sealing)
    sealing.seal(b"first")
    with pytest.raises(ContextUsedUp):
        twin.seal(b"second")


def test_p4_a_context_shows_nothing() -> None:
    for context in base_pair():
        assert repr(context).startswith(f"<dovetail.crypto.hpke.{type(context).__name__} object")
