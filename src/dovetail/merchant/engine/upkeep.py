"""The duty of upkeep: what the clock changes, and what has to be deleted."""

import asyncio
import logging
from functools import partial
from uuid import UUID

from sqlalchemy import Connection

from dovetail.bitcoin import UnixTime
from dovetail.errors import InfrastructureError
from dovetail.merchant.data import events
from dovetail.merchant.data import invoices as rows
from dovetail.merchant.data.database import Database

logger = logging.getLogger(__name__)

EVERY = 1.0
"""Seconds between two looks at the clock."""


class Upkeep:
    """Lets invoices expire in time; one process suffices, and several do no harm."""

    def __init__(self, database: Database, *, every: float = EVERY) -> None:
        """Look at the clock every so many seconds."""
        self._database = database
        self._every = every

    async def run(self) -> None:
        """Work until cancelled; a database that is away is tried again."""
        while True:
            try:
                await asyncio.to_thread(self.change_due)
            except InfrastructureError as error:
                logger.warning("The upkeep failed: %s", error)
            await asyncio.sleep(self._every)

    def change_due(self) -> int:
        """Change the invoices whose time has come; return how many were looked at."""
        now = self._database.now()
        due = self._database.read(lambda connection: rows.due_to_change(connection, now))
        for invoice_id in due:
            self._database.write(partial(_change, invoice_id=invoice_id, now=now))
        return len(due)


def _change(connection: Connection, *, invoice_id: UUID, now: UnixTime) -> None:
    events.change(connection, invoice_id, now=now)
