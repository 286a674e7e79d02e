"""The sender's machine: which event leads from which state to which, as one table.

The sender signs an ordinary payment first, the Original PSBT, and offers it to the receiver. From
`StartedPosting` on the receiver may broadcast it, so it is a fallback that cannot be called back.
Every end of the negotiation leads to `PendingFallback`, where the payment is still owed. A signed
payjoin leads to `PendingBroadcast` instead. Payjoin and fallback spend the same coins, so the
chain takes one of them at most (M4). `Monitor` watches those coins until one spend is deep enough,
and goes back where a transaction falls out. A session closes only on what the chain shows, or
where nothing ever left and the user declines (M3).

A row names an event, the states that take it, the method that applies it, and the states that
follow. Moves decide an event and call the same method, so that life and replay cannot differ (M2).
An event that has no row for a state cannot happen there.
"""

# ruff: noqa: SLF001 - the table is the one caller of the states' private `_on_<event>` methods
# pyright: reportPrivateUsage=false

from collections.abc import Iterable

from dovetail.sessions import replay as replaying
from dovetail.sessions.sender import events as on
from dovetail.sessions.sender.creation import on_created, on_created_plain
from dovetail.sessions.sender.early_ends import Stopping
from dovetail.sessions.sender.events import SenderEvent
from dovetail.sessions.sender.posting import Offered
from dovetail.sessions.sender.states import (
    Closed,
    Monitor,
    PendingBroadcast,
    PendingFallback,
    PollingForProposal,
    PostingOriginal,
    ProposalReceived,
    SenderSession,
    WithReplyKey,
)
from dovetail.sessions.table import Edge, Row, cannot_follow, edges_of, first, moves_of, row

_UNANSWERED = (WithReplyKey, PostingOriginal, PollingForProposal)

TABLE: tuple[Row, ...] = (
    first(on.Created, on_created, WithReplyKey),
    first(on.CreatedPlain, on_created_plain, PendingFallback),
    row(WithReplyKey, on.StartedPosting, WithReplyKey._on_started_posting, PostingOriginal),
    row(
        PostingOriginal,
        on.PostedOriginalPsbt,
        PostingOriginal._on_posted_original_psbt,
        PollingForProposal,
    ),
    row(
        (PostingOriginal, PollingForProposal),
        on.ReceivedProposal,
        Offered._on_received_proposal,
        ProposalReceived,
    ),
    row(_UNANSWERED, on.Cancelled, Stopping._on_cancelled, PendingFallback),
    row(_UNANSWERED, on.FallbackRequested, Stopping._on_fallback_requested, PendingFallback),
    row(_UNANSWERED, on.ProtocolFailed, Stopping._on_protocol_failed, PendingFallback),
    row(_UNANSWERED, on.Expired, Stopping._on_expired, PendingFallback),
    row(ProposalReceived, on.SignedPayjoin, ProposalReceived._on_signed_payjoin, PendingBroadcast),
    row(ProposalReceived, on.Cancelled, ProposalReceived._on_cancelled, PendingFallback),
    row(
        ProposalReceived,
        on.FallbackRequested,
        ProposalReceived._on_fallback_requested,
        PendingFallback,
    ),
    row(ProposalReceived, on.ProtocolFailed, ProposalReceived._on_protocol_failed, PendingFallback),
    row(
        ProposalReceived,
        on.SigningDeadlinePassed,
        ProposalReceived._on_signing_deadline_passed,
        PendingFallback,
    ),
    row(PendingBroadcast, on.BroadcastPayjoin, PendingBroadcast._on_broadcast_payjoin, Monitor),
    row(PendingBroadcast, on.ProtocolFailed, PendingBroadcast._on_protocol_failed, PendingFallback),
    row(
        PendingBroadcast,
        on.FallbackRequested,
        PendingBroadcast._on_fallback_requested,
        PendingFallback,
    ),
    row(PendingFallback, on.BroadcastFallback, PendingFallback._on_broadcast_fallback, Monitor),
    row(PendingFallback, on.ObservedSpend, PendingFallback._on_observed_spend, Monitor),
    row(PendingFallback, on.Released, PendingFallback._on_released, Monitor),
    row(
        PendingFallback,
        on.FallbackRequested,
        PendingFallback._on_fallback_requested,
        PendingFallback,
    ),
    row(PendingFallback, on.FallbackBumped, PendingFallback._on_fallback_bumped, PendingFallback),
    row(PendingFallback, on.CoinsMissed, PendingFallback._on_coins_missed, PendingFallback),
    row(PendingFallback, on.CoinsFound, PendingFallback._on_coins_found, PendingFallback),
    row(PendingFallback, on.Closed, PendingFallback._on_closed, Closed),
    row(Monitor, on.PayjoinDropped, Monitor._on_payjoin_dropped, PendingBroadcast),
    row(Monitor, on.SpendDropped, Monitor._on_spend_dropped, PendingFallback),
    row(Monitor, on.FallbackRequested, Monitor._on_fallback_requested, PendingFallback),
    row(Monitor, on.FallbackBumped, Monitor._on_fallback_bumped, PendingFallback),
    row(Monitor, on.CoinsMissed, Monitor._on_coins_missed, Monitor),
    row(Monitor, on.CoinsFound, Monitor._on_coins_found, Monitor),
    row(Monitor, on.Closed, Monitor._on_closed, Closed),
)
"""Every event that a state takes, by which method, and where it leads."""

TRANSITIONS: tuple[Edge, ...] = edges_of(TABLE)
"""The table as (state, event, next state); None is the state before the first event."""

_MOVES = moves_of(TABLE)


def apply(session: SenderSession | None, event: SenderEvent) -> SenderSession:
    """The next state; None is the state before the first event.

    Raises `InvalidEvent` where the event does not belong to the state, and what its payload
    raises if it is not valid.
    """
    move = _MOVES.get((type(session), type(event)))
    if move is None:
        raise cannot_follow(session, event)
    successor: SenderSession = move(session, event)
    return successor


def replay(events: Iterable[SenderEvent]) -> SenderSession:
    """The state that a log leads to; see `dovetail.sessions.replay`, which both roles share.

    Raises `ReplayError` naming the event by its number from 0, and the cause. Secrets and PSBTs
    are parsed again, as the log is not trusted (M2).
    """
    return replaying.replay(events, apply)
