"""One replay for both roles, with the same sentences."""

from typing import Any

import pytest
from tests.eventlogs.logs import entries

from dovetail.errors import InvalidEvent, ReplayError
from dovetail.sessions import receiver, sender

ROLES = {"receiver/paid-by-payjoin": receiver, "sender/success": sender}


@pytest.fixture(params=ROLES)
def name(request: pytest.FixtureRequest) -> str:
    kept: str = request.param
    return kept


@pytest.fixture
def role(name: str) -> Any:
    return ROLES[name]


@pytest.fixture
def log(name: str, role: Any) -> list[Any]:
    return [role.decode_event(entry) for entry in entries(name)]


def test_an_empty_log_leads_nowhere(role: Any) -> None:
    with pytest.raises(ReplayError, match=r"^The log is empty; restore it from a backup\.$"):
        role.replay(())


def test_a_log_that_lacks_its_beginning_names_its_first_event(role: Any, log: list[Any]) -> None:
    message = f"^Event 0 of the log, {type(log[1]).__name__}, cannot be applied. .*the beginning"
    with pytest.raises(ReplayError, match=message) as caught:
        role.replay(log[1:])
    assert caught.value.seq == 0
    assert isinstance(caught.value.__cause__, InvalidEvent)


def test_an_event_after_the_end_is_named(role: Any, log: list[Any]) -> None:  # M1
    message = f"^Event {len(log)} of the log, Cancelled, .*Cancelled cannot follow Closed"
    with pytest.raises(ReplayError, match=message) as caught:
        role.replay([*log, role.events.Cancelled()])
    assert caught.value.seq == len(log)


def test_a_log_may_come_as_any_iterable(role: Any, log: list[Any]) -> None:
    assert role.replay(iter(log)) == role.replay(log)


def test_a_session_can_be_read_again_at_any_time(role: Any, log: list[Any]) -> None:
    for length in range(1, len(log)):
        role.replay(log[:length]).validate()
