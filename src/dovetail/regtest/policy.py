"""What a node asks of a single transaction: consensus form, standardness, BIP 65/68/113 finality.

Reasons are spelt as Bitcoin Core spells them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dovetail.bitcoin.script import Script, ScriptType
from dovetail.bitcoin.transaction import Transaction, Txid
from dovetail.bitcoin.units import MAX_SATS, Sats, Weight
from dovetail.regtest.index import Coin

COINBASE_MATURITY = 100
_MAX_STANDARD_WEIGHT = 400_000
_MIN_STANDARD_SIZE = 65
_MAX_STANDARD_SCRIPT_SIG = 1650
_MAX_STANDARD_MULTISIG_KEYS = 3
_STANDARD_VERSIONS = range(1, 4)
_LOCK_TIME_THRESHOLD = 500_000_000
_FINAL = 0xFFFFFFFF
_SEQUENCE_DISABLED = 1 << 31
_SEQUENCE_IS_TIME = 1 << 22
_SEQUENCE_MASK = 0xFFFF
_SEQUENCE_GRANULARITY = 9
_MAX_PUSH_OPCODE = 0x60
_NO_TXID = bytes(32)


@dataclass(frozen=True, slots=True)
class Accepted:
    """The mempool takes the transaction; `replaced` are those it evicts (BIP 125)."""

    txid: Txid
    fee: Sats
    weight: Weight
    replaced: tuple[Txid, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """The mempool does not take the transaction; `str` gives Bitcoin Core's wording."""

    reason: str
    details: str = ""

    def __str__(self) -> str:
        return f"{self.reason}, {self.details}" if self.details else self.reason


def check_form(transaction: Transaction) -> Refused | None:
    """Consensus rules that need nothing but the transaction."""
    outpoints = [item.previous_output for item in transaction.inputs]
    if not outpoints:
        return Refused("bad-txns-vin-empty")
    if not transaction.outputs:
        return Refused("bad-txns-vout-empty")
    if sum(int(output.value) for output in transaction.outputs) > MAX_SATS:
        return Refused("bad-txns-txouttotal-toolarge")
    if len(set(outpoints)) < len(outpoints):
        return Refused("bad-txns-inputs-duplicate")
    if any(outpoint.txid == _NO_TXID for outpoint in outpoints):
        return Refused("coinbase" if len(outpoints) == 1 else "bad-txns-prevout-null")
    return None


def check_standard(transaction: Transaction) -> Refused | None:
    """The rules by which nodes relay; breaking them is no consensus matter."""
    if transaction.version not in _STANDARD_VERSIONS:
        return Refused("version")
    if transaction.weight > _MAX_STANDARD_WEIGHT:
        return Refused("tx-size")
    for item in transaction.inputs:
        if len(item.script_sig) > _MAX_STANDARD_SCRIPT_SIG:
            return Refused("scriptsig-size")
        if not _is_push_only(item.script_sig):
            return Refused("scriptsig-not-pushonly")
    for output in transaction.outputs:
        if not _is_standard(output.script_pubkey):
            return Refused("scriptpubkey")
        if output.value < output.script_pubkey.dust_limit:
            return Refused("dust")
    if len(transaction.serialize(witness=False)) < _MIN_STANDARD_SIZE:
        return Refused("tx-size-small")
    return None


def is_final(transaction: Transaction, height: int, median_time: int) -> bool:
    """Whether the lock time lets it into a block of this height (BIP 65, BIP 113)."""
    lock_time = transaction.lock_time
    now = height if lock_time < _LOCK_TIME_THRESHOLD else median_time
    return lock_time < now or all(item.sequence == _FINAL for item in transaction.inputs)


def meets_sequence_locks(
    transaction: Transaction,
    coins: Sequence[Coin],
    height: int,
    median_time: Callable[[int], int],
) -> bool:
    """Whether the relative lock times let it into a block of this height (BIP 68).

    `median_time` gives the median time past of the active chain's block at a height.
    """
    if transaction.version < 2:
        return True
    for item, coin in zip(transaction.inputs, coins, strict=True):
        if item.sequence & _SEQUENCE_DISABLED:
            continue
        lock = item.sequence & _SEQUENCE_MASK
        if item.sequence & _SEQUENCE_IS_TIME:
            start = median_time(max(coin.height - 1, 0))
            if median_time(height - 1) < start + (lock << _SEQUENCE_GRANULARITY):
                return False
        elif height < coin.height + lock:
            return False
    return True


def check_amounts(transaction: Transaction, coins: Sequence[Coin], height: int) -> Refused | Sats:
    """The fee, or why its inputs cannot pay for its outputs in a block of this height."""
    if any(coin.is_coinbase and height - coin.height < COINBASE_MATURITY for coin in coins):
        return Refused("bad-txns-premature-spend-of-coinbase")
    paid_in = sum(int(coin.output.value) for coin in coins)
    paid_out = sum(int(output.value) for output in transaction.outputs)
    if paid_in < paid_out:
        return Refused("bad-txns-in-belowout")
    return Sats(paid_in - paid_out)


def _is_standard(script: Script) -> bool:
    match script.type:
        case ScriptType.UNKNOWN:
            return False
        case ScriptType.MULTISIG:
            keys = script.multisig
            return keys is not None and len(keys[1]) <= _MAX_STANDARD_MULTISIG_KEYS
        case _:
            return True


def _is_push_only(script: bytes) -> bool:
    offset = 0
    while offset < len(script):
        opcode = script[offset]
        if opcode > _MAX_PUSH_OPCODE:
            return False
        offset += 1
        if opcode < 0x4C:
            offset += opcode
        elif opcode <= 0x4E:
            width = 1 << (opcode - 0x4C)
            offset += width + int.from_bytes(script[offset : offset + width], "little")
    return offset == len(script)
