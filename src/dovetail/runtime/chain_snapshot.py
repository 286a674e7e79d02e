"""One look at the chain: what became of a session's coins, and what its address has received."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from typing import TypeAlias

from dovetail.bitcoin import FeeRate, OutPoint, Psbt, Sats, Script, Transaction, Txid
from dovetail.errors import ChainError, ParseError, UsageError
from dovetail.runtime.services import Services
from dovetail.runtime.vanished_coins import missing_at
from dovetail.sessions import receiver
from dovetail.sessions.other_payments import Receipt, Receipts
from dovetail.sessions.receiver.payload import Payload
from dovetail.wallets.ports import Chain, Payment, Spend

NOTHING = Receipts()

Held: TypeAlias = (
    receiver.MaybeInputsOwned
    | receiver.MaybeInputsSeen
    | receiver.OutputsUnknown
    | receiver.WantsOutputs
    | receiver.WantsInputs
    | receiver.WantsFeeRange
    | receiver.ProvisionalProposal
    | receiver.PayjoinProposal
    | receiver.PendingFallback
    | receiver.Monitor
)
"""The states that hold a fallback by themselves."""
Watchable: TypeAlias = Held | receiver.HasReplyableError
"""The states that hold a fallback, or may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What the chain source shows at one moment."""

    spend: Spend | None = None
    """What spends a contested outpoint, the deepest of several."""
    missing_at: int | None = None
    """The best block's height where a contested outpoint exists no more, in a block or waiting."""
    received: Receipts = NOTHING
    """What the address has received by transactions that spend no contested outpoint."""
    revoked: Spend | None = None
    """What spends a coin of ours that the proposal brings, and is no payjoin."""


def look_at(
    chain: Chain,
    *,
    script: Script,
    asked: int | None,
    contested: Collection[OutPoint],
    exposed: Collection[OutPoint] = (),
    own: Collection[Txid] = (),
) -> Look:
    """Look at the contested outpoints and at the address; `own` are never payments beside it.

    The address comes first: a payjoin that appears in between then counts as a spend alone.
    """
    paid = chain.payments_to(script)
    spends = chain.spends_of((*contested, *exposed))
    fought = [spends[outpoint] for outpoint in contested if outpoint in spends]
    ours = {spend.transaction.txid for spend in fought}.union(own)
    beside = (Receipt(each.txid, each.amount, each.depth) for each in paid if each.txid not in ours)
    revoking = (
        spends[outpoint]
        for outpoint in exposed
        if outpoint in spends and spends[outpoint].transaction.txid not in ours
    )
    return Look(
        spend=max(fought, key=lambda spend: spend.depth, default=None),
        missing_at=None if fought else missing_at(chain, contested),
        received=Receipts.of(beside, asked=asked),
        revoked=next(revoking, None),
    )


def payload_of(session: Watchable | receiver.UncheckedOriginalPayload) -> Payload:
    """The Original that the session holds; raises `UsageError` where there is none."""
    payload = session.held if isinstance(session, receiver.HasReplyableError) else session.payload
    if payload is None:
        raise UsageError("No payment is held here: wait for one.")
    return payload


async def look(session: Watchable | receiver.UncheckedOriginalPayload, services: Services) -> Look:
    """What the chain shows of a session that holds an Original; raises `ChainError`."""
    proposal: Psbt | None = getattr(session, "proposal", None)
    fallback = payload_of(session).fallback
    ours = (fallback,) if proposal is None else (fallback, proposal.unsigned_transaction)
    contested = fallback.contested()
    exposed = {outpoint for tx in ours for outpoint in tx.contested()}.difference(contested)
    return await asyncio.to_thread(
        look_at,
        services.chain,
        script=session.address.script_pubkey,
        asked=session.created.amount,
        contested=contested,
        exposed=tuple(exposed),
        own=[tx.txid for tx in ours],
    )


def receipts(session: receiver.ReceiverSession, paid: Collection[Payment]) -> Receipts:
    """What the address of a session without an Original has received."""
    found = (Receipt(each.txid, each.amount, each.depth) for each in paid)
    return Receipts.of(found, asked=session.created.amount)


async def received(session: receiver.ReceiverSession, services: Services) -> Receipts:
    """The same by a look; raises `ChainError`."""
    paid = await asyncio.to_thread(services.chain.payments_to, session.address.script_pubkey)
    return receipts(session, paid)


def fee_rate_of(chain: Chain, spend: Transaction) -> FeeRate | None:
    """What a transaction pays; None where the chain source does not have all that it spends."""
    try:
        spent = chain.outputs(spend.contested())
    except ChainError:
        return None
    if len(spent) < len(spend.inputs):
        return None
    brought = sum(output.txout.value for output in spent.values())
    fee = brought - sum(output.value for output in spend.outputs)
    try:
        return FeeRate.of(Sats(fee), spend.weight)
    except ParseError:
        return None  # amounts that do not fit each other
