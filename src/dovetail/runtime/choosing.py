"""Which coins a payment may spend: not those of other sessions, and only those that were named."""

from collections.abc import Collection

from dovetail.bitcoin import OutPoint
from dovetail.errors import CoinsTaken, UsageError
from dovetail.runtime.services import Services


def unspendable(services: Services, coins: Collection[OutPoint]) -> frozenset[OutPoint]:
    """The coins that a payment must leave alone: all but `coins`, where there are some.

    Raises `UsageError` for a coin that the wallet cannot spend now, and `CoinsTaken` for one that
    a session holds.
    """
    reserved = services.store.reserved()
    if not coins:
        return reserved
    known = {coin.outpoint for coin in services.wallet.coins()}
    for coin in sorted(coins, key=str):
        if coin in reserved:
            raise CoinsTaken(f"The coin {coin} is held by an open session: choose another one.")
        if coin not in known:
            raise UsageError(
                f"The wallet has no confirmed coin {coin}: choose from those that it lists."
            )
    return reserved | (known - frozenset(coins))
