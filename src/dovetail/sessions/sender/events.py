"""What can happen to a sender's session (BIP 77, BIP 78): past-tense facts, compact and final."""

from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta

from dovetail.sessions.outcomes import Outcome
from dovetail.sessions.reasons import Reason

Count: TypeAlias = Annotated[int, Meta(ge=0)]


class _Event(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag=True,
    tag_field="event",
):
    def __repr__(self) -> str:
        return f"<sender event {type(self).__name__}>"


class Created(_Event):
    """A payment was decided: whom, how much, and the fallback that pays them if need be."""

    uri: str
    original: bytes
    min_fee_rate: Count
    max_fee_contribution: Count | None = None
    fee_output: Count | None = None
    output_substitution: bool = True
    reply_key: bytes | None = None
    created_at: Count
    expires_at: Count
    signing_deadline: Count | None = None
    depth: Annotated[int, Meta(ge=1)] = 1


class StartedPosting(_Event):
    """The Original PSBT may leave from here on; it cannot be called back."""


class PostedOriginalPsbt(_Event):
    """The directory holds the Original PSBT for the receiver."""


class ReceivedProposal(_Event):
    """A Proposal PSBT passed the sender's checklist; `proposal` is what the wallet is to sign."""

    proposal: bytes


class SignedPayjoin(_Event):
    """The wallet signed; `transaction` is the payjoin, ready to broadcast."""

    transaction: bytes


class BroadcastPayjoin(_Event):
    """The network took the payjoin, or knew it already."""


class PayjoinDropped(_Event):
    """The payjoin left the mempool or the chain and has to be broadcast again."""


class FallbackRequested(_Event):
    """The user asked for the fallback although a payment is, or may be, under way."""


class Cancelled(_Event):
    """The user stopped the payjoin; the payment is still owed."""


class Expired(_Event):
    """The Payjoin URI expired before a proposal came."""


class SigningDeadlinePassed(_Event):
    """The wallet did not sign in the time the user gave it."""


class ProtocolFailed(_Event):
    """The negotiation ended without a payjoin; `rule` names the rule a proposal broke."""

    reason: Reason
    rule: str | None = None


class BroadcastFallback(_Event):
    """The network took the fallback transaction, or knew it already."""


class ObservedSpend(_Event):
    """Transaction `txid` (display hex) was seen to spend a contested outpoint."""

    txid: str


class Released(_Event):
    """The user declined to broadcast the fallback; the receiver can still take the payment."""


class Closed(_Event):
    """The session is over; `outcome` is what the chain shows."""

    outcome: Outcome


SenderEvent: TypeAlias = (
    Created
    | StartedPosting
    | PostedOriginalPsbt
    | ReceivedProposal
    | SignedPayjoin
    | BroadcastPayjoin
    | PayjoinDropped
    | FallbackRequested
    | Cancelled
    | Expired
    | SigningDeadlinePassed
    | ProtocolFailed
    | BroadcastFallback
    | ObservedSpend
    | Released
    | Closed
)
