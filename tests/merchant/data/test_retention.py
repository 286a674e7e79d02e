"""What is deleted of an invoice after its store's time, and what stays, on both databases."""

from dataclasses import replace

from tests.merchant.builders import CREATED
from tests.merchant.shop import add_one, add_shop

from dovetail.bitcoin import OutPoint, Txid, UnixTime
from dovetail.merchant.data import events, invoices, retention
from dovetail.merchant.engine.upkeep import Upkeep
from dovetail.stores.sql.schema import coin_reservations, inputs_seen, session_events, sessions
from dovetail.testing.store_samples import closed, receiver_created

KEEPS = 5_000
SEEN, SHOWN = (OutPoint(Txid(bytes([n]) * 32), 0) for n in (1, 2))


def _invoice(database, *, ended: bool):
    """An invoice with a session that has seen an input and shown a coin."""
    store = database.write(lambda c: add_shop(c, secrets_seconds=KEEPS, monitoring_seconds=100))
    log = database.sessions.new_receiver()
    log.append(receiver_created(), seq=0, closes=False)
    database.sessions.claim(log.session_id, [SEEN])
    database.sessions.reserve(log.session_id, [SHOWN])
    database.sessions.expose(log.session_id)
    row = database.write(lambda c: add_one(c, store, order_id="A-1", metadata=b"{}"))
    database.write(lambda c: invoices.set_session(c, row.id, log.session_id))
    database.write(lambda c: invoices.set_uri(c, row.id, "bitcoin:x"))
    if ended:
        log.append(closed(), seq=1, closes=True)
    return row


def _rows(database, table):
    return database.read(lambda c: c.execute(table.select()).all())


def test_log_secrets_and_metadata_go_together_and_inputs_and_coins_stay(database) -> None:
    row = _invoice(database, ended=True)
    over = UnixTime(row.monitored_until + KEEPS + 1)
    assert database.read(lambda c: retention.due(c, UnixTime(over - 2))) == ()
    assert database.read(lambda c: retention.due(c, over)) == (row.id,)
    before = database.read(lambda c: invoices.invoice(c, row.id))
    for _ in range(2):
        database.write(lambda c: retention.forget(c, row.id, over))
    assert database.read(lambda c: retention.due(c, over)) == ()
    gone = dict.fromkeys(("session_id", "uri", "order_id", "metadata"))
    kept = database.read(lambda c: invoices.invoice(c, row.id))
    assert kept == replace(before, **gone, forgotten_at=over)
    assert (_rows(database, session_events), _rows(database, sessions)) == ([], [])
    assert [each.outpoint for each in _rows(database, inputs_seen)] == [str(SEEN)]
    ((outpoint, holder, exposed_at),) = _rows(database, coin_reservations)
    assert (outpoint, holder) == (str(SHOWN), None)
    assert exposed_at is not None
    assert database.read(lambda c: events.events_of(c, row.id)) != ()


def test_an_invoice_whose_session_goes_on_is_not_forgotten(database) -> None:
    row = _invoice(database, ended=False)
    late = UnixTime(row.monitored_until + 10 * KEEPS)
    assert database.read(lambda c: retention.due(c, late)) == ()


def test_the_upkeep_forgets_what_is_due_and_then_rests(database, clock) -> None:
    clock.now = CREATED
    row = _invoice(database, ended=True)
    clock.now = row.monitored_until + KEEPS + 1
    upkeep = Upkeep(database)
    assert [upkeep.forget_due() for _ in range(3)] == [1, 0, 0]
    assert database.read(lambda c: invoices.invoice(c, row.id)).forgotten_at == clock.now
