"""The tables (docs/reference/store.md); `migrations/` creates them."""

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    text,
)

metadata = MetaData()

# Both roles share one table: SQLite has one writer, so sequential ids cannot collide, and a person
# can type an id without a role. AUTOINCREMENT, because an id is never reused: inputs are recorded
# under it, and another session with that id would treat them as its own (P2).
#
# What lists show is drawn from the state that each event leads to: `standing` while the session is
# open, `outcome` and `ending` once it is closed, and the `amount`, by which lists may be searched
# as by the `label`. Everything else of the request stays in the log.
sessions = Table(
    "sessions",
    metadata,
    Column("session_id", Integer, primary_key=True),
    Column("role", String, nullable=False),
    Column("pj_uri", String),
    Column("receiver_pubkey", LargeBinary),
    Column("address", String, nullable=False),
    Column("created_at", Integer, nullable=False),
    Column("expires_at", Integer, nullable=False),
    Column("closed_at", Integer),
    Column("last_tag", String, nullable=False),
    Column("next_seq", Integer, nullable=False),
    Column("outcome", String),
    Column("ending", LargeBinary),
    Column("standing", LargeBinary),
    Column("amount", Integer),
    Column("label", String),
    CheckConstraint("role IN ('sender', 'receiver')", name="known_role"),
    CheckConstraint("(role = 'sender') = (pj_uri IS NOT NULL)", name="only_senders_have_a_uri"),
    CheckConstraint(
        "role = 'sender' OR receiver_pubkey IS NULL", name="only_senders_have_a_receiver_key"
    ),
    CheckConstraint(
        "closed_at IS NOT NULL OR outcome IS NULL", name="only_closed_sessions_have_an_outcome"
    ),
    CheckConstraint("outcome IS NOT NULL OR ending IS NULL", name="an_ending_has_its_outcome"),
    CheckConstraint("closed_at IS NULL OR standing IS NULL", name="only_open_sessions_stand"),
    Index(
        "one_sender_per_receiver_key",
        "receiver_pubkey",
        unique=True,
        sqlite_where=text("role = 'sender' AND receiver_pubkey IS NOT NULL"),
    ),
    Index(
        "one_sender_per_v1_invoice",
        "address",
        "pj_uri",
        unique=True,
        sqlite_where=text("role = 'sender' AND receiver_pubkey IS NULL"),
    ),
    Index("payers_by_address", "address", sqlite_where=text("role = 'sender'")),
    Index("live_sessions", "session_id", sqlite_where=text("closed_at IS NULL")),
    sqlite_autoincrement=True,
)

# `checksum` is empty in entries that are older than it (revision 0002).
session_events = Table(
    "session_events",
    metadata,
    Column("session_id", Integer, ForeignKey(sessions.c.session_id), nullable=False),
    Column("seq", Integer, nullable=False),
    Column("tag", String, nullable=False),
    Column("data", LargeBinary, nullable=False),
    Column("created_at", Integer, nullable=False),
    Column("checksum", Integer),
    PrimaryKeyConstraint("session_id", "seq"),
    sqlite_with_rowid=False,
)

# Rows stay when their session is deleted, without a foreign key: an input is refused for ever
# (P2).
inputs_seen = Table(
    "inputs_seen",
    metadata,
    Column("outpoint", String, primary_key=True),
    Column("session_id", Integer, nullable=False),
    Column("seen_at", Integer, nullable=False),
    sqlite_with_rowid=False,
)

# The session id is removed when the session ends, but the row stays: an exposed coin stays exposed
# (P3).
coin_reservations = Table(
    "coin_reservations",
    metadata,
    Column("outpoint", String, primary_key=True),
    Column("session_id", Integer, ForeignKey(sessions.c.session_id)),
    Column("exposed_at", Integer),
    Index("coins_by_session", "session_id"),
    sqlite_with_rowid=False,
)

# The latest chain observation. It is not an event, because no decision depends on it.
sightings = Table(
    "sightings",
    metadata,
    Column("session_id", Integer, ForeignKey(sessions.c.session_id), primary_key=True),
    Column("kind", String, nullable=False),
    Column("txid", String, nullable=False),
    Column("depth", Integer, nullable=False),
    Column("wanted", Integer, nullable=False),
    Column("gone", Boolean, nullable=False),
    Column("receded", Boolean, nullable=False),
    Column("seen_at", Integer, nullable=False),
    Column("rate", Integer),
    Column("came", Integer),
    Column("asked", Integer),
    Column("beside", String),
)
