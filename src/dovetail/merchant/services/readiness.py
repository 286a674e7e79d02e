"""Whether an invoice can offer a payjoin, and if not, why (P3: no coin is shown in vain)."""

import logging
from enum import StrEnum

logger = logging.getLogger(__name__)


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
    NoPayjoin.NO_SIGNER: "No signer is configured: set `signer`, and run `dovetail merchant"
    " signer`.",
    NoPayjoin.SIGNER_AWAY: "The signer does not answer, or holds another wallet: start it, or"
    " correct `signer`.",
    NoPayjoin.NO_DIRECTORY: "No directory or no relay is configured: set `directory` and `relays`.",
    NoPayjoin.DIRECTORY_AWAY: "The directory's keys cannot be had: see whether the directory and"
    " the relays answer.",
}
