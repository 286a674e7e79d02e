"""What is wrong with a log is named, and touches no other (docs/concepts/sessions.md)."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.eventlogs.logs import NAMES, entries
from tests.stores.kept_logs import keep

from dovetail.errors import ReplayError
from dovetail.sessions import receiver, sender
from dovetail.stores.integrity import load_session, naming
from dovetail.stores.memory import MemoryStore
from dovetail.stores.ports import SessionId
from dovetail.stores.sql import SqliteStore
from dovetail.stores.stored_event import checksum_of

Damage = Callable[[sqlite3.Connection], object]
BAD, GOOD, OTHER = SessionId(1), SessionId(2), SessionId(3)
LOG = entries("sender/success")
LAST = len(LOG) - 1


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "sessions.db"
    with SqliteStore.open(path) as store:
        keep(store, "sender/success")
        keep(store, "receiver/paid-by-payjoin")
        keep(store, "sender/success-v1")
    return path


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    with SqliteStore.open(path) as store:
        yield store


def damage(path: Path, statement: str, *values: object) -> None:
    with sqlite3.connect(path) as database:
        database.execute(statement, values)
    database.close()


def rewrite(path: Path, seq: int, data: bytes | str, *, tag: str | None = None) -> None:
    """As a program would that knows of checksums."""
    raw = data if isinstance(data, bytes) else data.encode()
    damage(
        path,
        "UPDATE session_events SET data = ?, checksum = ?, tag = coalesce(?, tag)"
        " WHERE session_id = 1 AND seq = ?",
        data,
        checksum_of(seq, raw),
        tag,
        seq,
    )


def without_key(path: Path) -> None:
    """Copy the entries into a table that keeps no order, as a broken index would."""
    with sqlite3.connect(path) as database:
        database.executescript(
            "CREATE TABLE loose AS SELECT * FROM session_events;"
            "DROP TABLE session_events; ALTER TABLE loose RENAME TO session_events;"
        )
    database.close()


def refused(store: SqliteStore) -> ReplayError:
    """The session cannot be read, says where and why, stays as it is and stops no other."""
    before = store.stored(BAD)
    with pytest.raises(ReplayError) as caught:
        load_session(store, BAD)
    assert str(caught.value.session) == "1"
    assert str(caught.value).startswith("Session 1: ")
    assert store.stored(BAD) == before
    assert [row.session_id for row in store.history()] == [OTHER, GOOD, BAD]
    for each in (GOOD, OTHER):
        assert load_session(store, each).seq == store.row(each).next_seq
    return caught.value


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", [MemoryStore, SqliteStore])
def test_a_stored_log_replays_as_it_was(tmp_path: Path, name: str, kind: type) -> None:
    store = MemoryStore() if kind is MemoryStore else SqliteStore.open(tmp_path / "sessions.db")
    session_id = keep(store, name)
    assert load_session(store, session_id).seq == len(entries(name))
    role = sender if name.startswith("sender/") else receiver
    stored = [role.decode_event(entry.data) for entry in store.stored(session_id).events]
    assert stored == [role.decode_event(line) for line in entries(name)]
    store.close()


def test_an_unknown_tag_is_named(path: Path, store: SqliteStore) -> None:
    rewrite(path, 2, b'{"v":1,"event":"Teleported"}', tag="Teleported")
    error = refused(store)
    assert error.seq == 2
    assert "Its kind is unknown" in str(error)


def test_a_newer_version_is_named(path: Path, store: SqliteStore) -> None:
    rewrite(path, 1, b'{"v":3,"event":"StartedPosting"}')
    error = refused(store)
    assert error.seq == 1
    assert "newer release (version 3)" in str(error)


@pytest.mark.parametrize("seq", range(len(LOG)))
def test_a_flipped_byte_is_noticed_wherever_it_is(path: Path, store: SqliteStore, seq: int) -> None:
    for at in range(0, len(LOG[seq]), 7):
        flipped = bytearray(LOG[seq])
        flipped[at] ^= 1
        damage(
            path,
            "UPDATE session_events SET data = ? WHERE session_id = 1 AND seq = ?",
            bytes(flipped),
            seq,
        )
        with pytest.raises(ReplayError) as caught:
            store.sender(BAD).load()
        assert (str(caught.value.session), caught.value.seq) == ("1", seq)
    refused(store)


def test_damage_that_still_reads_is_told_by_the_checksum(path: Path, store: SqliteStore) -> None:
    created = LOG[0].replace(b"coffee", b"toffee")
    assert created != LOG[0]
    damage(path, "UPDATE session_events SET data = ? WHERE session_id = 1 AND seq = 0", created)
    error = refused(store)
    assert error.seq == 0
    assert "was changed after it was written" in str(error)


def test_an_entry_without_a_checksum_is_read_as_it_is(path: Path, store: SqliteStore) -> None:
    damage(path, "UPDATE session_events SET checksum = NULL")
    assert isinstance(load_session(store, BAD), sender.Closed)


@pytest.mark.parametrize("seq", range(len(LOG)))
def test_a_missing_seq_is_named(path: Path, store: SqliteStore, seq: int) -> None:
    damage(path, "DELETE FROM session_events WHERE session_id = 1 AND seq = ?", seq)
    error = refused(store)
    assert error.seq == seq
    assert f"Entry {seq} of the log is missing" in str(error)


@pytest.mark.parametrize("seq", range(len(LOG)))
def test_a_doubled_seq_is_named(path: Path, store: SqliteStore, seq: int) -> None:
    without_key(path)
    damage(
        path,
        "INSERT INTO session_events SELECT * FROM session_events WHERE session_id = 1 AND seq = ?",
        seq,
    )
    error = refused(store)
    assert error.seq == seq
    assert f"Entry {seq} of the log occurs twice" in str(error)


def test_an_entry_too_many_is_named(path: Path, store: SqliteStore) -> None:
    damage(path, "UPDATE sessions SET next_seq = next_seq - 1 WHERE session_id = 1")
    error = refused(store)
    assert error.seq == LAST
    assert "never acknowledged" in str(error)


def test_a_payload_that_contradicts_what_came_before_is_named(
    path: Path, store: SqliteStore
) -> None:
    rewrite(path, 2, LOG[3], tag="ReceivedProposal")
    rewrite(path, 3, LOG[3], tag="ReceivedProposal")
    error = refused(store)
    assert error.seq == 3
    assert error.__cause__ is not None
    assert "ReceivedProposal cannot follow ProposalReceived" in str(error)


def test_an_entry_under_the_tag_of_another_is_named(path: Path, store: SqliteStore) -> None:
    damage(path, "UPDATE session_events SET tag = 'Released' WHERE session_id = 1 AND seq = 1")
    error = refused(store)
    assert error.seq == 1
    assert "does not match its stored tag" in str(error)


def test_a_session_whose_last_event_is_another_is_named(path: Path, store: SqliteStore) -> None:
    damage(path, "UPDATE sessions SET last_tag = 'Released' WHERE session_id = 1")
    error = refused(store)
    assert error.seq == LAST
    assert "Its last entry" in str(error)


def test_text_that_is_no_text_hides_no_other_session(path: Path, store: SqliteStore) -> None:
    damage(path, "UPDATE sessions SET last_tag = CAST(x'ff' AS TEXT) WHERE session_id = 1")
    damage(
        path,
        "UPDATE session_events SET tag = CAST(x'ff' AS TEXT), data = 'a text'"
        " WHERE session_id = 1 AND seq = 4",
    )
    assert refused(store).seq == 4
    assert store.row(BAD).last_tag == "\N{REPLACEMENT CHARACTER}"
    assert store.stored(BAD).events[4].data == b"a text"


def test_an_empty_log_is_one_that_lacks_its_first_entry(path: Path, store: SqliteStore) -> None:
    damage(path, "DELETE FROM session_events WHERE session_id = 1")
    assert refused(store).seq == 0
    damage(path, "UPDATE sessions SET next_seq = 0 WHERE session_id = 1")
    assert "The log is empty" in str(refused(store))


def test_a_name_is_given_once() -> None:
    with pytest.raises(ReplayError, match=r"^Session 4: no$"), naming(5), naming(4):
        raise ReplayError("no")


def test_an_entry_shows_nothing_of_itself(store: SqliteStore) -> None:
    assert repr(store.stored(BAD).events[0]) == "<StoredEvent 0>"
