"""The duty of watching the chain: one watcher for all invoices and coins of a wallet."""

import asyncio
import logging
import time
from collections.abc import Callable
from uuid import UUID

from sqlalchemy import Connection

from dovetail.bitcoin import OutPoint, Script, UnixTime
from dovetail.errors import DovetailError, InfrastructureError, StoreError
from dovetail.merchant.data import events, record, watching
from dovetail.merchant.data.database import Database
from dovetail.merchant.data.wallets import Purpose, addresses_of
from dovetail.merchant.engine.chain_round import Round, Watched
from dovetail.merchant.engine.coin_round import CoinRound
from dovetail.merchant.invoices.payments import Look
from dovetail.serving.logs import about
from dovetail.wallets.ports import Payment, TransactionChain

logger = logging.getLogger(__name__)


Looked = Callable[[float | None], None]


class ChainWatcher:
    """Looks at the chain every so often, and records for each invoice what has changed.

    A round asks about all invoices together. Where the answers tell an invoice something new, it
    gets a look of its own: that is numbered first, asked for afterwards, and whole (ADR 0055).
    Several watchers of one wallet do no harm: the record takes looks in any order.
    """

    def __init__(
        self,
        database: Database,
        chain: TransactionChain,
        wallet_id: UUID,
        *,
        every: float,
        looked: Looked | None = None,
    ) -> None:
        """Look every so many seconds; nothing is asked before the first look.

        `looked` hears how many seconds each look took, or None where it failed.
        """
        self._looked = looked or _ignore
        self._database = database
        self._chain = chain
        self._wallet_id = wallet_id
        self._every = every
        self._coins = CoinRound(database, chain, wallet_id)
        self._spent: dict[str, frozenset[OutPoint]] = {}

    async def run(self) -> None:
        """Look until cancelled; a chain source that is away is asked again."""
        while True:
            began = time.monotonic()
            try:
                await asyncio.to_thread(self.look)
                self._looked(time.monotonic() - began)
            except (InfrastructureError, StoreError) as error:
                self._looked(None)
                logger.warning("The chain could not be checked: %s", error)
            await asyncio.sleep(self._every)

    def look(self) -> int:
        """Make one round; return for how many invoices something was recorded.

        Raises `ChainError` and `StoreUnavailable`.
        """
        watched = self._watched()
        told = Round.of(self._chain, watched)
        changed = [each for each in told.news(watched) if self._record(each)]
        self._coins.run({**told.paid, **self._deposits()})
        return len(changed)

    def _watched(self) -> list[Watched]:
        now = self._database.now()
        found = self._database.read(
            lambda connection: watching.watched_rows(
                connection, self._wallet_id, now, spent=self._spent
            )
        )
        return [
            Watched(
                invoice_id=each.row.id,
                scripts=each.row.scripts,
                coins=each.coins,
                found=each.found,
                wanted=each.row.terms.depths.of(each.row.amount),
            )
            for each in found
        ]

    def _record(self, watched: Watched) -> bool:
        """Look for one invoice alone; whether it was recorded. One that fails stops no other."""
        number = self._database.write(record.next_look)
        now = self._database.now()
        alone = Round.of(self._chain, [watched])
        look = alone.look(self._chain, watched, number=number, now=now)
        if look is None or not alone.is_whole(watched):
            return False
        try:
            self._database.write(lambda connection: _add(connection, watched.invoice_id, look, now))
        except DovetailError as error:
            if isinstance(error, InfrastructureError):
                raise
            with about(invoice=watched.invoice_id):
                logger.warning("Invoice %s: %s", watched.invoice_id, type(error).__name__)
            return False
        return True

    def _deposits(self) -> dict[Script, tuple[Payment, ...]]:
        rows = self._database.read(
            lambda connection: addresses_of(
                connection, self._wallet_id, Purpose.DEPOSIT, Purpose.CHANGE
            )
        )
        scripts = [row.script for row in rows]
        return dict(self._chain.payments_to_each(scripts)) if scripts else {}


def _ignore(_seconds: float | None) -> None:
    pass


def _add(connection: Connection, invoice_id: UUID, look: Look, now: UnixTime) -> None:
    events.change(
        connection, invoice_id, lambda: record.add_look(connection, invoice_id, look), now=now
    )
