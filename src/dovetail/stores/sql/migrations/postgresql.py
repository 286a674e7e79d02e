"""The schema in PostgreSQL.

No release before revision 0006 knew PostgreSQL, so a new database begins with that one as a whole;
later revisions are scripts for both databases. The statements are written out, so that later
changes of the code do not affect them.
"""

from sqlalchemy import Connection, inspect, select, text

from dovetail.errors import StoreUnavailable
from dovetail.stores.sql import migrations
from dovetail.stores.sql.schema import metadata

BASE = "0006"
VERSIONS = "dovetail_version"
"""The table with the revision; another name than Alembic's own, which an application may use."""

LOCK = 0x646F7665
"""The advisory lock of an upgrade: of several processes that start at once, one upgrades."""

_ENCODING = "SELECT current_setting('server_encoding')"
# Each process of the server counts in its own row, so that no writer waits for another one.
STATEMENTS = (
    """
    CREATE TABLE sessions (
        session_id UUID PRIMARY KEY,
        role VARCHAR COLLATE "C" NOT NULL,
        pj_uri VARCHAR COLLATE "C",
        receiver_pubkey BYTEA,
        address VARCHAR COLLATE "C" NOT NULL,
        created_at BIGINT NOT NULL,
        expires_at BIGINT NOT NULL,
        closed_at BIGINT,
        last_tag VARCHAR COLLATE "C" NOT NULL,
        next_seq BIGINT NOT NULL,
        outcome VARCHAR COLLATE "C",
        ending BYTEA,
        standing BYTEA,
        amount BIGINT,
        label VARCHAR COLLATE "C",
        CONSTRAINT known_role CHECK (role IN ('sender', 'receiver')),
        CONSTRAINT only_senders_have_a_uri CHECK ((role = 'sender') = (pj_uri IS NOT NULL)),
        CONSTRAINT only_senders_have_a_receiver_key
            CHECK (role = 'sender' OR receiver_pubkey IS NULL),
        CONSTRAINT only_closed_sessions_have_an_outcome
            CHECK (closed_at IS NOT NULL OR outcome IS NULL),
        CONSTRAINT an_ending_has_its_outcome CHECK (outcome IS NOT NULL OR ending IS NULL),
        CONSTRAINT only_open_sessions_stand CHECK (closed_at IS NULL OR standing IS NULL)
    )
    """,
    """
    CREATE UNIQUE INDEX one_sender_per_receiver_key ON sessions (receiver_pubkey)
    WHERE role = 'sender' AND receiver_pubkey IS NOT NULL
    """,
    """
    CREATE UNIQUE INDEX one_sender_per_v1_invoice ON sessions (address, pj_uri)
    WHERE role = 'sender' AND receiver_pubkey IS NULL
    """,
    "CREATE INDEX payers_by_address ON sessions (address) WHERE role = 'sender'",
    "CREATE INDEX live_sessions ON sessions (session_id) WHERE closed_at IS NULL",
    """
    CREATE TABLE session_events (
        session_id UUID NOT NULL REFERENCES sessions (session_id),
        seq BIGINT NOT NULL,
        tag VARCHAR COLLATE "C" NOT NULL,
        data BYTEA NOT NULL,
        created_at BIGINT NOT NULL,
        checksum BIGINT,
        PRIMARY KEY (session_id, seq)
    )
    """,
    """
    CREATE TABLE inputs_seen (
        outpoint VARCHAR COLLATE "C" PRIMARY KEY,
        session_id UUID NOT NULL,
        seen_at BIGINT NOT NULL
    )
    """,
    """
    CREATE TABLE coin_reservations (
        outpoint VARCHAR COLLATE "C" PRIMARY KEY,
        session_id UUID REFERENCES sessions (session_id),
        exposed_at BIGINT
    )
    """,
    "CREATE INDEX coins_by_session ON coin_reservations (session_id)",
    """
    CREATE TABLE sightings (
        session_id UUID PRIMARY KEY REFERENCES sessions (session_id),
        kind VARCHAR COLLATE "C" NOT NULL,
        txid VARCHAR COLLATE "C" NOT NULL,
        depth BIGINT NOT NULL,
        wanted BIGINT NOT NULL,
        gone BOOLEAN NOT NULL,
        receded BOOLEAN NOT NULL,
        seen_at BIGINT NOT NULL,
        rate BIGINT,
        came BIGINT,
        asked BIGINT,
        beside VARCHAR COLLATE "C"
    )
    """,
    "CREATE TABLE session_writes (backend INTEGER PRIMARY KEY, writes BIGINT NOT NULL)",
    """
    CREATE FUNCTION count_session_write() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO session_writes VALUES (pg_backend_pid(), 1)
        ON CONFLICT (backend) DO UPDATE SET writes = session_writes.writes + 1;
        RETURN NULL;
    END
    $$
    """,
    *(
        f"CREATE TRIGGER count_write AFTER INSERT OR UPDATE OR DELETE ON {table}"
        " FOR EACH STATEMENT EXECUTE FUNCTION count_session_write()"
        for table in ("sessions", "inputs_seen", "coin_reservations", "sightings")
    ),
)


def prepare(connection: Connection, *, upgrade: bool) -> None:
    """Bring the database to the newest schema, inside the caller's transaction.

    Raises `StoreUnavailable` for a database that cannot hold it, that a newer Dovetail or another
    program has written, or, without `upgrade`, for an older schema.
    """
    if connection.exec_driver_sql(_ENCODING).scalar() != "UTF8":
        raise StoreUnavailable(
            "The database does not store UTF-8: create it with `ENCODING 'UTF8'`."
        )
    connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (LOCK,)).close()
    revision = _current(connection)
    migrations.require_known(revision)
    if revision != migrations.HEAD:
        if not upgrade:
            raise StoreUnavailable(
                "The database has an older schema: start the program once that upgrades it."
            )
        if revision is None:
            _begin(connection)
        migrations.run(connection, versions=VERSIONS)
    for table in metadata.sorted_tables:
        connection.execute(select(table).limit(0)).close()


def _current(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSIONS):
        return None
    return connection.execute(text(f"SELECT version_num FROM {VERSIONS}")).scalar()  # noqa: S608


def _begin(connection: Connection) -> None:
    ours = {*metadata.tables, "session_writes"}
    if taken := sorted(ours.intersection(inspect(connection).get_table_names())):
        raise StoreUnavailable(
            f"The database has a table `{taken[0]}` of another program: create a database, or a"
            " schema, for Dovetail alone."
        )
    for statement in STATEMENTS:
        connection.exec_driver_sql(statement).close()
    migrations.stamp(connection, BASE, versions=VERSIONS)
