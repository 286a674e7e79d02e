"""Some of the floods, so that a lock-out is seen with the other tests."""

from pathlib import Path

import pytest
from tests.flood.measuring import Make, measure


@pytest.mark.parametrize(
    "attack",
    [
        "pipelined GETs",
        "a head without end",
        "one header value of 8 MiB",
        "trailers",
        "200 clients that never read",
        "connections that say nothing",
        "polls of one mailbox",
        "requests for a silent gateway",
    ],
)
async def test_a_flood_locks_nobody_out(attack: str, tmp_path: Path) -> None:
    fared = await measure(Make("Dovetail"), attack, tmp_path / "mailroom", 1.0)
    assert not fared.locked_out, str(fared)
