"""A checksum of each entry, to detect changed bytes."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the column; older entries have no checksum."""
    op.execute("ALTER TABLE session_events ADD COLUMN checksum INTEGER")
