"""Points of sale."""

from alembic import op

from dovetail.merchant.data.migrations import types_of

revision = "m005"
down_revision = "m004"

STATEMENTS = (
    """
    CREATE TABLE points_of_sale (
        id {uuid} NOT NULL,
        store_id {uuid} NOT NULL,
        token {text} NOT NULL,
        title {text} NOT NULL,
        currency {text},
        menu {bytes} NOT NULL,
        created_at {whole} NOT NULL,
        archived_at {whole},
        PRIMARY KEY (id),
        UNIQUE (token),
        FOREIGN KEY(store_id) REFERENCES stores (id)
    )
    """,
)


def upgrade() -> None:
    """Make the table."""
    connection = op.get_bind()
    types = types_of(connection)
    for statement in STATEMENTS:
        connection.exec_driver_sql(statement.format_map(types)).close()
