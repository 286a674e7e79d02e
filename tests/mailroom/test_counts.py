"""The numbers of a mailroom: exact where all may know them, in steps where they would tell."""

import pytest

from dovetail.mailroom.counts import STEP, TOLD_SECONDS, Census, Counts
from dovetail.mailroom.kinds import kind_of


class Hands:
    """A clock and a draw, both set by hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self.drawn = 0

    def counts(self) -> Counts:
        return Counts(clock=lambda: self.now, below=lambda _: self.drawn)


def test_what_an_observer_sees_anyway_is_told_at_once_and_exactly() -> None:
    counts = Counts()
    counts.answered("gateway", 200)
    counts.answered("gateway", 200)
    counts.answered("relay", 503)
    counts.refused("requests of one client")
    assert counts.requests == {("gateway", 200): 2, ("relay", 503): 1}
    assert counts.refusals == {"requests of one client": 1}


def test_what_tells_a_get_from_a_post_is_told_once_a_minute_in_steps() -> None:
    hands = Hands()
    counts = hands.counts()
    assert counts.tell(Census(messages=STEP - 1, polls=STEP))
    assert (counts.hidden["messages"], counts.hidden["polls"]) == (0, STEP)
    hands.now = TOLD_SECONDS - 1
    assert not counts.tell(Census(messages=10 * STEP))
    assert counts.hidden["messages"] == 0
    hands.now = TOLD_SECONDS
    assert counts.tell(Census(messages=10 * STEP))
    assert counts.hidden["messages"] == 10 * STEP


def test_where_a_step_is_changes_with_the_number_and_not_without() -> None:
    hands = Hands()
    counts = hands.counts()
    seen: list[int] = []
    for number, drawn in ((STEP // 2, 0), (STEP // 2, STEP - 1), (STEP // 2 + 1, STEP - 1)):
        hands.drawn, hands.now = drawn, hands.now + TOLD_SECONDS
        counts.tell(Census(messages=number))
        seen.append(counts.hidden["messages"])
    assert seen == [0, 0, STEP]


def test_refusals_inside_ohttp_are_told_in_steps_and_never_fall() -> None:
    hands = Hands()
    counts = hands.counts()
    hands.drawn = STEP - 1
    counts.refused("long polls")
    counts.tell(Census())
    assert counts.refusals == {}
    assert counts.hidden["refused long polls"] == STEP
    hands.drawn, hands.now = 0, TOLD_SECONDS
    counts.refused("long polls")
    counts.tell(Census())
    assert counts.hidden["refused long polls"] == STEP


def test_the_time_of_writes_is_told_of_many_together() -> None:
    hands = Hands()
    counts = hands.counts()
    for _ in range(STEP - 1):
        counts.wrote(0.001)
    counts.tell(Census())
    before = counts.sync_seconds
    assert before is None
    counts.wrote(0.5)
    hands.now = TOLD_SECONDS
    counts.tell(Census())
    assert counts.sync_seconds == (0.001, 0.5)
    for _ in range(10_000):
        counts.wrote(0.002)
    hands.now += TOLD_SECONDS
    counts.tell(Census())
    assert counts.sync_seconds == (0.002, 0.002)
    assert len(counts._writes) == 0


def test_the_worst_delay_of_a_minute_is_told() -> None:
    hands = Hands()
    counts = hands.counts()
    counts.late(0.2)
    counts.late(0.1)
    counts.tell(Census())
    assert counts.loop_delay == 0.2
    hands.now = TOLD_SECONDS
    counts.tell(Census())
    assert counts.loop_delay == 0.0


def test_a_purge_is_told() -> None:
    hands = Hands()
    counts = hands.counts()
    counts.purged(3 * STEP, 0.25, 1_700_000_000.0)
    counts.tell(Census())
    assert counts.hidden["purged"] == 3 * STEP
    assert (counts.purge_seconds, counts.purged_at) == (0.25, 1_700_000_000.0)


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("POST", "/.well-known/ohttp-gateway", "gateway"),
        ("GET", "/.well-known/ohttp-gateway", "keys"),
        ("GET", "/ohttp-keys", "keys"),
        ("POST", "/https://directory.example", "relay"),
        ("POST", "/HTTP://directory.example", "relay"),
        ("GET", "/health/ready", "health"),
        ("GET", "/", "page"),
        ("POST", "/TXJCGKTKXLUUZ", "plaintext"),
        ("GET", "/favicon.ico", "other"),
    ],
)
def test_a_request_is_of_one_of_a_few_kinds(method: str, path: str, kind: str) -> None:
    assert kind_of(method, path) == kind
