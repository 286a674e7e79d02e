"""What a closed session came to, as its row keeps it."""

import msgspec
import pytest
from tests.eventlogs.logs import NAMES, entries

from dovetail.sessions import outcomes, receiver, sender
from dovetail.sessions.amounts import amounts_of
from dovetail.sessions.ended import Ending, ending_of
from dovetail.sessions.receiver.events import RetrievedOriginalPayload, checksum_of
from dovetail.sessions.standing import decode_summary, encode_summary


def closed(name: str) -> receiver.Closed | sender.Closed | None:
    """The last state of a kept log, where it is the end."""
    if name.startswith("sender/"):
        paying = sender.replay(map(sender.decode_event, entries(name)))
        return paying if isinstance(paying, sender.Closed) else None
    asking = receiver.replay(map(receiver.decode_event, entries(name)))
    return asking if isinstance(asking, receiver.Closed) else None


@pytest.mark.parametrize("name", [name for name in NAMES if closed(name) is not None])
def test_an_ending_is_read_back_as_it_was(name: str) -> None:
    state = closed(name)
    assert state is not None
    found = ending_of(state)
    assert decode_summary(encode_summary(found), closed=True) == found
    assert found.amounts == amounts_of(state)
    assert getattr(found.outcome, "txid", None) == getattr(state.outcome, "txid", None)
    assert len(encode_summary(found)) < 1024, "the signatures stay in the log"


def test_an_ending_tells_nothing_in_its_repr() -> None:
    assert repr(Ending(outcome=outcomes.Success(txid="0a" * 32))) == "<Ending>"


@pytest.mark.parametrize("data", [b"\xff", b"{}", b'{"outcome":{"outcome":"Teleported"}}'])
def test_an_ending_that_cannot_be_read_is_left_to_the_log(data: bytes) -> None:
    assert decode_summary(data, closed=True) is None


def test_the_end_of_a_log_whose_payment_cannot_be_read_is_told_without_its_cost() -> None:
    """A closed log is not read whole: only what changed by itself is noticed."""
    junk = b"no PSBT"
    events = [
        msgspec.structs.replace(event, psbt=junk, checksum=checksum_of(junk))
        if isinstance(event, RetrievedOriginalPayload)
        else event
        for event in map(receiver.decode_event, entries("receiver/paid-by-payjoin"))
    ]
    state = receiver.replay(events)
    assert isinstance(state, receiver.Closed)
    found = ending_of(state)
    assert isinstance(found.outcome, outcomes.Success)
    assert found.amounts is None
