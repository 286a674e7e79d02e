"""One round of questions about the coins of a wallet: what came in, and what is spent."""

from collections.abc import Iterable, Mapping
from uuid import UUID

from sqlalchemy import Connection

from dovetail.bitcoin import OutPoint, Script, Txid
from dovetail.merchant.data import coins
from dovetail.merchant.data.coins import CoinRow
from dovetail.merchant.data.database import Database
from dovetail.wallets.ports import Payment, TransactionChain

DEEP = 6
"""Confirmations below which a reorganisation may take a coin, or what spends it."""


class CoinRound:
    """Keeps the rows of a wallet's coins as the chain has them."""

    def __init__(self, database: Database, chain: TransactionChain, wallet_id: UUID) -> None:
        """Nothing is asked before the first round."""
        self._database = database
        self._chain = chain
        self._wallet_id = wallet_id
        self._known: dict[Txid, int] = {}
        """Transactions whose outputs are recorded, with the height that is known of them."""

    def run(self, paid: Mapping[Script, Iterable[Payment]]) -> None:
        """Record what pays the wallet, and what became of its coins; raises `ChainError`."""
        height = self._chain.height()
        self._take_in(paid, height)
        rows = self._database.read(
            lambda connection: coins.coins_of(connection, self._wallet_id, since=height - DEEP)
        )
        changes = [*self._places(rows, height), *self._spends(rows, height)]
        if changes:
            self._database.write(lambda connection: _apply(connection, changes))

    def _take_in(self, paid: Mapping[Script, Iterable[Payment]], height: int) -> None:
        depths = {each.txid: each.depth for payments in paid.values() for each in payments}
        heights = {txid: height - depth + 1 if depth else 0 for txid, depth in depths.items()}
        new = [txid for txid, place in heights.items() if self._known.get(txid) != place]
        if not new:
            return
        found = self._chain.transactions(new)

        def write(connection: Connection) -> None:
            for txid, transaction in found.items():
                coins.see_outputs(connection, self._wallet_id, transaction, heights[txid] or None)

        self._database.write(write)
        self._known.update({txid: heights[txid] for txid in found})

    def _places(self, rows: Iterable[CoinRow], height: int) -> list["_Change"]:
        """What to record of coins that a reorganisation or a replacement may still take."""
        young = {
            row.outpoint: row
            for row in rows
            if row.absent or row.height is None or row.height > height - DEEP
        }
        outputs = self._chain.outputs(young)
        changes: list[_Change] = []
        for outpoint, row in young.items():
            output = outputs.get(outpoint)
            depth = 0 if output is None else output.depth
            place = height - depth + 1 if depth else None
            if (row.height, row.absent) != (place, output is None):
                changes.append(_Change(outpoint, place=place, absent=output is None))
        return changes

    def _spends(self, rows: Iterable[CoinRow], height: int) -> list["_Change"]:
        by_coin = {row.outpoint: row for row in rows}
        spends = self._chain.spends_of(by_coin)
        changes: list[_Change] = []
        for outpoint, row in by_coin.items():
            spend = spends.get(outpoint)
            by = None if spend is None else spend.transaction.txid
            at = None if spend is None or not spend.depth else height - spend.depth + 1
            if (row.spent_by, row.spent_height) != (by, at):
                changes.append(_Change(outpoint, spent=True, by=by, place=at))
        return changes


class _Change:
    """One thing to record of a coin: its place, or what spends it."""

    def __init__(
        self,
        outpoint: OutPoint,
        *,
        place: int | None,
        absent: bool = False,
        spent: bool = False,
        by: Txid | None = None,
    ) -> None:
        self.outpoint = outpoint
        self._place = place
        self._absent = absent
        self._spent = spent
        self._by = by

    def __call__(self, connection: Connection) -> None:
        if self._spent:
            coins.set_spend(connection, self.outpoint, by=self._by, height=self._place)
        else:
            coins.set_place(connection, self.outpoint, height=self._place, absent=self._absent)


def _apply(connection: Connection, changes: Iterable[_Change]) -> None:
    """Record changes in the order of their coins, as every other writer of coins does."""
    for change in sorted(changes, key=lambda change: str(change.outpoint)):
        change(connection)
