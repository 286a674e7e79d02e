"""Each trick of the page is played, and fails: in the words and with the end that its row tells."""

import pytest
from tests.hostile.payment import Stage
from tests.hostile.record import Row
from tests.hostile.tricks import ALL, PLAYED


@pytest.mark.parametrize("row", PLAYED, ids=lambda each: f"{each.peer.name}-{each.name}")
async def test_the_trick_fails_and_the_payment_ends_once(row: Row, stage: Stage):
    played = await ALL[row.peer, row.key](stage)
    await stage.settle(*played.sessions)
    assert row.told in stage.heard
    stage.check(played, row.ends)
