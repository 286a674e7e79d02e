"""A Bitcoin Core node for each test that needs one of its own; none is run where there is none."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.live_core.bitcoind import ABSENT, Bitcoind, installed


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Bitcoind]]:
    if installed() is None:
        pytest.skip(ABSENT)
    with ExitStack() as running:

        def start(*options: str, name: str = "bitcoind") -> Bitcoind:
            return running.enter_context(Bitcoind(tmp_path / name, *options))

        yield start
