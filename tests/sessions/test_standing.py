"""Where an open session stands, as its row keeps it."""

from typing import get_args

import msgspec
import pytest
from tests.eventlogs.logs import NAMES, entries

from dovetail.sessions import receiver, sender
from dovetail.sessions.receiver.events import RetrievedOriginalPayload, checksum_of
from dovetail.sessions.standing import (
    EDITION,
    AnySession,
    Standing,
    StateName,
    decode_summary,
    encode_summary,
    summary_of,
)


def states(name: str) -> list[AnySession]:
    """Every state that a kept log passes through."""
    lines = entries(name)
    if name.startswith("sender/"):
        sent = [*map(sender.decode_event, lines)]
        return [sender.replay(sent[: length + 1]) for length in range(len(sent))]
    got = [*map(receiver.decode_event, lines)]
    return [receiver.replay(got[: length + 1]) for length in range(len(got))]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_drawn_of_a_state_is_read_back_as_it_was(name: str) -> None:
    for state in states(name):
        found = summary_of(state)
        assert found is not None
        data = encode_summary(found)
        closed = isinstance(state, receiver.Closed | sender.Closed)
        assert decode_summary(data, closed=closed) == found
        for secret in (b"bcrt1", b"bitcoin:", b"http", b"cHNidP", b"pj="):
            assert secret not in data
        if isinstance(found, Standing):
            assert found.state == type(state).__name__
            assert len(data) < 512


def test_every_state_that_is_not_the_end_has_a_name() -> None:
    unions = (*get_args(receiver.ReceiverSession), *get_args(sender.SenderSession))
    names = {each.__name__ for each in unions} - {"Closed"}
    assert set(get_args(StateName)) == names


def test_its_repr_names_the_state_alone() -> None:
    found = Standing(edition=EDITION, state="Monitor", amount=5_000, txid="0a" * 32)
    assert repr(found) == "<Standing Monitor>"


@pytest.mark.parametrize(
    "data",
    [
        b"\xff",
        b"{}",
        b"[" * 100_000,
        b'{"edition":2,"state":"Teleported"}',
        b'{"edition":2,"state":"Closed"}',
        b'{"edition":2,"state":"Monitor","beamed":true}',
        b'{"edition":3,"state":"Monitor"}',
    ],
    ids=["no text", "empty", "deep", "newer state", "end", "newer fact", "newer edition"],
)
def test_what_is_damaged_or_of_another_edition_is_left_to_the_log(data: bytes) -> None:
    assert EDITION == 2
    assert decode_summary(data, closed=False) is None


def test_a_state_that_was_not_validated_and_cannot_be_read_is_left_to_the_log() -> None:
    junk = b"no PSBT"
    session: receiver.ReceiverSession | None = None
    for event in map(receiver.decode_event, entries("receiver/paid-by-payjoin")[:11]):
        if isinstance(event, RetrievedOriginalPayload):
            broken = msgspec.structs.replace(event, psbt=junk, checksum=checksum_of(junk))
            session = receiver.apply(session, broken)
            break
        session = receiver.apply(session, event)
    assert isinstance(session, receiver.UncheckedOriginalPayload)
    created = msgspec.structs.replace(session.created, amount=None)
    terms = type(session.terms)(created)
    held = receiver.UncheckedOriginalPayload(seq=2, terms=terms, payload=session.payload)
    assert summary_of(held) is None
