"""Lives of a receiver's session, from the first event to where each ends."""

from collections.abc import Callable
from inspect import isfunction
from types import FunctionType

from tests.sessions.receiver.play import (
    ALICE,
    AMOUNT,
    BOB,
    ELSEWHERE,
    EXPIRES_AT,
    FALLBACK,
    GRACE,
    HEIGHT,
    IN_PARTS,
    NOW,
    PARTIAL,
    RECEIVED,
    RECEIVER_COIN,
    RELAY,
    SEEN,
    Play,
    expect,
    spend_of,
    spend_to,
)

from dovetail.bitcoin.units import UnixTime
from dovetail.sessions import outcomes, receiver
from dovetail.sessions.reasons import Reason
from dovetail.sessions.receiver import ReceiverSession


def paid_by_payjoin(play: Play) -> None:
    monitor = play.monitor()
    assert monitor.proposal is not None
    payjoin = play.signed_payjoin(monitor.proposal)
    play.save(monitor.record_settlement(payjoin, depth=2))


def paid_by_payjoin_of_v1_directory(play: Play) -> None:
    session = play.proposed(play.retrieved_v1())
    request, context = session.post(RELAY, now=NOW, entropy=play.entropy)
    monitor = expect(
        play.save(session.process_post(play.directory.serve(request), context)), receiver.Monitor
    )
    play.save(monitor.record_settlement(play.signed_payjoin(session.proposal), depth=2))


def paid_by_payjoin_of_v1_http(play: Play) -> None:
    session = play.proposed(play.retrieved_http())
    monitor = play.save(session.record_posted())
    play.save(monitor.record_settlement(play.signed_payjoin(session.proposal), depth=3))


def paid_by_fallback_when_due(play: Play) -> None:
    pending = play.save(play.monitor().fallback_due(UnixTime(EXPIRES_AT + GRACE)))
    monitor = play.save(pending.record_broadcast(FALLBACK.txid))
    play.save(monitor.record_settlement(FALLBACK, depth=2))


def paid_by_fallback_on_request(play: Play) -> None:
    pending = play.save(play.monitor().request_fallback())
    monitor = play.save(pending.record_spend(FALLBACK))
    play.save(monitor.record_settlement(FALLBACK, depth=6))


def paid_by_a_pending_fallback_on_request(play: Play) -> None:
    pending = play.save(play.pending_owed().request_fallback())
    monitor = play.save(pending.record_broadcast(FALLBACK.txid))
    play.save(monitor.record_settlement(FALLBACK, depth=2))


def paid_directly(play: Play) -> None:
    play.save(play.created().record_payment(RECEIVED))


def paid_directly_before_the_check(play: Play) -> None:
    play.save(play.retrieved().record_payment(RECEIVED))


def refused_as_paid(play: Play) -> None:
    error = play.save(play.retrieved().refuse_as_paid(ELSEWHERE))
    request, context = error.reply(RELAY, now=NOW, entropy=play.entropy)
    assert error.check_reply(play.directory.serve(request), context)
    play.save(play.save(receiver.reopen(error)).record_payment(RECEIVED))


def paid_directly_instead_of_reply(play: Play) -> None:
    play.save(play.error_without_fallback().record_payment(RECEIVED))


def malformed_original(play: Play) -> None:
    session = play.created()
    play.put(b"not a psbt\nv=2")
    error = expect(play.poll(session), receiver.HasReplyableError)
    play.save(error.cancel())


def expired_unpaid(play: Play) -> None:
    play.save(play.created().expire(EXPIRES_AT))


def expired_unchecked(play: Play) -> None:
    play.save(play.retrieved().expire(EXPIRES_AT))


def cancelled_unchecked(play: Play) -> None:
    play.save(play.retrieved().cancel())


def cancelled_unpaid(play: Play) -> None:
    play.save(play.created().cancel())


def replied_with_error(play: Play) -> None:
    error = play.error_without_fallback()
    request, context = error.reply(RELAY, now=NOW, entropy=play.entropy)
    play.save(error.process_reply(play.directory.serve(request), context))


def reply_failed_without_fallback(play: Play) -> None:
    play.save(play.error_without_fallback().reply_failed())


def reply_expired_without_fallback(play: Play) -> None:
    play.save(play.error_without_fallback().expire(EXPIRES_AT))


def replied_then_released(play: Play) -> None:
    error = play.error_owed()
    request, context = error.reply(RELAY, now=NOW, entropy=play.entropy)
    pending = play.save(error.process_reply(play.directory.serve(request), context))
    play.save(expect(pending, receiver.PendingFallback).release(spends=()))


def reply_failed_then_broadcast(play: Play) -> None:
    pending = expect(play.save(play.error_held().reply_failed()), receiver.PendingFallback)
    monitor = play.save(pending.record_broadcast(FALLBACK.txid))
    again = play.save(monitor.request_fallback())
    watched = play.save(again.record_spend(spend_to(ALICE.script(3))))
    play.save(watched.record_settlement(spend_to(ALICE.script(3)), depth=2))


def reply_cancelled_with_fallback(play: Play) -> None:
    play.save(play.error_owed().cancel())


def reply_expired_with_fallback(play: Play) -> None:
    play.save(play.error_owed().expire(EXPIRES_AT))


def released_while_proposal_is_out(play: Play) -> None:
    monitor = expect(play.save(play.pending_after_proposal().release(spends=())), receiver.Monitor)
    play.save(monitor.record_settlement(spend_to(BOB.script(0), AMOUNT), depth=2))


def nobody_can_tell(play: Play) -> None:
    """As earlier releases could end; there is no move for it any more."""
    play.save(play.monitor()._close(outcomes.PayjoinProposalSent()))


def post_given_up(play: Play) -> None:
    play.save(play.proposed().fail(Reason.DIRECTORY_UNREACHABLE))


def post_expired(play: Play) -> None:
    play.save(play.proposed().expire(EXPIRES_AT))


def paid_directly_in_parts(play: Play) -> None:
    play.save(play.created().record_payment(IN_PARTS))


def expired_short_of_the_amount(play: Play) -> None:
    session = play.created()
    play.save(session.expire(EXPIRES_AT, why=Reason.DIRECTORY_UNREACHABLE, received=PARTIAL))


def reopened_then_paid(play: Play) -> None:
    error = play.error_held()
    waiting = play.save(receiver.reopen(error))
    play.put_from_another(waiting)
    unchecked = expect(play.poll(waiting), receiver.UncheckedOriginalPayload)
    monitor = play.save(play.proposed(unchecked).record_spend(FALLBACK))
    play.save(monitor.record_settlement(FALLBACK, depth=2))


def reply_made_needless_by_the_fallback(play: Play) -> None:
    pending = play.save(play.error_owed().request_fallback())
    monitor = play.save(pending.record_broadcast(FALLBACK.txid))
    play.save(monitor.record_settlement(FALLBACK, depth=2))


def paid_while_replying(play: Play) -> None:
    pending = expect(
        play.save(play.error_owed().record_payment(RECEIVED)), receiver.PendingFallback
    )
    play.save(
        expect(play.save(pending.release(spends=())), receiver.Monitor).record_payment(
            RECEIVED, now=NOW
        )
    )


def spent_while_replying(play: Play) -> None:
    monitor = play.save(play.error_owed().record_spend(spend_to(ALICE.script(3))))
    play.save(monitor.record_settlement(spend_to(ALICE.script(3)), depth=2, received=PARTIAL))


def paid_while_the_fallback_waits(play: Play) -> None:
    pending = expect(
        play.save(play.pending_owed().record_payment(SEEN, now=NOW)), receiver.PendingFallback
    )
    insisted = play.save(pending.request_fallback())
    monitor = play.save(insisted.record_broadcast(FALLBACK.txid))
    play.save(monitor.record_settlement(FALLBACK, depth=2))


def paid_while_the_proposal_is_out(play: Play) -> None:
    monitor = expect(play.save(play.monitor().record_payment(SEEN, now=NOW)), receiver.Monitor)
    play.save(monitor.record_payment(RECEIVED, now=UnixTime(EXPIRES_AT + GRACE)))


def coins_gone(play: Play) -> None:
    missed = play.save(play.pending_owed().record_coins(missing=True, height=HEIGHT + 1))
    found = play.save(missed.record_coins(missing=False, height=HEIGHT + 1))
    missed = play.save(found.record_coins(missing=True, height=HEIGHT + 2))
    play.save(missed.record_gone(height=HEIGHT + 8, received=PARTIAL))


def coins_gone_while_watched(play: Play) -> None:
    missed = play.save(play.monitor().record_coins(missing=True, height=HEIGHT + 1))
    found = play.save(missed.record_coins(missing=False, height=HEIGHT + 3))
    missed = play.save(found.record_coins(missing=True, height=HEIGHT + 4))
    play.save(missed.record_gone(height=HEIGHT + 10))


def fallback_invalid(play: Play) -> None:
    play.save(play.pending_owed().record_invalid(now=NOW, received=PARTIAL))


def never_owed(play: Play) -> None:
    play.save(play.pending_held().expire(UnixTime(EXPIRES_AT + GRACE), received=PARTIAL))


def coins_taken_back(play: Play) -> None:
    monitor = expect(play.save(play.pending_after_proposal().release(spends=())), receiver.Monitor)
    play.save(monitor.record_revoked(spend_of(RECEIVER_COIN.outpoint), depth=2))


def _stopping(at: Callable[[Play], ReceiverSession]) -> tuple[Callable[[Play], None], ...]:
    def cancel(play: Play) -> None:
        play.save(at(play).cancel())  # type: ignore[union-attr]

    def fail(play: Play) -> None:
        play.save(at(play).fail(Reason.DIRECTORY_UNREACHABLE))  # type: ignore[union-attr]

    def expire(play: Play) -> None:
        play.save(at(play).expire(EXPIRES_AT))  # type: ignore[union-attr]

    def refuse(play: Play) -> None:
        play.save(at(play).refuse(Reason.WALLET_UNAVAILABLE))  # type: ignore[union-attr]

    return (cancel, fail, expire, refuse, *_forestalled(at))


def _forestalled(at: Callable[[Play], ReceiverSession]) -> tuple[Callable[[Play], None], ...]:
    """What may come of a negotiation when the payer, the chain or a person is faster."""

    def take(play: Play) -> None:
        play.save(at(play).request_fallback())  # type: ignore[union-attr]

    def spend(play: Play) -> None:
        play.save(at(play).record_spend(FALLBACK))  # type: ignore[union-attr]

    def pay(play: Play) -> None:
        play.save(at(play).record_payment(RECEIVED))  # type: ignore[union-attr,call-arg]

    return take, spend, pay


def _is_told(name: str, life: FunctionType) -> bool:
    """Whether this is one of the lives above: a function of this module that is not private."""
    return life.__module__ == __name__ and not name.startswith("_")


SCENARIOS: tuple[Callable[[Play], None], ...] = (
    *(life for name, life in list(globals().items()) if isfunction(life) and _is_told(name, life)),
    *_forestalled(Play.proposed),
    *(
        scenario
        for at in (
            Play.maybe_inputs_owned,
            Play.maybe_inputs_seen,
            Play.outputs_unknown,
            Play.wants_outputs,
            Play.wants_inputs,
            Play.wants_fee_range,
            Play.provisional,
        )
        for scenario in _stopping(at)
    ),
)


def play_all() -> tuple[Play, ...]:
    plays: list[Play] = []
    for scenario in SCENARIOS:
        play = Play()
        scenario(play)
        plays.append(play)
    return tuple(plays)
