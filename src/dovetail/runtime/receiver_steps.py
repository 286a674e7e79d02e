"""One step for each of the receiver's typestates: what I/O a state asks for, and nothing else.

Each step saves at most one transition and returns the state that follows, or the same state
when there is nothing to do yet. What it raises leaves the session where it was.
"""

import asyncio
from collections.abc import Collection, Mapping

from dovetail.bitcoin import FeeRate, OutPoint, Transaction
from dovetail.errors import ParseError, PayloadTooLarge, UsageError
from dovetail.protocol.coin import Coin
from dovetail.protocol.original import fee_rate
from dovetail.runtime.chain_snapshot import Look, look
from dovetail.runtime.chain_watch import ChainWatch
from dovetail.runtime.ohttp_request import exchange, unreachable
from dovetail.runtime.receiver_polling import wait_for_original
from dovetail.runtime.receiver_settlement_steps import settle
from dovetail.runtime.services import Services
from dovetail.sessions import receiver
from dovetail.sessions.reasons import Reason
from dovetail.sessions.receiver import ReceiverEvent, ReceiverSession
from dovetail.sessions.receiver.events import Channel
from dovetail.sessions.transition import Transition
from dovetail.stores.ports import SessionId, SessionLog
from dovetail.wallets.ports import Accepted

Log = SessionLog[ReceiverEvent]

_Owing = (
    receiver.WantsOutputs
    | receiver.WantsInputs
    | receiver.WantsFeeRange
    | receiver.ProvisionalProposal
)
_Negotiating = (
    receiver.MaybeInputsOwned | receiver.MaybeInputsSeen | receiver.OutputsUnknown | _Owing
)


_Guarded = receiver.WantsInputs | receiver.ProvisionalProposal
"""Before coins are committed, and before they are shown: days may lie in between (M4)."""


async def step_receiver(
    session: ReceiverSession,
    log: Log,
    services: Services,
    *,
    failures: int = 0,
    watch: ChainWatch | None = None,
) -> ReceiverSession:
    """Take `session` one step further, after `failures` failed tries in a row at the same step.

    `watch` is what this process knows of the session.

    Raises `InfrastructureError` where another try may help, `StaleSession` where the session
    has to be loaded again, and `StoreUnavailable`.
    """
    watch = watch or ChainWatch()
    match session:
        case receiver.Initialized():
            return await wait_for_original(session, log, services, failures, watch)
        case receiver.UncheckedOriginalPayload():
            return await _check_broadcast(session, log, services, watch)
        case receiver.PayjoinProposal():
            why = unreachable(watch, failures, services)
            return await _post_proposal(session, log, services, watch, why)
        case receiver.HasReplyableError():
            return await _reply(session, log, services)
        case receiver.PendingFallback() | receiver.Monitor():
            return await settle(session, log, services, watch)
        case receiver.Closed():
            return session
        case _:
            return await _negotiate(session, log, services, failures, watch)


async def _negotiate(
    session: _Negotiating, log: Log, services: Services, failures: int, watch: ChainWatch
) -> ReceiverSession:
    """Make the proposal, or an answer from which the sender learns that there is none.

    Past the expiration the checks go on until the fallback is known to be owed: then it is paid.
    """
    stopped = await _stop_in_time(session, log, services, failures, watch)
    if stopped is not None:
        return stopped
    match session:
        case receiver.MaybeInputsOwned():
            return await _check_ownership(session, log, services)
        case receiver.MaybeInputsSeen():
            # Durable before the event (P2): a crash between is harmless, the claim is our own.
            seen = await asyncio.to_thread(services.store.claim, log.session_id, session.contested)
            return await session.check_no_inputs_seen_before(seen).save_async(log)
        case receiver.OutputsUnknown():
            owned = await asyncio.to_thread(services.wallet.owned, session.output_scripts)
            return await session.identify_receiver_outputs(owned).save_async(log)
        case receiver.WantsOutputs():
            return await session.commit_outputs().save_async(log)
        case receiver.WantsInputs():
            return await _contribute(session, log, services)
        case receiver.WantsFeeRange():
            policy = services.policy
            floor = await asyncio.to_thread(services.chain.min_fee_rate)
            return await session.apply_fee_range(
                policy.min_fee_rate, policy.max_fee_rate, relay_fee_rate=floor
            ).save_async(log)
        case receiver.ProvisionalProposal():
            return await _sign(session, log, services)


async def _stop_in_time(
    session: _Negotiating, log: Log, services: Services, failures: int, watch: ChainWatch
) -> ReceiverSession | None:
    """End the negotiation for want of time, of a wallet or of a payment; None: it goes on."""
    now = services.clock()
    if isinstance(session, _Owing) and now >= session.expires_at:
        expired = await session.expire(now).save_async(log)
        await asyncio.to_thread(services.store.release, log.session_id)
        return expired
    if failures >= services.policy.tries:
        # The sender must not wait in vain until the expiration for a wallet that is away.
        signing = isinstance(session, receiver.ProvisionalProposal)
        reason = Reason.WALLET_CANNOT_SIGN if signing else Reason.WALLET_UNAVAILABLE
        return await session.refuse(reason).save_async(log)
    if not isinstance(session, _Guarded):
        return None
    forestalled = await _forestalled(session, services, watch)
    if forestalled is None:
        return None
    stopped = await forestalled.save_async(log)
    await asyncio.to_thread(services.store.release, log.session_id)
    return stopped


async def _check_broadcast(
    session: receiver.UncheckedOriginalPayload, log: Log, services: Services, watch: ChainWatch
) -> ReceiverSession:
    """Take no payment that is made already, that is dead already, or that rests on sand."""
    seen = await look(session, services)
    _tell_received(session, seen, watch)
    if seen.received.full:
        return await session.refuse_as_paid(seen.received.txids[0]).save_async(log)
    if seen.spend is not None:
        if not _pays(session, seen.spend.transaction):
            watch.see_double_spend(seen.spend, wanted=session.created.depth)
        return await session.refuse(Reason.ORIGINAL_INPUTS_SPENT).save_async(log)
    judged = await asyncio.to_thread(_judged, session, services)
    return await judged.save_async(log)


def _pays(session: receiver.UncheckedOriginalPayload, spend: Transaction) -> bool:
    """Whether it pays our address, as the Original does: then the address tells of it."""
    payee = session.address.script_pubkey
    return any(output.script_pubkey == payee for output in spend.outputs)


def _judged(
    session: receiver.UncheckedOriginalPayload, services: Services
) -> Transition[ReceiverEvent, ReceiverSession]:
    """What chain and signatures say of an Original; a transaction that is refused is not shown."""
    chain, policy = services.chain, services.policy
    height, existing = chain.height(), chain.outputs(session.contested)
    if not policy.unconfirmed_inputs and any(each.depth == 0 for each in existing.values()):
        return session.refuse(Reason.ORIGINAL_UNCONFIRMED_INPUTS)
    answer = chain.acceptance(session.transaction)
    return session.check_broadcast_suitability(
        isinstance(answer, Accepted),
        tested=isinstance(answer, Accepted) and answer.tested,
        spent={outpoint: output.txout for outpoint, output in existing.items()},
        min_fee_rate=policy.min_fee_rate,
        height=height,
    )


def _tell_received(
    session: receiver.UncheckedOriginalPayload | _Guarded | receiver.PayjoinProposal,
    seen: Look,
    watch: ChainWatch,
) -> None:
    """Note what came beside the payment; its own transaction may have passed for that before."""
    if seen.spend is None or seen.received.full:
        watch.see_received(
            seen.received, wanted=session.created.depth, asked=session.created.amount
        )


async def _forestalled(
    session: _Guarded, services: Services, watch: ChainWatch
) -> Transition[ReceiverEvent, ReceiverSession] | None:
    """What ends the negotiation before a coin of ours is shown; None: nothing does (M4).

    The sender is told, unless a block has answered already.
    """
    seen = await look(session, services)
    _tell_received(session, seen, watch)
    if seen.spend is not None:
        transaction = seen.spend.transaction
        if seen.spend.depth or session.settles(transaction):
            return session.record_spend(transaction)
        watch.see_double_spend(seen.spend, wanted=session.created.depth)
        return session.refuse(Reason.ORIGINAL_INPUTS_SPENT)
    if seen.received.full:
        return session.refuse_as_paid(seen.received.txids[0])
    if seen.missing_at is not None:
        return session.refuse(Reason.COINS_GONE)
    return None


async def _check_ownership(
    session: receiver.MaybeInputsOwned, log: Log, services: Services
) -> ReceiverSession:
    """Ask the wallet by outpoint, and by script, as it may not know its newest coins yet.

    The scripts are the true ones: they were compared with the chain's before.
    """
    wallet = services.wallet
    outpoints, scripts = session.contested, session.sender_scripts

    def ask() -> frozenset[OutPoint]:
        owned, ours = wallet.owned_coins(outpoints), wallet.owned(scripts)
        pairs = zip(outpoints, scripts, strict=True)
        return owned.union(outpoint for outpoint, script in pairs if script in ours)

    owned = await asyncio.to_thread(ask)
    return await session.check_inputs_not_owned(owned).save_async(log)


async def _contribute(
    session: receiver.WantsInputs, log: Log, services: Services
) -> ReceiverSession:
    """Choose coins and hold them; those that another session holds are left out (P3).

    Nothing is given back here: another process may be at this same step, and what it holds and
    commits must not become free for a third session meanwhile. Who holds what is read before the
    coins are: one that its session spends and gives back in between would pass for a free one.
    Whatever another process takes after that, the reservation tells.
    """
    store = services.store
    coins = await _free_coins(log.session_id, services)
    # Coins that are there and cost more than they are worth ask for lower fees, not for funds.
    dear = coins and _asked_rate(session) > services.policy.max_fee_rate
    reason = Reason.FEE_CAP if dear else Reason.NO_COINS_TO_CONTRIBUTE
    while chosen := session.select_coins(coins.values()):
        outpoints = [coin.outpoint for coin in chosen]
        unusable = await asyncio.to_thread(store.reserve, log.session_id, outpoints)
        if not unusable:
            try:
                committed = session.commit_inputs(chosen)
            except PayloadTooLarge:
                unusable, reason = _too_large(coins, outpoints), Reason.PROPOSAL_TOO_LARGE
            except (UsageError, ParseError):
                unusable = frozenset(outpoints)
            else:
                return await committed.save_async(log)
        for outpoint in unusable:
            del coins[outpoint]
    return await session.cannot_contribute(reason).save_async(log)


def _too_large(coins: Mapping[OutPoint, Coin], tried: Collection[OutPoint]) -> frozenset[OutPoint]:
    """The coins to leave out once some were too large: all but the smallest, if it is smaller.

    So a large Original has two tries at most, however many coins there are.
    """
    smallest = min(coins, key=lambda outpoint: coins[outpoint].size)
    if coins[smallest].size == min(coins[outpoint].size for outpoint in tried):
        return frozenset(coins)
    return frozenset(coins) - {smallest}


async def _free_coins(session_id: SessionId, services: Services) -> dict[OutPoint, Coin]:
    """The wallet's coins as the chain has them now, but for those that other sessions hold."""

    def read() -> dict[OutPoint, Coin]:
        held = services.store.reserved(besides=session_id)
        services.wallet.sync()
        coins = services.wallet.coins()
        exposed = services.store.exposed()
        return {
            coin.outpoint: _marked(coin, exposed) for coin in coins if coin.outpoint not in held
        }

    return await asyncio.to_thread(read)


def _asked_rate(session: receiver.WantsInputs) -> FeeRate:
    """What the sender pays by the Original, or demands beyond it."""
    return max(session.draft.params.min_fee_rate, fee_rate(session.draft.original))


def _marked(coin: Coin, exposed: frozenset[OutPoint]) -> Coin:
    return Coin(coin.outpoint, coin.psbt_input, coin.utxo, coin.outpoint in exposed)


async def _sign(
    session: receiver.ProvisionalProposal, log: Log, services: Services
) -> ReceiverSession:
    signed = await asyncio.to_thread(
        services.wallet.sign, session.psbt_to_sign, inputs=session.inputs_to_sign
    )
    # Durable before the event that hands the proposal out (P3): a crash between costs nothing.
    await asyncio.to_thread(services.store.expose, log.session_id)
    try:
        finalized = session.finalize_proposal(signed)
    except (UsageError, ParseError):
        finalized = session.cannot_sign()
    return await finalized.save_async(log)


async def _post_proposal(
    session: receiver.PayjoinProposal,
    log: Log,
    services: Services,
    watch: ChainWatch,
    why: Reason | None,
) -> ReceiverSession:
    """Post it, unless the payment was made or died since it was signed (M4)."""
    now = services.clock()
    if now >= session.expires_at:
        ended = session.expire(now) if why is None else session.fail(why)
        return await ended.save_async(log)
    seen = await look(session, services)
    _tell_received(session, seen, watch)
    if seen.spend is not None:
        return await session.record_spend(seen.spend.transaction).save_async(log)
    if seen.received.full:
        return await session.record_payment(seen.received).save_async(log)
    if seen.missing_at is not None:
        return await session.fail(Reason.COINS_GONE).save_async(log)
    if session.payload.reply_to.channel is Channel.V1_HTTP:
        # It counts as in the sender's hands; who holds the HTTP request answers with it (ADR 0017).
        return await session.record_posted().save_async(log)
    body, context = await exchange(lambda relay: session.post(relay, now=now), session, services)
    return await session.process_post(body, context).save_async(log)


async def _reply(
    session: receiver.HasReplyableError, log: Log, services: Services
) -> ReceiverSession:
    """Tell the sender; one whose payment does not count leaves the URI to another."""
    await asyncio.to_thread(services.store.release, log.session_id)
    now = services.clock()
    if now >= session.expires_at:
        return await (_reopening(session) or session.expire(now)).save_async(log)
    if session.reply_to.channel is Channel.V1_HTTP:
        return await (_reopening(session) or session.record_replied()).save_async(log)
    body, context = await exchange(lambda relay: session.reply(relay, now=now), session, services)
    if session.reopens:
        session.check_reply(body, context)
        return await receiver.reopen(session).save_async(log)
    return await session.process_reply(body, context).save_async(log)


def _reopening(
    session: receiver.HasReplyableError,
) -> Transition[ReceiverEvent, receiver.Initialized] | None:
    return receiver.reopen(session) if session.reopens else None
