"""The sender's protocol on one screen (BIP 77): which event leads from which state to which."""

# ruff: noqa: SLF001 - `apply` is the one caller of the states' private `_on_<event>` methods
# pyright: reportPrivateUsage=false

from collections.abc import Iterable
from typing import TypeAlias

from dovetail.errors import DovetailError, InvalidEvent, ReplayError
from dovetail.sessions.sender import events as on
from dovetail.sessions.sender.closing import Closed
from dovetail.sessions.sender.creation import on_created, on_created_plain
from dovetail.sessions.sender.events import SenderEvent
from dovetail.sessions.sender.posting import PollingForProposal, PostingOriginal, WithReplyKey
from dovetail.sessions.sender.settling import (
    Monitor,
    PendingBroadcast,
    PendingFallback,
)
from dovetail.sessions.sender.signing import ProposalReceived
from dovetail.sessions.sender.states import SenderSession

Edge: TypeAlias = tuple[type[SenderSession] | None, type[SenderEvent], type[SenderSession]]

TRANSITIONS: tuple[Edge, ...] = (
    (None, on.Created, WithReplyKey),
    (None, on.CreatedPlain, PendingFallback),
    (WithReplyKey, on.StartedPosting, PostingOriginal),
    (WithReplyKey, on.Cancelled, PendingFallback),
    (WithReplyKey, on.FallbackRequested, PendingFallback),
    (WithReplyKey, on.ProtocolFailed, PendingFallback),
    (WithReplyKey, on.Expired, PendingFallback),
    (PostingOriginal, on.PostedOriginalPsbt, PollingForProposal),
    (PostingOriginal, on.ReceivedProposal, ProposalReceived),
    (PostingOriginal, on.Cancelled, PendingFallback),
    (PostingOriginal, on.FallbackRequested, PendingFallback),
    (PostingOriginal, on.ProtocolFailed, PendingFallback),
    (PostingOriginal, on.Expired, PendingFallback),
    (PollingForProposal, on.ReceivedProposal, ProposalReceived),
    (PollingForProposal, on.Cancelled, PendingFallback),
    (PollingForProposal, on.FallbackRequested, PendingFallback),
    (PollingForProposal, on.ProtocolFailed, PendingFallback),
    (PollingForProposal, on.Expired, PendingFallback),
    (ProposalReceived, on.SignedPayjoin, PendingBroadcast),
    (ProposalReceived, on.Cancelled, PendingFallback),
    (ProposalReceived, on.FallbackRequested, PendingFallback),
    (ProposalReceived, on.ProtocolFailed, PendingFallback),
    (ProposalReceived, on.SigningDeadlinePassed, PendingFallback),
    (PendingBroadcast, on.BroadcastPayjoin, Monitor),
    (PendingBroadcast, on.ProtocolFailed, PendingFallback),
    (PendingBroadcast, on.FallbackRequested, PendingFallback),
    (PendingFallback, on.BroadcastFallback, Monitor),
    (PendingFallback, on.ObservedSpend, Monitor),
    (PendingFallback, on.Released, Monitor),
    (PendingFallback, on.FallbackRequested, PendingFallback),
    (PendingFallback, on.FallbackBumped, PendingFallback),
    (PendingFallback, on.CoinsMissed, PendingFallback),
    (PendingFallback, on.CoinsFound, PendingFallback),
    (PendingFallback, on.Closed, Closed),
    (Monitor, on.PayjoinDropped, PendingBroadcast),
    (Monitor, on.FallbackRequested, PendingFallback),
    (Monitor, on.FallbackBumped, PendingFallback),
    (Monitor, on.CoinsMissed, Monitor),
    (Monitor, on.CoinsFound, Monitor),
    (Monitor, on.Closed, Closed),
)
"""Every legal (state, event, state); None is the state before the first event."""


def apply(  # noqa: C901, PLR0912, PLR0915 - the whole protocol in one place, to be read at once
    session: SenderSession, event: SenderEvent
) -> SenderSession:
    """The state that `event` leads to; raises `InvalidEvent` or `ParseError`."""
    match session:
        case WithReplyKey():
            match event:
                case on.StartedPosting():
                    return session._on_started_posting(event)
                case on.Cancelled():
                    return session._on_cancelled(event)
                case on.FallbackRequested():
                    return session._on_fallback_requested(event)
                case on.ProtocolFailed():
                    return session._on_protocol_failed(event)
                case on.Expired():
                    return session._on_expired(event)
                case _:
                    pass
        case PostingOriginal():
            match event:
                case on.PostedOriginalPsbt():
                    return session._on_posted_original_psbt(event)
                case on.ReceivedProposal():
                    return session._on_received_proposal(event)
                case on.Cancelled():
                    return session._on_cancelled(event)
                case on.FallbackRequested():
                    return session._on_fallback_requested(event)
                case on.ProtocolFailed():
                    return session._on_protocol_failed(event)
                case on.Expired():
                    return session._on_expired(event)
                case _:
                    pass
        case PollingForProposal():
            match event:
                case on.ReceivedProposal():
                    return session._on_received_proposal(event)
                case on.Cancelled():
                    return session._on_cancelled(event)
                case on.FallbackRequested():
                    return session._on_fallback_requested(event)
                case on.ProtocolFailed():
                    return session._on_protocol_failed(event)
                case on.Expired():
                    return session._on_expired(event)
                case _:
                    pass
        case ProposalReceived():
            match event:
                case on.SignedPayjoin():
                    return session._on_signed_payjoin(event)
                case on.Cancelled():
                    return session._on_cancelled(event)
                case on.FallbackRequested():
                    return session._on_fallback_requested(event)
                case on.ProtocolFailed():
                    return session._on_protocol_failed(event)
                case on.SigningDeadlinePassed():
                    return session._on_signing_deadline_passed(event)
                case _:
                    pass
        case PendingBroadcast():
            match event:
                case on.BroadcastPayjoin():
                    return session._on_broadcast_payjoin(event)
                case on.FallbackRequested():
                    return session._on_fallback_requested(event)
                case on.ProtocolFailed():
                    return session._on_protocol_failed(event)
                case _:
                    pass
        case PendingFallback():
            match event:
                case on.BroadcastFallback():
                    return session._on_broadcast_fallback(event)
                case on.ObservedSpend():
                    return session._on_observed_spend(event)
                case on.Released():
                    return session._on_released(event)
                case on.FallbackRequested():
                    return session._on_fallback_requested(event)
                case on.FallbackBumped():
                    return session._on_fallback_bumped(event)
                case on.CoinsMissed():
                    return session._on_coins_missed(event)
                case on.CoinsFound():
                    return session._on_coins_found(event)
                case on.Closed():
                    return session._on_closed(event)
                case _:
                    pass
        case Monitor():
            match event:
                case on.PayjoinDropped():
                    return session._on_payjoin_dropped(event)
                case on.FallbackRequested():
                    return session._on_fallback_requested(event)
                case on.FallbackBumped():
                    return session._on_fallback_bumped(event)
                case on.CoinsMissed():
                    return session._on_coins_missed(event)
                case on.CoinsFound():
                    return session._on_coins_found(event)
                case on.Closed():
                    return session._on_closed(event)
                case _:
                    pass
        case _:
            pass
    raise InvalidEvent(
        f"{type(event).__name__} cannot happen in {type(session).__name__}; reload the session."
    )


def replay(events: Iterable[SenderEvent]) -> SenderSession:
    """The state after `events`; raises `ReplayError`, naming the event, where they are no log.

    Nothing is written, and an expired session replays as any other. Secrets and PSBTs are
    parsed again: the log is not trusted (M2).
    """
    session: SenderSession | None = None
    for seq, event in enumerate(events):
        try:
            session = _first(event) if session is None else apply(session, event)
        except DovetailError as error:
            raise ReplayError(
                f"Event {seq} ({type(event).__name__}) does not fit the log: {error}", seq=seq
            ) from error
    if session is None:
        raise ReplayError("The log is empty; the session was never created.")
    return session


def _first(event: SenderEvent) -> SenderSession:
    match event:
        case on.Created():
            return on_created(event)
        case on.CreatedPlain():
            return on_created_plain(event)
        case _:
            raise InvalidEvent("A log begins with Created; restore it from a backup.")
