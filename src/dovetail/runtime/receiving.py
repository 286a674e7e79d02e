"""One step for each of the receiver's typestates: what I/O a state asks for, and nothing else.

Each step saves at most one transition and returns the state that follows, or the same state
when there is nothing to do yet. What it raises leaves the session where it was.
"""

import asyncio
from collections.abc import Collection, Mapping

from dovetail.bitcoin import FeeRate, OutPoint, Transaction
from dovetail.errors import ChainError, ParseError, PayloadTooLarge, UsageError
from dovetail.protocol.contribution import Coin
from dovetail.protocol.original import fee_rate
from dovetail.runtime.attending import attended
from dovetail.runtime.duties import is_due
from dovetail.runtime.exchange import exchange, unreachable
from dovetail.runtime.fees import tell_fee
from dovetail.runtime.services import Services
from dovetail.runtime.watching import Watch, deepest_spend, direct_payment, taken
from dovetail.sessions import receiver
from dovetail.sessions.reasons import Reason
from dovetail.sessions.receiver import ReceiverEvent, ReceiverSession
from dovetail.sessions.receiver.events import Channel, Web
from dovetail.sessions.transition import Transition
from dovetail.stores.ports import SessionLog
from dovetail.wallets.ports import Accepted, Payment

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


async def step_receiver(
    session: ReceiverSession,
    log: Log,
    services: Services,
    *,
    failures: int = 0,
    watch: Watch | None = None,
) -> ReceiverSession:
    """Take `session` one step further, after `failures` failed tries in a row at the same step.

    `watch` is what this process knows of the session.

    Raises `InfrastructureError` where another try may help, `StaleSession` where the session
    has to be loaded again, and `StoreUnavailable`.
    """
    watch = watch or Watch()
    match session:
        case receiver.Initialized():
            return await _wait_for_original(session, log, services, failures, watch)
        case receiver.UncheckedOriginalPayload():
            return await _check_broadcast(session, log, services, watch)
        case receiver.PayjoinProposal():
            why = unreachable(watch, failures, services)
            return await _post_proposal(session, log, services, why)
        case receiver.HasReplyableError():
            return await _reply(session, log, services)
        case receiver.PendingFallback():
            return await _settle_by_fallback(session, log, services, watch)
        case receiver.Monitor():
            return await _watch(session, log, services, watch)
        case receiver.Closed():
            return session
        case _:
            return await _negotiate(session, log, services, failures)


async def _negotiate(
    session: _Negotiating, log: Log, services: Services, failures: int
) -> ReceiverSession:
    """Make the proposal, or an answer from which the sender learns that there is none.

    Past the expiration the checks go on until the fallback is known to be owed: then it is paid.
    """
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
    match session:
        case receiver.MaybeInputsOwned():
            return await _check_ownership(session, log, services)
        case receiver.MaybeInputsSeen():
            # Durable before the event (P2): a crash between is harmless, the claim is our own.
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


async def _wait_for_original(
    session: receiver.Initialized, log: Log, services: Services, failures: int, watch: Watch
) -> ReceiverSession:
    """Wait at the mailbox; past the expiration at the address alone, as long as the grace.

    A sender whose Original was lost makes the ordinary payment at the expiration.
    """
    paid = await _look_at_address(session, services, watch)
    if paid is not None and paid.depth >= session.created.depth:
        return await session.record_payment(paid.txid).save_async(log)
    now = services.clock()
    if now >= session.expires_at:
        watch.unreachable = watch.unreachable or unreachable(watch, failures, services)
        if paid is not None or now < session.watched_until:
            return session  # what was paid closes it once that is deep enough
        return await session.expire(now, why=watch.unreachable).save_async(log)
    if isinstance(session.created.endpoint, Web):
        return session  # whoever serves its URL brings the Original

    async def paid_in_full() -> bool:
        try:
            seen = await _look_at_address(session, services, watch)
        except ChainError:
            return False  # the next step says so
        return seen is not None and seen.depth >= session.created.depth

    answer = await attended(
        lambda: exchange(lambda relay: session.poll(relay, now=now), services),
        watch,
        paid_in_full,
        every=services.policy.watch_interval,
    )
    if answer is None:
        return session
    return await session.process(*answer, now=services.clock()).save_async(log)


async def _look_at_address(
    session: receiver.Initialized | receiver.UncheckedOriginalPayload,
    services: Services,
    watch: Watch,
) -> Payment | None:
    """What pays the address directly; a sighting is told at once."""
    paid = await _direct_payment(session, services)
    watch.see_payment(paid, wanted=session.created.depth)
    return paid


async def _check_broadcast(
    session: receiver.UncheckedOriginalPayload, log: Log, services: Services, watch: Watch
) -> ReceiverSession:
    paid = await _look_at_address(session, services, watch)
    if paid is not None:
        # Unconfirmed it is no outcome yet, and reason enough to take no second payment.
        if paid.depth < session.created.depth:
            return session
        return await session.refuse_as_paid(paid.txid).save_async(log)
    answer = await asyncio.to_thread(services.chain.acceptance, session.transaction)
    existing = await asyncio.to_thread(services.chain.outputs, session.sender_outpoints)
    transition = await asyncio.to_thread(  # it verifies every signature
        session.check_broadcast_suitability,
        isinstance(answer, Accepted),
        tested=isinstance(answer, Accepted) and answer.tested,
        spent={outpoint: output.txout for outpoint, output in existing.items()},
        min_fee_rate=services.policy.min_fee_rate,
    )
    return await transition.save_async(log)


async def _check_ownership(
    session: receiver.MaybeInputsOwned, log: Log, services: Services
) -> ReceiverSession:
    """Ask the wallet by outpoint, and by script, as it may not know its newest coins yet.

    The scripts are the true ones: they were compared with the chain's before.
    """
    outpoints, scripts = session.sender_outpoints, session.sender_scripts
    owned = await asyncio.to_thread(services.wallet.owned_coins, outpoints)
    ours = await asyncio.to_thread(services.wallet.owned, scripts)
    pairs = zip(outpoints, scripts, strict=True)
    owned |= {outpoint for outpoint, script in pairs if script in ours}
    return await session.check_inputs_not_owned(owned).save_async(log)


async def _contribute(
    session: receiver.WantsInputs, log: Log, services: Services
) -> ReceiverSession:
    """Choose coins and hold them; those that another session holds are left out (P3).

    Nothing is given back here: another process may be at this same step, and what it holds and
    commits must not become free for a third session meanwhile. Who holds what is read before the
    coins are: one that its session spends and gives back in between would pass for a free one.
    """
    store = services.store
    held = await asyncio.to_thread(store.reserved)
    candidates = await _coins(services)
    exposed = await asyncio.to_thread(store.exposed)
    coins = {coin.outpoint: _marked(coin, exposed) for coin in candidates}
    # Coins that are there and cost more than they are worth ask for lower fees, not for funds.
    dear = coins and _asked_rate(session) > services.policy.max_fee_rate
    reason = Reason.FEE_CAP if dear else Reason.NO_COINS_TO_CONTRIBUTE
    while chosen := session.select_coins(coins.values()):
        outpoints = [coin.outpoint for coin in chosen]
        unusable = await asyncio.to_thread(store.reserve, log.session_id, outpoints)
        if not unusable and not held.isdisjoint(outpoints):
            # Held by this session since a crash; or by one that has ended since, and has spent it.
            unspent = {coin.outpoint for coin in await _coins(services)}
            unusable = frozenset(outpoints) - unspent
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


async def _coins(services: Services) -> tuple[Coin, ...]:
    """The wallet's coins as the chain has them now."""
    await asyncio.to_thread(services.wallet.sync)
    return await asyncio.to_thread(services.wallet.coins)


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
    session: receiver.PayjoinProposal, log: Log, services: Services, why: Reason | None
) -> ReceiverSession:
    now = services.clock()
    if now >= session.expires_at:
        ended = session.expire(now) if why is None else session.fail(why)
        return await ended.save_async(log)
    if session.payload.reply_to.channel is Channel.V1_HTTP:
        # It counts as in the sender's hands; who holds the HTTP request answers with it (ADR 0017).
        return await session.record_posted().save_async(log)
    body, context = await exchange(lambda relay: session.post(relay, now=now), services)
    return await session.process_post(body, context).save_async(log)


async def _reply(
    session: receiver.HasReplyableError, log: Log, services: Services
) -> ReceiverSession:
    """Tell the sender; a session that holds no fallback looks at its address before it closes."""
    await asyncio.to_thread(services.store.release, log.session_id)
    now = services.clock()
    if now >= session.expires_at:
        return await (await _found_paid(session, services) or session.expire(now)).save_async(log)
    if session.reply_to.channel is Channel.V1_HTTP:
        paid = await _found_paid(session, services)
        return await (paid or session.record_replied()).save_async(log)
    body, context = await exchange(lambda relay: session.reply(relay, now=now), services)
    paid = await _found_paid(session, services)
    return await (paid or session.process_reply(body, context)).save_async(log)


async def _settle_by_fallback(
    session: receiver.PendingFallback, log: Log, services: Services, watch: Watch
) -> ReceiverSession:
    """Look before every broadcast: the payment may have been made already (M4)."""
    spend = await asyncio.to_thread(deepest_spend, services.chain, session.contested)
    if spend is not None and not session.requested:
        return await session.record_spend(spend.transaction).save_async(log)
    if not is_due(session, services):
        return session
    if session.may_end_unpaid:
        return await session.request_fallback().save_async(log)
    await tell_fee(session, services, watch)
    if await asyncio.to_thread(taken, services.chain, session.fallback):
        return await session.record_broadcast(session.fallback.txid).save_async(log)
    if spend is not None:
        return await session.record_spend(spend.transaction).save_async(log)
    raise ChainError(FALLBACK_REFUSED)


async def _watch(
    session: receiver.Monitor, log: Log, services: Services, watch: Watch
) -> ReceiverSession:
    spend = await asyncio.to_thread(deepest_spend, services.chain, session.contested)
    if session.fallback_broadcast and (spend is None or not spend.depth):
        await tell_fee(session, services, watch)
    watch.see(session, spend)
    if spend is not None:
        return await session.record_settlement(spend.transaction, spend.depth).save_async(log)
    # What was seen or broadcast before is no new decision, and fills no log when a mempool or a
    # reorganisation drops it.
    seen = None if session.fallback_broadcast else watch.payjoin
    if seen is not None and await _accepted(seen, services):
        return session
    due = is_due(session, services)
    if session.fallback_broadcast or (due and session.seen_spent and session.reason is not None):
        if await _accepted(session.fallback, services):
            return session
        raise ChainError(FALLBACK_REFUSED)
    return await session.fallback_due(services.clock()).save_async(log) if due else session


async def _accepted(transaction: Transaction, services: Services) -> bool:
    return await asyncio.to_thread(taken, services.chain, transaction)


FALLBACK_REFUSED = (
    "The network refuses the fallback for now, and shows nothing else that spends its coins:"
    " it is tried again."
)


async def _direct_payment(
    session: receiver.Initialized | receiver.UncheckedOriginalPayload | receiver.HasReplyableError,
    services: Services,
) -> Payment | None:
    amount = session.terms.created.amount
    script = session.address.script_pubkey
    return await asyncio.to_thread(direct_payment, services.chain, script, amount)


async def _found_paid(
    session: receiver.HasReplyableError, services: Services
) -> Transition[ReceiverEvent, receiver.Closed] | None:
    """A session that holds a fallback watches its coins instead of its address."""
    if session.held is not None or session.paid_by is not None:
        return None
    paid = await _direct_payment(session, services)
    if paid is None or paid.depth < session.created.depth:
        return None
    return session.record_payment(paid.txid)
