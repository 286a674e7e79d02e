"""Rows and logs: what they hold, how they are found, and what damage does to them."""

from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from msgspec import structs
from sqlalchemy import Connection, delete, text, update
from sqlalchemy.exc import IntegrityError
from tests.stores.callers import SqlCaller
from tests.stores.sql.test_schema import MIXED

from dovetail.bitcoin import Sats, UnixTime
from dovetail.errors import ReplayError, SessionNotFound, StaleSession, StoreUnavailable
from dovetail.protocol.uri import PayjoinUri
from dovetail.sessions.receiver.events import Cancelled
from dovetail.stores.ports import ImportResult, SessionId, Wanted
from dovetail.stores.sql import PostgresStore
from dovetail.stores.sql.schema import session_events, sessions, sightings
from dovetail.stores.transfer import export_sessions, import_sessions
from dovetail.testing.store_samples import (
    NOW,
    address,
    closed,
    coin,
    receiver_created,
    sender_created,
    started,
    v2_endpoint,
)
from dovetail.testing.watching_contract import SEEN

UNKNOWN = SessionId(UUID("01a21f2b-319c-75a0-aa6c-d5889d0a67e0"))


def found(store: PostgresStore, **wanted: object) -> list[SessionId]:
    return [row.session_id for row in store.history(wanted=Wanted(**wanted))]  # type: ignore[arg-type]


def test_an_id_is_a_uuid_of_version_7_that_names_its_session(store: PostgresStore) -> None:
    session_id = started(store).session_id
    assert isinstance(session_id, UUID)
    assert session_id.version == 7
    assert session_id.int >> 80 == NOW * 1000
    assert store.row(session_id).session_id == session_id
    assert store.row(SessionId(UUID(str(session_id)))).session_id == session_id


def test_a_uuid_of_no_session_is_not_found(store: PostgresStore) -> None:
    started(store)
    for look_up in (store.row, store.stored, store.receiver, store.sender):
        with pytest.raises(SessionNotFound, match=f"no session {UNKNOWN}"):
            look_up(UNKNOWN)
    assert store.history(before=UNKNOWN) == ()


def test_two_stores_on_one_database_take_turns(url: str, store: PostgresStore) -> None:
    with PostgresStore.open(url) as other:
        before = store.pulse()
        first, second = started(store), started(other)
        assert store.pulse() == before + 2
        other.receiver(first.session_id).append(Cancelled(), seq=1, closes=False)
        with pytest.raises(StaleSession):
            first.append(Cancelled(), seq=1, closes=False)
        assert store.heads() == {first.session_id: 2, second.session_id: 1}


def test_amounts_and_times_have_room(store: PostgresStore) -> None:
    late = UnixTime(1 << 40)
    created = structs.replace(receiver_created(), amount=2_100_000_000_000_000)
    log = started(store, created)
    other = started(store, structs.replace(created, expires_at=late))
    store.saw(log.session_id, replace(SEEN, came=Sats(1 << 50)))
    row = store.row(log.session_id)
    assert row.sighting is not None
    assert row.sighting.came == 1 << 50
    assert row.amount == 2_100_000_000_000_000
    assert store.row(other.session_id).expires_at == late


def test_a_label_may_hold_what_the_database_cannot(store: PostgresStore) -> None:
    uri = PayjoinUri(
        address=address(), amount=None, endpoint=v2_endpoint(), label="two\0 \N{HOT BEVERAGE}"
    )
    log = store.new_sender()
    log.append(structs.replace(sender_created(), uri=uri.serialize()), seq=0, closes=False)
    assert store.row(log.session_id).label == "two\N{REPLACEMENT CHARACTER} \N{HOT BEVERAGE}"
    assert len(log.load()) == 1
    assert store.session_paying(uri) == log.session_id


def test_every_condition_of_a_list_holds_together(store: PostgresStore) -> None:
    created = structs.replace(receiver_created(), label="tea", message="Order 17")
    logs = [started(store, created), *(started(store) for _ in range(2))]
    logs[1].append(closed(), seq=1, closes=True)
    ids = [log.session_id for log in logs]
    assert found(store, open=True) == [ids[2], ids[0]]
    assert found(store, open=True, text="TEA") == [ids[0]]
    assert found(store, open=False, text="order") == []
    assert found(store, since=UnixTime(NOW + 1)) == []
    assert found(store, since=NOW, text="order 17") == [ids[0]]
    page = store.history(limit=1, wanted=Wanted(text=str(address())))
    assert [row.session_id for row in page] == [ids[2]]
    page = store.history(limit=1, before=ids[2], wanted=Wanted(text=str(address())))
    assert [row.session_id for row in page] == [ids[1]]


def test_a_search_reads_many_rows_in_parts(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dovetail.stores.sql.postgresql_statements._AT_ONCE", 2)
    ids = [started(store).session_id for _ in range(5)]
    assert found(store, text=str(address())) == ids[::-1]


def execute(store: PostgresStore, statement: object) -> None:
    store.write(lambda connection: connection.execute(statement).close())  # type: ignore[call-overload]


def test_a_damaged_entry_names_its_session_and_stops_no_other(store: PostgresStore) -> None:
    bad, good = started(store), started(store)
    of_bad = session_events.c.session_id == bad.session_id
    execute(store, update(session_events).where(of_bad).values(data=b"{"))
    with pytest.raises(ReplayError, match=f"Session {bad.session_id}: Entry 0"):
        bad.load()
    assert len(good.load()) == 1
    both = [bad.session_id, good.session_id]
    assert store.doubtful(both) == {bad.session_id}
    execute(store, delete(session_events).where(of_bad))
    with pytest.raises(ReplayError, match="Entry 0 of the log is missing"):
        bad.load()
    assert store.doubtful(both) == {bad.session_id}


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE session_events SET seq = 7 WHERE seq = 1",
        "UPDATE session_events SET tag = 'Created' WHERE seq = 1",
        "UPDATE session_events SET checksum = NULL WHERE seq = 0",
        "UPDATE sessions SET last_tag = 'Closed'",
        "DELETE FROM session_events WHERE seq = 1",
        "UPDATE sessions SET next_seq = 1",
    ],
)
def test_a_log_that_is_not_as_it_was_written_is_doubtful(store: PostgresStore, damage: str) -> None:
    log = started(store)
    log.append(Cancelled(), seq=1, closes=False)
    assert store.doubtful([log.session_id]) == frozenset()
    execute(store, text(damage))
    assert store.doubtful([log.session_id]) == {log.session_id}


def test_a_kind_of_a_newer_dovetail_hides_no_session(store: PostgresStore) -> None:
    log = started(store)
    store.saw(log.session_id, SEEN)
    execute(store, update(sightings).values(kind="teleported"))
    assert store.row(log.session_id).sighting is None


@pytest.mark.parametrize("values", MIXED.values(), ids=MIXED.keys())
def test_a_row_of_mixed_shape_is_refused(store: PostgresStore, values: str) -> None:
    columns = (
        "(session_id, address, created_at, expires_at, last_tag, next_seq,"
        " role, pj_uri, receiver_pubkey, closed_at, outcome, ending, standing)"
    )
    values = values.replace("(", "(gen_random_uuid(), 'a', 1, 1, 'Created', 1, ", 1)
    values = values.replace("x'02'", r"'\x02'").replace("x'7b7d'", r"'\x7b7d'")
    with pytest.raises(IntegrityError, match="violates check constraint"):
        execute(store, text(f"INSERT INTO sessions {columns} VALUES {values}"))  # noqa: S608


def test_a_fault_of_the_row_is_told_without_its_values(store: PostgresStore) -> None:
    with pytest.raises(StoreUnavailable) as caught:
        store.saw(UNKNOWN, SEEN)
    assert str(UNKNOWN) not in f"{caught.value!r} {caught.value.__cause__!r}"


def test_sessions_move_to_and_from_a_store(
    store: PostgresStore, empty_url: str, tmp_path: Path
) -> None:
    held, seen = coin(), coin()
    log = started(store, structs.replace(receiver_created(), label="tea"))
    store.reserve(log.session_id, [held])
    store.claim(log.session_id, [seen])
    lines = b"".join(export_sessions(store, [log.session_id], secrets=True))
    (path := tmp_path / "sessions.jsonl").write_bytes(lines)
    with PostgresStore.open(empty_url) as other:
        with path.open("rb") as stream:
            (imported,) = import_sessions(other, stream)
        assert imported.number == str(log.session_id)
        assert isinstance(imported.result, ImportResult)
        (row,) = other.history()
        assert row.label == "tea"


def test_the_rows_of_one_event_that_conflict_stop_no_other(url: str) -> None:
    caller = SqlCaller.in_postgresql(url)
    first, second = started(caller.store), started(caller.store)
    caller.hook = lambda connection, appended: caller.note(connection, str(appended.seq))
    first.append(Cancelled(), seq=1, closes=False)
    with pytest.raises(StoreUnavailable, match="rows that go with"):
        second.append(Cancelled(), seq=1, closes=False)
    first.append(closed(), seq=2, closes=True)
    assert caller.notes() == ["1", "2"]
    assert len(second.load()) == 1
    caller.store.close()


def test_a_callers_conflict_is_its_own(url: str) -> None:
    caller = SqlCaller.in_postgresql(url)

    def work(connection: Connection) -> None:
        log.within(connection).append(closed(), seq=1, closes=True)
        caller.note(connection, "paid")

    log = started(caller.store)
    caller.store.write(work)
    log = started(caller.store)
    with pytest.raises(IntegrityError):
        caller.store.write(work)
    assert len(log.load()) == 1
    caller.store.close()


def test_an_unread_outcome_leaves_the_row(store: PostgresStore) -> None:
    log = started(store)
    log.append(closed(), seq=1, closes=True)
    execute(store, update(sessions).values(ending=b"{"))
    row = store.row(log.session_id)
    assert row.outcome == "expired"
    assert row.ending is None
