"""Receiver logs that were damaged, shuffled or cut: a state or a `ReplayError`, nothing else."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sessions.receiver.scenarios import play_all

from dovetail.errors import InvalidEvent, ReplayError
from dovetail.sessions import receiver
from dovetail.sessions.receiver import ReceiverEvent

pytestmark = pytest.mark.property

LOGS = [tuple(play.log.events) for play in play_all()]
ENTRIES = [[receiver.encode_event(event) for event in log] for log in LOGS]
EVENTS = [event for log in LOGS for event in log]
JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.text(max_size=20),
    st.sampled_from(["", "AA==", "00" * 32 + ":0", "00" * 32 + ":4294967296", "bc1qxyz"]),
    st.lists(st.integers(0, 5), max_size=3),
    st.just({}),
)


def _read(entries: list[bytes]) -> None:
    try:
        session = receiver.replay(receiver.events.CODEC.decode_log(entries))
    except ReplayError:
        return
    if not session.closed:
        session.validate()
    assert session.seq == len(entries)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(st.data())
def test_a_log_with_a_damaged_field_is_read_or_refused(data: st.DataObject) -> None:
    entries = list(data.draw(st.sampled_from(ENTRIES)))
    at = data.draw(st.integers(0, len(entries) - 1))
    fields = json.loads(entries[at])
    fields[data.draw(st.sampled_from(sorted(fields)))] = data.draw(JUNK)
    entries[at] = json.dumps(fields).encode()
    _read(entries)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.data())
def test_a_log_with_a_damaged_byte_is_read_or_refused(data: st.DataObject) -> None:
    entries = list(data.draw(st.sampled_from(ENTRIES)))
    at = data.draw(st.integers(0, len(entries) - 1))
    entry = bytearray(entries[at])
    entry[data.draw(st.integers(0, len(entry) - 1))] = data.draw(st.integers(0, 255))
    entries[at] = bytes(entry)
    _read(entries)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(EVENTS), max_size=15))
def test_any_sequence_of_events_is_a_life_or_refused(log: list[ReceiverEvent]) -> None:
    try:
        session = receiver.replay([EVENTS[0], *log])
    except ReplayError:
        return
    assert session.seq == len(log) + 1


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.data())
def test_random_walks_along_legal_events_agree_with_the_table(data: st.DataObject) -> None:
    session: receiver.ReceiverSession | None = None
    for _ in range(data.draw(st.integers(1, 20))):
        state = None if session is None else type(session)
        legal = {event for source, event, _ in receiver.TRANSITIONS if source is state}
        choices = [event for event in EVENTS if type(event) in legal]
        if not choices:
            assert session is not None
            assert session.closed
            return
        event = data.draw(st.sampled_from(choices))
        try:
            successor = receiver.apply(session, event)
        except InvalidEvent:
            continue
        assert (state, type(event), type(successor)) in receiver.TRANSITIONS
        assert successor.seq == (0 if session is None else session.seq) + 1
        session = successor
