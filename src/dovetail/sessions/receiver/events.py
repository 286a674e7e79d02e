"""The receiver's events: past-tense facts, stored compactly (BIP 77, BIP 78).

Decisions, not documents: indices, amounts and scripts as they were decided. Only the Original
PSBT and the final Proposal PSBT are stored whole. Amounts in satoshis, fee rates in satoshis per
1000 weight units, times in Unix seconds, outpoints as `txid:vout`, keys and scripts as bytes.
The policy for changes stands at the head of `dovetail.sessions.codec`.
"""

from enum import StrEnum
from typing import Annotated, TypeAlias
from zlib import crc32

import msgspec
from msgspec import Meta

from dovetail.errors import InvalidEvent
from dovetail.protocol.error_replies import ErrorCode
from dovetail.sessions.codec import EventCodec, SessionEvent
from dovetail.sessions.ending_events import (
    Cancelled,
    Closed,
    CoinsFound,
    CoinsMissed,
    Count,
    Expired,
    FallbackRequested,
    ObservedSpend,
    Released,
    TxidText,
)
from dovetail.sessions.reasons import Reason

__all__ = [
    "CODEC",
    "AppliedFeeRange",
    "BroadcastFallback",
    "Cancelled",
    "Channel",
    "CheckedBroadcastSuitability",
    "CheckedInputsNotOwned",
    "CheckedNoInputsSeenBefore",
    "Closed",
    "CoinsFound",
    "CoinsMissed",
    "CommittedCoin",
    "CommittedInputs",
    "CommittedOutputs",
    "Count",
    "Created",
    "Expired",
    "FallbackDue",
    "FallbackRequested",
    "FinalizedProposal",
    "GotReplyableError",
    "IdentifiedReceiverOutputs",
    "Mailbox",
    "ObservedPayment",
    "ObservedSpend",
    "OutPointText",
    "PostedPayjoinProposal",
    "ProtocolFailed",
    "ReceiverEvent",
    "Released",
    "Reopened",
    "RepliedWithError",
    "ReplyFailed",
    "RetrievedOriginalPayload",
    "TxidText",
    "Web",
    "checksum_of",
    "decode_event",
    "encode_event",
    "require_checksum",
]

OutPointText: TypeAlias = Annotated[str, Meta(pattern="^[0-9a-f]{64}:[0-9]{1,10}$")]


class Channel(StrEnum):
    """How the sender is answered."""

    MAILBOX = "mailbox"
    """BIP 77: a Message B in the mailbox of the reply key."""
    V1_DIRECTORY = "v1-directory"
    """BIP 78 through the directory: plaintext, by PUT to the receiver's own mailbox."""
    V1_HTTP = "v1-http"
    """BIP 78 over HTTP: the body of the HTTP response."""


class Mailbox(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="mailbox"):
    """A v2 endpoint: the directory's origin, its OHTTP key configuration, the receiver key."""

    directory: str
    ohttp_keys: bytes
    secret_key: bytes

    def __repr__(self) -> str:
        return "<Mailbox>"


class Web(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="web"):
    """A v1 endpoint: the receiver's own HTTP server."""

    url: str

    def __repr__(self) -> str:
        return "<Web>"


class CommittedCoin(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False
):
    """One of our coins, its place among the inputs and its PSBT input map."""

    outpoint: OutPointText
    position: Count
    value: Count
    script: bytes
    exposed: bool
    fields: tuple[tuple[bytes, bytes], ...]

    def __repr__(self) -> str:
        return "<CommittedCoin>"


class Created(SessionEvent, frozen=True, kw_only=True):
    """The terms of the session; only after this is durable may anyone see the URI."""

    address: str
    checksum: int
    """The CRC-32 of the address."""
    expires_at: Count
    endpoint: Mailbox | Web
    amount: Count | None = None
    label: str | None = None
    message: str | None = None
    welcomes_v1: bool = False
    grace: Count = 600
    depth: Count = 1


class RetrievedOriginalPayload(SessionEvent, frozen=True, kw_only=True):
    """An Original PSBT, its parameters, and where the answer goes."""

    psbt: bytes
    checksum: int
    """The CRC-32 of the PSBT."""
    retrieved_at: Count
    version: int
    min_fee_rate: Annotated[int, Meta(ge=0)]
    fee_contribution: tuple[Count, Annotated[int, Meta(ge=0)]] | None = None
    """The highest amount, and the index of the output that pays it, as the sender names it."""
    output_substitution: bool = True
    channel: Channel = Channel.MAILBOX
    reply_key: bytes | None = None


class CheckedBroadcastSuitability(SessionEvent, frozen=True, kw_only=True):
    """The Original can be broadcast, or, if `interactive`, a person vouches for the sender."""

    interactive: bool = False
    height: Count | None = None
    """The best block's height when its inputs were known to exist; None: not recorded."""


class CheckedInputsNotOwned(SessionEvent, frozen=True, kw_only=True):
    """None of the sender's inputs is ours."""


class CheckedNoInputsSeenBefore(SessionEvent, frozen=True, kw_only=True):
    """None of the sender's inputs was seen in another session (P2)."""


class IdentifiedReceiverOutputs(SessionEvent, frozen=True, kw_only=True):
    """Which outputs of the Original are ours; from here on the fallback is owed."""

    receiver_outputs: tuple[Count, ...]


class CommittedOutputs(SessionEvent, frozen=True, kw_only=True):
    """The proposal's outputs as (value, script), and the index of ours that takes the rest."""

    outputs: tuple[tuple[Count, bytes], ...]
    drain: Count


class CommittedInputs(SessionEvent, frozen=True, kw_only=True):
    """Our coins by ascending position, and what the drain is worth once they are added."""

    coins: tuple[CommittedCoin, ...]
    drain_value: Count


class AppliedFeeRange(SessionEvent, frozen=True, kw_only=True):
    """The values of the outputs once the fee is paid."""

    values: tuple[Count, ...]


class FinalizedProposal(SessionEvent, frozen=True, kw_only=True):
    """The Proposal PSBT, whole; from here on it counts as in the sender's hands (M4)."""

    psbt: bytes
    checksum: int
    """The CRC-32 of the PSBT."""


class PostedPayjoinProposal(SessionEvent, frozen=True, kw_only=True):
    """The directory or the sender took the proposal."""


class GotReplyableError(SessionEvent, frozen=True, kw_only=True):
    """The negotiation ended with an error that the sender is to be told."""

    code: ErrorCode
    reason: Reason
    supported: tuple[int, ...] = ()
    reply_key: bytes | None = None
    """Where the answer goes, if the Original was refused before it was stored."""
    paid_by: TxidText | None = None
    """The transaction that paid the address directly, if that is why."""


class RepliedWithError(SessionEvent, frozen=True, kw_only=True):
    """The sender was sent the error."""


class ReplyFailed(SessionEvent, frozen=True, kw_only=True):
    """The error could not be sent."""


class Reopened(SessionEvent, frozen=True, kw_only=True):
    """The sender was told, or could not be, and the session takes another payment."""


class ProtocolFailed(SessionEvent, frozen=True, kw_only=True):
    """The negotiation cannot go on, and the sender cannot be told."""

    reason: Reason


class BroadcastFallback(SessionEvent, frozen=True, kw_only=True):
    """The network took the fallback."""

    txid: TxidText


class ObservedPayment(SessionEvent, frozen=True, kw_only=True):
    """Other transactions have paid the address in full: the fallback is no longer owed (M4)."""

    txids: tuple[TxidText, ...]
    received: Count


class FallbackDue(SessionEvent, frozen=True, kw_only=True):
    """The expiration and the grace passed without a spend of a contested outpoint."""


ReceiverEvent: TypeAlias = (
    Created
    | RetrievedOriginalPayload
    | CheckedBroadcastSuitability
    | CheckedInputsNotOwned
    | CheckedNoInputsSeenBefore
    | IdentifiedReceiverOutputs
    | CommittedOutputs
    | CommittedInputs
    | AppliedFeeRange
    | FinalizedProposal
    | PostedPayjoinProposal
    | GotReplyableError
    | RepliedWithError
    | ReplyFailed
    | Reopened
    | Cancelled
    | ProtocolFailed
    | Expired
    | BroadcastFallback
    | ObservedSpend
    | ObservedPayment
    | Released
    | FallbackDue
    | FallbackRequested
    | CoinsMissed
    | CoinsFound
    | Closed
)

CODEC: EventCodec[ReceiverEvent] = EventCodec(ReceiverEvent)


def checksum_of(payload: bytes) -> int:
    """A CRC-32: it detects damage at next to no cost, and is no protection against forgery."""
    return crc32(payload)


def require_checksum(payload: bytes, checksum: int) -> None:
    """Raise `InvalidEvent` unless the payload is as it was when it was checked and stored."""
    if checksum_of(payload) != checksum:
        raise InvalidEvent("Its payload was damaged; restore the log from a backup.")


def encode_event(event: ReceiverEvent) -> bytes:
    """The event as one JSON object, for a store to keep."""
    return CODEC.encode(event)


def decode_event(entry: bytes) -> ReceiverEvent:
    """The event of one entry; raises `ReplayError` with the cause."""
    return CODEC.decode(entry)
