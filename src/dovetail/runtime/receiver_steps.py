"""One step for each of the receiver's typestates: the I/O that the state needs, nothing else.

Each step saves at most one transition and returns the state that follows, or the same state
when there is nothing to do yet. When it raises, the session stays where it was.
"""

from collections.abc import Collection, Mapping

from dovetail.bitcoin import FeeRate, OutPoint, Script, Transaction, TxOut
from dovetail.errors import ParseError, PayloadTooLarge, UsageError
from dovetail.protocol.coin import Coin
from dovetail.protocol.original import fee_rate
from dovetail.runtime.async_ports import compute
from dovetail.runtime.chain_queries import Look
from dovetail.runtime.chain_snapshot import look
from dovetail.runtime.chain_watch import ChainWatch
from dovetail.runtime.ohttp_request import exchange, unreachable
from dovetail.runtime.receiver_polling import wait_for_original
from dovetail.runtime.receiver_settlement_steps import settle
from dovetail.runtime.turn import ReceiverTurn
from dovetail.sessions import receiver
from dovetail.sessions.reasons import Reason
from dovetail.sessions.receiver import ReceiverEvent, ReceiverSession
from dovetail.sessions.receiver.events import Channel
from dovetail.sessions.transition import Transition
from dovetail.wallets.ports import Accepted

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
"""The states before coins are committed, and before they are shown, perhaps days later (M4)."""


async def step_receiver(session: ReceiverSession, turn: ReceiverTurn) -> ReceiverSession:
    """Take `session` one step further.

    Raises `InfrastructureError` where another try may help, `StaleSession` where the session
    has to be loaded again, and `StoreUnavailable`.
    """
    match session:
        case receiver.Initialized():
            return await wait_for_original(session, turn)
        case receiver.UncheckedOriginalPayload():
            return await _check_broadcast(session, turn)
        case receiver.PayjoinProposal():
            return await _post_proposal(session, turn)
        case receiver.HasReplyableError():
            return await _reply(session, turn)
        case receiver.PendingFallback() | receiver.Monitor():
            return await settle(session, turn)
        case receiver.Closed():
            return session
        case _:
            return await _negotiate(session, turn)


async def _negotiate(session: _Negotiating, turn: ReceiverTurn) -> ReceiverSession:
    """Make the proposal, or an answer that tells the sender that there is none.

    Past the expiration the checks go on until the fallback is known to be owed: then it is paid.
    """
    stopped = await _stop_in_time(session, turn)
    if stopped is not None:
        return stopped
    match session:
        case receiver.MaybeInputsOwned():
            return await _check_ownership(session, turn)
        case receiver.MaybeInputsSeen():
            # Saved before the event (P2): a crash in between is harmless, the claim is our own.
            seen = await turn.store.claim(turn.session_id, session.contested)
            return await session.check_no_inputs_seen_before(seen).save_async(turn.log)
        case receiver.OutputsUnknown():
            owned = await turn.wallet.owned(session.output_scripts)
            return await session.identify_receiver_outputs(owned).save_async(turn.log)
        case receiver.WantsOutputs():
            return await _commit_outputs(session, turn)
        case receiver.WantsInputs():
            return await _contribute(session, turn)
        case receiver.WantsFeeRange():
            policy = turn.policy
            floor = await turn.chain.min_fee_rate()
            return await session.apply_fee_range(
                policy.min_fee_rate, policy.max_fee_rate, relay_fee_rate=floor
            ).save_async(turn.log)
        case receiver.ProvisionalProposal():
            return await _sign(session, turn)


async def _stop_in_time(session: _Negotiating, turn: ReceiverTurn) -> ReceiverSession | None:
    """End the negotiation if time is up, or wallet or payment is gone; None: it goes on."""
    now = turn.now()
    if isinstance(session, _Owing) and now >= session.expires_at:
        expired = await session.expire(now).save_async(turn.log)
        await turn.store.release(turn.session_id)
        return expired
    if turn.failures >= turn.policy.tries:
        # The sender must not wait until the expiration for a wallet that is away.
        signing = isinstance(session, receiver.ProvisionalProposal)
        reason = Reason.WALLET_CANNOT_SIGN if signing else Reason.WALLET_UNAVAILABLE
        return await session.refuse(reason).save_async(turn.log)
    if not isinstance(session, _Guarded):
        return None
    forestalled = await _forestalled(session, turn)
    if forestalled is None:
        return None
    stopped = await forestalled.save_async(turn.log)
    await turn.store.release(turn.session_id)
    return stopped


async def _check_broadcast(
    session: receiver.UncheckedOriginalPayload, turn: ReceiverTurn
) -> ReceiverSession:
    """Refuse a payment that is already made, already dead, or spends unconfirmed coins."""
    seen = await look(session, turn.chain)
    _tell_received(session, seen, turn.watch)
    if seen.received.full:
        return await session.refuse_as_paid(seen.received.txids[0]).save_async(turn.log)
    if seen.spend is not None:
        if not _pays(session, seen.spend.transaction):
            turn.watch.see_double_spend(seen.spend, wanted=session.created.depth)
        return await session.refuse(Reason.ORIGINAL_INPUTS_SPENT).save_async(turn.log)
    return await _judge(session, turn)


def _pays(session: receiver.UncheckedOriginalPayload, spend: Transaction) -> bool:
    """Whether it pays our address, as the Original does: then a query of the address shows it."""
    payee = session.address.script_pubkey
    return any(output.script_pubkey == payee for output in spend.outputs)


async def _judge(session: receiver.UncheckedOriginalPayload, turn: ReceiverTurn) -> ReceiverSession:
    """Check an Original by chain and signatures; one that is refused is not sent to the node."""
    chain, policy = turn.chain, turn.policy
    height, existing = await chain.height(), await chain.outputs(session.contested)
    if not policy.unconfirmed_inputs and any(each.depth == 0 for each in existing.values()):
        return await session.refuse(Reason.ORIGINAL_UNCONFIRMED_INPUTS).save_async(turn.log)
    answer = await chain.acceptance(session.transaction)
    if isinstance(answer, Accepted):
        await compute(lambda: session.signatures)
    return await session.check_broadcast_suitability(
        isinstance(answer, Accepted),
        tested=isinstance(answer, Accepted) and answer.tested,
        spent={outpoint: output.txout for outpoint, output in existing.items()},
        min_fee_rate=policy.min_fee_rate,
        height=height,
    ).save_async(turn.log)


def _tell_received(
    session: receiver.UncheckedOriginalPayload | _Guarded | receiver.PayjoinProposal,
    seen: Look,
    watch: ChainWatch,
) -> None:
    """Note what came beside the payment, as its own transaction may have been noted before."""
    if seen.spend is None or seen.received.full:
        watch.see_received(
            seen.received, wanted=session.created.depth, asked=session.created.amount
        )


async def _forestalled(
    session: _Guarded, turn: ReceiverTurn
) -> Transition[ReceiverEvent, ReceiverSession] | None:
    """End the negotiation before a coin of ours is shown, if it has to end; None: it goes on (M4).

    The sender is told, unless a block shows the outcome already.
    """
    seen = await look(session, turn.chain)
    _tell_received(session, seen, turn.watch)
    if seen.spend is not None:
        transaction = seen.spend.transaction
        if seen.spend.depth or session.settles(transaction):
            return session.record_spend(transaction)
        turn.watch.see_double_spend(seen.spend, wanted=session.created.depth)
        return session.refuse(Reason.ORIGINAL_INPUTS_SPENT)
    if seen.received.full:
        return session.refuse_as_paid(seen.received.txids[0])
    if seen.missing_at is not None:
        return session.refuse(Reason.COINS_GONE)
    return None


async def _check_ownership(
    session: receiver.MaybeInputsOwned, turn: ReceiverTurn
) -> ReceiverSession:
    """Ask the wallet by outpoint, and by script, as it may not know its newest coins yet.

    The scripts can be trusted: they were compared with the chain's before.
    """
    outpoints, scripts = session.contested, session.sender_scripts
    owned, ours = await turn.wallet.owned_coins(outpoints), await turn.wallet.owned(scripts)
    pairs = zip(outpoints, scripts, strict=True)
    owned = owned.union(outpoint for outpoint, script in pairs if script in ours)
    return await session.check_inputs_not_owned(owned).save_async(turn.log)


async def _commit_outputs(session: receiver.WantsOutputs, turn: ReceiverTurn) -> ReceiverSession:
    """Pay the wallet's settlement script in place of the address, where that is allowed.

    The address is kept where the URI or the sender forbids it, or where nodes would refuse the new
    output as dust (BIP 78, Payment output substitution).
    """
    replacement: tuple[TxOut, ...] | None = None
    script: Script | None = None
    if session.draft.params.output_substitution and session.payjoin_uri.output_substitution:
        script = await turn.wallet.settlement_script(session.address.script_pubkey)
    if script is not None:
        replacement = _with_script(session, script)
    if replacement is None:
        return await session.commit_outputs().save_async(turn.log)
    committed = session.commit_outputs(replacement, drain_script=script)
    return await committed.save_async(turn.log)


def _with_script(session: receiver.WantsOutputs, script: Script) -> tuple[TxOut, ...] | None:
    """Our outputs with this script in place of the address; None where that cannot be.

    Those that pay other addresses of ours keep their scripts: they are no part of this session.
    """
    draft, address = session.draft, session.address.script_pubkey
    paid = draft.original.unsigned_transaction.outputs
    if any(output.script_pubkey == script for output in paid):
        return None  # the sender knows the script already
    ours = [paid[index] for index in draft.receiver_outputs]
    if any(each.value < script.dust_limit for each in ours if each.script_pubkey == address):
        return None
    return tuple(
        TxOut(each.value, script if each.script_pubkey == address else each.script_pubkey)
        for each in ours
    )


async def _contribute(session: receiver.WantsInputs, turn: ReceiverTurn) -> ReceiverSession:
    """Choose coins and hold them; those that another session holds are left out (P3).

    Nothing is given back here: another process may be at this same step, and the coins it holds
    and commits must not become free for a third session. The reservations are read before the
    coins: a coin that its session spends and gives back in between would look free. If another
    process takes a coin after that, the reservation fails.
    """
    coins = await _free_coins(turn)
    # If coins exist but cost more than they are worth, the reason is the fee, not a lack of coins.
    dear = coins and _asked_rate(session) > turn.policy.max_fee_rate
    reason = Reason.FEE_CAP if dear else Reason.NO_COINS_TO_CONTRIBUTE
    while chosen := session.select_coins(coins.values()):
        outpoints = [coin.outpoint for coin in chosen]
        unusable = await turn.store.reserve(turn.session_id, outpoints)
        if not unusable:
            try:
                committed = session.commit_inputs(chosen)
            except PayloadTooLarge:
                unusable, reason = _too_large(coins, outpoints), Reason.PROPOSAL_TOO_LARGE
            except (UsageError, ParseError):
                unusable = frozenset(outpoints)
            else:
                return await committed.save_async(turn.log)
        for outpoint in unusable:
            del coins[outpoint]
    return await session.cannot_contribute(reason).save_async(turn.log)


def _too_large(coins: Mapping[OutPoint, Coin], tried: Collection[OutPoint]) -> frozenset[OutPoint]:
    """The coins to leave out once some were too large: all but the smallest, if it is smaller.

    So a large Original has two tries at most, for any number of coins.
    """
    smallest = min(coins, key=lambda outpoint: coins[outpoint].size)
    if coins[smallest].size == min(coins[outpoint].size for outpoint in tried):
        return frozenset(coins)
    return frozenset(coins) - {smallest}


async def _free_coins(turn: ReceiverTurn) -> dict[OutPoint, Coin]:
    """The wallet's coins that exist on the chain now, without those of other sessions."""
    held = await turn.store.reserved(besides=turn.session_id)
    await turn.wallet.sync()
    coins = await turn.wallet.coins()
    exposed = await turn.store.exposed()
    return {coin.outpoint: _marked(coin, exposed) for coin in coins if coin.outpoint not in held}


def _asked_rate(session: receiver.WantsInputs) -> FeeRate:
    """The fee rate that the Original pays, or the higher one that the sender demands."""
    return max(session.draft.params.min_fee_rate, fee_rate(session.draft.original))


def _marked(coin: Coin, exposed: frozenset[OutPoint]) -> Coin:
    return Coin(coin.outpoint, coin.psbt_input, coin.utxo, coin.outpoint in exposed)


async def _sign(session: receiver.ProvisionalProposal, turn: ReceiverTurn) -> ReceiverSession:
    signed = await turn.wallet.sign(session.psbt_to_sign, inputs=session.inputs_to_sign)
    # Saved before the event that hands the proposal out (P3): a crash in between is harmless.
    await turn.store.expose(turn.session_id)
    try:
        finalized = session.finalize_proposal(signed)
    except (UsageError, ParseError):
        finalized = session.cannot_sign()
    return await finalized.save_async(turn.log)


async def _post_proposal(
    session: receiver.PayjoinProposal,
    turn: ReceiverTurn,
) -> ReceiverSession:
    """Post it, unless the payment was made or died since it was signed (M4)."""
    now = turn.now()
    if now >= session.expires_at:
        why = unreachable(turn)
        ended = session.expire(now) if why is None else session.fail(why)
        return await ended.save_async(turn.log)
    seen = await look(session, turn.chain)
    _tell_received(session, seen, turn.watch)
    if seen.spend is not None:
        return await session.record_spend(seen.spend.transaction).save_async(turn.log)
    if seen.received.full:
        return await session.record_payment(seen.received).save_async(turn.log)
    if seen.missing_at is not None:
        return await session.fail(Reason.COINS_GONE).save_async(turn.log)
    if session.payload.reply_to.channel is Channel.V1_HTTP:
        # It counts as in the sender's hands; the HTTP server answers with it (ADR 0017).
        return await session.record_posted().save_async(turn.log)
    body, context = await exchange(
        lambda relay: session.post(relay, now=now), session, turn.services
    )
    return await session.process_post(body, context).save_async(turn.log)


async def _reply(session: receiver.HasReplyableError, turn: ReceiverTurn) -> ReceiverSession:
    """Tell the sender; if their payment does not count, the URI takes another one."""
    await turn.store.release(turn.session_id)
    now = turn.now()
    if now >= session.expires_at:
        return await (_reopening(session) or session.expire(now)).save_async(turn.log)
    if session.reply_to.channel is Channel.V1_HTTP:
        return await (_reopening(session) or session.record_replied()).save_async(turn.log)
    body, context = await exchange(
        lambda relay: session.reply(relay, now=now), session, turn.services
    )
    if session.reopens:
        session.check_reply(body, context)
        return await receiver.reopen(session).save_async(turn.log)
    return await session.process_reply(body, context).save_async(turn.log)


def _reopening(
    session: receiver.HasReplyableError,
) -> Transition[ReceiverEvent, receiver.Initialized] | None:
    return receiver.reopen(session) if session.reopens else None
