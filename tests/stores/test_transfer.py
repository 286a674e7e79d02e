"""Exports and imports: nothing gets in that could not have been written here."""

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection
from tests.eventlogs.logs import NAMES, entries
from tests.stores.kept_logs import keep

from dovetail.bitcoin import OutPoint
from dovetail.errors import (
    CoinsTaken,
    DovetailError,
    DuplicateSession,
    ParseError,
    ReplayError,
    SessionNotFound,
    StoreUnavailable,
    UsageError,
)
from dovetail.sessions import receiver, sender
from dovetail.stores import transfer
from dovetail.stores.integrity import load_session
from dovetail.stores.memory import MemoryStore
from dovetail.stores.ports import ImportedSession, ImportOutcome, ImportResult, SessionId, Store
from dovetail.stores.sql import SqliteStore
from dovetail.stores.stored_event import checksum_of
from dovetail.stores.transfer import Imported, every_session, export_sessions, import_sessions

PAID = "receiver/paid-by-payjoin"
SENT = "sender/success"
FIRST = SessionId(1)

Change = Callable[[dict[str, Any]], object]


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    store: Store = (
        MemoryStore() if request.param == "memory" else SqliteStore.open(tmp_path / "here.db")
    )
    yield store
    store.close()


def lines(*names: str, upto: int | None = None) -> list[bytes]:
    """An export of these logs."""
    there = MemoryStore()
    for name in names:
        keep(there, name, upto=upto)
    return list(export_sessions(there, every_session(there), secrets=True))


def take_in(store: Store, file: list[bytes]) -> list[Imported]:
    return list(import_sessions(store, io.BytesIO(b"".join(file))))


def adopted(store: Store, file: list[bytes]) -> list[ImportOutcome]:
    results = [each.result for each in take_in(store, file)]
    return [each.adoption for each in results if isinstance(each, ImportResult)]


def refusal(store: Store, file: list[bytes]) -> DovetailError:
    """The one session of the file is refused, and nothing is written."""
    before = snapshot(store)
    (found,) = take_in(store, file)
    assert isinstance(found.result, DovetailError)
    assert snapshot(store) == before
    return found.result


def snapshot(store: Store) -> object:
    return (
        [store.stored(row.session_id) for row in store.history()],
        store.reserved(),
        store.exposed(),
    )


def changed(file: list[bytes], change: Change) -> list[bytes]:
    """The export with something else in its only session."""
    header, line = file
    fields = json.loads(line)
    change(fields)
    return [header, json.dumps(fields).encode() + b"\n"]


def sender_coins() -> frozenset[OutPoint]:
    session = sender.replay(map(sender.decode_event, entries(SENT)[:3]))
    return frozenset(session.contested)


def receiver_coins() -> frozenset[OutPoint]:
    events = map(receiver.decode_event, entries(PAID))
    (committed,) = (each for each in events if isinstance(each, receiver.events.CommittedInputs))
    return frozenset(OutPoint.parse(coin.outpoint) for coin in committed.coins)


def original_coins() -> frozenset[OutPoint]:
    session = receiver.replay(map(receiver.decode_event, entries(PAID)[:-1]))
    assert isinstance(session, receiver.Monitor)
    return frozenset(session.contested)


@pytest.mark.parametrize("name", NAMES)
def test_every_session_moves_as_it_is(name: str) -> None:
    there, here = MemoryStore(clock=lambda: 7), MemoryStore(clock=lambda: 8)
    keep(there, name)
    file = list(export_sessions(there, every_session(there), secrets=True))
    assert adopted(here, file) == [ImportOutcome.ADDED]
    assert here.stored(FIRST) == there.stored(FIRST)
    assert adopted(here, file) == [ImportOutcome.UNCHANGED]
    assert here.stored(FIRST) == there.stored(FIRST)


def test_sessions_come_in_oldest_first_and_get_ids_of_their_own(store: Store) -> None:
    keep(store, "receiver/expired-unpaid")
    found = take_in(store, lines(SENT, "receiver/paid-by-payjoin-of-v1-http", "sender/success-v1"))
    assert [(each.number, each.result) for each in found] == [
        (number, ImportResult(SessionId(number + 1), ImportOutcome.ADDED)) for number in (1, 2, 3)
    ]
    assert load_session(store, SessionId(2)).seq == len(entries(SENT))


def test_a_session_that_is_here_only_grows(store: Store) -> None:
    assert adopted(store, lines(SENT, upto=3)) == [ImportOutcome.ADDED]
    assert store.reserved() == sender_coins()
    assert adopted(store, lines(SENT, upto=2)) == [ImportOutcome.UNCHANGED]
    assert store.row(FIRST).next_seq == 3
    assert adopted(store, lines(SENT, upto=4)) == [ImportOutcome.EXTENDED]
    assert store.reserved() == sender_coins()
    assert adopted(store, lines(SENT)) == [ImportOutcome.EXTENDED]
    assert store.reserved() == frozenset()
    assert store.row(FIRST).closed_at is not None
    assert adopted(store, lines(SENT, upto=4)) == [ImportOutcome.UNCHANGED]
    assert len(store.history()) == 1


def test_a_session_that_went_another_way_is_refused(store: Store) -> None:
    keep(store, "sender/cancelled")
    assert isinstance(refusal(store, lines(SENT)), DuplicateSession)


def test_a_payment_that_was_started_here_is_refused(store: Store) -> None:
    keep(store, SENT)
    other = "sender/without-substitution"
    assert entries(other)[0] != entries(SENT)[0]
    assert isinstance(refusal(store, lines(other)), DuplicateSession)


def test_an_open_receiver_brings_what_it_holds_and_has_seen(store: Store) -> None:
    take_in(store, lines(PAID, upto=9))
    assert store.reserved() == receiver_coins()
    assert store.exposed() == frozenset()
    keep(store, "receiver/paid-by-payjoin-of-v1-http", upto=1)
    assert store.claim(SessionId(2), original_coins()) == original_coins()


def test_a_closed_receiver_brings_what_is_known_of_its_coins(store: Store) -> None:
    take_in(store, lines(PAID))
    assert store.reserved() == frozenset()
    assert store.exposed() == receiver_coins()
    keep(store, "receiver/paid-by-payjoin-of-v1-http", upto=1)
    assert store.claim(SessionId(2), original_coins()) == original_coins()


def test_exposure_is_remembered_whoever_holds_the_coin(store: Store) -> None:
    holder = keep(store, "receiver/paid-by-payjoin-of-v1-http", upto=1)
    store.reserve(holder, receiver_coins())
    take_in(store, lines(PAID))
    assert store.exposed() == store.reserved() == receiver_coins()


@pytest.mark.parametrize("share", [Store.reserve, Store.claim], ids=["coin", "input"])
def test_an_open_session_that_shares_coins_with_one_here_is_refused(
    store: Store, share: Callable[..., object]
) -> None:
    here = keep(store, "receiver/paid-by-payjoin-of-v1-http", upto=1)
    coins = receiver_coins() if share is Store.reserve else original_coins()
    getattr(store, share.__name__)(here, coins)
    assert isinstance(refusal(store, lines(PAID, upto=10)), CoinsTaken)
    assert adopted(store, lines(PAID)) == [ImportOutcome.ADDED]


def test_one_that_is_refused_stops_no_other(store: Store) -> None:
    header, bad, good = lines(SENT, PAID)
    damaged = bad.replace(b"StartedPosting", b"Teleported")
    found = take_in(store, [header, b"{\n", good])
    assert found[0].number is None
    assert isinstance(found[0].result, ParseError)
    found = take_in(store, [header, damaged, good])
    assert isinstance(found[0].result, ReplayError)
    assert found[1].result == ImportResult(FIRST, ImportOutcome.UNCHANGED)


def drop(fields: dict[str, Any]) -> None:
    del fields["entries"][2]


def double(fields: dict[str, Any]) -> None:
    fields["entries"].insert(2, fields["entries"][2])


def cut(fields: dict[str, Any]) -> None:
    fields["entries"].pop()


def empty(fields: dict[str, Any]) -> None:
    fields["entries"].clear()
    fields["next_seq"] = 0


def rewrite(fields: dict[str, Any]) -> None:
    fields["entries"][0]["text"] = fields["entries"][0]["text"].replace("coffee", "toffee")


def contradict(fields: dict[str, Any]) -> None:
    last = fields["entries"].pop()
    fields["entries"][-1] = last | {"seq": len(fields["entries"]) - 1, "checksum": None}
    fields["next_seq"] -= 1


def swap_role(fields: dict[str, Any]) -> None:
    fields["role"] = "receiver"


def never_expire(fields: dict[str, Any]) -> None:
    first = fields["entries"][0]
    created = json.loads(first["text"]) | {"expires_at": 2**70}
    first["text"] = json.dumps(created)
    first["checksum"] = None


def no_bytes(fields: dict[str, Any]) -> None:
    fields["entries"][1] |= {"text": None, "data": None, "checksum": None}


@pytest.mark.parametrize(
    ("change", "seq"),
    [
        (drop, 2),
        (double, 2),
        (cut, 6),
        (empty, None),
        (rewrite, 0),
        (contradict, 5),
        (swap_role, 0),
        (never_expire, None),
        (no_bytes, 1),
    ],
)
def test_what_comes_in_is_checked_as_hard_as_what_is_here(
    store: Store, change: Change, seq: int | None
) -> None:
    assert len(entries("sender/success-v1")) == 6
    file = changed(lines(SENT), change)
    error = refusal(store, file)
    assert isinstance(error, ReplayError)
    assert error.session == 1
    if seq is not None:
        assert error.seq == seq


@pytest.mark.parametrize(
    "change",
    [
        lambda fields: fields.update(extra=1),
        lambda fields: fields.update(role="miner"),
        lambda fields: fields.update(session=-1),
        lambda fields: fields["entries"][0].update(at=2**63),
        lambda fields: fields["entries"][0].update(seq="0"),
        lambda fields: fields["entries"][0].update(text=5),
    ],
)
def test_a_line_of_another_shape_is_refused(store: Store, change: Change) -> None:
    assert isinstance(refusal(store, changed(lines(SENT), change)), ParseError)


def test_an_entry_of_an_older_release_has_no_checksum_here_either(store: Store) -> None:
    def forget(fields: dict[str, Any]) -> None:
        for entry in fields["entries"]:
            del entry["checksum"]

    assert adopted(store, changed(lines(SENT), forget)) == [ImportOutcome.ADDED]
    assert {entry.checksum for entry in store.stored(FIRST).events} == {None}


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"\n",
        b"[]\n",
        b"\xff\n",
        b"[" * 100_000,
        b'{"dovetail_sessions":"1","count":1,"secrets":true}\n',
        b'{"dovetail_sessions":1,"count":1}\n',
        b'{"count":1,"secrets":true}\n',
    ],
)
def test_a_file_that_is_no_export_is_refused(store: Store, header: bytes) -> None:
    with pytest.raises(ParseError, match="not an export"):
        take_in(store, [header])


def test_a_file_of_a_newer_release_is_refused(store: Store) -> None:
    with pytest.raises(ParseError, match="newer"):
        take_in(store, [b'{"dovetail_sessions":2,"anything":[]}\n'])


def test_a_line_without_end_is_not_read_to_its_end(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "LONGEST_LINE", 500)
    with pytest.raises(ParseError, match="not an export"):
        take_in(store, lines(SENT))


def test_a_file_that_was_cut_short_says_so_after_what_it_has(store: Store) -> None:
    header, first, _second = lines(SENT, PAID)
    with pytest.raises(ParseError, match="1 of 2"):
        take_in(store, [header, first])
    assert len(store.history()) == 1
    half = first[:-100]
    with pytest.raises(ParseError, match="1 of 2"):
        take_in(store, [header, half])


def test_a_store_that_fails_ends_the_import(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_moved: ImportedSession) -> ImportResult:
        raise StoreUnavailable("The disk is full.")

    monkeypatch.setattr(store, "adopt", fail)
    with pytest.raises(StoreUnavailable):
        take_in(store, lines(SENT))


@pytest.mark.parametrize("name", NAMES)
def test_an_export_without_secrets_has_no_key_and_cannot_come_in(name: str) -> None:
    there = MemoryStore()
    keep(there, name)
    created = json.loads(entries(name)[0])
    key = created.get("reply_key") or created.get("endpoint", {}).get("secret_key")
    (header, line) = export_sessions(there, [FIRST], secrets=False)
    assert key is None or key.encode() not in line
    assert len(json.loads(line)["entries"]) == len(entries(name))
    with pytest.raises(UsageError, match="has no keys"):
        take_in(there, [header, line])


def test_a_damaged_log_is_exported_as_it_is_and_refused(tmp_path: Path) -> None:
    def damage(connection: Connection) -> None:
        connection.exec_driver_sql(
            "UPDATE session_events SET data = x'ff00', checksum = ? WHERE seq = 1",
            (checksum_of(1, b"\xff\x00"),),
        )

    with SqliteStore.open(tmp_path / "here.db") as store:
        keep(store, SENT)
        store.write(damage)
        before = store.stored(FIRST)
        file = list(export_sessions(store, [FIRST], secrets=True))
        assert json.loads(file[1])["entries"][1]["data"] == "/wA="
        error = refusal(MemoryStore(), file)
        assert isinstance(error, ReplayError)
        assert error.seq == 1
        assert store.stored(FIRST) == before


def test_an_unknown_session_stops_an_export_before_its_first_line(store: Store) -> None:
    keep(store, SENT)
    with pytest.raises(SessionNotFound):
        next(export_sessions(store, [FIRST, SessionId(9)], secrets=True))


def test_a_session_that_is_named_twice_is_exported_once(store: Store) -> None:
    keep(store, SENT)
    assert len(list(export_sessions(store, [FIRST, FIRST], secrets=True))) == 2


def test_the_parts_of_a_file_show_nothing_of_themselves() -> None:
    assert repr(transfer.Header(dovetail_sessions=1, count=0, secrets=True)) == "<Header>"
