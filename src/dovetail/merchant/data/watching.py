"""What the chain watcher reads of all invoices of a wallet at once."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, select

from dovetail.bitcoin import OutPoint, Transaction, Txid, UnixTime
from dovetail.merchant.data.invoices import InvoiceRow, watched
from dovetail.merchant.data.record import decode_negotiation
from dovetail.merchant.data.schema import invoice_transactions, negotiations

_TOGETHER = 500
"""Ids in one query: SQLite takes some thousands of parameters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedRow:
    """An invoice, the coins of its negotiations and payments, and the last look's transactions."""

    row: InvoiceRow
    coins: frozenset[OutPoint]
    found: dict[Txid, int]


def watched_rows(
    connection: Connection, wallet_id: UUID, now: UnixTime, *, spent: dict[str, frozenset[OutPoint]]
) -> list[WatchedRow]:
    """Return what is watched; `spent` keeps the inputs of transactions that were parsed before."""
    rows = watched(connection, wallet_id, now)
    coins: dict[UUID, set[OutPoint]] = defaultdict(set)
    found: dict[UUID, dict[Txid, int]] = defaultdict(dict)
    busy = [row for row in rows if row.looked or row.session_id is not None]
    for ids in _chunks([row.id for row in busy]):
        query = select(negotiations).where(negotiations.c.invoice_id.in_(ids))
        for each in connection.execute(query):
            coins[each.invoice_id] |= decode_negotiation(each.negotiation).coins
    looked = {row.id: row.looked for row in rows if row.looked}
    for ids in _chunks(list(looked)):
        table = invoice_transactions.c
        seen = select(table.invoice_id, table.txid, table.look, table.depth).where(
            table.invoice_id.in_(ids)
        )
        for each in connection.execute(seen):
            coins[each.invoice_id] |= _inputs(connection, each.invoice_id, each.txid, spent)
            if each.look == looked[each.invoice_id]:
                found[each.invoice_id][Txid.from_hex(each.txid)] = each.depth
    return [
        WatchedRow(row=row, coins=frozenset(coins[row.id]), found=found[row.id]) for row in rows
    ]


def _inputs(
    connection: Connection, invoice_id: UUID, txid: str, spent: dict[str, frozenset[OutPoint]]
) -> frozenset[OutPoint]:
    known = spent.get(txid)
    if known is None:
        table = invoice_transactions.c
        raw = connection.execute(
            select(table.raw).where(table.invoice_id == invoice_id, table.txid == txid)
        ).scalar_one()
        known = spent[txid] = frozenset(Transaction.parse(raw).contested())
    return known


def _chunks(ids: list[UUID]) -> Iterable[list[UUID]]:
    return (ids[start : start + _TOGETHER] for start in range(0, len(ids), _TOGETHER))
