"""A checksum beside each entry, so that a flipped byte is told from what was written."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the column; what was written before has none."""
    op.execute("ALTER TABLE session_events ADD COLUMN checksum INTEGER")
