"""The first schema, written out so that later changes of the code do not affect it."""

from alembic import op

revision = "0001"
down_revision = None

STATEMENTS = (
    """
    CREATE TABLE sessions (
        session_id INTEGER NOT NULL PRIMARY KEY,
        role VARCHAR NOT NULL,
        pj_uri VARCHAR,
        receiver_pubkey BLOB,
        address VARCHAR NOT NULL,
        created_at INTEGER NOT NULL,
        expires_at INTEGER NOT NULL,
        closed_at INTEGER,
        last_tag VARCHAR NOT NULL,
        next_seq INTEGER NOT NULL,
        CONSTRAINT known_role CHECK (role IN ('sender', 'receiver')),
        CONSTRAINT only_senders_have_a_uri CHECK ((role = 'sender') = (pj_uri IS NOT NULL))
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
    "CREATE INDEX live_sessions ON sessions (session_id) WHERE closed_at IS NULL",
    """
    CREATE TABLE session_events (
        session_id INTEGER NOT NULL REFERENCES sessions (session_id),
        seq INTEGER NOT NULL,
        tag VARCHAR NOT NULL,
        data BLOB NOT NULL,
        created_at INTEGER NOT NULL,
        PRIMARY KEY (session_id, seq)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE inputs_seen (
        outpoint VARCHAR NOT NULL PRIMARY KEY,
        session_id INTEGER NOT NULL REFERENCES sessions (session_id),
        seen_at INTEGER NOT NULL
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE coin_reservations (
        outpoint VARCHAR NOT NULL PRIMARY KEY,
        session_id INTEGER REFERENCES sessions (session_id),
        exposed_at INTEGER
    ) WITHOUT ROWID
    """,
    "CREATE INDEX coins_by_session ON coin_reservations (session_id)",
)


def upgrade() -> None:
    """Make the tables."""
    for statement in STATEMENTS:
        op.execute(statement)
