"""The pages of a shop, on both databases."""

from collections.abc import AsyncIterator

import pytest
from tests.merchant.pages.site import Pages, opened


@pytest.fixture
async def pages(database) -> AsyncIterator[Pages]:
    async with opened(database) as made:
        yield made
