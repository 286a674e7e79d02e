"""Whether an invoice can offer a payjoin, and if not, why (P3: no coin is shown in vain)."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from dovetail.bitcoin import Sats
from dovetail.errors import (
    ConfigurationError,
    InfrastructureError,
    TransportError,
    UsageError,
)


class NoPayjoin(StrEnum):
    """Why an invoice carries the plain address alone; the values are stable."""

    BELOW_MINIMUM = "below-minimum"
    NO_COIN = "no-coin"
    NO_SIGNER = "no-signer"
    SIGNER_AWAY = "signer-away"
    NO_DIRECTORY = "no-directory"
    DIRECTORY_AWAY = "directory-away"

    @property
    def words(self) -> str:
        """What it means, and what to do."""
        return _WORDS[self]


_WORDS = {
    NoPayjoin.BELOW_MINIMUM: "The amount is below the store's minimum for payjoins.",
    NoPayjoin.NO_COIN: "The wallet has no confirmed coin that is free to contribute: send one to"
    " its deposit address.",
    NoPayjoin.NO_SIGNER: "No signer is configured: set `signer`, and start one.",
    NoPayjoin.SIGNER_AWAY: "The signer does not answer, or holds another wallet: start it, or"
    " correct `signer`.",
    NoPayjoin.NO_DIRECTORY: "No directory or no relay is configured: set `directory` and `relays`.",
    NoPayjoin.DIRECTORY_AWAY: "The directory's keys cannot be had: see whether the directory and"
    " the relays answer.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """What the offer of a payjoin depends on, each asked when it is needed."""

    signer_answers: Callable[[], bool | None]
    """Whether the signer answers and has the wallet's keys; None: no signer is configured."""
    free_coins: Callable[[], int]
    """How many coins could be contributed now."""
    has_directory: bool

    async def obstacle(self, amount: Sats, *, minimum: int) -> NoPayjoin | None:
        """Why no payjoin can be offered for this amount; None: it can, but for the directory.

        What costs least is asked first. Raises `StoreUnavailable`.
        """
        if int(amount) < minimum:
            return NoPayjoin.BELOW_MINIMUM
        if not self.has_directory:
            return NoPayjoin.NO_DIRECTORY
        if not await asyncio.to_thread(self.free_coins):
            return NoPayjoin.NO_COIN
        answers = await asyncio.to_thread(self.signer_answers)
        if answers is None:
            return NoPayjoin.NO_SIGNER
        return None if answers else NoPayjoin.SIGNER_AWAY


def obstacle_of(error: Exception) -> NoPayjoin:
    """Why the directory could not be used; raises every other error."""
    if isinstance(error, ConfigurationError | UsageError):
        return NoPayjoin.NO_DIRECTORY
    if isinstance(error, TransportError):
        return NoPayjoin.DIRECTORY_AWAY
    if isinstance(error, InfrastructureError):
        return NoPayjoin.SIGNER_AWAY
    raise error
