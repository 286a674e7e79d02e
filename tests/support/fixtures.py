from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.stepping import Side
from tests.support.world import World

from dovetail.regtest.node import RegtestNode


@pytest.fixture(scope="session")
def node() -> Iterator[RegtestNode]:
    """One chain for all tests: each has wallets and coins of its own."""
    with RegtestNode(blocks=130) as opened:
        yield opened


@pytest.fixture
def world(node: RegtestNode, tmp_path: Path) -> Iterator[World]:
    """P1: whatever a test is about, no ciphertext leaves twice in it."""
    made = World(node, tmp_path)
    yield made
    bodies = made.wire.bodies()
    assert len(set(bodies)) == len(bodies)


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


@pytest.fixture
def pair(world: World) -> World:
    """Both have coins."""
    world.fund(world.alice, 100_000)
    world.fund(world.bob, 70_000, 80_000)
    return world
