"""Invoices that were archived: lists leave them out."""

from alembic import op

from dovetail.merchant.data.migrations import types_of

revision = "m007"
down_revision = "m006"

STATEMENTS = ("ALTER TABLE invoices ADD COLUMN archived_at {whole}",)


def upgrade() -> None:
    """Add the column; no invoice is archived yet."""
    connection = op.get_bind()
    types = types_of(connection)
    for statement in STATEMENTS:
        connection.exec_driver_sql(statement.format_map(types)).close()
