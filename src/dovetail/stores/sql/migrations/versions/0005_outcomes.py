"""The outcome in the session's row, ids that are never reused, and one table with role checks.

Both roles share one table: SQLite has one writer, so sequential ids cannot collide, and a person
can type an id without a role. AUTOINCREMENT prevents that the id of a deleted session is used
again: inputs are recorded under it, and another session with that id would treat them as its own.

SQLite cannot add either to an existing table. So a new table replaces the old one in a transaction
without foreign key checks (see `sqlite.rebuilding`).
"""

from alembic import op
from sqlalchemy import Connection, text

from dovetail.sessions.ended import Ending
from dovetail.sessions.outcomes import code_of
from dovetail.sessions.standing import encode_summary
from dovetail.stores.session_index import Role
from dovetail.stores.summary import summary_after

revision = "0005"
down_revision = "0004"

_TABLE = """
    CREATE TABLE new_sessions (
        session_id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        role VARCHAR NOT NULL,
        pj_uri VARCHAR,
        receiver_pubkey BLOB,
        address VARCHAR NOT NULL,
        created_at INTEGER NOT NULL,
        expires_at INTEGER NOT NULL,
        closed_at INTEGER,
        last_tag VARCHAR NOT NULL,
        next_seq INTEGER NOT NULL,
        outcome VARCHAR,
        ending BLOB,
        CONSTRAINT known_role CHECK (role IN ('sender', 'receiver')),
        CONSTRAINT only_senders_have_a_uri CHECK ((role = 'sender') = (pj_uri IS NOT NULL)),
        CONSTRAINT only_senders_have_a_receiver_key
            CHECK (role = 'sender' OR receiver_pubkey IS NULL),
        CONSTRAINT only_closed_sessions_have_an_outcome
            CHECK (closed_at IS NOT NULL OR outcome IS NULL),
        CONSTRAINT an_ending_has_its_outcome CHECK (outcome IS NOT NULL OR ending IS NULL)
    )
"""
_COPY = """
    INSERT INTO new_sessions
    SELECT session_id, role, pj_uri, CASE WHEN role = 'sender' THEN receiver_pubkey END, address,
        created_at, expires_at, closed_at, last_tag, next_seq, NULL, NULL
    FROM sessions
"""
# Seen inputs stay when their session is deleted, so they have no foreign key.
_SEEN = (
    """
    CREATE TABLE new_inputs_seen (
        outpoint VARCHAR NOT NULL PRIMARY KEY,
        session_id INTEGER NOT NULL,
        seen_at INTEGER NOT NULL
    ) WITHOUT ROWID
    """,
    "INSERT INTO new_inputs_seen SELECT outpoint, session_id, seen_at FROM inputs_seen",
    "DROP TABLE inputs_seen",
    "ALTER TABLE new_inputs_seen RENAME TO inputs_seen",
)
# Rows of deleted sessions count too, so that their ids are not reused.
_HIGHEST = """
    SELECT max(session_id) FROM (
        SELECT session_id FROM new_sessions UNION ALL SELECT session_id FROM session_events
        UNION ALL SELECT session_id FROM inputs_seen UNION ALL SELECT session_id FROM sightings
        UNION ALL SELECT session_id FROM coin_reservations
    )
"""
_INDEXES = (
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
)
_CLOSED = "SELECT session_id, role FROM sessions WHERE closed_at IS NOT NULL"
_LOG = "SELECT CAST(data AS BLOB) FROM session_events WHERE session_id = :session ORDER BY seq"
_TELL = "UPDATE sessions SET outcome = :outcome, ending = :ending WHERE session_id = :session"


def upgrade() -> None:
    """Rebuild the table, and read the outcomes of closed sessions from their logs."""
    connection = op.get_bind()
    op.execute(_TABLE)
    op.execute(_COPY)
    highest = connection.execute(text(_HIGHEST)).scalar()
    if highest is not None:
        op.execute("DELETE FROM sqlite_sequence WHERE name = 'new_sessions'")
        given = "INSERT INTO sqlite_sequence (name, seq) VALUES ('new_sessions', :seq)"
        connection.execute(text(given), {"seq": highest})
    op.execute("DROP TABLE sessions")
    op.execute("ALTER TABLE new_sessions RENAME TO sessions")
    for statement in (*_INDEXES, *_SEEN):
        op.execute(statement)
    for session_id, role in connection.execute(text(_CLOSED)).all():
        _tell(connection, session_id, Role(role))


def _tell(connection: Connection, session_id: int, role: Role) -> None:
    entries = connection.execute(text(_LOG), {"session": session_id}).scalars().all()
    ending = summary_after(role, [data or b"" for data in entries] or [b""], closes=True)
    if isinstance(ending, Ending):
        values = {"outcome": code_of(ending.outcome), "ending": encode_summary(ending)}
        connection.execute(text(_TELL), values | {"session": session_id})
