"""Blocking queries that take several calls to a chain source, or interpret its answer."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from dovetail.bitcoin import FeeRate, OutPoint, Sats, Script, Transaction, Txid
from dovetail.errors import ChainError, ParseError
from dovetail.sessions.other_payments import Receipt, Receipts
from dovetail.wallets.ports import Accepted, Chain, Spend, Unknown

NOTHING = Receipts()
UNTOLD = (
    "The chain source does not say whether the network took the transaction. Dovetail looks for"
    " it and broadcasts it again."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The state of a session's coins and address on the chain at one moment."""

    spend: Spend | None = None
    """The spend of a contested outpoint, the deepest of several."""
    missing_at: int | None = None
    """The best block's height if a contested outpoint is in neither a block nor the mempool."""
    received: Receipts = NOTHING
    """Payments to the address by transactions that spend no contested outpoint."""
    revoked: Spend | None = None
    """A spend of a coin that we added to the proposal, if it is no payjoin."""


def look_at(
    chain: Chain,
    *,
    script: Script,
    asked: int | None,
    contested: Collection[OutPoint],
    exposed: Collection[OutPoint] = (),
    own: Collection[Txid] = (),
) -> Look:
    """Query the contested outpoints and the address; `own` never count as payments beside it.

    The address is asked first: a payjoin that appears in between then counts only as a spend.
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


def deepest_spend(chain: Chain, contested: Iterable[OutPoint]) -> Spend | None:
    """The transaction that spends a contested outpoint, the deepest if there are several.

    Several are possible when another party spends some of the outpoints.
    """
    spends = chain.spends_of(tuple(contested))
    return max(spends.values(), key=lambda spend: spend.depth, default=None)


def taken(chain: Chain, transaction: Transaction) -> bool:
    """Broadcast it, and return whether the network has it now; False where it refuses.

    Raises `ChainError` where that stays unknown.
    """
    answer = chain.broadcast(transaction)
    if isinstance(answer, Unknown):
        raise ChainError(UNTOLD)
    return isinstance(answer, Accepted)


def missing_at(chain: Chain, outpoints: Collection[OutPoint]) -> int | None:
    """The height at which one of the outputs does not exist; None: all exist, spent or not.

    Raises `ChainError` where that stays unknown.
    """
    found = chain.outputs(outpoints)
    return None if all(outpoint in found for outpoint in outpoints) else chain.height()


def fee_rate_of(chain: Chain, spend: Transaction) -> FeeRate | None:
    """The fee rate of a transaction; None where the chain source lacks an output it spends."""
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
