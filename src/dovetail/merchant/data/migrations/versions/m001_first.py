"""The first tables of a shop."""

from alembic import op

from dovetail.merchant.data.migrations import count_writes
from dovetail.merchant.data.schema import metadata

revision = "m001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    connection = op.get_bind()
    metadata.create_all(connection)
    count_writes(connection)
