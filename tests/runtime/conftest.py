from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.runtime.side import Side
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


@pytest.fixture
def alice(world: World) -> Side:
    """She pays, and has the coin for it."""
    world.fund(world.alice, 100_000)
    return Side(world, world.alice)


@pytest.fixture
def bob(world: World) -> Side:
    """He receives, and has two coins to add."""
    world.fund(world.bob, 70_000, 80_000)
    return Side(world, world.bob)
