"""The ending events, which both roles share: how a negotiation stops, and what the chain shows.

They are members of both unions, and each role's log reads as if they were its own.
"""

from typing import Annotated, TypeAlias

from msgspec import Meta

from dovetail.sessions.codec import SessionEvent
from dovetail.sessions.outcomes import Outcome

Count: TypeAlias = Annotated[int, Meta(ge=0, le=2_100_000_000_000_000)]
"""An amount in satoshis, an index, a number of seconds, of blocks or of confirmations."""
TxidText: TypeAlias = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
"""A transaction id in display hex."""


class Cancelled(SessionEvent, frozen=True, kw_only=True):
    """The user stopped the payjoin, not the payment."""


class Expired(SessionEvent, frozen=True, kw_only=True):
    """The expiration passed before the negotiation ended."""


class FallbackRequested(SessionEvent, frozen=True, kw_only=True):
    """The user, or their policy, decided on the fallback; saved before it is broadcast (M4)."""


class ObservedSpend(SessionEvent, frozen=True, kw_only=True):
    """A transaction was seen to spend a contested outpoint."""

    txid: TxidText


class Released(SessionEvent, frozen=True, kw_only=True):
    """The user declined to broadcast the fallback; the other party can still take the payment."""


class CoinsMissed(SessionEvent, frozen=True, kw_only=True):
    """A coin of the payment no longer exists, neither in the mempool nor in a block.

    `height` is that of the chain source's best block.
    """

    height: Count


class CoinsFound(SessionEvent, frozen=True, kw_only=True):
    """All coins of the payment exist again; `height` as in `CoinsMissed`."""

    height: Count


class Closed(SessionEvent, frozen=True, kw_only=True):
    """The session is over; `outcome` is what the chain shows."""

    outcome: Outcome


EndingEvent: TypeAlias = (
    Cancelled
    | Expired
    | FallbackRequested
    | ObservedSpend
    | Released
    | CoinsMissed
    | CoinsFound
    | Closed
)
"""A member of both roles' unions."""
