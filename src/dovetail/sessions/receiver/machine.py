"""The receiver's machine: which event leads from which state to which, as one table.

A session waits for a sender's Original PSBT and checks it step by step. From
`CheckedBroadcastSuitability` on it holds the Original as a fallback, and from
`IdentifiedReceiverOutputs` on the fallback is owed: every early end leads to `PendingFallback`
(M3). An error for the sender goes by `HasReplyableError` first, which may also wait for another
sender. From `FinalizedProposal` on the proposal counts as in the sender's hands. Payjoin and
fallback spend the same coins, so the chain takes one of them at most (M4). `Monitor` watches those
coins until one spend is deep enough. A session that holds a fallback closes only on what the chain
shows, or where the user or the time ended it and nothing is on its way.

A row names an event, the states that take it, the method that applies it, and the states that
follow. Moves decide an event and call the same method, so that life and replay cannot differ (M2).
An event that has no row for a state cannot happen there.
"""

# ruff: noqa: SLF001 - the table is the one caller of the states' private `_on_<event>` methods
# pyright: reportPrivateUsage=false

from collections.abc import Iterable

from dovetail.sessions import replay as replaying
from dovetail.sessions.receiver import events as e
from dovetail.sessions.receiver import states as s
from dovetail.sessions.receiver.creation import on_created
from dovetail.sessions.receiver.early_ends import Refusing, Stopping
from dovetail.sessions.receiver.events import ReceiverEvent
from dovetail.sessions.receiver.initialized import on_reopened
from dovetail.sessions.receiver.states import ReceiverSession
from dovetail.sessions.table import Edge, Row, cannot_follow, edges_of, first, moves_of, row

_REFUSING = (
    s.MaybeInputsOwned,
    s.MaybeInputsSeen,
    s.OutputsUnknown,
    s.WantsOutputs,
    s.WantsInputs,
    s.WantsFeeRange,
    s.ProvisionalProposal,
)
_HOLDING: tuple[type[Stopping], ...] = (*_REFUSING, s.PayjoinProposal)

TABLE: tuple[Row, ...] = (
    first(e.Created, on_created, s.Initialized),
    row(
        s.Initialized,
        e.RetrievedOriginalPayload,
        s.Initialized._on_retrieved_original_payload,
        s.UncheckedOriginalPayload,
    ),
    row(
        s.Initialized,
        e.GotReplyableError,
        s.Initialized._on_got_replyable_error,
        s.HasReplyableError,
    ),
    row(s.Initialized, e.Closed, s.Initialized._on_closed, s.Closed),
    row(
        s.UncheckedOriginalPayload,
        e.CheckedBroadcastSuitability,
        s.UncheckedOriginalPayload._on_checked_broadcast_suitability,
        s.MaybeInputsOwned,
    ),
    row(
        s.UncheckedOriginalPayload,
        e.GotReplyableError,
        s.UncheckedOriginalPayload._on_got_replyable_error,
        s.HasReplyableError,
    ),
    row(s.UncheckedOriginalPayload, e.Closed, s.UncheckedOriginalPayload._on_closed, s.Closed),
    row(
        s.MaybeInputsOwned,
        e.CheckedInputsNotOwned,
        s.MaybeInputsOwned._on_checked_inputs_not_owned,
        s.MaybeInputsSeen,
    ),
    row(
        s.MaybeInputsSeen,
        e.CheckedNoInputsSeenBefore,
        s.MaybeInputsSeen._on_checked_no_inputs_seen_before,
        s.OutputsUnknown,
    ),
    row(
        s.OutputsUnknown,
        e.IdentifiedReceiverOutputs,
        s.OutputsUnknown._on_identified_receiver_outputs,
        s.WantsOutputs,
    ),
    row(s.WantsOutputs, e.CommittedOutputs, s.WantsOutputs._on_committed_outputs, s.WantsInputs),
    row(s.WantsInputs, e.CommittedInputs, s.WantsInputs._on_committed_inputs, s.WantsFeeRange),
    row(
        s.WantsFeeRange,
        e.AppliedFeeRange,
        s.WantsFeeRange._on_applied_fee_range,
        s.ProvisionalProposal,
    ),
    row(
        s.ProvisionalProposal,
        e.FinalizedProposal,
        s.ProvisionalProposal._on_finalized_proposal,
        s.PayjoinProposal,
    ),
    row(
        s.PayjoinProposal,
        e.PostedPayjoinProposal,
        s.PayjoinProposal._on_posted_payjoin_proposal,
        s.Monitor,
    ),
    row(_REFUSING, e.GotReplyableError, Refusing._on_got_replyable_error, s.HasReplyableError),
    row(_HOLDING, e.Cancelled, Stopping._on_cancelled, s.PendingFallback),
    row(_HOLDING, e.ProtocolFailed, Stopping._on_protocol_failed, s.PendingFallback),
    row(_HOLDING, e.Expired, Stopping._on_expired, s.PendingFallback),
    row(_HOLDING, e.FallbackRequested, Stopping._on_fallback_requested, s.PendingFallback),
    row(_HOLDING, e.ObservedPayment, Stopping._on_observed_payment, s.PendingFallback),
    row(_HOLDING, e.ObservedSpend, Stopping._on_observed_spend, s.Monitor),
    row(
        s.HasReplyableError,
        e.RepliedWithError,
        s.HasReplyableError._on_replied_with_error,
        s.PendingFallback,
        s.Closed,
    ),
    row(
        s.HasReplyableError,
        e.ReplyFailed,
        s.HasReplyableError._on_reply_failed,
        s.PendingFallback,
        s.Closed,
    ),
    row(
        s.HasReplyableError,
        e.Cancelled,
        s.HasReplyableError._on_cancelled,
        s.PendingFallback,
        s.Closed,
    ),
    row(
        s.HasReplyableError, e.Expired, s.HasReplyableError._on_expired, s.PendingFallback, s.Closed
    ),
    row(s.HasReplyableError, e.Reopened, on_reopened, s.Initialized),
    row(
        s.HasReplyableError,
        e.FallbackRequested,
        s.HasReplyableError._on_fallback_requested,
        s.PendingFallback,
    ),
    row(
        s.HasReplyableError,
        e.ObservedPayment,
        s.HasReplyableError._on_observed_payment,
        s.PendingFallback,
    ),
    row(s.HasReplyableError, e.ObservedSpend, s.HasReplyableError._on_observed_spend, s.Monitor),
    row(s.HasReplyableError, e.Closed, s.HasReplyableError._on_closed, s.Closed),
    row(
        s.PendingFallback, e.BroadcastFallback, s.PendingFallback._on_broadcast_fallback, s.Monitor
    ),
    row(s.PendingFallback, e.ObservedSpend, s.PendingFallback._on_observed_spend, s.Monitor),
    row(
        s.PendingFallback,
        e.ObservedPayment,
        s.PendingFallback._on_observed_payment,
        s.PendingFallback,
    ),
    row(s.PendingFallback, e.Released, s.PendingFallback._on_released, s.Monitor),
    row(
        s.PendingFallback,
        e.FallbackRequested,
        s.PendingFallback._on_fallback_requested,
        s.PendingFallback,
    ),
    row(s.PendingFallback, e.Closed, s.PendingFallback._on_closed, s.Closed),
    row(s.Monitor, e.ObservedPayment, s.Monitor._on_observed_payment, s.Monitor),
    row(s.PendingFallback, e.CoinsMissed, s.PendingFallback._on_coins_missed, s.PendingFallback),
    row(s.PendingFallback, e.CoinsFound, s.PendingFallback._on_coins_found, s.PendingFallback),
    row(s.Monitor, e.CoinsMissed, s.Monitor._on_coins_missed, s.Monitor),
    row(s.Monitor, e.CoinsFound, s.Monitor._on_coins_found, s.Monitor),
    row(s.Monitor, e.FallbackDue, s.Monitor._on_fallback_due, s.PendingFallback),
    row(s.Monitor, e.FallbackRequested, s.Monitor._on_fallback_requested, s.PendingFallback),
    row(s.Monitor, e.Cancelled, s.Monitor._on_cancelled, s.PendingFallback),
    row(s.Monitor, e.Closed, s.Monitor._on_closed, s.Closed),
)
"""Every event that a state takes, its method, and the next states: two where facts decide."""

TRANSITIONS: tuple[Edge, ...] = edges_of(TABLE)
"""The table as (state, event, next state); None is the state before the first event."""

_MOVES = moves_of(TABLE)


def apply(session: ReceiverSession | None, event: ReceiverEvent) -> ReceiverSession:
    """The next state; None is the state before the first event.

    Raises `InvalidEvent` where the event does not belong to the state, and what its payload
    raises if it is not valid.
    """
    move = _MOVES.get((type(session), type(event)))
    if move is None:
        raise cannot_follow(session, event)
    successor: ReceiverSession = move(session, event)
    return successor


def replay(events: Iterable[ReceiverEvent]) -> ReceiverSession:
    """The state that a log leads to; see `dovetail.sessions.replay`, which both roles share.

    Payloads are compared with their checksums, and read again in full unless the log is closed
    (M2). Raises `ReplayError` naming the event by its number from 0, and the cause.
    """
    return replaying.replay(events, apply)
