"""Whoever takes the steps of a session, each of its events is written once, with its rows."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from sqlalchemy import update
from tests.merchant.till import Till, customer, open_parts, open_till
from tests.support.loopback import Loopback, open_loopback
from tests.support.waiting import until

from dovetail import LiveSender
from dovetail.errors import ReplayError, SessionNotFound, StoreUnavailable
from dovetail.mailroom import MailroomSettings
from dovetail.merchant.data import record, session_rows
from dovetail.merchant.data.database import Database
from dovetail.merchant.data.invoices import InvoiceRow
from dovetail.merchant.engine import session_runner
from dovetail.merchant.engine.session_runner import SessionRunner
from dovetail.merchant.services.parts import Parts
from dovetail.merchant.signer.place import SignerPlace
from dovetail.sessions.receiver.events import FinalizedProposal, IdentifiedReceiverOutputs
from dovetail.stores.ports import SessionId
from dovetail.stores.sql.schema import session_events


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Loopback]:
    """A chain and a mailroom whose polls are short."""
    settings = MailroomSettings(tmp_path / "mailroom", local=True, wait=0.5)
    with open_loopback(tmp_path, settings) as world:
        yield world


@pytest.fixture
def database(place: str) -> Iterator[Database]:
    with Database.open(place) as opened:
        yield opened


@pytest.fixture
async def till(world: Loopback, database: Database) -> AsyncIterator[Till]:
    """A shop whose sessions nobody takes care of; its chain is watched."""
    async with open_till(world, database) as opened:
        yield opened


@pytest.fixture(autouse=True)
def nobody_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine of the till leaves sessions to the test."""
    monkeypatch.setattr(
        "dovetail.merchant.engine.session_duties.SessionDuties.run", lambda *_: asyncio.sleep(20)
    )


def runner(parts: Parts, row: InvoiceRow) -> SessionRunner:
    return SessionRunner(parts.services(row.wallet_id, broadcasts_fallback=True))


@asynccontextmanager
async def running(begun: SessionRunner, session_id: SessionId) -> AsyncIterator[None]:
    task = asyncio.create_task(begun.run(session_id))
    try:
        await until(lambda: begun.has(session_id))
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await begun.stop()


def session_of(row: InvoiceRow) -> SessionId:
    assert row.session_id is not None
    return row.session_id


def tags(database: Database, session_id: SessionId) -> list[str]:
    return [each.tag for each in database.sessions.stored(session_id).events]


def negotiations(database: Database, row: InvoiceRow) -> int:
    return len(database.read(lambda c: record.negotiations_of(c, row.id)))


async def settled(till: Till, row: InvoiceRow, paid: LiveSender) -> list[tuple[str, str]]:
    await till.until(row.id, "processing")
    till.world.regtest.node.mine()
    await paid.wait_closed()
    await till.until(row.id, "settled")
    return till.told(row.id)


ONCE = [("created", "waiting"), ("processing", "payment-seen"), ("settled", "confirmed")]


async def test_two_workers_on_one_session_write_each_event_once(till, place) -> None:
    row = await till.ask()
    signer = SignerPlace(path=till.world.folder / "shop" / "signer.sock")
    url = till.world.mailroom.url
    with Database.open(place) as second:
        async with (
            open_parts(second, till.world.chain, url, signer) as parts,
            running(runner(till.parts, row), session_of(row)),
            running(runner(parts, row), session_of(row)),
            customer(till, row) as paid,
        ):
            assert await settled(till, row, paid) == ONCE
    found = tags(till.parts.database, session_of(row))
    once = {"RetrievedOriginalPayload", "CommittedInputs", "FinalizedProposal"}
    assert {tag: found.count(tag) for tag in once} == dict.fromkeys(once, 1)
    assert negotiations(till.parts.database, row) == 1


@pytest.mark.parametrize("kind", [IdentifiedReceiverOutputs, FinalizedProposal])
@pytest.mark.parametrize("moment", ["before its rows", "after its rows"])
async def test_an_event_and_its_rows_are_written_together_or_not_at_all(
    till, monkeypatch, kind, moment
) -> None:
    row = await till.ask()
    database, failed = till.parts.database, asyncio.Event()
    write = session_rows.write

    def fail_once(connection, appended) -> None:
        if failed.is_set() or not isinstance(appended.event, kind):
            return write(connection, appended)
        if moment == "after its rows":
            write(connection, appended)
        failed.set()
        raise StoreUnavailable("The connection is gone.")

    monkeypatch.setattr(database.sessions, "rows", fail_once)
    async with running(runner(till.parts, row), session_of(row)), customer(till, row) as paid:
        await until(failed.is_set)
        if kind.__name__ not in tags(database, session_of(row)):
            assert negotiations(database, row) == (kind is FinalizedProposal)
        assert await settled(till, row, paid) == ONCE
    assert tags(database, session_of(row)).count(kind.__name__) == 1
    assert negotiations(database, row) == 1


async def test_a_session_that_is_closed_takes_one_more_poll(till) -> None:
    row = await till.ask()
    begun = runner(till.parts, row)
    async with running(begun, session_of(row)):
        assert await begun.close(session_of(row))
        await until(lambda: not begun.has(session_of(row)))
    assert tags(till.parts.database, session_of(row))[-1] == "Closed"


async def test_a_session_with_a_payment_is_not_closed(till) -> None:
    row = await till.ask()
    begun = runner(till.parts, row)
    async with running(begun, session_of(row)), customer(till, row) as paid:
        await until(lambda: len(tags(till.parts.database, session_of(row))) > 1)
        assert not await begun.close(session_of(row))
        assert await settled(till, row, paid) == ONCE


async def test_what_is_not_under_way_here_is_not_closed_here(till) -> None:
    row = await till.ask()
    assert not await runner(till.parts, row).close(session_of(row))


async def test_a_silent_mailbox_does_not_hold_a_close_up(till, monkeypatch) -> None:
    monkeypatch.setattr(session_runner, "POLL_PATIENCE", 0.2)
    monkeypatch.setattr(session_runner, "LAST_POLLS", 10_000)
    row = await till.ask()
    begun = runner(till.parts, row)
    async with running(begun, session_of(row)):
        assert await begun.close(session_of(row))


async def test_a_session_that_is_gone_is_reported(till) -> None:
    row = await till.ask()
    missing = SessionId(row.id if till.parts.database.is_shared else 999)
    with pytest.raises(SessionNotFound):
        await runner(till.parts, row).run(missing)


async def test_a_log_that_cannot_be_read_is_tried_again_later(till, monkeypatch) -> None:
    monkeypatch.setattr(session_runner, "_UNREADABLE", 0.01)
    row = await till.ask()

    damage = update(session_events).where(session_events.c.session_id == session_of(row))
    till.parts.database.write(lambda c: c.execute(damage.values(data=b"?")))
    begun = runner(till.parts, row)
    with pytest.raises(ReplayError):
        await asyncio.wait_for(begun.run(session_of(row)), 20)
    assert not begun.has(session_of(row))
