"""M2: replaying the first n events gives the state that was live after n events, for every n."""

import pytest
from tests.sessions.receiver.play import Play
from tests.sessions.receiver.scenarios import play_all
from tests.sessions.sender import play as sending

from dovetail.sessions import receiver, sender
from dovetail.sessions.sender import SenderEvent


@pytest.fixture(scope="module")
def plays() -> tuple[Play, ...]:
    return play_all()


class Remembering(sending.Log):
    """A log that compares each event, applied live, with the replay of all so far."""

    def __init__(self) -> None:
        super().__init__()
        self.applied: list[sender.SenderSession] = []

    def append(self, event: SenderEvent, /, *, seq: int, closes: bool) -> None:
        super().append(event, seq=seq, closes=closes)
        self.applied.append(
            sender.apply(self.applied[-1], event) if self.applied else self.replay()
        )


def test_a_receiver_is_the_same_after_a_restart_anywhere(plays: tuple[Play, ...]) -> None:
    for play in plays:
        entries = [receiver.encode_event(event) for event in play.log.events]
        for count, live in enumerate(play.states, start=1):
            assert receiver.replay(map(receiver.decode_event, entries[:count])) == live


@pytest.mark.parametrize("place", sending.PLACES)
def test_a_sender_is_the_same_after_a_restart_anywhere(place: str) -> None:
    log = Remembering()
    live = sending.PLACES[place](log)
    assert log.replay() == live
    for count, applied in enumerate(log.applied, start=1):
        events = map(sender.decode_event, log.entries[:count])
        assert sender.replay(events) == applied


def test_reading_a_log_changes_nothing_in_it(plays: tuple[Play, ...]) -> None:
    for play in plays:
        before = list(play.log.events)
        assert receiver.replay(before) == receiver.replay(before)
        assert play.log.events == before
