"""The coins of a shop's hot wallet, as the chain watcher has seen them last."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, select, update

from dovetail.bitcoin import OutPoint, Sats, Script, Transaction, Txid
from dovetail.merchant.data.schema import addresses, wallet_coins
from dovetail.merchant.keychains import Keychain
from dovetail.stores.sql.upsert import upsert


@dataclass(frozen=True, slots=True, kw_only=True)
class CoinRow:
    """A coin; `height` is None while it is unconfirmed."""

    outpoint: OutPoint
    wallet_id: UUID
    script: Script
    index: int
    """The index of its key in the hot descriptor."""
    value: Sats
    height: int | None
    absent: bool
    """Whether neither block nor mempool has it now."""
    spent_by: Txid | None
    spent_height: int | None
    """The height of the block that spends it; None: no block does."""

    @property
    def is_usable(self) -> bool:
        """Whether it is confirmed, and nothing spends it."""
        return self.height is not None and not self.absent and self.spent_by is None


def see_outputs(
    connection: Connection, wallet_id: UUID, transaction: Transaction, height: int | None
) -> int:
    """Record the outputs of a transaction that pay hot addresses; return how many do."""
    scripts = {bytes(each.script_pubkey) for each in transaction.outputs}
    query = select(addresses.c.script, addresses.c.index).where(
        addresses.c.wallet_id == wallet_id,
        addresses.c.keychain == Keychain.HOT.value,
        addresses.c.script.in_(scripts),
    )
    indexes = {bytes(script): index for script, index in connection.execute(query)}
    ours = [
        (OutPoint(transaction.txid, vout), output)
        for vout, output in enumerate(transaction.outputs)
        if bytes(output.script_pubkey) in indexes
    ]
    for outpoint, output in ours:
        statement = upsert(connection, wallet_coins).values(
            outpoint=str(outpoint),
            wallet_id=wallet_id,
            script=bytes(output.script_pubkey),
            index=indexes[bytes(output.script_pubkey)],
            value=int(output.value),
            height=height,
            absent=False,
        )
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=[wallet_coins.c.outpoint],
                set_={"height": height, "absent": False},
            )
        )
    return len(ours)


def set_place(
    connection: Connection, outpoint: OutPoint, *, height: int | None, absent: bool
) -> None:
    """Record where a coin's transaction is now."""
    connection.execute(
        update(wallet_coins)
        .where(wallet_coins.c.outpoint == str(outpoint))
        .values(height=height, absent=absent)
    )


def set_spend(
    connection: Connection, outpoint: OutPoint, *, by: Txid | None, height: int | None
) -> None:
    """Record what spends a coin; None: nothing does."""
    connection.execute(
        update(wallet_coins)
        .where(wallet_coins.c.outpoint == str(outpoint))
        .values(spent_by=None if by is None else str(by), spent_height=height)
    )


def coins_of(
    connection: Connection, wallet_id: UUID, *, since: int | None = None
) -> tuple[CoinRow, ...]:
    """Return the coins that no block spends; with `since` also those spent from that height on."""
    spent = wallet_coins.c.spent_height
    unspent = spent.is_(None) if since is None else (spent.is_(None) | (spent >= since))
    query = select(wallet_coins).where(wallet_coins.c.wallet_id == wallet_id, unspent)
    return tuple(map(_row, connection.execute(query.order_by(wallet_coins.c.outpoint))))


def coins_at(connection: Connection, outpoints: Collection[OutPoint]) -> tuple[CoinRow, ...]:
    """Return those of the outpoints that are or were the wallet's, spent or not."""
    query = select(wallet_coins).where(
        wallet_coins.c.outpoint.in_([str(each) for each in outpoints])
    )
    return tuple(map(_row, connection.execute(query.order_by(wallet_coins.c.outpoint))))


def known_coins(connection: Connection, outpoints: set[OutPoint]) -> frozenset[OutPoint]:
    """Return those of the outpoints that are or were the wallet's."""
    query = select(wallet_coins.c.outpoint).where(
        wallet_coins.c.outpoint.in_([str(each) for each in outpoints])
    )
    return frozenset(map(OutPoint.parse, connection.execute(query).scalars()))


def _row(row: Any) -> CoinRow:
    return CoinRow(
        outpoint=OutPoint.parse(row.outpoint),
        wallet_id=row.wallet_id,
        script=Script(row.script),
        index=row.index,
        value=Sats(row.value),
        height=row.height,
        absent=row.absent,
        spent_by=None if row.spent_by is None else Txid.from_hex(row.spent_by),
        spent_height=row.spent_height,
    )
