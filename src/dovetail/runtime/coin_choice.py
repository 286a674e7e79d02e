"""The coins that a payment may spend: none of other sessions, and only those that were named."""

from collections.abc import Collection, Generator
from contextlib import contextmanager

from dovetail.bitcoin import OutPoint, Sats
from dovetail.errors import CoinsTaken, InsufficientFunds, UsageError
from dovetail.runtime.services import Services
from dovetail.stores.holders import sessions_words


def unspendable(services: Services, coins: Collection[OutPoint]) -> frozenset[OutPoint]:
    """The coins that a payment must not spend: all but `coins`, where any are named.

    Raises `UsageError` for a coin that the wallet cannot spend now, and `CoinsTaken` for one that
    a session holds.
    """
    holders = services.store.holders()
    reserved = frozenset(holders)
    if not coins:
        return reserved
    known = {coin.outpoint for coin in services.wallet.coins()}
    for coin in sorted(coins, key=str):
        if coin in reserved:
            raise CoinsTaken(f"Session {holders[coin]} holds the coin {coin}: choose another one.")
        if coin not in known:
            raise UsageError(
                f"The wallet has no confirmed coin {coin}: choose from those that it lists."
            )
    return reserved | (known - frozenset(coins))


@contextmanager
def naming_holders(services: Services) -> Generator[None]:
    """A context for building a payment: `InsufficientFunds` then names sessions that hold coins."""
    try:
        yield
    except InsufficientFunds as error:
        holders = services.store.holders()
        held = [coin for coin in services.wallet.coins() if coin.outpoint in holders]
        if not held:
            raise
        amount = Sats.sum(coin.utxo.value for coin in held)
        by = sessions_words({holders[coin.outpoint] for coin in held})
        raise InsufficientFunds(f"{error} {amount:,} sats more are reserved by {by}.") from error
