"""Deliveries on both databases, to a real HTTP server."""

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from uuid import UUID

import pytest
from sqlalchemy import Connection
from tests.merchant.shop import add_one, add_shop
from tests.support.scripted_http import Answer, ScriptedServer
from tests.support.waiting import until

from dovetail.bitcoin import UnixTime
from dovetail.merchant.data import deliveries, webhooks
from dovetail.merchant.data.database import Database
from dovetail.merchant.webhooks.deliveries import (
    AT_ONCE_EACH,
    LEASE,
    PAUSES,
    Deliveries,
    pause_after,
)
from dovetail.merchant.webhooks.delivery import Sender

SECRET = "whsec_" + "A" * 32


@pytest.fixture
def shop() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        server.otherwise = Answer(200)
        yield server


def _begin(database: Database, *urls: str, count: int = 1, secret: str = SECRET) -> list[UUID]:
    """Endpoints of one store, which are to hear of this many invoices."""

    def write(connection: Connection) -> list[UUID]:
        store = add_shop(connection)
        endpoints = [
            webhooks.add_endpoint(
                connection,
                store_id=store.id,
                url=url,
                secret=secret,
                kinds=None,
                now=UnixTime(1_000_000),
            ).id
            for url in urls
        ]
        for _ in range(count):
            add_one(connection, store)
        return endpoints

    return database.write(write)


def _rows(database, endpoint_id):
    return database.read(lambda c: deliveries.deliveries_of(c, endpoint_id, limit=100))


def _worker(database, clock) -> Deliveries:
    return Deliveries(database, Sender(private=True), clock=clock, look=0.02)


async def _round(worker: Deliveries) -> int:
    begun = await worker.send_due()
    await worker.drained()
    return begun


def _claim(database, clock, **options):
    usual = {"lease": LEASE, "limit": 32, "each": 4}
    return database.write(lambda c: deliveries.claim_due(c, clock(), **(usual | options)))


async def test_an_event_is_delivered_once_and_recorded(database, clock, shop) -> None:
    (endpoint,) = _begin(database, shop.url + "/a")
    worker = _worker(database, clock)
    assert [await _round(worker) for _ in range(2)] == [1, 0]
    (row,) = _rows(database, endpoint)
    assert (row.status, row.last_code, row.next_at) == ("accepted", 200, None)
    ((headers, body),) = shop.posted
    assert headers["webhook-id"] == str(row.id)
    assert json.loads(body)["type"] == "invoice.created"
    assert json.loads(body)["data"]["invoice_id"] == str(row.invoice_id)


async def test_a_failure_is_sent_again_later_with_the_same_id(database, clock, shop) -> None:
    (endpoint,) = _begin(database, shop.url + "/a")
    shop.answers["/a"] = Answer(500)
    worker = _worker(database, clock)
    await _round(worker)
    assert await _round(worker) == 0
    shop.answers["/a"] = Answer(200)
    clock.pass_by(PAUSES[0] + 1)
    assert await _round(worker) == 1
    (row,) = _rows(database, endpoint)
    assert (row.status, row.attempts) == ("accepted", 2)
    assert len({headers["webhook-id"] for headers, _ in shop.posted}) == 1
    attempts = database.read(lambda c: deliveries.attempts_of(c, row.id))
    assert [(each["number"], each["code"]) for each in attempts] == [(1, 500), (2, 200)]


async def test_an_endpoint_that_is_gone_is_switched_off(database, clock, shop) -> None:
    (endpoint,) = _begin(database, shop.url + "/a", count=6)
    shop.answers["/a"] = Answer(410)
    worker = _worker(database, clock)
    await _round(worker)
    clock.pass_by(100_000)
    assert await _round(worker) == 0
    assert {row.status for row in _rows(database, endpoint)} == {"cancelled"}
    row = database.read(lambda c: webhooks.endpoint(c, endpoint))
    assert row is not None
    assert not row.active


async def test_a_busy_endpoint_is_left_alone_for_as_long_as_it_asks(database, clock, shop) -> None:
    (endpoint,) = _begin(database, shop.url + "/a")
    shop.answers["/a"] = Answer(503, headers=(("retry-after", "4000"),))
    await _round(_worker(database, clock))
    (row,) = _rows(database, endpoint)
    assert (row.status, row.next_at) == ("pending", clock() + 4_000)


async def test_a_delivery_is_given_up_after_its_last_attempt(database, clock, shop) -> None:
    (endpoint,) = _begin(database, shop.url + "/a")
    shop.answers["/a"] = Answer(500)
    worker = _worker(database, clock)
    for _ in range(len(PAUSES) + 1):
        assert await _round(worker) == 1
        clock.pass_by(100_000)
    assert await _round(worker) == 0
    (row,) = _rows(database, endpoint)
    assert (row.status, row.attempts) == ("given-up", len(PAUSES) + 1)


async def test_what_a_dead_worker_took_is_sent_after_its_lease(database, clock, shop) -> None:
    (endpoint,) = _begin(database, shop.url + "/a")
    (taken,) = _claim(database, clock)
    worker = _worker(database, clock)
    assert await _round(worker) == 0
    clock.pass_by(LEASE)
    assert await _round(worker) == 1
    assert [headers["webhook-id"] for headers, _ in shop.posted] == [str(taken.id)]
    assert _rows(database, endpoint)[0].status == "accepted"


def test_two_workers_never_take_one_delivery(database, clock) -> None:
    _begin(database, "https://shop.example/", count=12)
    with ThreadPoolExecutor(4) as workers:
        taken = list(workers.map(lambda _: _claim(database, clock, each=3), range(64)))
    ids = [each.id for claimed in taken for each in claimed]
    assert len(ids) == len(set(ids)) == 12


async def test_a_silent_endpoint_takes_no_room_of_another(database, clock, shop) -> None:
    silent, sound = _begin(database, shop.url + "/silent", shop.url + "/sound", count=9)
    with ScriptedServer() as other:
        other.stalls = True
        database.write(
            lambda c: webhooks.set_endpoint(c, silent, active=True, url=other.url + "/silent")
        )
        worker = _worker(database, clock)
        running = asyncio.create_task(worker.run())
        await until(lambda: {row.status for row in _rows(database, sound)} == {"accepted"}, 20)
        waiting = [row for row in _rows(database, silent) if row.attempts]
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    assert len(waiting) == AT_ONCE_EACH


async def test_a_delivery_is_sent_again_on_request_as_one_of_its_own(database, clock, shop) -> None:
    (endpoint,) = _begin(database, shop.url + "/a")
    worker = _worker(database, clock)
    await _round(worker)
    (row,) = _rows(database, endpoint)
    again = database.write(lambda c: deliveries.resend(c, row, clock()))
    assert await _round(worker) == 1
    assert [each["webhook-id"] for each, _ in shop.posted] == [str(row.id), str(again.id)]
    assert len({body for _, body in shop.posted}) == 1


def test_a_resend_during_an_attempt_is_not_lost(database, clock) -> None:
    _begin(database, "https://shop.example/")
    (taken,) = _claim(database, clock)
    again = database.write(lambda c: deliveries.resend(c, taken, clock()))
    database.write(lambda c: _finish(c, taken, "accepted", clock()))
    assert [each.id for each in _claim(database, clock)] == [again.id]


def test_a_late_failure_leaves_the_delivery_to_the_worker_that_has_it_now(database, clock) -> None:
    (endpoint,) = _begin(database, "https://shop.example/")
    (first,) = _claim(database, clock)
    clock.pass_by(LEASE)
    (second,) = _claim(database, clock)
    database.write(lambda c: _finish(c, first, "given-up", clock()))
    assert _claim(database, clock) == ()
    assert _rows(database, endpoint) == (second,)


def test_a_late_acceptance_counts_whoever_has_the_delivery_now(database, clock) -> None:
    (endpoint,) = _begin(database, "https://shop.example/")
    (first,) = _claim(database, clock)
    clock.pass_by(LEASE)
    _claim(database, clock)
    database.write(lambda c: _finish(c, first, "accepted", clock()))
    assert _rows(database, endpoint)[0].status == "accepted"


def test_what_is_under_way_is_due_again_when_its_lease_runs_out(database, clock) -> None:
    _begin(database, "https://shop.example/")
    assert database.read(deliveries.next_due) <= clock()
    _claim(database, clock)
    assert database.read(deliveries.next_due) == clock() + LEASE


def _finish(connection, delivery, status, now) -> None:
    deliveries.finish(
        connection, delivery, status=status, next_at=None, code=None, error=None, now=now
    )


async def test_what_is_sent_again_to_a_switched_off_endpoint_is_cancelled(
    database, clock, shop
) -> None:
    (endpoint,) = _begin(database, shop.url + "/a")
    (row,) = _rows(database, endpoint)
    database.write(lambda c: webhooks.set_endpoint(c, endpoint, active=False))
    again = database.write(lambda c: deliveries.resend(c, row, clock()))
    assert await _round(_worker(database, clock)) == 1
    found = database.read(lambda c: deliveries.delivery(c, again.id))
    assert found is not None
    assert (found.status, shop.posted) == ("cancelled", [])


async def test_a_secret_that_cannot_sign_is_recorded(database, clock, shop) -> None:
    (endpoint,) = _begin(database, shop.url + "/a", secret="whsec_short")
    await _round(_worker(database, clock))
    (row,) = _rows(database, endpoint)
    assert row.status == "pending"
    assert "secret" in (row.last_error or "")
    assert shop.posted == []


def test_the_previous_secret_signs_for_a_day(database, clock) -> None:
    (endpoint,) = _begin(database, "https://shop.example/")
    database.write(lambda c: webhooks.rotate(c, endpoint, "whsec_new", clock()))
    row = database.read(lambda c: webhooks.endpoint(c, endpoint))
    assert row is not None
    assert row.secrets(clock()) == ("whsec_new", SECRET)
    assert row.secrets(UnixTime(clock() + webhooks.ROTATION)) == ("whsec_new",)
    assert SECRET not in repr(row)
    assert database.read(lambda c: webhooks.endpoints_of(c, row.store_id)) == (row,)


def test_deliveries_are_listed_from_the_newest_in_pages(database) -> None:
    (endpoint,) = _begin(database, "https://shop.example/", count=5)
    rows = _rows(database, endpoint)
    assert [row.id for row in rows] == sorted((row.id for row in rows), reverse=True)
    rest = database.read(
        lambda c: deliveries.deliveries_of(c, endpoint, limit=2, before=rows[1].id)
    )
    assert rest == rows[2:4]


def test_pauses_grow_and_end() -> None:
    assert all(PAUSES[n - 1] <= (pause_after(n) or 0) <= PAUSES[n - 1] * 1.1 for n in range(1, 13))
    assert pause_after(len(PAUSES) + 1) is None
