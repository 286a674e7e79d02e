from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.runtime.world import World

from dovetail.regtest.node import RegtestNode


@pytest.fixture(scope="session")
def node() -> Iterator[RegtestNode]:
    """One chain for all tests: each has wallets and coins of its own."""
    with RegtestNode(blocks=130) as opened:
        yield opened


@pytest.fixture
def world(node: RegtestNode, tmp_path: Path) -> World:
    return World(node, tmp_path)
