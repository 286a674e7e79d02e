"""The sender's events: past-tense facts, stored compactly (BIP 77, BIP 78).

Amounts in satoshis, fee rates in satoshis per 1000 weight units, times in Unix seconds. The
policy for changes stands at the head of `dovetail.sessions.codec`.
"""

from typing import Annotated, Any, TypeAlias

from msgspec import Meta

from dovetail.sessions.codec import EventCodec, SessionEvent
from dovetail.sessions.ending_events import (
    Cancelled,
    Closed,
    CoinsFound,
    CoinsMissed,
    Expired,
    FallbackRequested,
    ObservedSpend,
    Released,
)
from dovetail.sessions.reasons import Reason

__all__ = [
    "CODEC",
    "BroadcastFallback",
    "BroadcastPayjoin",
    "Cancelled",
    "Closed",
    "CoinsFound",
    "CoinsMissed",
    "Count",
    "Created",
    "CreatedPlain",
    "Expired",
    "FallbackBumped",
    "FallbackRequested",
    "ObservedSpend",
    "PayjoinDropped",
    "PostedOriginalPsbt",
    "ProtocolFailed",
    "ReceivedProposal",
    "Released",
    "SenderEvent",
    "SignedPayjoin",
    "SigningDeadlinePassed",
    "SpendDropped",
    "StartedPosting",
    "decode_event",
    "encode_event",
]

Count: TypeAlias = Annotated[int, Meta(ge=0)]


class Created(SessionEvent, frozen=True, kw_only=True):
    """A payment was decided: the payee, the amount, and the fallback that pays if need be."""

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
    """Whether the address may have been paid before, which is no reason not to pay it."""
    height: Count | None = None
    """The best block's height when the coins were known to exist; None: not checked."""


class CreatedPlain(SessionEvent, frozen=True, kw_only=True):
    """An ordinary payment was decided, without a payjoin; it remains to be made."""

    uri: str
    """A Bitcoin URI with the address, and the other parts of the request worth keeping."""
    original: bytes
    created_at: Count
    depth: Annotated[int, Meta(ge=1)] = 1
    height: Count | None = None
    """As in `Created`."""


class StartedPosting(SessionEvent, frozen=True, kw_only=True):
    """The Original PSBT may be sent from here on; it cannot be called back."""


class PostedOriginalPsbt(SessionEvent, frozen=True, kw_only=True):
    """The directory holds the Original PSBT for the receiver."""


class ReceivedProposal(SessionEvent, frozen=True, kw_only=True):
    """A Proposal PSBT passed the sender's checklist; the wallet is to sign `proposal`."""

    proposal: bytes


class SignedPayjoin(SessionEvent, frozen=True, kw_only=True):
    """The wallet signed; `transaction` is the payjoin, ready to broadcast."""

    transaction: bytes
    at: Count | None = None
    """From when it is broadcast; None in logs that are older than this field."""


class BroadcastPayjoin(SessionEvent, frozen=True, kw_only=True):
    """The network took the payjoin, or knew it already."""


class SpendDropped(SessionEvent, frozen=True, kw_only=True):
    """The spend of the coins left the mempool or the chain: the fallback is owed again.

    This is no decision: the user or policy that was to decide before the spend decides again.
    """


class PayjoinDropped(SessionEvent, frozen=True, kw_only=True):
    """The payjoin left the mempool or the chain and has to be broadcast again."""

    at: Count | None = None


class FallbackBumped(SessionEvent, frozen=True, kw_only=True):
    """The user raised the fallback's fee: `original` pays the same, from the same coins.

    This also requests it, and is saved before it is broadcast.
    """

    original: bytes


class SigningDeadlinePassed(SessionEvent, frozen=True, kw_only=True):
    """The wallet did not sign in the time the user gave it."""


class ProtocolFailed(SessionEvent, frozen=True, kw_only=True):
    """The negotiation ended without a payjoin; `rule` names the rule a proposal broke."""

    reason: Reason
    rule: str | None = None


class BroadcastFallback(SessionEvent, frozen=True, kw_only=True):
    """The network took the fallback transaction, or knew it already."""


SenderEvent: TypeAlias = (
    Created
    | CreatedPlain
    | StartedPosting
    | PostedOriginalPsbt
    | ReceivedProposal
    | SignedPayjoin
    | BroadcastPayjoin
    | PayjoinDropped
    | SpendDropped
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


def _tell_dropped_from_requested(fields: dict[str, Any]) -> dict[str, Any]:
    """Version 1 to 2: a `FallbackRequested` without a decision was a `SpendDropped`."""
    if fields.get("event") != "FallbackRequested":
        return fields
    decided = fields.pop("decided", False)
    if type(decided) is not bool:
        raise TypeError
    return fields if decided else fields | {"event": "SpendDropped"}


CODEC: EventCodec[SenderEvent] = EventCodec(
    SenderEvent, version=2, upcasters={1: _tell_dropped_from_requested}
)


def encode_event(event: SenderEvent) -> bytes:
    """The event as one JSON object, for a store to keep."""
    return CODEC.encode(event)


def decode_event(entry: bytes) -> SenderEvent:
    """The event of one entry; raises `ReplayError` with the cause."""
    return CODEC.decode(entry)
