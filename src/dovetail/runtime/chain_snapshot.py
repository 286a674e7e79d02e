"""A snapshot of the chain: a session's coins, and what its address has received."""

from collections.abc import Collection
from typing import TYPE_CHECKING, TypeAlias

from dovetail.errors import UsageError
from dovetail.runtime.async_ports import AsyncChain
from dovetail.runtime.chain_queries import Look
from dovetail.sessions import receiver
from dovetail.sessions.other_payments import Receipt, Receipts
from dovetail.sessions.receiver.payload import Payload
from dovetail.wallets.ports import Payment

if TYPE_CHECKING:
    from dovetail.bitcoin import Psbt

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
"""The states that always hold a fallback."""
Watchable: TypeAlias = Held | receiver.HasReplyableError
"""The states that hold a fallback, or may."""


def payload_of(session: Watchable | receiver.UncheckedOriginalPayload) -> Payload:
    """The Original that the session holds; raises `UsageError` where there is none."""
    payload = session.held if isinstance(session, receiver.HasReplyableError) else session.payload
    if payload is None:
        raise UsageError("No payment is held here: wait for one.")
    return payload


async def look(session: Watchable | receiver.UncheckedOriginalPayload, chain: AsyncChain) -> Look:
    """The chain's view of a session that holds an Original; raises `ChainError`."""
    proposal: Psbt | None = getattr(session, "proposal", None)
    fallback = payload_of(session).fallback_transaction
    ours = (fallback,) if proposal is None else (fallback, proposal.unsigned_transaction)
    contested = fallback.contested()
    exposed = {outpoint for tx in ours for outpoint in tx.contested()}.difference(contested)
    return await chain.look(
        script=session.address.script_pubkey,
        asked=session.created.amount,
        contested=contested,
        exposed=tuple(exposed),
        own=[tx.txid for tx in ours],
    )


def receipts(session: receiver.ReceiverSession, paid: Collection[Payment]) -> Receipts:
    """The payments to the address of a session without an Original, as receipts."""
    found = (Receipt(each.txid, each.amount, each.depth) for each in paid)
    return Receipts.of(found, asked=session.created.amount)


async def received(session: receiver.ReceiverSession, chain: AsyncChain) -> Receipts:
    """The same, asked of the chain source; raises `ChainError`."""
    return receipts(session, await chain.payments_to(session.address.script_pubkey))
