"""The sender's events: past-tense facts, stored compactly (BIP 77, BIP 78).

Amounts in satoshis, fee rates in satoshis per 1000 weight units, times in Unix seconds. The
policy for changes stands at the head of `dovetail.sessions.codec`.
"""

from typing import Annotated, TypeAlias

from msgspec import Meta

from dovetail.sessions.codec import EventCodec, SessionEvent
from dovetail.sessions.outcomes import Outcome
from dovetail.sessions.reasons import Reason

Count: TypeAlias = Annotated[int, Meta(ge=0)]


class Created(SessionEvent, frozen=True, kw_only=True):
    """A payment was decided: whom, how much, and the fallback that pays them if need be."""

    uri: str
    original: bytes
    min_fee_rate: Count
    fee_contribution: tuple[int, int] | None = None
    """The highest amount, and the index of the output that pays it."""
    output_substitution: bool = True
    reply_key: bytes | None = None
    created_at: Count
    expires_at: Count
    signing_deadline: Count | None = None
    depth: Annotated[int, Meta(ge=1)] = 1
    again: bool = False
    """Whether its address may have been paid before: what it got is no reason not to pay it."""
    height: Count | None = None
    """The best block's height when the coins were known to be there; None: nobody looked."""


class CreatedPlain(SessionEvent, frozen=True, kw_only=True):
    """An ordinary payment was decided, without a payjoin: what is left is to make it."""

    uri: str
    """A Bitcoin URI with the address, and what else of the request is worth keeping."""
    original: bytes
    created_at: Count
    depth: Annotated[int, Meta(ge=1)] = 1
    height: Count | None = None
    """As in `Created`."""


class StartedPosting(SessionEvent, frozen=True, kw_only=True):
    """The Original PSBT may leave from here on; it cannot be called back."""


class PostedOriginalPsbt(SessionEvent, frozen=True, kw_only=True):
    """The directory holds the Original PSBT for the receiver."""


class ReceivedProposal(SessionEvent, frozen=True, kw_only=True):
    """A Proposal PSBT passed the sender's checklist; `proposal` is what the wallet is to sign."""

    proposal: bytes


class SignedPayjoin(SessionEvent, frozen=True, kw_only=True):
    """The wallet signed; `transaction` is the payjoin, ready to broadcast."""

    transaction: bytes
    at: Count | None = None
    """From when it is broadcast; None in logs that are older than this."""


class BroadcastPayjoin(SessionEvent, frozen=True, kw_only=True):
    """The network took the payjoin, or knew it already."""


class PayjoinDropped(SessionEvent, frozen=True, kw_only=True):
    """The payjoin left the mempool or the chain and has to be broadcast again."""

    at: Count | None = None


class FallbackRequested(SessionEvent, frozen=True, kw_only=True):
    """The fallback is to be made: durable before it leaves, so that it is not asked for twice."""

    decided: bool = False
    """By the user, or by their policy; else what had spent the coins is gone: it is owed again."""


class FallbackBumped(SessionEvent, frozen=True, kw_only=True):
    """The user raised the fallback's fee: `original` pays the same, from the same coins.

    It was asked for by that, and is durable before it leaves.
    """

    original: bytes


class Cancelled(SessionEvent, frozen=True, kw_only=True):
    """The user stopped the payjoin; the payment is still owed."""


class Expired(SessionEvent, frozen=True, kw_only=True):
    """The Payjoin URI expired before a proposal came."""


class SigningDeadlinePassed(SessionEvent, frozen=True, kw_only=True):
    """The wallet did not sign in the time the user gave it."""


class ProtocolFailed(SessionEvent, frozen=True, kw_only=True):
    """The negotiation ended without a payjoin; `rule` names the rule a proposal broke."""

    reason: Reason
    rule: str | None = None


class BroadcastFallback(SessionEvent, frozen=True, kw_only=True):
    """The network took the fallback transaction, or knew it already."""


class ObservedSpend(SessionEvent, frozen=True, kw_only=True):
    """Transaction `txid` (display hex) was seen to spend a contested outpoint."""

    txid: str


class Released(SessionEvent, frozen=True, kw_only=True):
    """The user declined to broadcast the fallback; the receiver can still take the payment."""


class CoinsMissed(SessionEvent, frozen=True, kw_only=True):
    """A coin of the payment exists no more, neither in the mempool nor in a block.

    `height` is that of the chain source's best block.
    """

    height: Count


class CoinsFound(SessionEvent, frozen=True, kw_only=True):
    """All coins of the payment are there again; `height` as in `CoinsMissed`."""

    height: Count


class Closed(SessionEvent, frozen=True, kw_only=True):
    """The session is over; `outcome` is what the chain shows."""

    outcome: Outcome


SenderEvent: TypeAlias = (
    Created
    | CreatedPlain
    | StartedPosting
    | PostedOriginalPsbt
    | ReceivedProposal
    | SignedPayjoin
    | BroadcastPayjoin
    | PayjoinDropped
    | FallbackRequested
    | FallbackBumped
    | Cancelled
    | Expired
    | SigningDeadlinePassed
    | ProtocolFailed
    | BroadcastFallback
    | ObservedSpend
    | Released
    | CoinsMissed
    | CoinsFound
    | Closed
)

CODEC: EventCodec[SenderEvent] = EventCodec(SenderEvent)


def encode_event(event: SenderEvent) -> bytes:
    """One JSON object, for a store to keep."""
    return CODEC.encode(event)


def decode_event(entry: bytes) -> SenderEvent:
    """The event of one entry; raises `ReplayError` with the cause."""
    return CODEC.decode(entry)
