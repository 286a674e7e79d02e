"""The latest chain observation of each session, for lists."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the table; it fills as sessions are watched."""
    op.execute(
        """
        CREATE TABLE sightings (
            session_id INTEGER NOT NULL PRIMARY KEY REFERENCES sessions (session_id),
            kind VARCHAR NOT NULL,
            txid VARCHAR NOT NULL,
            depth INTEGER NOT NULL,
            wanted INTEGER NOT NULL,
            gone BOOLEAN NOT NULL,
            receded BOOLEAN NOT NULL,
            seen_at INTEGER NOT NULL
        )
        """
    )
