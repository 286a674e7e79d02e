"""What can be told of a transaction without asking a node: whether the network would take it."""

from collections.abc import Callable

from dovetail.bitcoin import FeeRate, OutPoint, Sats, Transaction, TxOut
from dovetail.errors import InvalidAmount
from dovetail.wallets.ports import Accepted, Refused

_FINAL_SEQUENCE = 0xFFFFFFFF
_LOCK_TIME_THRESHOLD = 500_000_000
_MAX_REASON = 200

KNOWN = frozenset(
    {"txn-already-in-mempool", "txn-already-known", "txn-same-nonwitness-data-in-mempool"}
)
"""Reasons by which Bitcoin Core says that it has the transaction already."""
SAME = "txn-already-in-mempool"
"""The one of them that says so of the same signatures, too."""


def judged(
    transaction: Transaction,
    *,
    height: int,
    unspent: Callable[[OutPoint], TxOut | None],
    min_fee_rate: FeeRate = FeeRate.RELAY_MIN,
) -> Accepted | Refused:
    """The verdict by the inputs, the sums, the lock time and the minimum fee rate.

    `unspent` finds an output that is there and not spent. This cannot tell wrong signatures, a
    replacement that would be taken, a full mempool, nor other rules of relay.
    """
    spent: list[TxOut] = []
    for txin in transaction.inputs:
        output = unspent(txin.previous_output)
        if output is None:
            return Refused("bad-txns-inputs-missingorspent")
        if not txin.script_sig and not txin.witness:
            return Refused("an input is not signed")
        spent.append(output)
    try:
        brought = Sats.sum(txout.value for txout in spent)
        fee = brought - Sats.sum(txout.value for txout in transaction.outputs)
    except InvalidAmount:
        return Refused("bad-txns-in-belowout")
    if FeeRate.of(fee, transaction.weight) < min_fee_rate:
        return Refused("min relay fee not met")
    if _is_locked(transaction, height):
        return Refused("non-final")
    return Accepted()


def depth_of(block_height: int, tip: int) -> int:
    """How deep a block lies; one that came after we asked for the tip is the newest one."""
    return max(1, tip - block_height + 1)


def shortened(reason: str) -> str:
    """A reason fit for a log."""
    return "".join(c if c.isprintable() else " " for c in reason[:_MAX_REASON]) or "refused"


def _is_locked(transaction: Transaction, height: int) -> bool:
    """Whether the lock time is a height to come; one in seconds is left to the node."""
    lock_time = transaction.lock_time
    binds = any(txin.sequence != _FINAL_SEQUENCE for txin in transaction.inputs)
    return binds and height < lock_time < _LOCK_TIME_THRESHOLD
