"""A shop with its dashboard."""

import pytest
from tests.merchant.dashboard.browsing import Office, open_office


@pytest.fixture
def office(database, clock) -> Office:
    return open_office(database, clock)
