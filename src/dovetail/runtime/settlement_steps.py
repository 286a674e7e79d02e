"""The broadcast of a fallback, for both roles (ADR 0052, M4)."""

from collections.abc import Mapping
from typing import Any

from dovetail.bitcoin import OutPoint, Sats, Transaction, TxOut
from dovetail.runtime.fees import tell_fee
from dovetail.runtime.turn import Turn
from dovetail.sessions.settlement import HoldsFallback, MonitorT
from dovetail.wallets.ports import Spend


async def broadcast_fallback(
    session: HoldsFallback[Any, Any, Any, MonitorT], turn: Turn[Any], *, rival: Spend | None
) -> MonitorT | None:
    """Broadcast it, and record that, or the `rival` that keeps it out; None: it was refused.

    Check the chain before, and save the decision where the session could still end unpaid.
    """
    await tell_fee(session, turn)
    turn.watch.tried_at = turn.now()
    if await turn.chain.taken(session.fallback_transaction):
        txid = session.fallback_transaction.txid
        return await session.record_broadcast(txid).save_async(turn.log)
    if rival is not None:
        return await session.record_spend(rival.transaction).save_async(turn.log)
    return None


def fee_of(transaction: Transaction, coins: Mapping[OutPoint, TxOut]) -> Sats | None:
    """The fee of a transaction that spends these coins; None where it spends others too."""
    if not set(transaction.contested()) <= coins.keys():
        return None
    brought = Sats.sum(coins[outpoint].value for outpoint in transaction.contested())
    return brought - Sats.sum(output.value for output in transaction.outputs)
