from pathlib import Path

import pytest
from tests.cli.conftest import _own_configuration, cli
from tests.hostile.payment import Stage
from tests.hostile.servers import PATIENCE
from tests.support.fixtures import node
from tests.support.stepping import Side
from tests.support.world import World

from dovetail.regtest.node import RegtestNode
from dovetail.runtime import transport

__all__ = ["_own_configuration", "cli", "node"]


@pytest.fixture
def stage(node: RegtestNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.setattr(transport, "CONNECT_PATIENCE", PATIENCE)
    world = World(node, tmp_path)
    world.fund(world.alice, 100_000, 100_000)
    world.fund(world.bob, 70_000, 80_000)
    return Stage(world, Side(world, world.alice), Side(world, world.bob))
