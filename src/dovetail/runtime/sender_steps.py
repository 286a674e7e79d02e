"""One step for each of the sender's typestates: the I/O that the state needs, nothing else.

Each step saves at most one transition and returns the state that follows, or the same state
when there is nothing to do yet. When it raises, the session stays where it was.
"""

import logging
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from dovetail.bitcoin import Transaction
from dovetail.errors import ChainError, TransportError, UsageError
from dovetail.protocol.requests import V1_BODY_LIMIT
from dovetail.protocol.settlement import Settlement
from dovetail.protocol.uri import V2Endpoint
from dovetail.runtime.chain_queries import UNTOLD
from dovetail.runtime.chain_watch import kind_of
from dovetail.runtime.mailbox_wait import attended
from dovetail.runtime.ohttp_request import exchange, unreachable
from dovetail.runtime.sender_settlement_steps import settle
from dovetail.runtime.turn import SenderTurn
from dovetail.runtime.unmade_fallback import is_paid_beside
from dovetail.sessions import sender
from dovetail.sessions.reasons import Reason
from dovetail.sessions.sender import SenderSession
from dovetail.sessions.sightings import SpendKind
from dovetail.wallets.ports import Accepted, Refused, Spend

T = TypeVar("T")
logger = logging.getLogger(__name__)


async def step_sender(session: SenderSession, turn: SenderTurn) -> SenderSession:
    """Take `session` one step further.

    A payer's wallet may be away for any time. Raises `InfrastructureError` where another try
    may help, `StaleSession` where the session has to be loaded again, and `StoreUnavailable`.
    """
    match session:
        case sender.WithReplyKey():
            return await _begin(session, turn)
        case sender.PostingOriginal() | sender.PollingForProposal() if (
            turn.now() >= session.expires_at
        ):
            reason = unreachable(turn)
            return await _expire(session, turn, reason)
        case sender.PostingOriginal():
            return await _post_original(session, turn)
        case sender.PollingForProposal():
            return await _poll(session, turn)
        case sender.ProposalReceived():
            return await _sign(session, turn)
        case sender.PendingBroadcast():
            return await _broadcast_payjoin(session, turn)
        case sender.PendingFallback() | sender.Monitor():
            return await settle(session, turn)
        case sender.Closed():
            return session


async def _begin(session: sender.WithReplyKey, turn: SenderTurn) -> SenderSession:
    now = turn.now()
    if now >= session.expires_at:
        return await session.expire(now).save_async(turn.log)
    return await session.start_posting().save_async(turn.log)


async def _expire(
    session: sender.PostingOriginal | sender.PollingForProposal,
    turn: SenderTurn,
    reason: Reason | None,
) -> SenderSession:
    """Give up; `reason` says which party could not be reached, if that is why."""
    spend = await _try_spend(session, turn)
    if spend is not None:
        return await session.record_spend(spend.transaction).save_async(turn.log)
    if reason is not None:
        return await session.fail(reason).save_async(turn.log)
    return await session.expire(turn.now()).save_async(turn.log)


async def _post_original(session: sender.PostingOriginal, turn: SenderTurn) -> SenderSession:
    spend = await _try_spend(session, turn)
    if spend is not None:
        return await session.record_spend(spend.transaction).save_async(turn.log)
    now = turn.now()
    if not isinstance(session.payjoin_uri.endpoint, V2Endpoint):
        return await _post_v1(session, turn)
    answer = await _attended(
        lambda: exchange(lambda relay: session.post(relay, now=now), session, turn.services),
        session,
        turn,
    )
    if answer is None:
        return await _record_spend(session, turn)
    return await session.process_post(*answer).save_async(turn.log)


async def _post_v1(session: sender.PostingOriginal, turn: SenderTurn) -> SenderSession:
    """Post to the receiver's server, and again where its answer was lost (ADR 0014).

    The server has the Original by then, so it learns nothing new, and any proposal spends the
    same coins (M4). A receiver that treats it as a replay refuses, and the fallback is paid.
    """
    request = session.post_v1(now=turn.now())
    try:
        reply = await _attended(
            lambda: turn.services.transport.post(request, limit=V1_BODY_LIMIT), session, turn
        )
    except TransportError as error:
        if error.at == "tor":
            raise
        raise TransportError(f"The receiver's server failed. {error}", at="receiver") from error
    if reply is None:
        return await _record_spend(session, turn)
    return await session.process_v1(reply.status, reply.body).save_async(turn.log)


async def _record_spend(session: sender.PostingOriginal, turn: SenderTurn) -> SenderSession:
    """Record the spend that was seen; if instead the log moved, leave that to the reload."""
    spend = None if turn.watch.news.is_set() else await _try_spend(session, turn)
    if spend is None:
        return session
    return await session.record_spend(spend.transaction).save_async(turn.log)


async def _poll(session: sender.PollingForProposal, turn: SenderTurn) -> SenderSession:
    """Check the chain, then the mailbox.

    A spend that is seen is most likely the receiver's fallback, whose reason lies in the mailbox
    already: it is asked for once, and not for long, before the spend is recorded. Another spend is
    recorded at once: it is why there is no payjoin, even if the receiver gave another answer.
    """
    spend = await _try_spend(session, turn)
    if spend is not None and kind_of(session, spend.transaction) is SpendKind.UNRECOGNIZED:
        return await session.record_spend(spend.transaction).save_async(turn.log)
    now = turn.now()
    try:
        answer = await _attended(
            lambda: exchange(lambda relay: session.poll(relay, now=now), session, turn.services),
            session,
            turn,
            known=spend is not None,
        )
    except TransportError:
        if spend is None:
            raise
        answer = None
    after: SenderSession = session
    if answer is not None:
        after = await session.process_poll(*answer).save_async(turn.log)
    if spend is None or after is not session or turn.watch.news.is_set():
        return after
    return await session.record_spend(spend.transaction).save_async(turn.log)


async def _attended(
    ask: Callable[[], Coroutine[Any, Any, T]],
    session: sender.PostingOriginal | sender.PollingForProposal,
    turn: SenderTurn,
    *,
    known: bool = False,
) -> T | None:
    """The result of `ask`; None where the log moved, or the chain showed a spend not `known` yet.

    With a spend that is known, the mailbox is still asked for the reason.
    """

    async def spent() -> bool:
        return known or await _try_spend(session, turn) is not None

    policy = turn.policy
    return await attended(
        ask, turn.watch, spent, every=policy.last_word if known else policy.watch_interval
    )


async def _sign(session: sender.ProposalReceived, turn: SenderTurn) -> SenderSession:
    """Sign, unless the coins are spent or the payee is paid: it would be a second payment (M4)."""
    spend = await _spend(session, turn)
    if spend is not None:
        now = turn.now()
        return await session.record_spend(spend.transaction, now=now).save_async(turn.log)
    if await is_paid_beside(session, turn):
        return await session.fail(Reason.PAID_DIRECTLY).save_async(turn.log)
    now, deadline = turn.now(), session.signing_deadline
    if deadline is not None and now >= deadline:
        return await session.signing_deadline_passed(now).save_async(turn.log)
    signed = await turn.wallet.sign(session.psbt_to_sign, inputs=session.inputs_to_sign)
    try:
        transition = session.record_signed(signed, now=turn.now())
    except UsageError:
        return await session.fail(Reason.WALLET_CANNOT_SIGN).save_async(turn.log)
    return await transition.save_async(turn.log)


async def _broadcast_payjoin(session: sender.PendingBroadcast, turn: SenderTurn) -> SenderSession:
    """Check the chain, then broadcast; without an answer the fallback is made after a time.

    The payjoin competes with an unconfirmed rival, but not with one in a block (M4).
    """
    spend = await _look(session, turn)
    if spend is not None and (spend.depth or is_payjoin(session, spend.transaction)):
        return await session.record_spend(spend.transaction).save_async(turn.log)
    turn.watch.broadcasting_since = session.since or turn.watch.broadcasting_since or turn.now()
    try:
        answer = await turn.chain.broadcast(session.payjoin)
    except ChainError:
        if _overdue(turn):
            return await session.fail(Reason.PAYJOIN_UNANSWERED).save_async(turn.log)
        raise
    if isinstance(answer, Accepted):
        return await session.record_broadcast(session.payjoin.txid).save_async(turn.log)
    spend = await _look(session, turn)
    if spend is not None or isinstance(answer, Refused):
        spends = () if spend is None else (spend.transaction,)
        return await session.refused(spends=spends).save_async(turn.log)
    if _overdue(turn):
        return await session.fail(Reason.PAYJOIN_UNANSWERED).save_async(turn.log)
    raise ChainError(UNTOLD)


def is_payjoin(session: sender.PendingBroadcast, spend: Transaction) -> bool:
    """Whether `spend` is the payjoin that this session signed."""
    return sender.classify_spend(session, spend, session.proposal) is Settlement.PAYJOIN


def _overdue(turn: SenderTurn) -> bool:
    since, now = turn.watch.broadcasting_since, turn.now()
    return since is not None and now >= since + turn.policy.broadcast_patience


async def _try_spend(
    session: sender.PostingOriginal | sender.PollingForProposal,
    turn: SenderTurn,
) -> Spend | None:
    """Check the chain while waiting for the receiver; a source that is away delays no payjoin.

    An unknown spend is classified once it is recorded.
    """
    spend = await _look(session, turn)
    if spend is not None and kind_of(session, spend.transaction) is SpendKind.FALLBACK:
        turn.watch.see(session, spend)
    return spend


async def _look(session: SenderSession, turn: SenderTurn) -> Spend | None:
    try:
        return await _spend(session, turn)
    except ChainError as error:
        logger.info("The chain could not be checked: %s", type(error).__name__)
        return None


async def _spend(session: SenderSession, turn: SenderTurn) -> Spend | None:
    return await turn.chain.deepest_spend(session.contested)
