"""Whether an invoice can offer a payjoin, and the reason where it cannot."""

import pytest

from dovetail.bitcoin import Sats
from dovetail.errors import (
    ConfigurationError,
    InfrastructureError,
    StoreUnavailable,
    TransportError,
    UsageError,
)
from dovetail.merchant.services.readiness import NoPayjoin, Readiness, obstacle_of


@pytest.mark.parametrize(
    ("amount", "directory", "coins", "signer", "expected"),
    [
        (1_000, True, 1, True, None),
        (999, True, 1, True, NoPayjoin.BELOW_MINIMUM),
        (1_000, False, 1, True, NoPayjoin.NO_DIRECTORY),
        (1_000, True, 0, True, NoPayjoin.NO_COIN),
        (1_000, True, 1, None, NoPayjoin.NO_SIGNER),
        (1_000, True, 1, False, NoPayjoin.SIGNER_AWAY),
    ],
)
async def test_a_payjoin_is_offered_where_nothing_is_missing(
    amount, directory, coins, signer, expected
) -> None:
    ready = Readiness(
        signer_answers=lambda: signer, free_coins=lambda: coins, has_directory=directory
    )
    assert await ready.obstacle(Sats(amount), minimum=1_000) is expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ConfigurationError("x"), NoPayjoin.NO_DIRECTORY),
        (UsageError("x"), NoPayjoin.NO_DIRECTORY),
        (TransportError("x"), NoPayjoin.DIRECTORY_AWAY),
        (InfrastructureError("x"), NoPayjoin.SIGNER_AWAY),
    ],
)
def test_an_error_of_the_offer_is_its_obstacle(error, expected) -> None:
    assert obstacle_of(error) is expected


@pytest.mark.parametrize("error", [ValueError("other"), StoreUnavailable("other")])
def test_another_error_is_no_obstacle_of_the_payjoin(error) -> None:
    with pytest.raises(type(error), match="other"):
        obstacle_of(error)
