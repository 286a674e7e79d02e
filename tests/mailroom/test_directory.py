import asyncio
from pathlib import Path

import pytest
from tests.mailroom.client import MESSAGE, at, in_process, new_mailbox, quick, waiting
from tests.support.clock import Clock
from tests.support.waiting import until

from dovetail.mailroom.directory import mailbox_of
from dovetail.mailroom.disk_quota import MAILBOX


async def test_a_message_can_be_read_again_and_again(tmp_path: Path) -> None:
    async with in_process(quick(tmp_path)) as (_, client):
        mailbox = new_mailbox()
        (await client.post(mailbox)).confirm_posted()
        for _ in range(3):
            assert (await client.poll(mailbox)).message() == MESSAGE


async def test_the_first_message_stays_and_a_second_post_is_answered_200(tmp_path: Path) -> None:
    async with in_process(quick(tmp_path)) as (mailroom, client):
        mailbox = new_mailbox()
        for body in (MESSAGE, MESSAGE, bytes(7168)):
            assert (await client.post(mailbox, body)).status == 200
        assert (await client.poll(mailbox)).message() == MESSAGE
        assert mailroom._mailboxes.count == 1
        assert mailroom.settings.local


async def test_an_empty_mailbox_answers_202_when_time_is_up(tmp_path: Path) -> None:
    async with in_process(quick(tmp_path)) as (_, client):
        reply = await client.poll(new_mailbox())
        assert (reply.status, reply.body, reply.message()) == (202, b"", None)


async def test_a_post_wakes_everyone_who_polls(tmp_path: Path) -> None:
    async with in_process(quick(tmp_path, wait=20)) as (mailroom, client):
        mailbox = new_mailbox()
        polls = [asyncio.create_task(client.poll(mailbox)) for _ in range(3)]
        other = asyncio.create_task(client.poll(new_mailbox()))
        await waiting(mailroom, 4)
        await client.post(mailbox)
        async with asyncio.timeout(5):
            assert [(await poll).message() for poll in polls] == [MESSAGE] * 3
        assert not other.done()
        mailroom.drain()
        assert (await other).message() is None
        assert (await client.poll(new_mailbox())).message() is None
        assert (await client.http.get("/health")).json()["status"] == "draining"


async def test_a_mailbox_may_be_named_in_lower_case(tmp_path: Path) -> None:
    async with in_process(quick(tmp_path)) as (_, client):
        mailbox = new_mailbox()
        assert (await client.ask("POST", f"/{mailbox.lower()}", MESSAGE)).status == 200
        assert (await client.ask("GET", f"/{mailbox}", b"a poll may carry a body")).body == MESSAGE


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/", b"", 404),
        ("GET", "/short", b"", 404),
        ("GET", "", b"", 400),
        ("GET", "TXJCGKTKXLUUZ", b"", 400),
        ("GET", "/TXJCGKTKXLUUZ/more", b"", 404),
        ("GET", "/" + "b" * 13, b"", 404),
        ("DELETE", "/TXJCGKTKXLUUZ", b"", 405),
        ("PUT", "/TXJCGKTKXLUUZ", b"a reply", 405),
        ("POST", "/TXJCGKTKXLUUZ", b"", 400),
        ("POST", "/TXJCGKTKXLUUZ", bytes(7169), 413),
    ],
)
async def test_a_malformed_request_is_told_so_inside_ohttp(
    tmp_path: Path, method: str, path: str, body: bytes, status: int
) -> None:
    async with in_process(quick(tmp_path)) as (_, client):
        answer = await client.ask(method, path, body)
        assert answer.status == status
        assert dict(answer.headers)["content-type"] == "application/problem+json"


@pytest.mark.parametrize("garbage", [b"", b"\0", b"\xff" * 8104, b"\0" * 8104, b"GET / HTTP/1.1"])
async def test_what_is_no_binary_http_is_told_so_inside_ohttp(
    tmp_path: Path, garbage: bytes
) -> None:
    async with in_process(quick(tmp_path)) as (_, client):
        answer = await client.inner(garbage.ljust(8104, b"\xff"))
        assert answer.status == 400


async def test_a_full_directory_asks_to_come_again_and_still_confirms_what_it_has(
    tmp_path: Path,
) -> None:
    clock = Clock()
    async with in_process(quick(tmp_path, max_bytes=MAILBOX, ttl=60), clock) as (mailroom, client):
        first, second = new_mailbox(), new_mailbox()
        assert (await client.post(first)).status == 200
        refused = await client.ask("POST", f"/{second}", MESSAGE)
        assert (refused.status, dict(refused.headers)["retry-after"]) == (503, "5")
        assert (await client.post(first, bytes(7168))).status == 200
        assert (await client.poll(second)).status == 202
        clock.now += 60
        await mailroom.housekeeping()
        assert (await client.post(second)).status == 200


async def test_too_many_long_polls_are_asked_to_come_again(tmp_path: Path) -> None:
    async with in_process(quick(tmp_path, wait=20, max_waits=1)) as (mailroom, client):
        first = asyncio.create_task(client.poll(new_mailbox()))
        await waiting(mailroom, 1)
        assert (await client.poll(new_mailbox())).status == 503
        mailroom.drain()
        assert (await first).status == 202


async def test_a_further_poll_of_one_mailbox_does_not_end_the_first(tmp_path: Path) -> None:
    settings = quick(tmp_path, wait=20, max_waits_per_mailbox=1)
    async with in_process(settings) as (mailroom, client):
        mailbox = new_mailbox()
        first = asyncio.create_task(client.poll(mailbox))
        await waiting(mailroom, 1)
        for _ in range(3):
            assert (await client.poll(mailbox)).status == 503
        await client.post(mailbox)
        assert (await first).message() == MESSAGE


async def test_a_poll_that_waited_for_half_of_its_time_gives_way(tmp_path: Path) -> None:
    settings = quick(tmp_path, wait=2, max_waits_per_mailbox=1)
    async with in_process(settings) as (mailroom, client):
        mailbox = new_mailbox()
        oldest = asyncio.create_task(client.poll(mailbox))
        await waiting(mailroom, 1)
        await asyncio.sleep(1.05)
        newest = asyncio.create_task(client.poll(mailbox))
        assert (await asyncio.wait_for(oldest, 0.5)).status == 202
        await client.post(mailbox)
        assert (await newest).message() == MESSAGE


async def test_one_client_does_not_take_all_long_polls(tmp_path: Path) -> None:
    settings = quick(tmp_path, wait=20, max_waits=8)
    async with in_process(settings) as (mailroom, client):
        crowd = [
            asyncio.create_task(at(client, "198.51.100.1").poll(new_mailbox())) for _ in range(8)
        ]
        await until(lambda: sum(each.done() for each in crowd) == 4)
        mailbox = new_mailbox()
        honest = asyncio.create_task(at(client, "203.0.113.1").poll(mailbox))
        await waiting(mailroom, 5)
        await client.post(mailbox)
        assert (await honest).message() == MESSAGE
        mailroom.drain()
        assert sorted([(await each).status for each in crowd]) == [202] * 4 + [503] * 4


async def test_the_client_with_the_most_long_polls_gives_way_to_another(tmp_path: Path) -> None:
    settings = quick(tmp_path, wait=20, max_waits=8)
    async with in_process(settings) as (mailroom, client):
        crowd = [
            asyncio.create_task(at(client, f"198.51.{network}.1").poll(new_mailbox()))
            for network in (1, 1, 1, 1, 2, 2, 3, 4)
        ]
        await waiting(mailroom, 8)
        mailbox = new_mailbox()
        honest = asyncio.create_task(at(client, "203.0.113.1").poll(mailbox))
        assert (await asyncio.wait_for(crowd[0], 5)).status == 202  # as if its time were up
        await waiting(mailroom, 8)
        await client.post(mailbox)
        assert (await honest).message() == MESSAGE
        mailroom.drain()
        assert {(await each).status for each in crowd} == {202}


async def test_the_long_polls_of_one_client_are_settable(tmp_path: Path) -> None:
    settings = quick(tmp_path, wait=20, max_waits=8, max_waits_per_client=1)
    async with in_process(settings) as (mailroom, client):
        first = asyncio.create_task(at(client, "198.51.100.1").poll(new_mailbox()))
        await waiting(mailroom, 1)
        assert (await at(client, "198.51.100.2").poll(new_mailbox())).status == 503
        other = asyncio.create_task(at(client, "203.0.113.1").poll(new_mailbox()))
        await waiting(mailroom, 2)
        mailroom.drain()
        assert [(await each).status for each in (first, other)] == [202, 202]


async def test_one_client_does_not_take_all_mailboxes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = quick(tmp_path, max_new_mailboxes=10, max_new_mailboxes_per_client=3)
    async with in_process(settings) as (mailroom, client):
        greedy, honest = at(client, "198.51.100.1"), at(client, "2001:db8:1::1")
        statuses = [(await greedy.post(new_mailbox())).status for _ in range(6)]
        assert statuses == [200] * 3 + [503] * 3
        assert (await honest.post(new_mailbox())).status == 200
        await mailroom.housekeeping()
        assert "3 for new mailboxes" in caplog.text
        assert "198.51" not in caplog.text


def test_a_path_names_a_mailbox_or_nothing() -> None:
    mailbox = new_mailbox()
    assert mailbox_of(f"/{mailbox}") == mailbox
    assert mailbox_of(f"//{mailbox}") is None
    assert mailbox_of(mailbox) is None
