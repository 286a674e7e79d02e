"""What a chain source is asked in more than one call, or whose answer has to be read (blocking)."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from dovetail.bitcoin import FeeRate, OutPoint, Sats, Script, Transaction, Txid
from dovetail.errors import ChainError, ParseError
from dovetail.sessions.other_payments import Receipt, Receipts
from dovetail.wallets.ports import Accepted, Chain, Spend, Unknown

NOTHING = Receipts()
UNTOLD = (
    "The chain source does not say whether the network took the transaction: Dovetail looks for"
    " it and broadcasts it again."
)


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


def deepest_spend(chain: Chain, contested: Iterable[OutPoint]) -> Spend | None:
    """The transaction that spends a contested outpoint, the deepest if there are several.

    Different ones are possible when somebody else spends some of them.
    """
    spends = chain.spends_of(tuple(contested))
    return max(spends.values(), key=lambda spend: spend.depth, default=None)


def taken(chain: Chain, transaction: Transaction) -> bool:
    """Broadcast it, and tell whether the network has it now; False where it refuses.

    Raises `ChainError` where that stays open.
    """
    answer = chain.broadcast(transaction)
    if isinstance(answer, Unknown):
        raise ChainError(UNTOLD)
    return isinstance(answer, Accepted)


def missing_at(chain: Chain, outpoints: Collection[OutPoint]) -> int | None:
    """The height at which one of the outputs does not exist; None: all are there, spent or not.

    Raises `ChainError` where that stays open.
    """
    found = chain.outputs(outpoints)
    return None if all(outpoint in found for outpoint in outpoints) else chain.height()


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
