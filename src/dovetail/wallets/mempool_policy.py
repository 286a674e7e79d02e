"""What can be told of a transaction without asking a node: whether the network would take it."""

from collections.abc import Callable, Collection, Mapping

from dovetail.bitcoin import FeeRate, OutPoint, Sats, Transaction, TxOut
from dovetail.bitcoin.relay_policy import (
    LOCK_TIME_THRESHOLD,
    is_final,
    not_relayed,
    not_relayed_spending,
    relative_lock,
)
from dovetail.errors import InvalidAmount
from dovetail.wallets.ports import Accepted, Output, Refused

_LOCKED = "non-BIP68-final"
_MAX_REASON = 200

KNOWN = frozenset(
    {"txn-already-in-mempool", "txn-already-known", "txn-same-nonwitness-data-in-mempool"}
)
"""Reasons by which Bitcoin Core says that it has the transaction already."""
SAME = "txn-already-in-mempool"
"""The one of them that says so of the same signatures, too."""


def check_acceptance(
    transaction: Transaction,
    *,
    height: int,
    unspent: Callable[[OutPoint], TxOut | None],
    outputs: Callable[[Collection[OutPoint]], Mapping[OutPoint, Output]],
    min_fee_rate: FeeRate = FeeRate.RELAY_MIN,
    median_time: Callable[[], int],
) -> Accepted | Refused:
    """The verdict by form, inputs, sums, locks and the minimum fee rate, as Bitcoin Core has them.

    `unspent` finds an output that is there and not spent; `outputs` tells how deep it lies, and is
    asked only where a relative lock makes that matter; `median_time` is that of the tip in Unix
    seconds (BIP 113), and asked for only where a lock time in seconds binds. This cannot tell wrong
    signatures, a replacement that would be taken, a full mempool, unconfirmed chains that are too
    long and coinbase outputs that are too young.
    """
    reason = not_relayed(transaction)
    if reason is not None:
        return Refused(reason)
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
    reason = not_relayed_spending(transaction, spent)
    if reason is not None:
        return Refused(reason)
    in_seconds = transaction.lock_time >= LOCK_TIME_THRESHOLD and not is_final(transaction, 0, 0)
    if not is_final(transaction, height + 1, median_time() if in_seconds else 0):
        return Refused("non-final")
    return Accepted() if _meets_relative_locks(transaction, outputs) else Refused(_LOCKED)


def depth_of(block_height: int, tip: int) -> int:
    """How deep a block lies; one that came after we asked for the tip is the newest one."""
    return max(1, tip - block_height + 1)


def verdict_of(reason: str, *, allowed: bool) -> Accepted | Refused:
    """What a node's `testmempoolaccept` says; one that it has already counts as accepted."""
    if allowed or reason in KNOWN:
        return Accepted(tested=allowed or reason == SAME)
    return Refused(shortened(reason))


def shortened(reason: str) -> str:
    """A reason fit for a log."""
    return "".join(c if c.isprintable() else " " for c in reason[:_MAX_REASON]) or "refused"


def _meets_relative_locks(
    transaction: Transaction, outputs: Callable[[Collection[OutPoint]], Mapping[OutPoint, Output]]
) -> bool:
    """Whether each input's coin is deep enough (BIP 68); locks in time are not waited for."""
    locks: dict[OutPoint, int] = {}
    for index, outpoint in enumerate(transaction.contested()):
        lock, in_time = relative_lock(transaction, index) or (0, False)
        if lock and in_time:
            return False
        if lock:
            locks[outpoint] = lock
    if not locks:
        return True
    known = outputs(locks.keys())
    # The next block is one after a coin of depth 1, and is that of a coin in the mempool.
    return all(at in known and known[at].depth >= lock for at, lock in locks.items())
