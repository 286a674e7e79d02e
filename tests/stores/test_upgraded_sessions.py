"""Sessions of every release and in every state go on after an upgrade."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text
from tests.eventlogs.logs import entries
from tests.stores.released_databases import RELEASED, fill, old, state_of

from dovetail.protocol.uri import PayjoinUri
from dovetail.sessions import receiver, sender
from dovetail.sessions.ended import ending_of
from dovetail.sessions.outcomes import code_of
from dovetail.sessions.sender.terms import Terms
from dovetail.sessions.standing import summary_of
from dovetail.stores.integrity import load_session
from dovetail.stores.ports import SessionId
from dovetail.stores.sql import SqliteStore, migrations
from dovetail.stores.sql.sqlite import open_engine
from dovetail.testing.store_samples import started


@pytest.mark.parametrize("revision", RELEASED)
def test_sessions_go_on_after_an_upgrade(tmp_path: Path, revision: str) -> None:
    path = tmp_path / "sessions.db"
    old(path, revision)
    with SqliteStore.open(path) as store:
        assert [row.session_id for row in store.live()] == [SessionId(1), SessionId(4)]
        states = [load_session(store, row.session_id) for row in store.history()]
        assert [type(state).__name__ for state in states] == [
            "Initialized",
            "Closed",
            "Closed",
            "PollingForProposal",
        ]
        assert len(store.reserved()) == 2
        assert len(store.exposed()) == 1
        polling = store.sender(SessionId(1))
        event = sender.decode_event(entries("sender/success")[3])
        polling.append(event, seq=3, closes=False)
        assert len(polling.load()) == 4
        checksums = [event.checksum for event in store.stored(SessionId(1)).events]
        assert checksums[:3] == [None] * 3
        assert checksums[3] is not None
    with closing(sqlite3.connect(path)) as database:
        fresh = open_engine(tmp_path / "fresh.db")
        with fresh.begin() as connection:
            migrations.upgrade(connection)
            shapes = "SELECT name, type FROM sqlite_schema ORDER BY name"
            assert database.execute(shapes).fetchall() == [
                tuple(row) for row in connection.execute(text(shapes))
            ]
        fresh.dispose()


def test_v1_invoices_are_found_in_any_spelling_after_an_upgrade(tmp_path: Path) -> None:
    """What an older release stored as it was spelled, and two rows that turn out to be one."""
    path = tmp_path / "sessions.db"
    old(path, "0003")
    address = "bcrt1qs758ursh4q9z627kt3pp5yysm78ddny6txaqgw"
    rows = [
        (11, "HTTPS://SHOP.example:443/pay?"),
        (12, "https://shop.example/pay"),
        (13, "https://shop.example/other?r=%7e"),
        (14, "no URL at all"),
    ]
    with closing(sqlite3.connect(path)) as database:
        database.executemany(
            "INSERT INTO sessions VALUES (?, 'sender', ?, NULL, ?, 1, 1, 1, 'Closed', 1)",
            [(number, url, address) for number, url in rows],
        )
        database.commit()
    with SqliteStore.open(path) as store:
        invoice = f"bitcoin:{address}?amount=0.001&pj="
        for url in ("https://shop.example/pay", "https://SHOP.example:443/pay?"):
            assert store.session_paying(PayjoinUri.parse(invoice + url)) == SessionId(12)
        again = PayjoinUri.parse(invoice + "https://shop.example/other?r=~")
        assert store.session_paying(again) == SessionId(13)
        assert store.session_paying_to(again.address) == SessionId(14)
    with closing(sqlite3.connect(path)) as database:
        urls = database.execute("SELECT pj_uri FROM sessions WHERE session_id > 10").fetchall()
    assert [url for (url,) in urls] == [
        "HTTPS://SHOP.example:443/pay?",
        "https://shop.example/pay",
        "https://shop.example/other?r=~",
        "no URL at all",
    ]


def label_of(state: receiver.ReceiverSession | sender.SenderSession) -> str | None:
    if isinstance(state.created, receiver.events.Created):
        return state.created.label
    return Terms(state.created).request.label


@pytest.mark.parametrize("revision", RELEASED)
def test_sessions_in_every_state_go_on_after_an_upgrade(tmp_path: Path, revision: str) -> None:
    path = tmp_path / "sessions.db"
    names = fill(path, revision)
    with SqliteStore.open(path) as store:
        for number, name in names.items():
            session_id, state = SessionId(number), state_of(name)
            assert load_session(store, session_id) == state
            row = store.row(session_id)
            shown = summary_of(state)
            assert shown is not None
            assert row.summary == shown
            assert row.amount == shown.amount
            assert row.label == label_of(state)
            if isinstance(state, (receiver.Closed, sender.Closed)):
                assert row.ending == ending_of(state)
                assert row.outcome == code_of(state.outcome)
                continue
            assert row.standing is not None
            assert row.standing.state == type(state).__name__
            assert row.outcome is None
            before = len(entries(name))
            if name.startswith("sender/"):
                cancelled = sender.events.Cancelled()
                store.sender(session_id).append(cancelled, seq=before, closes=False)
            else:
                store.receiver(session_id).append(
                    receiver.events.Cancelled(), seq=before, closes=False
                )
            assert store.row(session_id).next_seq == before + 1
        assert started(store).session_id == SessionId(max(names) + 1)


def test_a_database_of_each_release_says_how_its_sessions_ended(tmp_path: Path) -> None:
    for revision in RELEASED:
        path = tmp_path / f"{revision}.db"
        old(path, revision)
        with SqliteStore.open(path) as store:
            told = [row.outcome for row in store.history()]
            assert told == [None, "success", "success", None], revision


def test_a_log_that_cannot_be_read_keeps_its_session_and_stops_no_upgrade(tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"
    old(path, "0004")
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE session_events SET data = x'ff' WHERE session_id = 2")
        database.execute("DELETE FROM session_events WHERE session_id = 3")
    with SqliteStore.open(path) as store:
        rows = {str(row.session_id): row for row in store.history()}
        assert list(rows) == ["4", "3", "2", "1"]
        assert rows["2"].outcome is rows["3"].outcome is None
        assert rows["2"].closed_at is not None
        assert rows["2"].label is None
        assert rows["3"].summary is None


def test_an_open_log_that_cannot_be_read_keeps_its_session_and_stops_no_upgrade(
    tmp_path: Path,
) -> None:
    path = tmp_path / "sessions.db"
    old(path, "0005")
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE session_events SET data = x'ff' WHERE session_id = 1")
        database.execute("UPDATE sessions SET ending = x'ff' WHERE session_id = 2")
        database.execute("DELETE FROM session_events WHERE session_id = 4")
    with SqliteStore.open(path) as store:
        rows = {str(row.session_id): row for row in store.history()}
        assert [number for number, row in rows.items() if row.summary is None] == ["4", "2", "1"]
        assert rows["2"].outcome == "success"
        assert rows["1"].amount is rows["4"].amount is None


def test_a_receivers_row_that_had_a_key_loses_it(tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"
    old(path, "0004")
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE sessions SET receiver_pubkey = x'02' WHERE role = 'receiver'")
    with SqliteStore.open(path) as store:
        assert len(store.history()) == 4
