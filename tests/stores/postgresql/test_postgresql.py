"""How the connections are set up, and what is said of faults."""

import time
from collections.abc import Callable

import psycopg
import pytest
from psycopg import errors
from sqlalchemy import Engine, create_engine, make_url, text
from sqlalchemy.exc import DBAPIError
from tests.support.postgres import Server

from dovetail.errors import ConfigurationError, StoreUnavailable, UsageError
from dovetail.stores.sql import PostgresStore
from dovetail.stores.sql.postgresql import (
    is_lost,
    open_engine,
    parse_url,
    server_of,
    unavailable,
)
from dovetail.testing.store_samples import closed, started

PASSWORD = "correct horse battery"


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_each_usual_url_is_taken(scheme: str) -> None:
    url = parse_url(f"{scheme}://shop:secret@db.example:6543/payments?sslmode=require")
    assert url.drivername == "postgresql+psycopg"
    assert url.query == {"sslmode": "require"}
    assert server_of(url) == "the database server at db.example:6543"


@pytest.mark.parametrize(
    ("rest", "host"),
    [
        ("db.example/d", "db.example"),
        ("/d", "this machine"),
        ("/d?host=/run/postgresql", "/run/postgresql"),
        ("/d?host=a.example:5432&host=b.example:5432", "a.example:5432, b.example:5432"),
    ],
)
def test_a_server_is_named_by_its_hosts(rest: str, host: str) -> None:
    assert server_of(parse_url(f"postgresql://{rest}")) == f"the database server at {host}"


@pytest.mark.parametrize(
    "text",
    ["", "sessions.db", "sqlite:///x", "mysql://u:secret@h/d", "postgresql://u:secret@h:x/d"],
)
def test_any_other_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(ConfigurationError, match="must begin with `postgresql://`") as caught:
        PostgresStore.open(text)
    assert "secret" not in repr(caught.value)
    assert caught.value.__cause__ is None


def test_a_password_among_the_parameters_is_shown_by_no_repr() -> None:
    engine = open_engine(parse_url("postgresql://h/d?user=u&password=secret"), connections=5)
    assert engine.url.password == "secret"
    assert "secret" not in repr(engine)


def test_few_connections_are_too_few(url: str) -> None:
    with pytest.raises(ConfigurationError, match="more than 4"):
        PostgresStore.open(url, connections=4)


def setting(engine: Engine, name: str) -> str:
    with engine.connect() as connection:
        return str(connection.exec_driver_sql(f"SHOW {name}").scalar())


def test_a_commit_is_durable_and_a_wait_has_an_end(own_url: str, server: Server) -> None:
    database = own_url.partition("@/")[2].partition("?")[0]
    server.execute(f"ALTER DATABASE {database} SET synchronous_commit = off")
    server.execute(f"ALTER DATABASE {database} SET default_transaction_isolation = 'serializable'")
    with PostgresStore.open(own_url) as store:
        assert setting(store.engine, "synchronous_commit") == "on"
        assert setting(store.engine, "lock_timeout") == "10s"
        assert setting(store.engine, "idle_in_transaction_session_timeout") == "1min"
        assert setting(store.engine, "transaction_isolation") == "read committed"
        assert setting(store.engine, "client_encoding") == "UTF8"
        with store.reading() as connection:
            found = connection.exec_driver_sql("SHOW transaction_isolation").scalar()
            assert found == "repeatable read"
            assert connection.exec_driver_sql("SHOW transaction_read_only").scalar() == "on"
        assert setting(store.engine, "transaction_read_only") == "off"


def test_what_the_user_has_set_stays(url: str) -> None:
    chosen = "-csynchronous_commit%3Dremote_apply%20-clock_timeout%3D3s"
    with PostgresStore.open(f"{url}&options={chosen}&application_name=shop") as store:
        assert setting(store.engine, "synchronous_commit") == "remote_apply"
        assert setting(store.engine, "lock_timeout") == "3s"
        assert setting(store.engine, "application_name") == "shop"


def test_a_reader_sees_one_state_while_a_writer_writes(store: PostgresStore) -> None:
    with store.reading() as connection:
        count = text("SELECT count(*) FROM sessions")
        assert connection.execute(count).scalar() == 0
        started(store)
        assert connection.execute(count).scalar() == 0


def test_a_server_that_is_not_there_is_named() -> None:
    begun = time.monotonic()
    with pytest.raises(
        StoreUnavailable, match=r"cannot reach the database server at 127\.0\.0\.1:1"
    ):
        PostgresStore.open(f"postgresql://u:{PASSWORD.replace(' ', '+')}@127.0.0.1:1/d")
    assert time.monotonic() - begun < 10


def guarded(server: Server, password: str) -> str:
    """The URL of a role with a password."""
    server.execute("DROP ROLE IF EXISTS guarded")
    server.execute(f"CREATE ROLE guarded LOGIN PASSWORD '{PASSWORD}'")
    url = server.url_of("postgres", f"guarded:{password.replace(' ', '%20')}")
    with psycopg.connect(server.url_of("postgres", f"guarded:{PASSWORD.replace(' ', '%20')}")):
        return url


def test_a_wrong_password_is_told_and_not_shown(server: Server) -> None:
    wrong = "wrong horse"
    with pytest.raises(StoreUnavailable, match="refused the user or the password") as caught:
        PostgresStore.open(guarded(server, wrong))
    said = f"{caught.value!r} {caught.value.__cause__!r}"
    assert wrong not in said
    assert PASSWORD not in said


def test_a_user_without_rights_is_told(server: Server, own_url: str) -> None:
    server.execute("DROP ROLE IF EXISTS reader")
    server.execute("CREATE ROLE reader LOGIN")
    with pytest.raises(StoreUnavailable, match="lacks a right"):
        PostgresStore.open(own_url.replace("postgres@", "reader@"))


def test_a_database_that_is_not_there_is_told(server: Server) -> None:
    with pytest.raises(StoreUnavailable, match="has no such database"):
        PostgresStore.open(server.url_of("nowhere"))


def test_a_standby_is_told(url: str) -> None:
    with (
        PostgresStore.open(f"{url}&options=-cdefault_transaction_read_only%3Don") as store,
        pytest.raises(StoreUnavailable, match="is read-only: name the primary"),
    ):
        started(store)


def test_a_store_that_is_closed_keeps_no_connection(url: str) -> None:
    mine = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'closing'"
    with psycopg.connect(url, autocommit=True) as looking:
        store = PostgresStore.open(f"{url}&application_name=closing")
        with store.reading() as connection:
            store.close()
            assert looking.execute(mine).fetchall() == [(1,)]
            assert connection.exec_driver_sql("SELECT 1").scalar() == 1
        for attempt in (store.heads, store.pulse, lambda: started(store)):
            with pytest.raises(StoreUnavailable, match="closed: open it again"):
                attempt()
        for _ in range(100):
            if looking.execute(mine).fetchall() == [(0,)]:
                break
            time.sleep(0.02)
        else:
            pytest.fail("A connection is left.")


def test_all_connections_in_use_are_told(store: PostgresStore) -> None:
    store.engine.pool._timeout = 0.05  # type: ignore[attr-defined]
    taken = [store.engine.connect() for _ in range(12)]
    log = store.new_receiver()
    for attempt in (store.heads, store.pulse, lambda: started(store)):
        with pytest.raises(StoreUnavailable, match="were in use; nothing was written"):
            attempt()
    for connection in taken:
        connection.close()
    with pytest.raises(UsageError):
        _ = log.session_id
    assert store.heads() == {}


ENGINE = create_engine("postgresql+psycopg://u:secret@db.example/d")


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (errors.AdminShutdown, "is stopping or starting"),
        (errors.CannotConnectNow, "is stopping or starting"),
        (errors.ConnectionFailure, "connection to the database server at db.example was lost"),
        (errors.DataCorrupted, "is damaged"),
        (errors.DeadlockDetected, "Other writers"),
        (errors.DiskFull, "disk of the database server at db.example is full"),
        (errors.InsufficientPrivilege, "lacks a right"),
        (errors.InvalidPassword, "refused the user or the password"),
        (errors.IoError, "error of its disk"),
        (errors.LockNotAvailable, "kept a lock"),
        (errors.OutOfMemory, "lacks memory"),
        (errors.QueryCanceled, "cancelled the statement"),
        (errors.SerializationFailure, "Other writers"),
        (errors.TooManyConnections, "has too many connections"),
        (errors.UndefinedTable, "lacks a table"),
        (errors.UntranslatableCharacter, "refused a value"),
        (errors.InvalidCursorName, "unknown error; nothing was written"),
        (psycopg.OperationalError, "cannot reach the database server at db.example"),
    ],
)
def test_each_fault_has_its_advice(fault: Callable[[str], Exception], told: str) -> None:
    error = DBAPIError("SELECT 'secret'", {"key": "secret"}, fault("secret"))
    said = str(unavailable(error, ENGINE))
    assert told in said
    assert "secret" not in said
    assert said[0].isupper()


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("fe_sendauth: no password supplied", "refused the user"),
        ('FATAL:  no pg_hba.conf entry for host "10.0.0.1", user "u"', "refused the user"),
        ('FATAL:  role "u" does not exist', "refused the user"),
        ("FATAL:  sorry, too many clients already", "too many connections"),
        ("FATAL:  remaining connection slots are reserved", "too many connections"),
        ("FATAL:  the database system is starting up", "stopping or starting"),
        ("FATAL:  the database system is shutting down", "stopping or starting"),
        ("FATAL:  Kennwort falsch", "cannot reach"),
    ],
)
def test_what_a_server_says_before_it_connects_is_told_too(said: str, told: str) -> None:
    error = DBAPIError(None, None, psycopg.OperationalError(said))
    assert told in str(unavailable(error, ENGINE))


def test_only_a_lost_connection_leaves_the_outcome_open() -> None:
    lost = (errors.AdminShutdown, errors.ConnectionFailure, psycopg.OperationalError)
    for fault in lost:
        assert is_lost(DBAPIError("COMMIT", None, fault("")))
    for fault in (errors.SerializationFailure, errors.DiskFull, errors.QueryCanceled):
        assert not is_lost(DBAPIError("COMMIT", None, fault("")))
    assert is_lost(DBAPIError("COMMIT", None, errors.DiskFull(""), connection_invalidated=True))


def test_a_connection_in_no_transaction_is_refused(store: PostgresStore, url: str) -> None:
    log = started(store)
    plain = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    with plain.connect() as connection:
        with pytest.raises(UsageError, match="in no transaction"):
            log.within(connection)
        connection.begin()
        log.within(connection).append(closed(), seq=1, closes=True)
        connection.rollback()
    with plain.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.begin()
        with pytest.raises(UsageError, match="in no transaction"):
            log.within(connection)
        connection.exec_driver_sql("BEGIN")
        log.within(connection).append(closed(), seq=1, closes=True)
        connection.exec_driver_sql("ROLLBACK")
    plain.dispose()
    assert len(log.load()) == 1
