"""The transactions of a BDK wallet."""

from bdkpython import ChainPosition
from bdkpython import Txid as BdkTxid
from bdkpython import Wallet as BdkCore

from dovetail.bitcoin import Sats, Txid, UnixTime
from dovetail.wallets.ports import WalletTransaction


def transactions(core: BdkCore) -> tuple[WalletTransaction, ...]:
    """Return its transactions: unconfirmed ones first, then the newest."""
    tip = core.latest_checkpoint().height
    found = (
        _transaction(core, listed.transaction.compute_txid(), listed.chain_position, tip)
        for listed in core.transactions()
    )
    return tuple(sorted((each for each in found if each is not None), key=_age))


def _transaction(
    core: BdkCore, txid: BdkTxid, position: ChainPosition, tip: int
) -> WalletTransaction | None:
    details = core.tx_details(txid)
    if details is None:
        return None
    depth, at = _place(position, tip)
    return WalletTransaction(
        txid=Txid.from_hex(str(txid)),
        received=Sats(details.received.to_sat()),
        sent=Sats(details.sent.to_sat()),
        fee=None if details.fee is None else Sats(details.fee.to_sat()),
        depth=depth,
        at=None if at is None else UnixTime(at),
    )


def _place(position: ChainPosition, tip: int) -> tuple[int, int | None]:
    """Return the number of confirmations and the time."""
    if isinstance(position, ChainPosition.CONFIRMED):
        block = position.confirmation_block_time
        return tip - block.block_id.height + 1, block.confirmation_time
    return 0, position.timestamp if isinstance(position, ChainPosition.UNCONFIRMED) else None


def _age(each: WalletTransaction) -> tuple[int, int, str]:
    return each.depth, -(each.at or 0), str(each.txid)
