"""Refunds with their steps and payments, and users."""

from alembic import op

from dovetail.merchant.data.migrations import types_of

revision = "m002"
down_revision = "m001"

STATEMENTS = (
    """
    CREATE TABLE refunds (
        id {uuid} NOT NULL,
        invoice_id {uuid} NOT NULL,
        store_id {uuid} NOT NULL,
        wallet_id {uuid} NOT NULL,
        amount {whole} NOT NULL,
        reason {text},
        status {text} NOT NULL,
        token {bytes},
        address {text},
        created_at {whole} NOT NULL,
        expires_at {whole} NOT NULL,
        asked_by {text} NOT NULL,
        decided_by {text},
        txid {text},
        depth {whole} NOT NULL,
        due BOOLEAN NOT NULL,
        trouble {text},
        steps {whole} NOT NULL,
        PRIMARY KEY (id),
        FOREIGN KEY(invoice_id) REFERENCES invoices (id),
        FOREIGN KEY(store_id) REFERENCES stores (id),
        FOREIGN KEY(wallet_id) REFERENCES wallets (id),
        UNIQUE (token)
    )
    """,
    "CREATE INDEX claimable_refunds ON refunds (expires_at) WHERE status = 'open'",
    "CREATE INDEX due_refunds ON refunds (id) WHERE due",
    "CREATE INDEX refunds_by_invoice ON refunds (invoice_id)",
    "CREATE INDEX refunds_by_store ON refunds (store_id, id)",
    """
    CREATE TABLE refund_steps (
        refund_id {uuid} NOT NULL,
        number {whole} NOT NULL,
        step {text} NOT NULL,
        status {text} NOT NULL,
        who {text} NOT NULL,
        at {whole} NOT NULL,
        PRIMARY KEY (refund_id, number),
        FOREIGN KEY(refund_id) REFERENCES refunds (id)
    )
    """,
    """
    CREATE TABLE refund_payments (
        refund_id {uuid} NOT NULL,
        number {whole} NOT NULL,
        txid {text} NOT NULL,
        fee {whole} NOT NULL,
        psbt {bytes},
        raw {bytes},
        at {whole} NOT NULL,
        PRIMARY KEY (refund_id, number),
        FOREIGN KEY(refund_id) REFERENCES refunds (id)
    )
    """,
    """
    CREATE TABLE refund_coins (
        outpoint {text} NOT NULL,
        refund_id {uuid} NOT NULL,
        PRIMARY KEY (outpoint),
        FOREIGN KEY(refund_id) REFERENCES refunds (id)
    )
    """,
    "CREATE INDEX coins_by_refund ON refund_coins (refund_id)",
    """
    CREATE TABLE users (
        id {uuid} NOT NULL,
        name {text} NOT NULL,
        password {text} NOT NULL,
        role {text} NOT NULL,
        created_at {whole} NOT NULL,
        disabled_at {whole},
        PRIMARY KEY (id),
        CONSTRAINT known_role CHECK (role IN ('owner', 'manager', 'viewer')),
        UNIQUE (name)
    )
    """,
)

_COUNTED = (
    "CREATE TRIGGER count_write AFTER INSERT OR UPDATE OR DELETE ON refunds"
    " FOR EACH STATEMENT EXECUTE FUNCTION count_session_write()"
)


def upgrade() -> None:
    """Make the tables; in PostgreSQL writes to refunds change the store's pulse."""
    connection = op.get_bind()
    types = types_of(connection)
    for statement in STATEMENTS:
        connection.exec_driver_sql(statement.format_map(types)).close()
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(_COUNTED).close()
