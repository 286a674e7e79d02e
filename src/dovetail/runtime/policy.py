"""The user's standing decisions, which hold for every session."""

from dataclasses import dataclass
from enum import StrEnum

from dovetail.bitcoin import FeeRate


class AtExpiry(StrEnum):
    """The fate of an owed fallback when no payjoin was made."""

    BROADCAST = "broadcast"
    """The fallback is broadcast, which makes the payment."""
    ASK = "ask"
    """The session waits for the user's decision."""


_HIGH = FeeRate.from_sat_per_vb(50)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The user's standing decisions; times are in seconds.

    `depth` confirmations make a payment final; a receiver's fallback waits `grace` seconds
    beyond the expiration while a proposal may be out, and a receiver without an Original watches
    its address as long. The receiver refuses an Original below
    `min_fee_rate` and pays at most `max_fee_rate` for what it adds itself. `watch_interval`
    and `poll_pause` are seconds between two checks of the chain and between two polls; after a
    failure it is `first_retry`, then twice that, up to `longest_retry`. An event that another
    process appends is noticed within `log_interval`. A sender that sees its coins spent asks its
    mailbox for `last_word` seconds why. A receiver whose wallet or chain failed `tries` times in
    a row tells the sender, who would wait in vain. If the chain source has not said within
    `broadcast_patience` seconds whether the network takes the payjoin, the fallback is made.
    """

    depth: int = 1
    grace: int = 600
    at_expiry: AtExpiry = AtExpiry.BROADCAST
    min_fee_rate: FeeRate = FeeRate.BROADCAST_MIN
    max_fee_rate: FeeRate = _HIGH
    fee_target: int = 6
    watch_interval: float = 15.0
    poll_pause: float = 1.0
    log_interval: float = 0.5
    last_word: float = 5.0
    first_retry: float = 1.0
    longest_retry: float = 60.0
    tries: int = 6
    broadcast_patience: int = 600
    unconfirmed_inputs: bool = False
    """Whether a receiver takes a payment that spends coins that are not confirmed yet.

    Their maker can replace them, which makes the payment invalid.
    """
