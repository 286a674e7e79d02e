"""One round of questions to the chain, for all invoices of a wallet at once.

The questions are those that many invoices share: the payments to all scripts, the spends of all
coins. What a round costs grows with blocks and with what is in the mempool, as the chain source
keeps its answers (`cached_chain`), and not with the number of invoices that wait.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from dovetail.bitcoin import OutPoint, Script, Txid, UnixTime
from dovetail.merchant.invoices.payments import Found, Look
from dovetail.wallets.ports import Payment, Spend, TransactionChain

DEEP = 6
"""Confirmations beyond which a greater depth tells nothing new."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What is watched for one invoice, and what its record says was found last."""

    invoice_id: UUID
    scripts: frozenset[Script]
    """Its own, and the one that takes its place."""
    coins: frozenset[OutPoint]
    """The coins of its negotiations, and those that its known transactions spend."""
    found: Mapping[Txid, int]
    """The transactions of the last look, each with its depth."""
    wanted: int
    """The confirmations that settle it."""

    def tells_news(self, found: Mapping[Txid, int]) -> bool:
        """Whether the record has to learn what was found now."""
        return self._told(found) != self._told(self.found)

    def _told(self, found: Mapping[Txid, int]) -> dict[Txid, int]:
        most = max(DEEP, self.wanted)
        return {txid: min(depth, most) for txid, depth in found.items()}


@dataclass(frozen=True, slots=True)
class Round:
    """The answers of the chain to one round."""

    paid: Mapping[Script, tuple[Payment, ...]]
    spends: Mapping[OutPoint, Spend]

    @classmethod
    def of(cls, chain: TransactionChain, watched: Collection[Watched]) -> "Round":
        """Ask for all of `watched`; raises `ChainError`.

        The scripts are asked first: a transaction that comes in between counts as a spend.
        """
        scripts = frozenset(script for each in watched for script in each.scripts)
        coins = frozenset(coin for each in watched for coin in each.coins)
        none: dict[Script, tuple[Payment, ...]] = {}
        paid = chain.payments_to_each(scripts) if scripts else none
        return cls(paid, chain.spends_of(coins))

    def is_whole(self, watched: Watched) -> bool:
        """Whether every script of the invoice has its answer."""
        return all(script in self.paid for script in watched.scripts)

    def found(self, watched: Watched) -> dict[Txid, int]:
        """Every transaction that concerns the invoice, with its depth."""
        depths = {
            payment.txid: payment.depth
            for script in watched.scripts
            for payment in self.paid.get(script, ())
        }
        for spend in self._spends(watched):
            depths[spend.transaction.txid] = spend.depth
        return depths

    def news(self, watched: Iterable[Watched]) -> list[Watched]:
        """Those whose record has to learn something, and whose answers are whole."""
        return [
            each for each in watched if self.is_whole(each) and each.tells_news(self.found(each))
        ]

    def look(
        self, chain: TransactionChain, watched: Watched, *, number: int, now: UnixTime
    ) -> Look | None:
        """The whole look for one invoice; None where a transaction has gone meanwhile."""
        depths = self.found(watched)
        known = {spend.transaction.txid: spend.transaction for spend in self._spends(watched)}
        missing = [txid for txid in depths if txid not in known]
        known.update(chain.transactions(missing) if missing else {})
        if any(txid not in known for txid in depths):
            return None
        since = _times(chain, (depths[txid] for txid in depths if txid not in watched.found))
        return Look(
            number,
            now,
            tuple(
                Found(known[txid], depth, since.get(depth) if txid not in watched.found else None)
                for txid, depth in sorted(depths.items())
            ),
        )

    def _spends(self, watched: Watched) -> list[Spend]:
        return [self.spends[coin] for coin in sorted(watched.coins) if coin in self.spends]


def _times(chain: TransactionChain, depths: Iterable[int]) -> dict[int, UnixTime]:
    """The block times of transactions that are seen first in a block, by depth.

    A customer has not paid late because the shop did not look in time.
    """
    mined = {depth for depth in depths if depth}
    if not mined:
        return {}
    height = chain.height()
    return {depth: chain.block_time(height - depth + 1) for depth in mined}
