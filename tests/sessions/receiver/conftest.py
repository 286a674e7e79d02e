"""What the receiver's tests share."""

import pytest
from tests.sessions.receiver.play import Play
from tests.sessions.receiver.scenarios import play_all


@pytest.fixture
def play() -> Play:
    return Play()


@pytest.fixture(scope="session")
def plays() -> tuple[Play, ...]:
    """One finished play of every scenario."""
    return play_all()
