import pytest
from tests.protocol.builders import original, params, propose

from dovetail.protocol.draft import begin_draft


@pytest.fixture
def proposal():
    """One sender input, one receiver input behind it; the sender pays all of 680 sats."""
    started = begin_draft(original(), params(680), (0,))
    return propose(started)
