"""Sign-ins of users in browsers, and their second factor."""

from alembic import op

from dovetail.merchant.data.migrations import types_of

revision = "m004"
down_revision = "m003"

STATEMENTS = (
    """
    CREATE TABLE user_codes (
        user_id {uuid} NOT NULL,
        secret {bytes} NOT NULL,
        since {whole},
        used {whole} NOT NULL,
        PRIMARY KEY (user_id),
        FOREIGN KEY(user_id) REFERENCES users (id)
    )
    """,
    """
    CREATE TABLE sign_ins (
        token {bytes} NOT NULL,
        user_id {uuid} NOT NULL,
        whole BOOLEAN NOT NULL,
        tries {whole} NOT NULL,
        created_at {whole} NOT NULL,
        seen_at {whole} NOT NULL,
        PRIMARY KEY (token),
        FOREIGN KEY(user_id) REFERENCES users (id)
    )
    """,
    "CREATE INDEX sign_ins_by_user ON sign_ins (user_id)",
)


def upgrade() -> None:
    """Make the tables."""
    connection = op.get_bind()
    types = types_of(connection)
    for statement in STATEMENTS:
        connection.exec_driver_sql(statement.format_map(types)).close()
