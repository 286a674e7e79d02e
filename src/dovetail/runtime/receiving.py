"""One step for each of the receiver's typestates: what I/O a state asks for, and nothing else.

Each step saves at most one transition and returns the state that follows, or the same state
when there is nothing to do yet. What it raises leaves the session where it was.
"""

import asyncio

from dovetail.bitcoin import OutPoint
from dovetail.errors import PayloadTooLarge, UsageError
from dovetail.protocol.contribution import Coin
from dovetail.runtime.exchange import exchange
from dovetail.runtime.services import AtExpiry, Services
from dovetail.runtime.watching import deepest_spend, direct_payment
from dovetail.sessions import receiver
from dovetail.sessions.reasons import Reason
from dovetail.sessions.receiver import ReceiverEvent, ReceiverSession
from dovetail.stores.ports import SessionLog
from dovetail.wallets.ports import Accepted

Log = SessionLog[ReceiverEvent]


async def step_receiver(  # noqa: C901, PLR0912 - one case a state, the whole life of a session
    session: ReceiverSession, log: Log, services: Services
) -> ReceiverSession:
    """Take `session` one step further.

    Raises `InfrastructureError` where another try may help, `StaleSession` where the session
    has to be loaded again, and `StoreUnavailable`.
    """
    match session:
        case receiver.Initialized():
            return await _wait_for_original(session, log, services)
        case receiver.UncheckedOriginalPayload():
            return await _check_broadcast(session, log, services)
        case receiver.MaybeInputsOwned():
            return await _check_ownership(session, log, services)
        case receiver.MaybeInputsSeen():
            seen = await asyncio.to_thread(
                services.store.claim, log.session_id, session.sender_outpoints
            )
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
            return await session.apply_fee_range(
                policy.min_fee_rate, policy.max_fee_rate
            ).save_async(log)
        case receiver.ProvisionalProposal():
            return await _sign(session, log, services)
        case receiver.PayjoinProposal():
            return await _post_proposal(session, log, services)
        case receiver.HasReplyableError():
            return await _reply(session, log, services)
        case receiver.PendingFallback():
            return await _settle_by_fallback(session, log, services)
        case receiver.Monitor():
            return await _watch(session, log, services)
        case receiver.Closed():
            return session


async def _wait_for_original(
    session: receiver.Initialized, log: Log, services: Services
) -> ReceiverSession:
    paid = await asyncio.to_thread(
        direct_payment, services.chain, session.address.script_pubkey, session.terms.uri.amount
    )
    if paid is not None:
        txid, depth = paid
        if depth >= session.created.depth:
            return await session.record_payment(txid).save_async(log)
        return session
    now = services.clock()
    if now >= session.expires_at:
        return await session.expire(now).save_async(log)
    body, context = await exchange(lambda relay: session.poll(relay, now=now), services)
    return await session.process(body, context, now=services.clock()).save_async(log)


async def _check_broadcast(
    session: receiver.UncheckedOriginalPayload, log: Log, services: Services
) -> ReceiverSession:
    paid = await asyncio.to_thread(
        direct_payment, services.chain, session.address.script_pubkey, session.terms.uri.amount
    )
    if paid is not None:
        return await session.refuse_as_paid(paid[0]).save_async(log)
    answer = await asyncio.to_thread(services.chain.acceptance, session.transaction)
    accepted = isinstance(answer, Accepted)
    return await session.check_broadcast_suitability(
        accepted, min_fee_rate=services.policy.min_fee_rate
    ).save_async(log)


async def _check_ownership(
    session: receiver.MaybeInputsOwned, log: Log, services: Services
) -> ReceiverSession:
    scripts = session.sender_scripts
    owned_scripts = await asyncio.to_thread(services.wallet.owned, scripts)
    owned = {
        outpoint
        for outpoint, script in zip(session.sender_outpoints, scripts, strict=True)
        if script in owned_scripts
    }
    return await session.check_inputs_not_owned(owned).save_async(log)


async def _contribute(
    session: receiver.WantsInputs, log: Log, services: Services
) -> ReceiverSession:
    """Choose coins and hold them; one that another session took meanwhile is left out (P3)."""
    store, wallet = services.store, services.wallet
    await asyncio.to_thread(wallet.sync)
    candidates = await asyncio.to_thread(wallet.coins)
    exposed = await asyncio.to_thread(store.exposed)
    coins = {coin.outpoint: _marked(coin, exposed) for coin in candidates}
    await asyncio.to_thread(store.release, log.session_id)
    while chosen := session.select_coins(coins.values()):
        taken = await asyncio.to_thread(
            store.reserve, log.session_id, [coin.outpoint for coin in chosen]
        )
        if not taken:
            try:
                return await session.commit_inputs(chosen).save_async(log)
            except PayloadTooLarge:
                return await session.refuse(Reason.PROPOSAL_TOO_LARGE).save_async(log)
        await asyncio.to_thread(store.release, log.session_id)
        for outpoint in taken:
            del coins[outpoint]
    return await session.cannot_contribute().save_async(log)


def _marked(coin: Coin, exposed: frozenset[OutPoint]) -> Coin:
    return Coin(coin.outpoint, coin.psbt_input, coin.utxo, coin.outpoint in exposed)


async def _sign(
    session: receiver.ProvisionalProposal, log: Log, services: Services
) -> ReceiverSession:
    signed = await asyncio.to_thread(services.wallet.sign, session.psbt_to_sign)
    # Durable before the event that hands the proposal out: a crash between costs nothing.
    await asyncio.to_thread(services.store.expose, log.session_id)
    try:
        finalized = session.finalize_proposal(signed)
    except UsageError:
        finalized = session.cannot_sign()
    return await finalized.save_async(log)


async def _post_proposal(
    session: receiver.PayjoinProposal, log: Log, services: Services
) -> ReceiverSession:
    now = services.clock()
    if now >= session.expires_at:
        return await session.expire(now).save_async(log)
    body, context = await exchange(lambda relay: session.post(relay, now=now), services)
    return await session.process_post(body, context).save_async(log)


async def _reply(
    session: receiver.HasReplyableError, log: Log, services: Services
) -> ReceiverSession:
    now = services.clock()
    if now >= session.expires_at:
        return await session.expire(now).save_async(log)
    body, context = await exchange(lambda relay: session.reply(relay, now=now), services)
    return await session.process_reply(body, context).save_async(log)


async def _settle_by_fallback(
    session: receiver.PendingFallback, log: Log, services: Services
) -> ReceiverSession:
    """Look before every broadcast: the payment may have been made already (M4)."""
    spend = await asyncio.to_thread(deepest_spend, services.chain, session.contested)
    if spend is not None and not session.requested:
        return await session.record_spend(spend.transaction).save_async(log)
    if not (session.requested or _due(session, services)):
        return session
    answer = await asyncio.to_thread(services.chain.broadcast, session.fallback)
    if isinstance(answer, Accepted):
        return await session.record_broadcast(session.fallback.txid).save_async(log)
    if spend is not None:
        return await session.record_spend(spend.transaction).save_async(log)
    return session


async def _watch(session: receiver.Monitor, log: Log, services: Services) -> ReceiverSession:
    spend = await asyncio.to_thread(deepest_spend, services.chain, session.contested)
    if spend is not None:
        return await session.record_settlement(spend.transaction, spend.depth).save_async(log)
    if _due(session, services):
        return await session.fallback_due(services.clock()).save_async(log)
    return session


def _due(session: receiver.PendingFallback | receiver.Monitor, services: Services) -> bool:
    return (
        services.policy.at_expiry is AtExpiry.BROADCAST
        and session.due_at is not None
        and services.clock() >= session.due_at
    )
