"""The duties of sessions: found by their ids, run with the services of their invoice's wallet."""

import asyncio
import logging
from contextlib import suppress
from uuid import UUID

from sqlalchemy import Connection

from dovetail.bitcoin import UnixTime
from dovetail.errors import InfrastructureError, SessionNotFound, StoreError
from dovetail.merchant.data import close_requests
from dovetail.merchant.data import invoices as rows
from dovetail.merchant.engine.duties import cancel
from dovetail.merchant.engine.session_runner import SessionRunner
from dovetail.merchant.services.parts import Parts
from dovetail.serving.logs import about
from dovetail.stores.ports import SessionId

logger = logging.getLogger(__name__)

PREFIX = "session"


class SessionDuties:
    """Runs sessions of all wallets in this process, and closes those that were asked to end."""

    def __init__(self, parts: Parts) -> None:
        """Begin nothing yet."""
        self._parts = parts
        self._runners: dict[tuple[UUID, bool], SessionRunner] = {}
        self._closing: set[UUID] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, name: str) -> None:
        """Take a session's steps until it is closed; one that is gone is over."""
        session_id = parse_id(name)
        found = await self._find(session_id)
        if found is None:
            return
        with about(session=session_id, invoice=found[0]), suppress(SessionNotFound):
            await found[1].run(session_id)

    async def _find(self, session_id: SessionId) -> tuple[UUID, SessionRunner] | None:
        """The invoice's id alone, as its row would stay in memory while its session waits."""
        row = await self._parts.database.aread(lambda c: rows.invoice_of_session(c, session_id))
        return None if row is None else (row.id, self._runner(row))

    async def watch_requests(self, every: float) -> None:
        """Close the sessions under way here that people ask to end, until cancelled."""
        pulse: int | None = None
        while True:
            try:
                now = await asyncio.to_thread(self._parts.database.pulse)
                if now != pulse:
                    for request in await self._parts.database.aread(close_requests.waiting):
                        self._begin(request)
                pulse = None if self._closing else now
            except (InfrastructureError, StoreError) as error:
                logger.info("Requests to close could not be read: %s", type(error).__name__)
            await asyncio.sleep(every)

    async def stop(self) -> None:
        """Stop every session where it is."""
        await cancel(self._tasks)
        await asyncio.gather(*(runner.stop() for runner in self._runners.values()))

    def _begin(self, request: close_requests.CloseRequest) -> None:
        session_id = request.session_id
        if request.invoice_id in self._closing or session_id is None:
            return
        runner = next((each for each in self._runners.values() if each.has(session_id)), None)
        closed = runner is None and self._is_closed(session_id)
        if runner is None and not closed:
            return  # another worker has it
        self._closing.add(request.invoice_id)
        task = asyncio.create_task(self._close(runner, request.invoice_id, session_id))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _is_closed(self, session_id: SessionId) -> bool:
        try:
            return self._parts.database.sessions.row(session_id).closed_at is not None
        except SessionNotFound:
            return True

    async def _close(
        self, runner: SessionRunner | None, invoice_id: UUID, session_id: SessionId
    ) -> None:
        try:
            ended = runner is not None and await runner.close(session_id)
            result = "closed" if ended else "goes-on" if runner is not None else "closed-before"
            now = UnixTime(self._parts.clock())

            def write(connection: Connection) -> None:
                close_requests.finish(connection, invoice_id, result=result, now=now)

            await self._parts.database.awrite(write)
        except (InfrastructureError, StoreError) as error:
            logger.info("A session could not be closed yet: %s", type(error).__name__)
        finally:
            self._closing.discard(invoice_id)

    def _runner(self, row: rows.InvoiceRow) -> SessionRunner:
        key = row.wallet_id, row.terms.broadcasts_fallback
        if key not in self._runners:
            services = self._parts.services(key[0], broadcasts_fallback=key[1])
            self._runners[key] = SessionRunner(services)
        return self._runners[key]


def name_of(session_id: SessionId) -> str:
    """Return the name of a session's duty."""
    return f"{PREFIX}:{session_id}"


def parse_id(text: str) -> SessionId:
    """Return the session id of a text: a whole number (SQLite) or a UUID (PostgreSQL)."""
    return SessionId(int(text) if text.isdigit() else UUID(text))
