"""What the sender's tests share."""

import pytest
from tests.sessions.sender.play import Log


@pytest.fixture
def log() -> Log:
    return Log()
