"""What a payjoin meant to one side, in every moment of every kept log."""

import pytest
from tests.eventlogs.logs import NAMES, entries

from dovetail.bitcoin import Sats
from dovetail.sessions import receiver, sender
from dovetail.sessions.amounts import (
    Joined,
    Paid,
    Received,
    amounts_of,
    joined_of,
    whole_fee_of,
)
from dovetail.sessions.receiver.events import RetrievedOriginalPayload, checksum_of
from dovetail.sessions.standing import AnySession


def lived(name: str) -> list[AnySession]:
    """The states of a kept log, from the first event on."""
    if name.startswith("sender/"):
        sent = [*map(sender.decode_event, entries(name))]
        return [sender.replay(sent[:count]) for count in range(1, len(sent) + 1)]
    got = [*map(receiver.decode_event, entries(name))]
    return [receiver.replay(got[:count]) for count in range(1, len(got) + 1)]


@pytest.mark.parametrize("name", NAMES)
def test_whoever_is_told_of_a_payjoin_is_told_its_amounts_too(name: str) -> None:
    for state in lived(name):
        joined, amounts = joined_of(state), amounts_of(state)
        if joined is None:
            continue
        assert joined.added
        if isinstance(amounts, Received):
            assert joined.cost == amounts.paid
        else:
            assert isinstance(amounts, Paid)
            assert isinstance(state, sender.SenderSession)
            assert joined.cost <= amounts.fee - state.original.fee


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("receiver/paid-by-payjoin", Joined(Sats(1), (Sats(70_000),))),
        ("receiver/paid-by-payjoin-of-v1-http", Joined(Sats(327), (Sats(70_000),))),
        ("receiver/paid-by-fallback-when-due", None),
        ("receiver/paid-directly", None),
        ("receiver/released-after-the-post", None),
        ("receiver/expired-unpaid", None),
        ("sender/success", Joined(Sats(0), (Sats(30_000),))),
        ("sender/asked-for-at-once", None),
        ("sender/asked-for-instead-of-payjoin", None),
    ],
)
def test_only_a_payjoin_that_paid_has_a_cost(name: str, found: Joined | None) -> None:
    assert joined_of(lived(name)[-1]) == found


def test_a_payjoin_that_pays_is_told_before_it_confirms() -> None:
    told = [type(state).__name__ for state in lived("receiver/paid-by-payjoin") if joined_of(state)]
    assert told == ["PayjoinProposal", "Monitor", "Closed"]
    told = [type(state).__name__ for state in lived("sender/success") if joined_of(state)]
    assert told == ["PendingBroadcast", "Monitor", "Closed"]


def test_a_payment_that_cannot_be_read_has_no_cost() -> None:
    junk = b"no PSBT"
    events = [
        RetrievedOriginalPayload(
            psbt=junk, checksum=checksum_of(junk), retrieved_at=1, version=2, min_fee_rate=0
        )
        if isinstance(event, RetrievedOriginalPayload)
        else event
        for event in map(receiver.decode_event, entries("receiver/paid-by-payjoin"))
    ]
    assert joined_of(receiver.replay(events)) is None
    assert whole_fee_of(receiver.replay(events)) is None


def fees_told(name: str) -> list[tuple[str, int | None, str | None]]:
    """Each kind of state of a receiver's kept log that tells the fee, with fee and rate."""
    told: list[tuple[str, int | None, str | None]] = []
    for state in lived(name):
        assert isinstance(state, receiver.ReceiverSession)
        found = whole_fee_of(state)
        if found is not None:
            rate = None if found.rate is None else str(found.rate)
            told.append((type(state).__name__, int(found.fee), rate))
    return list(dict.fromkeys(told))


def test_a_receiver_learns_the_fee_rate_of_a_payjoin_from_the_senders_signatures() -> None:
    assert fees_told("receiver/paid-by-payjoin") == [
        ("PayjoinProposal", 1327, None),
        ("Monitor", 1327, None),
        ("Closed", 1327, "4.812 sat/vB"),
    ]


def test_a_receiver_knows_the_fee_rate_of_the_ordinary_payment() -> None:
    told = fees_told("receiver/paid-by-fallback-when-due")
    assert told[-2:] == [("Monitor", 1000, "4.804 sat/vB"), ("Closed", 1000, "4.804 sat/vB")]


def test_a_receiver_who_was_not_paid_is_told_no_fee() -> None:
    assert fees_told("receiver/expired-unpaid") == []
    assert "Closed" not in [kind for kind, _, _ in fees_told("receiver/released-after-the-post")]
