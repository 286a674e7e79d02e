"""What lists read: rows that say what a replay would, and logs that may not be what they were."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from tests.eventlogs.logs import NAMES, entries
from tests.stores.kept_logs import keep

from dovetail.bitcoin import FeeRate, Txid
from dovetail.sessions import receiver, sender
from dovetail.sessions.sightings import Sighting, SpendKind
from dovetail.sessions.standing import summary_of
from dovetail.stores.integrity import load_session
from dovetail.stores.memory import MemoryStore
from dovetail.stores.memory.tables import MemoryTables
from dovetail.stores.ports import SessionId, Store
from dovetail.stores.sql import SqliteStore
from dovetail.stores.stored_event import StoredEvent, raw_event

KEPT, OTHER = SessionId(1), SessionId(2)


@pytest.fixture(params=["sqlite", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "memory":
        yield MemoryStore()
    else:
        with SqliteStore.open(tmp_path / "sessions.db") as store:
            yield store


@pytest.mark.parametrize("name", NAMES)
def test_a_row_says_after_each_event_what_a_replay_would(store: Store, name: str) -> None:
    """Whether the state is handed over by a save, or has to be replayed."""
    lines = entries(name)
    if name.startswith("sender/"):
        paying, sent = store.new_sender(), [*map(sender.decode_event, lines)]
        for seq, event in enumerate(sent):
            payer = sender.replay(sent[: seq + 1])
            paying.advance(event, payer, seq=seq, closes=isinstance(payer, sender.Closed))
            assert_shown(store, paying.session_id)
        return
    asking, got = store.new_receiver(), [*map(receiver.decode_event, lines)]
    for seq, coming in enumerate(got):
        payee = receiver.replay(got[: seq + 1])
        asking.advance(coming, payee, seq=seq, closes=payee.closed)
        assert_shown(store, asking.session_id)
    again = keep(store, name)
    assert store.row(again).summary == store.row(asking.session_id).summary


def assert_shown(store: Store, session_id: SessionId) -> None:
    row, state = store.row(session_id), load_session(store, session_id)
    assert row.summary is not None
    assert row.summary == summary_of(state)
    assert row.amount == row.summary.amount
    assert store.doubtful([session_id]) == frozenset()


DAMAGE = {
    "a flipped byte": "UPDATE session_events SET data = replace(data, 'bcrt1', 'bcrt0')"
    " WHERE session_id = 1 AND seq = 0",
    "no bytes": "UPDATE session_events SET data = x'' WHERE session_id = 1 AND seq = 1",
    "no text": "UPDATE session_events SET data = x'ff' WHERE session_id = 1 AND seq = 1",
    "another kind": "UPDATE session_events SET tag = 'Cancelled' WHERE session_id = 1 AND seq = 1",
    "a kind that is no text": "UPDATE session_events SET tag = x'ff'"
    " WHERE session_id = 1 AND seq = 1",
    "another number": "UPDATE session_events SET seq = 9 WHERE session_id = 1 AND seq = 2",
    "the first is missing": "DELETE FROM session_events WHERE session_id = 1 AND seq = 0",
    "the last is missing": "DELETE FROM session_events WHERE session_id = 1 AND seq = 2",
    "all are missing": "DELETE FROM session_events WHERE session_id = 1",
    "one too many": "INSERT INTO session_events SELECT 1, 3, tag, data, created_at, checksum"
    " FROM session_events WHERE session_id = 1 AND seq = 2",
    "another last kind": "UPDATE sessions SET last_tag = 'Cancelled' WHERE session_id = 1",
    "another length": "UPDATE sessions SET next_seq = 2 WHERE session_id = 1",
    "no checksum": "UPDATE session_events SET checksum = NULL WHERE session_id = 1 AND seq = 1",
    "checksum": "UPDATE session_events SET checksum = 'x' WHERE session_id = 1 AND seq = 1",
}


@pytest.mark.parametrize("statement", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_log_that_is_not_as_it_was_written_is_doubtful(tmp_path: Path, statement: str) -> None:
    path = tmp_path / "sessions.db"
    with SqliteStore.open(path) as store:
        keep(store, "sender/success", upto=3)
        keep(store, "receiver/paid-by-payjoin", upto=3)
        assert store.doubtful([KEPT, OTHER]) == frozenset()
        with closing(sqlite3.connect(path)) as database, database:
            assert database.execute(statement).rowcount
        assert store.doubtful([KEPT, OTHER]) == {KEPT}


def test_in_memory_a_log_that_is_not_what_its_row_says_is_doubtful() -> None:
    store = MemoryStore()
    keep(store, "sender/success", upto=3)
    keep(store, "receiver/paid-by-payjoin", upto=3)
    last = store.stored(KEPT).events[-1]
    changed = raw_event(7, last.tag, last.data, last.created_at)
    for log in (store.stored(KEPT).events[:-1], (*store.stored(KEPT).events[:-1], changed)):
        store.write(partial(replace_log, log=log))
        assert store.doubtful([KEPT, OTHER]) == {KEPT}


def replace_log(tables: MemoryTables, *, log: tuple[StoredEvent, ...]) -> None:
    tables.entries[KEPT] = log


def test_a_row_that_is_damaged_or_newer_is_left_to_the_log(tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"
    with SqliteStore.open(path) as store:
        keep(store, "sender/success", upto=3)
        keep(store, "receiver/paid-by-payjoin")
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("UPDATE sessions SET standing = x'ff' WHERE session_id = 1")
            database.execute("UPDATE sessions SET label = CAST(x'ff' AS TEXT)")
        assert store.row(KEPT).summary is None
        assert store.row(KEPT).label == "\N{REPLACEMENT CHARACTER}"
        assert store.row(OTHER).ending is not None


def test_what_a_rival_pays_is_kept_for_other_processes(store: Store) -> None:
    known = keep(store, "receiver/paid-by-payjoin", upto=3)
    seen = Sighting(kind=SpendKind.UNRECOGNIZED, txid=Txid(bytes(32)), depth=0, wanted=1)
    for rate in (None, FeeRate.from_sat_per_vb("3.5")):
        rated = Sighting(
            kind=seen.kind, txid=seen.txid, depth=seen.depth, wanted=seen.wanted, rate=rate
        )
        store.saw(known, rated)
        for row in (store.row(known), *store.live(), *store.history()):
            assert row.sighting == rated
