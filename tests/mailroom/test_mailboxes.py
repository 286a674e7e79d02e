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
from sqlalchemy import Connection, Engine, event
from tests.mailroom.client import MESSAGE, new_mailbox
from tests.support.clock import Clock
from tests.support.waiting import until

from dovetail.errors import StoreUnavailable
from dovetail.mailroom.disk_quota import MAILBOX, cost
from dovetail.mailroom.mailboxes import Mailboxes, Posted
from dovetail.mailroom.settings import MailroomSettings


def open_mailboxes(folder: Path, clock: Clock | None = None, **changes: Any) -> Mailboxes:
    limits: dict[str, Any] = {"ttl": 100.0, "max_bytes": 1000 * MAILBOX, "max_writes": 400}
    limits["max_new_mailboxes"] = 1_000_000
    settings = MailroomSettings(folder, **(limits | changes))
    return Mailboxes(settings, clock=clock or Clock(), passed=Clock())


def engine_of(mailboxes: Mailboxes) -> Engine:
    assert mailboxes._engine is not None
    return mailboxes._engine


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
    with engine_of(mailboxes).connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2


async def test_a_post_is_answered_after_its_commit(mailboxes: Mailboxes) -> None:
    answered, early = threading.Event(), list[bool]()
    event.listen(engine_of(mailboxes), "commit", lambda _: early.append(answered.wait(0.2)))
    assert await mailboxes.post(new_mailbox(), MESSAGE) is Posted.KEPT
    answered.set()
    await mailboxes.purge()
    assert not early[0]


async def test_sixty_four_posts_at_once_share_few_commits(mailboxes: Mailboxes) -> None:
    commits: list[object] = []
    event.listen(engine_of(mailboxes), "commit", commits.append)
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

    event.listen(engine_of(mailboxes), "begin", fill)
    with pytest.raises(StoreUnavailable, match="disk is full"):
        await mailboxes.post(refused, MESSAGE)
    event.remove(engine_of(mailboxes), "begin", fill)
    assert mailboxes.read(kept) == MESSAGE
    assert mailboxes.read(refused) is None
    assert mailboxes.count == 1


async def test_a_locked_database_is_called_that(mailboxes: Mailboxes, tmp_path: Path) -> None:
    kept = new_mailbox()
    await mailboxes.post(kept, MESSAGE)
    event.listen(
        engine_of(mailboxes), "begin", lambda c: c.exec_driver_sql("PRAGMA busy_timeout = 20")
    )
    other = sqlite3.connect(tmp_path / "mailboxes.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="Another process kept the database locked"):
        await mailboxes.post(new_mailbox(), MESSAGE)
    assert not mailboxes.writable
    assert mailboxes.read(kept) == MESSAGE
    other.execute("ROLLBACK")
    other.close()
    assert await mailboxes.post(new_mailbox(), MESSAGE) is Posted.KEPT
    assert mailboxes.writable


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
    mailboxes = open_mailboxes(tmp_path, clock)
    await asyncio.gather(*(mailboxes.post(new_mailbox(), b"x") for _ in range(300)))
    clock.now += 100
    assert await mailboxes.purge() == 300
    assert mailboxes.count == 0
    mailboxes.close()


async def test_there_are_limits_on_mailboxes_and_on_writes(tmp_path: Path) -> None:
    mailboxes = open_mailboxes(tmp_path, max_bytes=2 * cost(1), max_writes=1)
    ids = [new_mailbox() for _ in range(3)]
    results = await asyncio.gather(*(mailboxes.post(short_id, b"x") for short_id in ids[:2]))
    assert results == [Posted.KEPT, Posted.BUSY]
    assert await mailboxes.post(ids[1], b"x") is Posted.KEPT
    assert await mailboxes.post(ids[2], b"x") is Posted.FULL
    assert await mailboxes.post(ids[0], b"y") is Posted.OCCUPIED
    mailboxes.close()


def test_the_file_is_private(mailboxes: Mailboxes, tmp_path: Path) -> None:
    assert stat.S_IMODE((tmp_path / "mailboxes.db").stat().st_mode) == 0o600


def make(folder: Path) -> Path:
    open_mailboxes(folder).close()
    return folder / "mailboxes.db"


def test_a_file_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    path = make(tmp_path)
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 9")
    connection.close()
    with pytest.raises(StoreUnavailable, match="newer version"):
        open_mailboxes(tmp_path)


def test_an_emptied_file_is_no_empty_store(tmp_path: Path) -> None:
    path = make(tmp_path)
    path.write_bytes(b"")
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="is empty: restore a copy"):
            open_mailboxes(tmp_path)
    assert path.read_bytes() == b""


def test_a_database_of_another_program_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "mailboxes.db") as connection:
        connection.execute("CREATE TABLE notes (text)")
    connection.close()
    with pytest.raises(StoreUnavailable, match="holds no mailboxes"):
        open_mailboxes(tmp_path)


def test_a_file_is_made_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(connection: Connection) -> None:
        connection.exec_driver_sql("CREATE TABLE half (done)")
        connection.exec_driver_sql("no SQL")

    with monkeypatch.context() as patch:
        patch.setattr("dovetail.mailroom.database._prepare", fail)
        with pytest.raises(StoreUnavailable):
            open_mailboxes(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert make(tmp_path).stat().st_size > 0
    assert [each.name for each in tmp_path.iterdir()] == ["mailboxes.db"]


def test_the_space_that_is_free_must_be_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_path: Path) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("shutil.disk_usage", fail)
    with pytest.raises(StoreUnavailable, match="free space"):
        open_mailboxes(tmp_path, max_bytes=None)


async def test_space_and_count_follow_what_is_kept(tmp_path: Path) -> None:
    clock = Clock()
    mailboxes = open_mailboxes(tmp_path, clock)
    reused = new_mailbox()
    await mailboxes.post(reused, b"small")
    await mailboxes.post(new_mailbox(), MESSAGE)
    assert await mailboxes.post(reused, MESSAGE) is Posted.OCCUPIED
    assert (mailboxes.count, mailboxes.space.used) == (2, cost(5) + MAILBOX)
    clock.now += 100
    assert await mailboxes.post(reused, MESSAGE) is Posted.KEPT
    assert (mailboxes.count, mailboxes.space.used) == (2, 2 * MAILBOX)
    mailboxes.close()
    mailboxes = open_mailboxes(tmp_path, clock)
    assert (mailboxes.count, mailboxes.space.used) == (2, 2 * MAILBOX)
    assert await mailboxes.purge() == 1
    assert (mailboxes.count, mailboxes.space.used) == (1, MAILBOX)
    mailboxes.close()


async def test_a_purge_does_not_count_what_stays(tmp_path: Path) -> None:
    clock = Clock()
    mailboxes = open_mailboxes(tmp_path, clock)
    await asyncio.gather(*(mailboxes.post(new_mailbox(), b"x") for _ in range(300)))
    statements: list[str] = []
    event.listen(
        engine_of(mailboxes), "before_cursor_execute", lambda *call: statements.append(call[2])
    )
    clock.now += 100
    await mailboxes.purge()
    assert [each.split()[0] for each in statements if "BEGIN" not in each] == ["DELETE", "DELETE"]
    mailboxes.close()


async def test_the_estimate_of_the_space_covers_the_file(tmp_path: Path) -> None:
    mailboxes = open_mailboxes(tmp_path)
    sizes = [1, 100, 3_000, 4_000, 4_096, 5_000, 7_168] * 20 + [7_168] * 100
    await asyncio.gather(*(mailboxes.post(new_mailbox(), bytes(size)) for size in sizes))
    with engine_of(mailboxes).connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    assert pages * 4_096 <= mailboxes.space.used + 16 * 4_096
    mailboxes.close()


async def test_a_post_that_nobody_waits_for_any_more_is_counted(mailboxes: Mailboxes) -> None:
    post = asyncio.create_task(mailboxes.post(new_mailbox(), MESSAGE))
    await asyncio.sleep(0)
    post.cancel()
    await until(lambda: mailboxes.count == 1)
    assert mailboxes.space.used == MAILBOX


def test_a_file_that_is_no_database_is_recognised(tmp_path: Path) -> None:
    (tmp_path / "mailboxes.db").write_bytes(os.urandom(8192))
    with pytest.raises(StoreUnavailable):
        open_mailboxes(tmp_path)


def test_a_reader_that_fails_says_so(mailboxes: Mailboxes) -> None:
    with engine_of(mailboxes).begin() as connection:
        connection.exec_driver_sql("DROP TABLE mailboxes")
    with pytest.raises(StoreUnavailable, match="cannot be read"):
        mailboxes.read(new_mailbox())
