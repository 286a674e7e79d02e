"""Each trick of the list is played, and fails; the page in the docs is made of the same list."""

import pytest
from tests.hostile.payment import Stage
from tests.hostile.record import Trick
from tests.hostile.tricks import TRICKS


@pytest.mark.parametrize("trick", TRICKS, ids=lambda each: f"{each.peer.name}-{each.name}")
async def test_the_trick_fails_and_the_payment_ends_once(trick: Trick, stage: Stage):
    played = await trick.play(stage)
    await stage.settle(*played.sessions)
    assert trick.told in stage.heard
    stage.check(played, trick.ends)
