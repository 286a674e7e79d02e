"""The tables (docs/reference/store.md); `migrations/` creates them.

SQLite's types say little: an INTEGER holds 64 bits and a VARCHAR any text. PostgreSQL needs
`WHOLE`, and `TEXT` that is compared by its bytes: an index must not depend on the system's
collations.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
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
    Uuid,
    text,
)

WHOLE = Integer().with_variant(BigInteger(), "postgresql")
"""A whole number of 64 bits, such as a time in seconds or an amount in sats."""

TEXT = String().with_variant(String(collation="C"), "postgresql")
"""Text that is compared and ordered by its bytes."""

SESSION_ID = Integer().with_variant(Uuid(), "postgresql")
"""A `SessionId`: counted in SQLite, a UUIDv7 in PostgreSQL."""


def where(condition: str) -> dict[str, Any]:
    """Return the arguments of a partial index in both databases."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


metadata = MetaData()

# Both roles share one table, so an id needs no role. SQLite has one writer, so sequential ids
# cannot collide, and a person can type them. AUTOINCREMENT, because an id is never reused: inputs
# are recorded under it, and another session with that id would treat them as its own (P2).
#
# What lists show is drawn from the state that each event leads to: `standing` while the session is
# open, `outcome` and `ending` once it is closed, and the `amount`, by which lists may be searched
# as by the `label`. Everything else of the request stays in the log.
sessions = Table(
    "sessions",
    metadata,
    Column("session_id", SESSION_ID, primary_key=True),
    Column("role", TEXT, nullable=False),
    Column("pj_uri", TEXT),
    Column("receiver_pubkey", LargeBinary),
    Column("address", TEXT, nullable=False),
    Column("created_at", WHOLE, nullable=False),
    Column("expires_at", WHOLE, nullable=False),
    Column("closed_at", WHOLE),
    Column("last_tag", TEXT, nullable=False),
    Column("next_seq", WHOLE, nullable=False),
    Column("outcome", TEXT),
    Column("ending", LargeBinary),
    Column("standing", LargeBinary),
    Column("amount", WHOLE),
    Column("label", TEXT),
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
        **where("role = 'sender' AND receiver_pubkey IS NOT NULL"),
    ),
    Index(
        "one_sender_per_v1_invoice",
        "address",
        "pj_uri",
        unique=True,
        **where("role = 'sender' AND receiver_pubkey IS NULL"),
    ),
    Index("payers_by_address", "address", **where("role = 'sender'")),
    Index("live_sessions", "session_id", **where("closed_at IS NULL")),
    sqlite_autoincrement=True,
)

# `checksum` is empty in entries that are older than it (revision 0002).
session_events = Table(
    "session_events",
    metadata,
    Column("session_id", SESSION_ID, ForeignKey(sessions.c.session_id), nullable=False),
    Column("seq", WHOLE, nullable=False),
    Column("tag", TEXT, nullable=False),
    Column("data", LargeBinary, nullable=False),
    Column("created_at", WHOLE, nullable=False),
    Column("checksum", WHOLE),
    PrimaryKeyConstraint("session_id", "seq"),
    sqlite_with_rowid=False,
)

# Rows stay when their session is deleted, without a foreign key: an input is refused for ever
# (P2).
inputs_seen = Table(
    "inputs_seen",
    metadata,
    Column("outpoint", TEXT, primary_key=True),
    Column("session_id", SESSION_ID, nullable=False),
    Column("seen_at", WHOLE, nullable=False),
    sqlite_with_rowid=False,
)

# The session id is removed when the session ends, but the row stays: an exposed coin stays exposed
# (P3).
coin_reservations = Table(
    "coin_reservations",
    metadata,
    Column("outpoint", TEXT, primary_key=True),
    Column("session_id", SESSION_ID, ForeignKey(sessions.c.session_id)),
    Column("exposed_at", WHOLE),
    Index("coins_by_session", "session_id"),
    sqlite_with_rowid=False,
)

# The latest chain observation. It is not an event, because no decision depends on it.
sightings = Table(
    "sightings",
    metadata,
    Column("session_id", SESSION_ID, ForeignKey(sessions.c.session_id), primary_key=True),
    Column("kind", TEXT, nullable=False),
    Column("txid", TEXT, nullable=False),
    Column("depth", WHOLE, nullable=False),
    Column("wanted", WHOLE, nullable=False),
    Column("gone", Boolean, nullable=False),
    Column("receded", Boolean, nullable=False),
    Column("seen_at", WHOLE, nullable=False),
    Column("rate", WHOLE),
    Column("came", WHOLE),
    Column("asked", WHOLE),
    Column("beside", TEXT),
)
