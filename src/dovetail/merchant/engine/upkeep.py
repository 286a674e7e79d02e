"""The duty of upkeep: what the clock changes, and what has to be deleted."""

import asyncio
import logging
from functools import partial
from uuid import UUID

from sqlalchemy import Connection

from dovetail.bitcoin import UnixTime
from dovetail.errors import InfrastructureError, StoreError
from dovetail.merchant.data import events, retention
from dovetail.merchant.data import invoices as rows
from dovetail.merchant.data.database import Database
from dovetail.merchant.services.refunds import expire_due

logger = logging.getLogger(__name__)

EVERY = 1.0
"""Seconds between two looks at the clock."""

RETENTION_EVERY = 600
"""Seconds until it is looked again for what is kept no longer, once there was nothing."""


class Upkeep:
    """Lets invoices expire and be forgotten in time; several do no harm, and one suffices."""

    def __init__(self, database: Database, *, every: float = EVERY) -> None:
        """Look at the clock every so many seconds."""
        self._database = database
        self._every = every
        self._forget_at = 0

    async def run(self) -> None:
        """Work until cancelled; a database that is away is tried again."""
        while True:
            try:
                await asyncio.to_thread(self.change_due)
                await asyncio.to_thread(self.forget_due)
            except (InfrastructureError, StoreError) as error:
                logger.warning("The upkeep failed: %s", error)
            await asyncio.sleep(self._every)

    def change_due(self) -> int:
        """Change the invoices whose time has come; return how many were looked at."""
        now = self._database.now()
        due = self._database.read(lambda connection: rows.due_to_change(connection, now))
        for invoice_id in due:
            self._database.write(partial(_change, invoice_id=invoice_id, now=now))
        expire_due(self._database, now)
        return len(due)

    def forget_due(self) -> int:
        """Delete what is kept no longer of some invoices, now and then; return of how many."""
        now = self._database.now()
        if now < self._forget_at:
            return 0
        due = self._database.read(lambda connection: retention.due(connection, now))
        for invoice_id in due:
            self._database.write(partial(_forget, invoice_id=invoice_id, now=now))
        if not due:
            self._forget_at = now + RETENTION_EVERY
        return len(due)


def _forget(connection: Connection, *, invoice_id: UUID, now: UnixTime) -> None:
    retention.forget(connection, invoice_id, now)


def _change(connection: Connection, *, invoice_id: UUID, now: UnixTime) -> None:
    events.change(connection, invoice_id, now=now)
