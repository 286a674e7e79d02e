"""Webhook endpoints in the form of BTCPay Server's Greenfield API, and their deliveries."""

from alembic import op

from dovetail.merchant.data.migrations import types_of

revision = "m003"
down_revision = "m002"

STATEMENTS = (
    "ALTER TABLE webhook_endpoints ADD COLUMN form {text}",
    "ALTER TABLE webhook_endpoints ADD COLUMN removed_at {whole}",
    "ALTER TABLE webhook_deliveries ADD COLUMN name {text}",
    "ALTER TABLE webhook_deliveries ADD COLUMN subject {text}",
    "ALTER TABLE webhook_deliveries ADD COLUMN original_id {uuid}",
)


def upgrade() -> None:
    """Add the columns; endpoints and deliveries that exist stay as they are."""
    connection = op.get_bind()
    types = types_of(connection)
    for statement in STATEMENTS:
        connection.exec_driver_sql(statement.format_map(types)).close()
