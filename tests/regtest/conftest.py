from collections.abc import Iterator

import pytest

from dovetail.regtest import RegtestNode, RegtestServer


@pytest.fixture
def node() -> Iterator[RegtestNode]:
    with RegtestNode(blocks=110) as opened:
        yield opened


@pytest.fixture
def server() -> Iterator[RegtestServer]:
    with RegtestServer() as running:
        yield running
