"""A node's rules for a single transaction: consensus form, standardness, BIP 65/68/113 finality.

Reasons are spelt as Bitcoin Core spells them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dovetail.bitcoin.relay_policy import not_relayed, relative_lock
from dovetail.bitcoin.transaction import Transaction, Txid
from dovetail.bitcoin.units import MAX_SATS, Sats, Weight
from dovetail.regtest.index import Coin

COINBASE_MATURITY = 100
_SEQUENCE_GRANULARITY = 9
_NO_TXID = bytes(32)


@dataclass(frozen=True, slots=True)
class Accepted:
    """The mempool takes the transaction; `replaced` are those it evicts (BIP 125)."""

    txid: Txid
    fee: Sats
    weight: Weight
    replaced: tuple[Txid, ...] = ()


@dataclass(frozen=True, slots=True)
class PolicyRejection:
    """The mempool does not take the transaction; `str` gives Bitcoin Core's wording."""

    reason: str
    details: str = ""

    def __str__(self) -> str:
        return f"{self.reason}, {self.details}" if self.details else self.reason


def check_form(transaction: Transaction) -> PolicyRejection | None:
    """Consensus rules that need nothing but the transaction."""
    outpoints = [item.previous_output for item in transaction.inputs]
    if not outpoints:
        return PolicyRejection("bad-txns-vin-empty")
    if not transaction.outputs:
        return PolicyRejection("bad-txns-vout-empty")
    if sum(int(output.value) for output in transaction.outputs) > MAX_SATS:
        return PolicyRejection("bad-txns-txouttotal-toolarge")
    if len(set(outpoints)) < len(outpoints):
        return PolicyRejection("bad-txns-inputs-duplicate")
    if any(outpoint.txid == _NO_TXID for outpoint in outpoints):
        return PolicyRejection("coinbase" if len(outpoints) == 1 else "bad-txns-prevout-null")
    return None


def check_standard(transaction: Transaction) -> PolicyRejection | None:
    """The rules by which nodes relay; breaking them is no consensus matter."""
    reason = not_relayed(transaction)
    return None if reason is None else PolicyRejection(reason)


def meets_sequence_locks(
    transaction: Transaction,
    coins: Sequence[Coin],
    height: int,
    median_time: Callable[[int], int],
) -> bool:
    """Whether the relative lock times let it into a block of this height (BIP 68).

    `median_time` gives the median time past of the active chain's block at a height.
    """
    for index, coin in enumerate(coins):
        found = relative_lock(transaction, index)
        if found is None:
            continue
        lock, in_time = found
        if in_time:
            start = median_time(max(coin.height - 1, 0))
            if median_time(height - 1) < start + (lock << _SEQUENCE_GRANULARITY):
                return False
        elif height < coin.height + lock:
            return False
    return True


def check_amounts(
    transaction: Transaction, coins: Sequence[Coin], height: int
) -> PolicyRejection | Sats:
    """The fee, or why its inputs cannot pay for its outputs in a block of this height."""
    if any(coin.is_coinbase and height - coin.height < COINBASE_MATURITY for coin in coins):
        return PolicyRejection("bad-txns-premature-spend-of-coinbase")
    paid_in = sum(int(coin.output.value) for coin in coins)
    paid_out = sum(int(output.value) for output in transaction.outputs)
    if paid_in < paid_out:
        return PolicyRejection("bad-txns-in-belowout")
    return Sats(paid_in - paid_out)
