import asyncio
import os
import shutil
import sqlite3
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from tests.mailroom.client import MESSAGE, Clock, new_mailbox

from dovetail.errors import StoreUnavailable
from dovetail.mailroom.mailboxes import Mailboxes, Posted


def open_mailboxes(folder: Path, clock: Clock | None = None, **changes: Any) -> Mailboxes:
    limits: dict[str, Any] = {"ttl": 100.0, "capacity": 1000, "max_writes": 100} | changes
    return Mailboxes.open(folder / "mailboxes.db", clock=clock or Clock(), **limits)


@pytest.fixture
def mailboxes(tmp_path: Path) -> Iterator[Mailboxes]:
    mailboxes = open_mailboxes(tmp_path)
    yield mailboxes
    mailboxes.close()


async def test_a_restart_keeps_every_message(tmp_path: Path) -> None:
    ids = [new_mailbox() for _ in range(5)]
    mailboxes = open_mailboxes(tmp_path)
    for short_id in ids:
        assert await mailboxes.post(short_id, MESSAGE) is Posted.KEPT
    mailboxes.close()
    mailboxes = open_mailboxes(tmp_path)
    assert mailboxes.count == 5
    assert {mailboxes.read(short_id) for short_id in ids} == {MESSAGE}
    mailboxes.close()


async def test_what_was_acknowledged_survives_a_power_cut(
    mailboxes: Mailboxes, tmp_path: Path
) -> None:
    short_id = new_mailbox()
    await mailboxes.post(short_id, MESSAGE)
    after_the_cut = tmp_path / "after"
    after_the_cut.mkdir()
    for name in ("mailboxes.db", "mailboxes.db-wal"):
        shutil.copy(tmp_path / name, after_the_cut)
    found = open_mailboxes(after_the_cut)
    assert found.read(short_id) == MESSAGE
    found.close()


async def test_a_post_is_synced_before_it_is_acknowledged(mailboxes: Mailboxes) -> None:
    with mailboxes._engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2


async def test_a_post_is_answered_after_its_commit(mailboxes: Mailboxes) -> None:
    answered, early = threading.Event(), list[bool]()
    event.listen(mailboxes._engine, "commit", lambda _: early.append(answered.wait(0.2)))
    assert await mailboxes.post(new_mailbox(), MESSAGE) is Posted.KEPT
    answered.set()
    await mailboxes.purge()
    assert not early[0]


async def test_sixty_four_posts_at_once_share_few_commits(mailboxes: Mailboxes) -> None:
    commits: list[object] = []
    event.listen(mailboxes._engine, "commit", commits.append)
    posts = (mailboxes.post(new_mailbox(), MESSAGE) for _ in range(64))
    assert await asyncio.gather(*posts) == [Posted.KEPT] * 64
    assert len(commits) < 16
    assert mailboxes.count == 64


async def test_of_simultaneous_posts_to_one_mailbox_one_is_kept(mailboxes: Mailboxes) -> None:
    short_id = new_mailbox()
    results = await asyncio.gather(*(mailboxes.post(short_id, bytes((n,))) for n in range(8)))
    assert sorted(result.name for result in results) == ["KEPT"] + ["OCCUPIED"] * 7
    assert mailboxes.count == 1


async def test_a_full_disk_keeps_nothing_broken(mailboxes: Mailboxes) -> None:
    kept, refused = new_mailbox(), new_mailbox()
    await mailboxes.post(kept, MESSAGE)

    def fill(connection: Any) -> None:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    event.listen(mailboxes._engine, "begin", fill)
    with pytest.raises(StoreUnavailable, match="disk is full"):
        await mailboxes.post(refused, MESSAGE)
    event.remove(mailboxes._engine, "begin", fill)
    assert mailboxes.read(kept) == MESSAGE
    assert mailboxes.read(refused) is None
    assert mailboxes.count == 1


async def test_a_message_is_gone_when_its_time_is_over(tmp_path: Path) -> None:
    clock = Clock()
    mailboxes = open_mailboxes(tmp_path, clock)
    old, young = new_mailbox(), new_mailbox()
    await mailboxes.post(old, MESSAGE)
    clock.now += 50
    await mailboxes.post(young, MESSAGE)
    clock.now += 50
    assert mailboxes.read(old) is None
    assert mailboxes.read(young) == MESSAGE
    assert await mailboxes.purge() == 1
    assert mailboxes.count == 1
    mailboxes.close()


async def test_an_expired_message_that_was_not_purged_yet_makes_room(tmp_path: Path) -> None:
    clock = Clock()
    mailboxes = open_mailboxes(tmp_path, clock)
    short_id = new_mailbox()
    await mailboxes.post(short_id, b"old")
    clock.now += 100
    assert await mailboxes.post(short_id, b"new") is Posted.KEPT
    assert mailboxes.read(short_id) == b"new"
    mailboxes.close()


async def test_a_long_purge_is_done_in_parts(tmp_path: Path) -> None:
    clock = Clock()
    mailboxes = open_mailboxes(tmp_path, clock, max_writes=1000)
    await asyncio.gather(*(mailboxes.post(new_mailbox(), b"x") for _ in range(300)))
    clock.now += 100
    assert await mailboxes.purge() == 300
    assert mailboxes.count == 0
    mailboxes.close()


async def test_there_are_limits_on_mailboxes_and_on_writes(tmp_path: Path) -> None:
    mailboxes = open_mailboxes(tmp_path, capacity=2, max_writes=1)
    ids = [new_mailbox() for _ in range(3)]
    results = await asyncio.gather(*(mailboxes.post(short_id, b"x") for short_id in ids[:2]))
    assert results == [Posted.KEPT, Posted.BUSY]
    assert await mailboxes.post(ids[1], b"x") is Posted.KEPT
    assert await mailboxes.post(ids[2], b"x") is Posted.FULL
    assert await mailboxes.post(ids[0], b"y") is Posted.OCCUPIED
    mailboxes.close()


def test_the_file_is_private(mailboxes: Mailboxes, tmp_path: Path) -> None:
    assert stat.S_IMODE((tmp_path / "mailboxes.db").stat().st_mode) == 0o600


def test_a_file_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "mailboxes.db") as connection:
        connection.execute("PRAGMA user_version = 9")
    connection.close()
    with pytest.raises(StoreUnavailable, match="newer version"):
        open_mailboxes(tmp_path)


def test_a_file_that_is_no_database_is_recognised(tmp_path: Path) -> None:
    (tmp_path / "mailboxes.db").write_bytes(os.urandom(8192))
    with pytest.raises(StoreUnavailable):
        open_mailboxes(tmp_path)


def test_a_reader_that_fails_says_so(mailboxes: Mailboxes) -> None:
    with mailboxes._engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE mailboxes")
    with pytest.raises(StoreUnavailable, match="cannot be read"):
        mailboxes.read(new_mailbox())
