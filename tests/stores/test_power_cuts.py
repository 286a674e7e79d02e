"""A power cut at any write: all that was acknowledged is there, and nothing half.

The files are copied at every commit of a run, before it and after. Between two copies the disk
may hold any part of what was written, as a write-ahead log is synced before it counts: so the
log is also cut and torn at every 512 bytes in between. Each copy is opened and replayed.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import event
from tests.eventlogs.logs import entries

from dovetail.bitcoin import OutPoint, Txid
from dovetail.sessions import receiver, sender
from dovetail.stores.integrity import load_session
from dovetail.stores.ports import SessionId
from dovetail.stores.sql import SqliteStore

SECTOR = 512
SENT, PAID = entries("sender/success"), entries("receiver/paid-by-payjoin")
SENDER, RECEIVER = SessionId(1), SessionId(2)
COINS = [OutPoint(Txid(bytes([n]) * 32), 0) for n in range(2)]


@dataclass(frozen=True)
class Disk:
    """The bytes of the files at one moment, and how many events were acknowledged by then."""

    database: bytes
    log: bytes
    acknowledged: dict[SessionId, int]

    def write(self, path: Path) -> None:
        path.write_bytes(self.database)
        path.with_name(f"{path.name}-wal").write_bytes(self.log)
        path.with_name(f"{path.name}-shm").unlink(missing_ok=True)


@dataclass
class Run:
    """A store whose files are copied around every commit."""

    path: Path
    acknowledged: dict[SessionId, int] = field(default_factory=dict)
    disks: list[Disk] = field(default_factory=list)

    def copy(self) -> None:
        log = self.path.with_name(f"{self.path.name}-wal")
        self.disks.append(Disk(self.path.read_bytes(), log.read_bytes(), dict(self.acknowledged)))

    def play(self, *, checkpoint_after: int | None = None) -> None:
        """A sender and a receiver from their first event to their last, in turns."""
        with SqliteStore.open(self.path) as store:
            event.listen(store.engine, "commit", lambda _connection: self.copy())
            asking, paying = store.new_receiver(), store.new_sender(reserving=COINS)
            for seq in range(max(len(SENT), len(PAID))):
                if seq < len(SENT):
                    last = seq == len(SENT) - 1
                    paying.append(sender.decode_event(SENT[seq]), seq=seq, closes=last)
                    self.acknowledge(paying.session_id, seq + 1)
                if seq < len(PAID):
                    last = seq == len(PAID) - 1
                    asking.append(receiver.decode_event(PAID[seq]), seq=seq, closes=last)
                    self.acknowledge(asking.session_id, seq + 1)
                if seq == checkpoint_after:
                    with store.engine.connect() as connection:
                        driver = connection.connection.driver_connection
                        assert driver is not None
                        driver.execute("PRAGMA wal_checkpoint(FULL)").close()
                    self.copy()

    def acknowledge(self, session_id: SessionId, count: int) -> None:
        self.acknowledged[session_id] = count
        self.copy()


def torn(before: Disk, after: Disk) -> Iterator[Disk]:
    """What the disk may hold between two moments: the database is not touched, the log is.

    What was synced before stays, as SQLite and its disks promise; what is new is there up to any
    sector, or with any sector missing.
    """
    old, new = before.log.ljust(len(after.log), b"\0"), after.log
    start = next(n for n in range(len(new)) if old[n] != new[n])
    stop = next(n for n in range(len(new), 0, -1) if old[n - 1] != new[n - 1])
    grows = len(before.log) == start
    for end in (start, *range(start - start % SECTOR + SECTOR, stop, SECTOR)):
        yield Disk(after.database, new[:end] + before.log[end:], before.acknowledged)
        if grows and end > start:
            yield Disk(after.database, new[:end] + bytes(stop - end), before.acknowledged)
        hole = new[:end] + old[end : end + SECTOR] + new[end + SECTOR :]
        yield Disk(after.database, hole, before.acknowledged)
    yield Disk(after.database, new, before.acknowledged)


def check(disk: Disk, path: Path, *, at_most: dict[SessionId, int]) -> int:
    """Hold one copy to the promise; how many events it has."""
    disk.write(path)
    with SqliteStore.open(path) as store:
        rows = {row.session_id: row for row in store.history()}
        for session_id, count in disk.acknowledged.items():
            assert rows[session_id].next_seq >= count
        for session_id, row in rows.items():
            assert row.next_seq <= at_most[session_id]
            session = load_session(store, session_id)
            assert session.seq == row.next_seq
            closed = isinstance(session, sender.Closed | receiver.Closed)
            assert closed == (row.closed_at is not None)
        open_sender = SENDER in rows and rows[SENDER].closed_at is None
        assert store.reserved() == frozenset(COINS if open_sender else ())
        return sum(row.next_seq for row in rows.values())


@pytest.fixture
def run(tmp_path: Path) -> Run:
    (tmp_path / "run").mkdir()
    return Run(tmp_path / "run" / "sessions.db")


def test_every_copy_has_what_was_acknowledged_and_nothing_half(run: Run, tmp_path: Path) -> None:
    run.play()
    assert len(run.disks) == 2 * (len(SENT) + len(PAID))
    assert run.disks[-1].acknowledged == {SENDER: len(SENT), RECEIVER: len(PAID)}
    for before, after in zip(run.disks, [*run.disks[1:], run.disks[-1]], strict=True):
        check(before, tmp_path / "copy.db", at_most=next_of(before, after))


def next_of(before: Disk, after: Disk) -> dict[SessionId, int]:
    """A commit may be on the disk before it is acknowledged."""
    at_most = dict.fromkeys((SENDER, RECEIVER), 0) | after.acknowledged
    return {
        session_id: max(count, before.acknowledged.get(session_id, 0))
        for session_id, count in at_most.items()
    }


@pytest.mark.parametrize("commit", ["the first", "one in the middle", "the last"])
def test_a_commit_that_is_torn_anywhere_is_there_or_not(
    run: Run, tmp_path: Path, commit: str
) -> None:
    run.play()
    number = {"the first": 1, "one in the middle": 15, "the last": len(run.disks) - 1}[commit]
    before, after = run.disks[number - 1], run.disks[number]
    assert before.log != after.log
    known = sum(before.acknowledged.values())
    found = {
        check(disk, tmp_path / "copy.db", at_most=next_of(before, after))
        for disk in torn(before, after)
    }
    assert found == {known, known + 1}


def test_a_log_that_is_begun_anew_is_torn_without_loss(run: Run, tmp_path: Path) -> None:
    """After a checkpoint the next commit overwrites the log from its beginning."""
    run.play(checkpoint_after=3)
    pairs = list(zip(run.disks, run.disks[1:], strict=False))
    (anew,) = [
        number
        for number, (before, after) in enumerate(pairs)
        if before.log and before.log[:32] != after.log[:32]
    ]
    for disk in torn(*pairs[anew]):
        check(disk, tmp_path / "copy.db", at_most=next_of(*pairs[anew]))


def test_a_checkpoint_that_is_torn_anywhere_loses_nothing(run: Run, tmp_path: Path) -> None:
    """The log is whole until the database has it all."""
    run.play(checkpoint_after=3)
    (before, after) = next(
        pair
        for pair in zip(run.disks, run.disks[1:], strict=False)
        if pair[0].database != pair[1].database
    )
    assert before.log == after.log
    for end in range(0, len(after.database) + 1, 4 * SECTOR):
        half = after.database[:end] + before.database[end:]
        check(
            Disk(half, after.log, after.acknowledged),
            tmp_path / "copy.db",
            at_most=next_of(before, after),
        )


def test_the_copies_are_of_their_own(run: Run, tmp_path: Path) -> None:
    """Without its log a copy lacks what was acknowledged: the checks would notice."""
    run.play()
    last = run.disks[-1]
    with pytest.raises((AssertionError, KeyError)):
        check(
            Disk(last.database, b"", last.acknowledged),
            tmp_path / "copy.db",
            at_most=last.acknowledged,
        )
    shutil.rmtree(run.path.parent)
