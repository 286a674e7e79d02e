"""An invoice's events: one for each change that is to be told, in the transaction of its cause."""

from tests.merchant.builders import AMOUNT, CREATED, EXPIRES, pay
from tests.merchant.shop import opened
from tests.protocol.builders import PAYEE

from dovetail.bitcoin import UnixTime
from dovetail.merchant.data import events, invoices, record
from dovetail.merchant.invoices.payments import Found, Look

PAID = pay(1)


def _look(database, invoice_id, number, *found, at=CREATED + 10):
    look = Look(number, UnixTime(at), tuple(Found(*each) for each in found))

    def write(connection):
        events.change(
            connection,
            invoice_id,
            lambda: record.add_look(connection, invoice_id, look),
            now=UnixTime(at),
        )

    database.write(write)


def _told(database, invoice_id):
    found = database.read(lambda c: events.events_of(c, invoice_id))
    assert [each.seq for each in found] == list(range(1, len(found) + 1))
    return [(each.kind, each.cause) for each in found]


def test_a_payment_is_told_when_it_is_seen_and_when_it_settles(database) -> None:
    invoice_id = opened(database, script=PAYEE)
    _look(database, invoice_id, 1, (PAID, 0))
    _look(database, invoice_id, 2, (PAID, 1), at=CREATED + 20)
    assert _told(database, invoice_id) == [
        ("invoice.created", "waiting"),
        ("invoice.processing", "payment-seen"),
        ("invoice.settled", "confirmed"),
    ]
    row = database.read(lambda c: invoices.invoice(c, invoice_id))
    assert (row.status, row.paid, row.next_change_at) == ("settled", AMOUNT, None)


def test_a_look_that_tells_nothing_new_makes_no_event(database) -> None:
    invoice_id = opened(database, script=PAYEE)
    for number in (1, 2, 3):
        _look(database, invoice_id, number, (PAID, 0))
    assert len(_told(database, invoice_id)) == 2


def test_a_reorganisation_takes_a_status_back_and_says_so(database) -> None:
    invoice_id = opened(database, script=PAYEE)
    _look(database, invoice_id, 1, (PAID, 1))
    _look(database, invoice_id, 2, (PAID, 0), at=CREATED + 20)
    assert _told(database, invoice_id)[1:] == [
        ("invoice.settled", "confirmed"),
        ("invoice.processing", "reorganised"),
    ]


def test_the_clock_alone_lets_an_invoice_expire(database) -> None:
    invoice_id = opened(database, script=PAYEE)
    assert database.read(lambda c: invoices.due_to_change(c, UnixTime(EXPIRES - 1))) == ()
    assert database.read(lambda c: invoices.due_to_change(c, EXPIRES)) == (invoice_id,)
    database.write(lambda c: events.change(c, invoice_id, now=EXPIRES))
    assert _told(database, invoice_id)[1:] == [("invoice.expired", "expired-unpaid")]
    assert database.read(lambda c: invoices.due_to_change(c, EXPIRES)) == ()


def test_a_clock_that_is_behind_takes_nothing_back(database) -> None:
    invoice_id = opened(database, script=PAYEE)
    for now in (EXPIRES, EXPIRES - 2, EXPIRES + 1):
        database.write(lambda c, now=now: events.change(c, invoice_id, now=UnixTime(now)))
    assert _told(database, invoice_id)[1:] == [("invoice.expired", "expired-unpaid")]


def test_a_mark_is_told_with_the_person_who_made_it(database) -> None:
    invoice_id = opened(database, script=PAYEE)

    def write(connection):
        def mark():
            record.add_mark(
                connection, invoice_id, settled=False, by="ann", now=UnixTime(CREATED + 3)
            )

        events.change(connection, invoice_id, mark, now=UnixTime(CREATED + 3))

    database.write(write)
    last = database.read(lambda c: events.events_of(c, invoice_id, after=1))
    assert [(each.kind, each.data["marked_by"]) for each in last] == [("invoice.invalid", "ann")]
