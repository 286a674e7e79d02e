"""P5: all messages of one kind have one size on the wire."""

from pathlib import Path
from typing import Any

import pytest
from tests.mailroom.client import GATEWAY, OHTTP, in_process, new_mailbox, quick
from tests.sessions.receiver.play import NOW as RECEIVING
from tests.sessions.receiver.play import Play
from tests.sessions.sender import play as sending

from dovetail.crypto.bhttp import BhttpRequest
from dovetail.crypto.ohttp import decapsulate
from dovetail.crypto.secp256k1 import SecretKey
from dovetail.errors import PayloadTooLarge
from dovetail.protocol.error_replies import ErrorCode, ErrorReply
from dovetail.protocol.mailbox import (
    ORIGINAL_CAPACITY,
    PROPOSAL_CAPACITY,
    seal_message_a,
    seal_message_b,
)
from dovetail.protocol.requests import Request, poll_mailbox, post_to_mailbox

RELAY = "https://relay.example"
OHTTP_SIZE, MESSAGE_SIZE = 8192, 7168
HERS, HIS = SecretKey(b"\x01" * 32), SecretKey(b"\x02" * 32)


def every_request() -> dict[str, tuple[Request, bytes]]:
    """One of each kind that leaves, and the message in it."""
    posting = sending.posting(sending.Log()).post(RELAY, now=sending.NOW)[0]
    polling = sending.polling(sending.Log()).poll(RELAY, now=sending.NOW)[0]
    sent = {
        request.body: decapsulate(sending.GATEWAY, request.body)[0]
        for request in (posting, polling)
    }
    named = {"the Original": posting, "the sender's poll": polling}
    for name, ask in (
        ("the receiver's poll", lambda play: play.created().poll(RELAY, now=RECEIVING)),
        ("the Proposal", lambda play: play.proposed().post(RELAY, now=RECEIVING)),
        ("an error", lambda play: play.error_owed().reply(RELAY, now=RECEIVING)),
    ):
        play = Play()
        named[name] = ask(play)[0]
        sent[named[name].body] = decapsulate(play.directory.key, named[name].body)[0]
    return {name: (request, sent[request.body]) for name, request in named.items()}


def test_whatever_a_wallet_asks_looks_the_same_to_relay_and_directory() -> None:
    requests = every_request()
    assert {len(request.body) for request, _ in requests.values()} == {OHTTP_SIZE}
    assert len({request.content_type for request, _ in requests.values()}) == 1
    messages = [BhttpRequest.parse(message).body for _, message in requests.values()]
    assert {len(message) for message in messages} == {0, MESSAGE_SIZE}


@pytest.mark.parametrize("size", [0, 1, 600, ORIGINAL_CAPACITY])
def test_a_small_original_is_as_large_as_a_large_one(size: int) -> None:
    sealed = seal_message_a(b"a" * size, receiver_key=HIS.public_key, reply_key=HERS.public_key)
    assert len(sealed) == MESSAGE_SIZE


@pytest.mark.parametrize(
    "payload",
    [b"", *(ErrorReply(code).serialize() for code in ErrorCode), b"p" * PROPOSAL_CAPACITY],
    ids=len,
)
def test_an_error_is_as_large_as_a_proposal(payload: bytes) -> None:
    sealed = seal_message_b(payload, receiver_secret=HIS, reply_key=HERS.public_key)
    assert len(sealed) == MESSAGE_SIZE


def test_what_does_not_fit_is_refused_instead_of_sent_larger() -> None:
    with pytest.raises(PayloadTooLarge):
        seal_message_a(
            b"a" * (ORIGINAL_CAPACITY + 1),
            receiver_key=HIS.public_key,
            reply_key=HERS.public_key,
        )
    with pytest.raises(PayloadTooLarge):
        seal_message_b(
            b"p" * (PROPOSAL_CAPACITY + 1), receiver_secret=HIS, reply_key=HERS.public_key
        )


async def test_every_answer_of_a_mailroom_has_one_size_too(tmp_path: Path) -> None:
    async with in_process(quick(tmp_path)) as (_, client):
        mailbox, sizes = new_mailbox(), set[int]()
        where: dict[str, Any] = {
            "relay": None,
            "directory": client.directory,
            "short_id": mailbox,
            "ohttp_keys": client.keys,
        }
        for request, _context in (
            poll_mailbox(**where),
            post_to_mailbox(**where, body=b"m" * MESSAGE_SIZE),
            poll_mailbox(**where),
            post_to_mailbox(**where, body=b"n" * MESSAGE_SIZE),
            post_to_mailbox(**where, body=b"too short"),
        ):
            answer = await client.http.post(
                client.directory + GATEWAY, content=request.body, headers=OHTTP
            )
            sizes.add(len(answer.content))
        assert sizes == {OHTTP_SIZE}
