"""What the API shows of an invoice's session: each state, and each reason for none."""

from collections.abc import Iterator

import pytest
from sqlalchemy import update
from tests.merchant.till import Till, open_till

from dovetail.merchant.api.sessions_view import NO_SESSION, session_view
from dovetail.merchant.data.database import Database
from dovetail.merchant.data.schema import invoices
from dovetail.merchant.messages import SessionView
from dovetail.runtime import decisions
from dovetail.stores.sql.schema import session_events


@pytest.fixture
def database(place: str) -> Iterator[Database]:
    with Database.open(place) as opened:
        yield opened


def shown(till: Till, invoice_id) -> SessionView:
    row = till.row(invoice_id)
    return session_view(till.parts.database.sessions, row, till.parts.clock())


async def test_a_session_that_waits_has_its_first_step_and_its_end(world, database) -> None:
    async with open_till(world, database) as till:
        row = await till.ask()
        view = shown(till, row.id)
    assert view.payjoin.offered
    assert [each.kind for each in view.steps] == ["Created"]
    assert all(each.words for each in view.steps)
    assert (view.outcome, view.reason, view.txid) == (None, None, None)
    assert view.expires_at == row.expires_at
    assert view.words


async def test_a_session_that_is_closed_has_its_outcome_and_reason(world, database) -> None:
    async with open_till(world, database) as till:
        row = await till.ask()
        services = till.parts.services(row.wallet_id, broadcasts_fallback=True)
        assert row.session_id is not None
        await decisions.cancel(services, row.session_id)
        view = shown(till, row.id)
    assert (view.outcome, view.reason) == ("cancelled", "cancelled-by-us")
    assert view.reason_words == "You cancelled the payjoin."
    assert view.steps[-1].kind == "Closed"


async def test_an_invoice_without_a_payjoin_says_why(world, database) -> None:
    async with open_till(world, database, signs=False) as till:
        row = await till.ask()
        view = shown(till, row.id)
    assert not view.payjoin.offered
    assert view.words == view.payjoin.words
    assert "signer" in view.words
    assert view.steps == ()


async def test_an_invoice_whose_uri_nobody_asked_for_has_no_session_yet(world, database) -> None:
    async with open_till(world, database) as till:
        row = await till.ask()
        forget = update(invoices).where(invoices.c.id == row.id).values(session_id=None)
        database.write(lambda c: c.execute(forget))
        assert shown(till, row.id).words == NO_SESSION


async def test_a_session_that_was_deleted_says_so(world, database) -> None:
    async with open_till(world, database) as till:
        row = await till.ask()
        other = row.id if database.is_shared else 999
        lose = update(invoices).where(invoices.c.id == row.id).values(session_id=other)
        database.write(lambda c: c.execute(lose))
        assert shown(till, row.id).words == "Its session was deleted after its time."


async def test_a_session_that_cannot_be_read_says_so(world, database) -> None:
    async with open_till(world, database) as till:
        row = await till.ask()
        database.write(lambda c: c.execute(update(session_events).values(data=b"?")))
        view = shown(till, row.id)
    assert "cannot be read" in view.words
    assert view.steps == ()
