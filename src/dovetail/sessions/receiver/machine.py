"""The receiver's protocol on one screen: which event leads from which state to which."""

# ruff: noqa: SLF001 - `apply` and the states are one machine; nobody else may build a successor
# pyright: reportPrivateUsage=false

from collections.abc import Iterable
from typing import TypeAlias

from dovetail.errors import DovetailError, InvalidEvent, ReplayError
from dovetail.sessions.receiver import events as e
from dovetail.sessions.receiver import states as s
from dovetail.sessions.receiver.creation import begin
from dovetail.sessions.receiver.events import ReceiverEvent
from dovetail.sessions.receiver.initialized import reopened
from dovetail.sessions.receiver.states import ReceiverSession


def replay(events: Iterable[ReceiverEvent]) -> ReceiverSession:
    """The state that a log leads to; trusts nothing that a live session is going to use.

    Payloads are compared with their checksums, and read again in full unless the log is closed.
    Raises `ReplayError` naming the event by its number from 0, and the cause. It never expires
    and never closes a session.
    """
    log = tuple(events)
    session: ReceiverSession | None = None
    for seq, event in enumerate(log):
        try:
            session = apply(session, event)
        except DovetailError as error:
            raise _unreadable(seq, event, error) from error
    if session is None:
        raise ReplayError("The log is empty; restore it from a backup.")
    if not session.closed and _problem(session) is not None:
        raise _blame(log)
    return session


def _problem(session: ReceiverSession) -> DovetailError | None:
    try:
        session.validate()
    except DovetailError as error:
        return error
    return None


def _blame(log: tuple[ReceiverEvent, ...]) -> ReplayError:
    """Name the first event that leads to a state that is not valid."""
    session: ReceiverSession | None = None
    problem: DovetailError | None = None
    seq = -1
    while problem is None:
        seq += 1
        session = apply(session, log[seq])
        problem = _problem(session)
    error = _unreadable(seq, log[seq], problem)
    error.__cause__ = problem
    return error


def _unreadable(seq: int, event: ReceiverEvent, error: DovetailError) -> ReplayError:
    return ReplayError(
        f"Event {seq} of the log, {type(event).__name__}, cannot be applied. {error}", seq=seq
    )


def apply(session: ReceiverSession | None, event: ReceiverEvent) -> ReceiverSession:  # noqa: C901, PLR0912, PLR0915 - the whole protocol, on purpose
    """The next state; None is the state before the first event.

    Raises `InvalidEvent` where the event does not belong to the state, and what its payload
    raises if it is not valid.
    """
    match session:
        case None:
            match event:
                case e.Created():
                    return begin(event)
                case _:
                    pass
        case s.Initialized():
            match event:
                case e.RetrievedOriginalPayload():
                    return session._on_retrieved_original_payload(event)
                case e.GotReplyableError():
                    return session._on_got_replyable_error(event)
                case e.Closed():
                    return session._on_closed(event)
                case _:
                    pass
        case s.UncheckedOriginalPayload():
            match event:
                case e.CheckedBroadcastSuitability():
                    return session._on_checked_broadcast_suitability(event)
                case e.GotReplyableError():
                    return session._on_got_replyable_error(event)
                case e.Closed():
                    return session._on_closed(event)
                case _:
                    pass
        case s.MaybeInputsOwned():
            match event:
                case e.CheckedInputsNotOwned():
                    return session._on_checked_inputs_not_owned(event)
                case _:
                    return _refuse_or_stop(session, event)
        case s.MaybeInputsSeen():
            match event:
                case e.CheckedNoInputsSeenBefore():
                    return session._on_checked_no_inputs_seen_before(event)
                case _:
                    return _refuse_or_stop(session, event)
        case s.OutputsUnknown():
            match event:
                case e.IdentifiedReceiverOutputs():
                    return session._on_identified_receiver_outputs(event)
                case _:
                    return _refuse_or_stop(session, event)
        case s.WantsOutputs():
            match event:
                case e.CommittedOutputs():
                    return session._on_committed_outputs(event)
                case _:
                    return _refuse_or_stop(session, event)
        case s.WantsInputs():
            match event:
                case e.CommittedInputs():
                    return session._on_committed_inputs(event)
                case _:
                    return _refuse_or_stop(session, event)
        case s.WantsFeeRange():
            match event:
                case e.AppliedFeeRange():
                    return session._on_applied_fee_range(event)
                case _:
                    return _refuse_or_stop(session, event)
        case s.ProvisionalProposal():
            match event:
                case e.FinalizedProposal():
                    return session._on_finalized_proposal(event)
                case _:
                    return _refuse_or_stop(session, event)
        case s.PayjoinProposal():
            match event:
                case e.PostedPayjoinProposal():
                    return session._on_posted_payjoin_proposal(event)
                case _:
                    return _stop(session, event)
        case s.HasReplyableError():
            match event:
                case e.RepliedWithError():
                    return session._on_replied_with_error(event)
                case e.ReplyFailed():
                    return session._on_reply_failed(event)
                case e.Reopened():
                    return reopened(session)
                case e.FallbackRequested():
                    return session._on_fallback_requested(event)
                case e.ObservedSpend():
                    return session._on_observed_spend(event)
                case e.ObservedPayment():
                    return session._on_observed_payment(event)
                case e.Cancelled():
                    return session._on_cancelled(event)
                case e.Expired():
                    return session._on_expired(event)
                case e.Closed():
                    return session._on_closed(event)
                case _:
                    pass
        case s.PendingFallback():
            match event:
                case e.BroadcastFallback():
                    return session._on_broadcast_fallback(event)
                case e.ObservedSpend():
                    return session._on_observed_spend(event)
                case e.ObservedPayment():
                    return session._on_observed_payment(event)
                case e.Released():
                    return session._on_released(event)
                case e.FallbackRequested():
                    return session._on_fallback_requested(event)
                case e.CoinsMissed():
                    return session._on_coins_missed(event)
                case e.CoinsFound():
                    return session._on_coins_found(event)
                case e.Closed():
                    return session._on_closed(event)
                case _:
                    pass
        case s.Monitor():
            match event:
                case e.ObservedPayment():
                    return session._on_observed_payment(event)
                case e.FallbackDue():
                    return session._on_fallback_due(event)
                case e.FallbackRequested():
                    return session._on_fallback_requested(event)
                case e.Cancelled():
                    return session._on_cancelled(event)
                case e.CoinsMissed():
                    return session._on_coins_missed(event)
                case e.CoinsFound():
                    return session._on_coins_found(event)
                case e.Closed():
                    return session._on_closed(event)
                case _:
                    pass
        case _:
            pass
    raise _invalid(session, event)


_Negotiating: TypeAlias = (
    s.MaybeInputsOwned
    | s.MaybeInputsSeen
    | s.OutputsUnknown
    | s.WantsOutputs
    | s.WantsInputs
    | s.WantsFeeRange
    | s.ProvisionalProposal
)


def _refuse_or_stop(session: _Negotiating, event: ReceiverEvent) -> ReceiverSession:
    match event:
        case e.GotReplyableError():
            return session._on_got_replyable_error(event)
        case _:
            return _stop(session, event)


def _stop(session: _Negotiating | s.PayjoinProposal, event: ReceiverEvent) -> ReceiverSession:
    match event:
        case e.Cancelled():
            return session._on_cancelled(event)
        case e.ProtocolFailed():
            return session._on_protocol_failed(event)
        case e.Expired():
            return session._on_expired(event)
        case e.FallbackRequested():
            return session._on_fallback_requested(event)
        case e.ObservedSpend():
            return session._on_observed_spend(event)
        case e.ObservedPayment():
            return session._on_observed_payment(event)
        case _:
            raise _invalid(session, event)


def _invalid(session: ReceiverSession | None, event: ReceiverEvent) -> InvalidEvent:
    state = "the beginning" if session is None else type(session).__name__
    return InvalidEvent(
        f"{type(event).__name__} cannot follow {state}; reload the session from its log."
    )


Row: TypeAlias = tuple[type[ReceiverSession] | None, type[ReceiverEvent], type[ReceiverSession]]

_REFUSING: tuple[type[ReceiverSession], ...] = (
    s.MaybeInputsOwned,
    s.MaybeInputsSeen,
    s.OutputsUnknown,
    s.WantsOutputs,
    s.WantsInputs,
    s.WantsFeeRange,
    s.ProvisionalProposal,
)

TRANSITIONS: tuple[Row, ...] = (
    (None, e.Created, s.Initialized),
    (s.Initialized, e.RetrievedOriginalPayload, s.UncheckedOriginalPayload),
    (s.Initialized, e.GotReplyableError, s.HasReplyableError),
    (s.Initialized, e.Closed, s.Closed),
    (s.UncheckedOriginalPayload, e.CheckedBroadcastSuitability, s.MaybeInputsOwned),
    (s.UncheckedOriginalPayload, e.GotReplyableError, s.HasReplyableError),
    (s.UncheckedOriginalPayload, e.Closed, s.Closed),
    (s.MaybeInputsOwned, e.CheckedInputsNotOwned, s.MaybeInputsSeen),
    (s.MaybeInputsSeen, e.CheckedNoInputsSeenBefore, s.OutputsUnknown),
    (s.OutputsUnknown, e.IdentifiedReceiverOutputs, s.WantsOutputs),
    (s.WantsOutputs, e.CommittedOutputs, s.WantsInputs),
    (s.WantsInputs, e.CommittedInputs, s.WantsFeeRange),
    (s.WantsFeeRange, e.AppliedFeeRange, s.ProvisionalProposal),
    (s.ProvisionalProposal, e.FinalizedProposal, s.PayjoinProposal),
    (s.PayjoinProposal, e.PostedPayjoinProposal, s.Monitor),
    *((state, e.GotReplyableError, s.HasReplyableError) for state in _REFUSING),
    *(
        (state, event, s.PendingFallback)
        for state in (*_REFUSING, s.PayjoinProposal)
        for event in (
            e.Cancelled,
            e.ProtocolFailed,
            e.Expired,
            e.FallbackRequested,
            e.ObservedPayment,
        )
    ),
    *((state, e.ObservedSpend, s.Monitor) for state in (*_REFUSING, s.PayjoinProposal)),
    *(
        (s.HasReplyableError, event, successor)
        for event in (e.RepliedWithError, e.ReplyFailed, e.Cancelled, e.Expired)
        for successor in (s.PendingFallback, s.Closed)
    ),
    (s.HasReplyableError, e.Reopened, s.Initialized),
    (s.HasReplyableError, e.FallbackRequested, s.PendingFallback),
    (s.HasReplyableError, e.ObservedPayment, s.PendingFallback),
    (s.HasReplyableError, e.ObservedSpend, s.Monitor),
    (s.HasReplyableError, e.Closed, s.Closed),
    (s.PendingFallback, e.BroadcastFallback, s.Monitor),
    (s.PendingFallback, e.ObservedSpend, s.Monitor),
    (s.PendingFallback, e.ObservedPayment, s.PendingFallback),
    (s.PendingFallback, e.Released, s.Monitor),
    (s.PendingFallback, e.FallbackRequested, s.PendingFallback),
    (s.PendingFallback, e.Closed, s.Closed),
    (s.Monitor, e.ObservedPayment, s.Monitor),
    *(
        (state, event, state)
        for state in (s.PendingFallback, s.Monitor)
        for event in (e.CoinsMissed, e.CoinsFound)
    ),
    (s.Monitor, e.FallbackDue, s.PendingFallback),
    (s.Monitor, e.FallbackRequested, s.PendingFallback),
    (s.Monitor, e.Cancelled, s.PendingFallback),
    (s.Monitor, e.Closed, s.Closed),
)
"""Every legal (state, event, next state); two rows differ in the last where the state decides."""
