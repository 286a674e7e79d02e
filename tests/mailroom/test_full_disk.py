"""A disk without room, for which a process stands that may not make any file longer."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2 as httpx
import pytest
from tests.mailroom.client import MESSAGE, Client, in_process, new_mailbox, quick
from tests.support.clock import Clock

from dovetail.crypto.ohttp import KeyConfig
from dovetail.mailroom import Mailroom
from dovetail.protocol.mailbox import ShortId


async def filled(folder: Path) -> ShortId:
    mailbox = new_mailbox()
    async with in_process(quick(folder)) as (_, client):
        await client.post(mailbox)
    return mailbox


@contextmanager
def no_file_grows() -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


async def test_it_starts_on_a_full_disk_serves_what_it_has_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mailbox = await filled(tmp_path)
    with no_file_grows():
        async with in_process(quick(tmp_path)) as (mailroom, client):
            await health_is(client, "read-only")
            assert (await client.poll(mailbox)).message() == MESSAGE
            refused = await client.ask("POST", f"/{new_mailbox()}", MESSAGE)
            assert (refused.status, dict(refused.headers)["retry-after"]) == (503, "5")
            await mailroom.housekeeping()
            await health_is(client, "read-only")
            assert (await client.poll(mailbox)).message() == MESSAGE
    assert "Messages are served, but new ones are refused" in caplog.text


async def test_when_there_is_room_again_it_takes_messages(tmp_path: Path) -> None:
    mailbox, later = await filled(tmp_path), new_mailbox()
    with no_file_grows():
        mailroom = Mailroom(quick(tmp_path), clock=Clock(), passed=Clock())
        await mailroom.__aenter__()
    transport = httpx.ASGITransport(mailroom)
    async with httpx.AsyncClient(transport=transport, base_url="http://mailroom.test") as http:
        client = Client(http, KeyConfig.parse((await http.get("/ohttp-keys")).content))
        await health_is(client, "read-only")
        await mailroom.housekeeping()
        await health_is(client, "ok")
        assert (await client.post(later)).status == 200
        for each in (mailbox, later):
            assert (await client.poll(each)).message() == MESSAGE
    await mailroom.__aexit__()


async def test_what_was_killed_with_messages_in_its_log_serves_them_from_a_full_disk(
    tmp_path: Path,
) -> None:
    mailbox = new_mailbox()
    async with in_process(quick(tmp_path)) as (_, client):
        await client.post(mailbox)
        copy = tmp_path / "killed"
        copy.mkdir()
        for name in ("mailboxes.db", "mailboxes.db-wal", "ohttp-keys.json"):
            (copy / name).write_bytes((tmp_path / name).read_bytes())
    assert (copy / "mailboxes.db-wal").stat().st_size > 7_168
    with no_file_grows():
        async with in_process(quick(copy)) as (_, client):
            assert (await client.poll(mailbox)).message() == MESSAGE


async def test_a_disk_that_fills_up_is_told_until_a_write_succeeds(tmp_path: Path) -> None:
    async with in_process(quick(tmp_path)) as (mailroom, client):
        await client.post(new_mailbox())
        with no_file_grows():
            for _ in range(3):
                refused = await client.ask("POST", f"/{new_mailbox()}", MESSAGE)
                assert refused.status == 503
                assert b"cannot be reached now" in refused.body
            await health_is(client, "read-only")
            await mailroom.housekeeping()  # which has nothing to remove
            await health_is(client, "read-only")
        assert (await client.post(new_mailbox())).status == 200
        await health_is(client, "ok")


async def test_housekeeping_finds_out_that_there_is_room_again(tmp_path: Path) -> None:
    async with in_process(quick(tmp_path)) as (mailroom, client):
        with no_file_grows():
            assert (await client.ask("POST", f"/{new_mailbox()}", MESSAGE)).status == 503
        await mailroom.housekeeping()
        await health_is(client, "ok")


async def health_is(client: Client, status: str) -> None:
    assert (await client.http.get("/health")).json()["status"] == status
