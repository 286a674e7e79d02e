import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.mailroom.client import MESSAGE, at, in_process, new_mailbox, quick, waiting
from tests.support.waiting import until

from dovetail.protocol.error_replies import ErrorCode, ErrorReply

ORIGINAL = b"cHNidP8BAHEC" * 20


def with_v1(folder: Path, **changes: Any) -> Any:
    return in_process(quick(folder, **({"v1": True} | changes)))


async def test_without_v1_a_plaintext_sender_is_told_which_version_is_spoken(
    tmp_path: Path,
) -> None:
    async with in_process(quick(tmp_path)) as (_, client):
        answer = await client.http.post(f"/{new_mailbox()}?v=1", content=ORIGINAL)
        large = await client.http.post(f"/{new_mailbox()}?v=1", content=bytes(9_000))
    for each in (answer, large):
        assert each.status_code == 400
        assert ErrorReply.parse(each.content) == ErrorReply(ErrorCode.VERSION_UNSUPPORTED, (2,))


async def test_a_v1_sender_gets_what_the_receiver_puts(tmp_path: Path) -> None:
    async with with_v1(tmp_path, wait=20) as (mailroom, client):
        mailbox = new_mailbox()
        poll = asyncio.create_task(client.poll(mailbox))
        await waiting(mailroom, 1)
        sender = asyncio.create_task(client.http.post(f"/{mailbox}?v=1&x=2", content=ORIGINAL))
        assert (await poll).message() == ORIGINAL + b"\nv=1&x=2"
        assert (await client.poll(mailbox)).message() == ORIGINAL + b"\nv=1&x=2"
        (await client.post(mailbox, b"cHNidP8=", method="PUT")).confirm_posted()
        (await client.post(mailbox, b"cHNidP8=", method="PUT")).confirm_posted()
        answer = await sender
        assert (answer.status_code, answer.content) == (200, b"cHNidP8=")
        assert answer.headers["content-type"] == "text/plain"
        assert (await client.http.get("/health")).json()["versions"] == [1, 2]
        assert (await client.post(mailbox, b"again", method="PUT")).status == 200
        mailroom.drain()
        assert (await client.poll(mailbox)).status == 202


async def test_an_error_of_the_receivers_is_passed_on_as_json(tmp_path: Path) -> None:
    async with with_v1(tmp_path, wait=20) as (_, client):
        mailbox = new_mailbox()
        sender = asyncio.create_task(client.http.post(f"/{mailbox}", content=ORIGINAL))
        assert (await client.poll(mailbox)).message() == ORIGINAL + b"\n"
        error = ErrorReply(ErrorCode.NOT_ENOUGH_MONEY).serialize()
        await client.post(mailbox, error, method="PUT")
        assert (await sender).headers["content-type"] == "application/json"


async def test_nobody_answered_is_503_with_json_that_parses(tmp_path: Path) -> None:
    async with with_v1(tmp_path) as (_, client):
        mailbox = new_mailbox()
        answer = await client.http.post(f"/{mailbox}", content=ORIGINAL)
        assert answer.status_code == 503
        assert ErrorReply.parse(answer.content).code is ErrorCode.UNAVAILABLE
        assert (await client.poll(mailbox)).status == 202
        assert (await client.post(mailbox, b"too late", method="PUT")).status == 410
        assert (await client.ask("PUT", f"/{mailbox}")).status == 400


async def test_a_stopping_mailroom_lets_v1_senders_go(tmp_path: Path) -> None:
    async with with_v1(tmp_path, wait=20) as (mailroom, client):
        mailbox = new_mailbox()
        sender = asyncio.create_task(client.http.post(f"/{mailbox}", content=ORIGINAL))
        assert (await client.poll(mailbox)).message() is not None
        mailroom.drain()
        assert (await asyncio.wait_for(sender, 10)).status_code == 503


async def test_one_mailbox_serves_one_v1_sender_who_may_repeat(tmp_path: Path) -> None:
    async with with_v1(tmp_path, wait=20, max_v1_waits=2) as (mailroom, client):
        mailbox = new_mailbox()
        first = asyncio.create_task(client.http.post(f"/{mailbox}", content=ORIGINAL))
        await client.poll(mailbox)
        repeat = asyncio.create_task(client.http.post(f"/{mailbox}", content=ORIGINAL))
        await until(lambda: mailroom._v1.waiting.count == 2)
        other = await client.http.post(f"/{mailbox}", content=ORIGINAL + b"AAAA")
        elsewhere = await client.http.post(f"/{new_mailbox()}", content=ORIGINAL)
        assert other.status_code == elsewhere.status_code == 503
        await client.post(mailbox, b"proposal", method="PUT")
        assert (await first).content == (await repeat).content == b"proposal"


async def test_one_client_does_not_take_all_places_of_v1_senders(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"wait": 20, "max_v1_waits": 8, "max_v1_waits_per_client": 2}
    async with with_v1(tmp_path, **settings) as (mailroom, client):
        greedy, honest = at(client, "198.51.100.1"), at(client, "203.0.113.1")
        crowd = [
            asyncio.create_task(greedy.http.post(f"/{new_mailbox()}", content=ORIGINAL))
            for _ in range(4)
        ]
        await until(lambda: sum(each.done() for each in crowd) == 2)
        mailbox = new_mailbox()
        sender = asyncio.create_task(honest.http.post(f"/{mailbox}", content=ORIGINAL))
        await until(lambda: mailroom._v1.waiting.count == 3)
        await client.post(mailbox, b"proposal", method="PUT")
        assert (await sender).content == b"proposal"
        mailroom.drain()
        assert [(await each).status_code for each in crowd] == [503] * 4


async def test_a_mailbox_with_an_encrypted_message_takes_no_plaintext(tmp_path: Path) -> None:
    async with with_v1(tmp_path) as (_, client):
        mailbox = new_mailbox()
        await client.post(mailbox)
        assert (await client.http.post(f"/{mailbox}", content=ORIGINAL)).status_code == 503
        assert (await client.poll(mailbox)).message() == MESSAGE


@pytest.mark.parametrize(("size", "status"), [(0, 400), (8_000, 503), (8_099, 503), (8_100, 400)])
async def test_a_plaintext_must_fit_the_receivers_response(
    tmp_path: Path, size: int, status: int
) -> None:
    async with with_v1(tmp_path, wait=0.2) as (_, client):
        mailbox = new_mailbox()
        sender = asyncio.create_task(client.http.post(f"/{mailbox}", content=b"A" * size))
        await asyncio.sleep(0.05)
        if status == 503:
            assert (await client.poll(mailbox)).message() == b"A" * size + b"\n"
        answer = await sender
        assert answer.status_code == status
        if status == 400:
            assert ErrorReply.parse(answer.content).code is ErrorCode.ORIGINAL_PSBT_REJECTED


async def test_plaintext_is_text_and_bounded(tmp_path: Path) -> None:
    async with with_v1(tmp_path) as (_, client):
        answer = await client.http.post(f"/{new_mailbox()}", content=b"\xff" * 10)
        assert answer.status_code == 400
        for size in (8_101, 9_000, 2_000_000):
            answer = await client.http.post(f"/{new_mailbox()}", content=b"A" * size)
            assert answer.status_code == 413
            assert answer.headers["content-type"] == "application/json"
            assert ErrorReply.parse(answer.content).code is ErrorCode.ORIGINAL_PSBT_REJECTED
            assert ("connection" in answer.headers) == (size > 1 << 20)
        assert (await client.http.get(f"/{new_mailbox()}")).status_code == 405
        assert (await client.http.post("/not-a-mailbox")).status_code == 404


async def test_a_plaintext_that_stalls_is_given_up(tmp_path: Path) -> None:
    async def stall() -> AsyncIterator[bytes]:
        yield b"A"
        await asyncio.sleep(5)

    async with with_v1(tmp_path, read_timeout=0.02) as (_, client):
        answer = await client.http.post(f"/{new_mailbox()}", content=stall())
    assert answer.status_code == 408


async def test_only_so_many_answers_are_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dovetail.mailroom.v1._REMEMBERED", 1)
    async with with_v1(tmp_path, wait=20) as (_, client):
        mailboxes = [new_mailbox(), new_mailbox()]
        for mailbox in mailboxes:
            sender = asyncio.create_task(client.http.post(f"/{mailbox}", content=ORIGINAL))
            await client.poll(mailbox)
            await client.post(mailbox, b"proposal", method="PUT")
            await sender
        statuses = [(await client.post(m, b"x", method="PUT")).status for m in mailboxes]
        assert statuses == [410, 200]


async def test_the_client_with_the_most_v1_senders_gives_way_to_another(tmp_path: Path) -> None:
    async with with_v1(tmp_path, wait=20, max_v1_waits=4) as (mailroom, client):

        def sends(address: str) -> "asyncio.Task[Any]":
            http = at(client, address).http
            return asyncio.create_task(http.post(f"/{new_mailbox()}", content=ORIGINAL))

        crowd = [sends(address) for address in ("192.0.2.1", "192.0.2.2", "192.1.2.1", "192.2.2.1")]
        await until(lambda: mailroom._v1.waiting.count == 4)
        mailbox = new_mailbox()
        honest = asyncio.create_task(
            at(client, "203.0.113.1").http.post(f"/{mailbox}", content=ORIGINAL)
        )
        assert (await asyncio.wait_for(crowd[0], 5)).status_code == 503
        assert (await client.poll(mailbox)).message() == ORIGINAL + b"\n"
        await client.post(mailbox, b"cHNidP8=", method="PUT")
        assert (await honest).status_code == 200
        mailroom.drain()
        assert {(await each).status_code for each in crowd} == {503}
