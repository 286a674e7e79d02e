"""An invoice that was paid twice: what the chain alone shows, and what its payee is told of it."""

from collections.abc import Iterable

from tests.properties.histories.ledger import require
from tests.properties.histories.people import BOB, UTXOS

from dovetail.bitcoin import Script, Transaction
from dovetail.sessions.overpayment import Surplus

OURS = frozenset(BOB.scripts())


def brought(transaction: Transaction, script: Script) -> int:
    """What a transaction brings an address, without the coins that its owner put in."""
    spent = (UTXOS[outpoint] for outpoint in transaction.contested())
    ours = sum(int(utxo.value) for utxo in spent if utxo.script_pubkey in OURS)
    paid = sum(int(out.value) for out in transaction.outputs if out.script_pubkey == script)
    return max(0, paid - ours)


def beyond(came: Iterable[Transaction], script: Script, *, asked: int) -> int:
    """What came to an address by these transactions, and was not asked for."""
    return max(0, sum(brought(tx, script) for tx in came) - int(asked))


def told_as_too_much(told: Surplus | None) -> int:
    """What a payee is told to give back."""
    return 0 if told is None or told.too_much is None else int(told.too_much)


def require_told(
    told: Surplus | None, came: Iterable[Transaction], script: Script, *, asked: int
) -> None:
    """Hold what a payee is told against all that came."""
    paid = {str(tx.txid): tx for tx in came if brought(tx, script)}
    said, shown = told_as_too_much(told), beyond(paid.values(), script, asked=asked)
    require("surplus", said == shown, f"{said:,} sats were told as too much, and {shown:,} are")
    named = () if told is None else told.txids
    require("surplus", paid.keys() >= set(named), "a transaction was named that brought nothing")
