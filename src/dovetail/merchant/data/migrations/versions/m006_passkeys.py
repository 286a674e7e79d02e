"""Passkeys, browsers that are known, and what is shown of sign-ins."""

from alembic import op

from dovetail.merchant.data.migrations import types_of

revision = "m006"
down_revision = "m005"

STATEMENTS = (
    """
    CREATE TABLE passkeys (
        id {uuid} NOT NULL,
        user_id {uuid} NOT NULL,
        credential_id {bytes} NOT NULL,
        public_key {bytes} NOT NULL,
        sign_count {whole} NOT NULL,
        name {text} NOT NULL,
        created_at {whole} NOT NULL,
        used_at {whole},
        PRIMARY KEY (id),
        FOREIGN KEY(user_id) REFERENCES users (id),
        UNIQUE (credential_id)
    )
    """,
    "CREATE INDEX passkeys_by_user ON passkeys (user_id)",
    """
    CREATE TABLE passkey_challenges (
        challenge {bytes} NOT NULL,
        owner {bytes} NOT NULL,
        purpose {text} NOT NULL,
        made_at {whole} NOT NULL,
        PRIMARY KEY (challenge)
    )
    """,
    "CREATE INDEX old_challenges ON passkey_challenges (made_at)",
    """
    CREATE TABLE known_browsers (
        token {bytes} NOT NULL,
        user_id {uuid} NOT NULL,
        seen_at {whole} NOT NULL,
        PRIMARY KEY (token, user_id),
        FOREIGN KEY(user_id) REFERENCES users (id)
    )
    """,
    "ALTER TABLE sign_ins ADD COLUMN way {text}",
    "ALTER TABLE sign_ins ADD COLUMN browser {text}",
)


def upgrade() -> None:
    """Make the tables and columns; sign-ins that go on stay as they are."""
    connection = op.get_bind()
    types = types_of(connection)
    for statement in STATEMENTS:
        connection.exec_driver_sql(statement.format_map(types)).close()
