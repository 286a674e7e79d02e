"""Mempool acceptance checks without a node."""

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
"""Bitcoin Core's reasons for a transaction that it already has."""
SAME = "txn-already-in-mempool"
"""The reason for a known transaction with the same signatures."""


def check_acceptance(
    transaction: Transaction,
    *,
    height: int,
    unspent: Callable[[OutPoint], TxOut | None],
    outputs: Callable[[Collection[OutPoint]], Mapping[OutPoint, Output]],
    min_fee_rate: FeeRate = FeeRate.RELAY_MIN,
    median_time: Callable[[], int],
) -> Accepted | Refused:
    """Check form, inputs, sums, lock times and the minimum fee rate by Bitcoin Core's rules.

    `unspent` finds an unspent output. `outputs` returns its confirmations, and is called only for
    relative locks. `median_time` returns that of the tip in Unix seconds (BIP 113), and is called
    only for a lock time in seconds. The check does not find wrong signatures, possible
    replacements, a full mempool, too long chains of unconfirmed transactions, or immature coinbase
    outputs.
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
    """Return a block's confirmations; a block above the known tip counts as the tip."""
    return max(1, tip - block_height + 1)


def verdict_of(reason: str, *, allowed: bool) -> Accepted | Refused:
    """Return a node's `testmempoolaccept` result; a known transaction counts as accepted."""
    if allowed or reason in KNOWN:
        return Accepted(tested=allowed or reason == SAME)
    return Refused(shortened(reason))


def shortened(reason: str) -> str:
    """Return a reason that is short enough for a log."""
    return "".join(c if c.isprintable() else " " for c in reason[:_MAX_REASON]) or "refused"


def _meets_relative_locks(
    transaction: Transaction, outputs: Callable[[Collection[OutPoint]], Mapping[OutPoint, Output]]
) -> bool:
    """Whether each input's relative lock in blocks is met; locks in time never are (BIP 68)."""
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
    # The next block is one above a coin with one confirmation, and contains a coin in the mempool.
    return all(at in known and known[at].depth >= lock for at, lock in locks.items())
