"""The record of an invoice grows by looks, marks and negotiations, and reads back the same."""

from dataclasses import replace

import pytest
from tests.merchant.builders import AMOUNT, CREATED, own, pay, proposal
from tests.merchant.shop import opened
from tests.protocol.builders import PAYEE

from dovetail.bitcoin import UnixTime
from dovetail.errors import UsageError
from dovetail.merchant.data import record
from dovetail.merchant.data.ids import new_id
from dovetail.merchant.invoices.negotiation import Negotiation
from dovetail.merchant.invoices.payments import Found, Look

ORIGINAL = pay(1)
PAYJOIN = pay(1, own(1), value=AMOUNT + 70_000)


def negotiation() -> Negotiation:
    return Negotiation.of(ORIGINAL, script=PAYEE, received_at=UnixTime(CREATED + 5))


def test_a_record_reads_back_as_it_was_written(database) -> None:
    invoice_id = opened(database, script=PAYEE)
    looks = [
        Look(1, UnixTime(CREATED + 10), (Found(ORIGINAL, 0),)),
        Look(2, UnixTime(CREATED + 20), (Found(ORIGINAL, 2),)),
    ]
    pinned = negotiation().pinned(proposal(PAYJOIN), scripts=[PAYEE])

    def write(connection):
        for look in looks:
            record.add_look(connection, invoice_id, look)
        record.keep_negotiation(connection, invoice_id, negotiation())
        record.keep_negotiation(connection, invoice_id, pinned)
        record.add_mark(connection, invoice_id, settled=True, by="ann", now=UnixTime(9))

    database.write(write)
    found = database.read(lambda c: record.load(c, invoice_id))
    (seen,) = found.payments.seen.values()
    assert (seen.first_seen, seen.look, seen.depth) == (CREATED + 10, 2, 2)
    assert found.payments.looked == 2
    assert found.negotiations == (pinned,)
    assert [(mark.number, mark.settled, mark.by) for mark in found.marks] == [(1, True, "ann")]
    assert (found.invoice.script, found.invoice.amount) == (PAYEE, AMOUNT)


def test_an_old_look_comes_late_and_changes_nothing_that_is_newer(database) -> None:
    invoice_id = opened(database, script=PAYEE)
    newer = Look(2, UnixTime(CREATED + 20), ())
    older = Look(1, UnixTime(CREATED + 10), (Found(ORIGINAL, 0),))
    for look in (newer, older):
        database.write(lambda c, look=look: record.add_look(c, invoice_id, look))
    found = database.read(lambda c: record.load(c, invoice_id))
    assert found.payments.looked == 2
    assert found.payments.found == ()


def test_a_second_original_is_a_second_negotiation(database) -> None:
    invoice_id = opened(database, script=PAYEE)
    other = Negotiation.of(pay(2), script=PAYEE, received_at=UnixTime(CREATED + 9))

    def write(connection):
        for each in (negotiation(), other, replace(negotiation(), held=False)):
            record.keep_negotiation(connection, invoice_id, each)

    database.write(write)
    found = database.read(lambda c: record.negotiations_of(c, invoice_id))
    assert found == (replace(negotiation(), held=False), other)


def test_looks_are_numbered_in_turn(database) -> None:
    assert [database.write(record.next_look) for _ in range(3)] == [1, 2, 3]


def test_an_unknown_invoice_is_told(database) -> None:
    with pytest.raises(UsageError, match="No invoice has this id"):
        database.write(lambda c: record.load(c, new_id()))
    with pytest.raises(UsageError, match="No invoice has this id"):
        database.write(
            lambda c: record.add_mark(c, new_id(), settled=True, by="ann", now=UnixTime(9))
        )
