"""Columns of a session's row from its first event, to find it and to keep it unique."""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, TypeAlias

from dovetail.errors import ReplayError, StaleSession
from dovetail.protocol.uri import PayjoinUri, V1Endpoint, V2Endpoint, normalised_url
from dovetail.sessions import outcomes
from dovetail.sessions.reasons import Reason
from dovetail.sessions.receiver.events import Created as ReceiverCreated
from dovetail.sessions.receiver.events import ReceiverEvent
from dovetail.sessions.sender.events import Closed as SenderClosed
from dovetail.sessions.sender.events import Created as SenderCreated
from dovetail.sessions.sender.events import CreatedPlain, SenderEvent, decode_event
from dovetail.sessions.sender.terms import Terms as SenderTerms


class Role(StrEnum):
    """Which side of a payjoin a session is."""

    SENDER = "sender"
    RECEIVER = "receiver"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ReceiverIndex:
    """A receiver's columns. Its address is not unique, because it may be reused."""

    role: ClassVar[Role] = Role.RECEIVER

    address: str
    expires_at: int
    label: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class SenderIndex:
    """A sender's columns; its receiver key, or address and URL, identify the URI it pays."""

    role: ClassVar[Role] = Role.SENDER

    address: str
    expires_at: int
    pj_uri: str
    receiver_pubkey: bytes | None = None
    label: str | None = None


SessionIndex: TypeAlias = ReceiverIndex | SenderIndex


def index_of(event: ReceiverEvent | SenderEvent) -> SessionIndex:
    """Return the columns for a first event; raises `StaleSession` for any other event."""
    match event:
        case ReceiverCreated():
            return ReceiverIndex(
                address=event.address, expires_at=event.expires_at, label=event.label
            )
        case SenderCreated():
            return payment_index(PayjoinUri.parse(event.uri), event.expires_at)
        case CreatedPlain():
            return _plain_index(SenderTerms(event))
        case _:
            raise StaleSession("A log begins with its Created event: reload the session.")


def payment_index(uri: PayjoinUri, expires_at: int = 0) -> SenderIndex:
    """Return the columns of a sender that pays `uri`.

    The endpoint is normalised, so that another spelling gives the same columns.
    """
    pj_uri, key = _identity(uri.endpoint)
    return SenderIndex(
        address=str(uri.address),
        expires_at=expires_at,
        pj_uri=pj_uri,
        receiver_pubkey=key,
        label=uri.label,
    )


def _identity(endpoint: V1Endpoint | V2Endpoint) -> tuple[str, bytes | None]:
    if isinstance(endpoint, V2Endpoint):
        return endpoint.serialize(), endpoint.receiver_key.compressed
    return normalised_url(endpoint.url), None


def _plain_index(terms: SenderTerms) -> SenderIndex:
    """Return the columns of an ordinary payment, whose transaction identifies it."""
    return SenderIndex(
        address=str(terms.address),
        expires_at=terms.expires_at,
        pj_uri=f"plain:{terms.fallback_transaction.without_signatures().txid}",
        label=terms.request.label,
    )


_UNPAID = (outcomes.Cancelled, outcomes.Revoked)


def may_have_paid(entry: bytes) -> bool:
    """Whether a sender's log that ends with `entry` may have made the payment.

    True also if the entry cannot be read, or an unrecognized transaction ended it.
    """
    try:
        event = decode_event(entry)
    except ReplayError:
        return True
    if not isinstance(event, SenderClosed):
        return True
    gone = getattr(event.outcome, "why", None) is Reason.COINS_GONE  # they may come back (M4)
    return gone or not isinstance(event.outcome, _UNPAID)
