"""The first tables of a shop, written out so that later changes of the code do not affect them."""

from alembic import op

from dovetail.merchant.data.migrations import count_writes, types_of

revision = "m001"
down_revision = None

STATEMENTS = (
    """
    CREATE TABLE api_keys (
        id {uuid} NOT NULL,
        name {text} NOT NULL,
        hash {bytes} NOT NULL,
        scopes {bytes} NOT NULL,
        store_ids {bytes},
        created_at {whole} NOT NULL,
        last_used_at {whole},
        revoked_at {whole},
        PRIMARY KEY (id),
        UNIQUE (hash)
    )
    """,
    """
    CREATE TABLE audit (
        id {uuid} NOT NULL,
        store_id {uuid},
        at {whole} NOT NULL,
        who {text} NOT NULL,
        what {text} NOT NULL,
        subject {text} NOT NULL,
        detail {bytes} NOT NULL,
        PRIMARY KEY (id)
    )
    """,
    "CREATE INDEX audit_by_store ON audit (store_id, id)",
    """
    CREATE TABLE counters (
        name {text} NOT NULL,
        value {whole} NOT NULL,
        PRIMARY KEY (name)
    )
    """,
    """
    CREATE TABLE wallets (
        id {uuid} NOT NULL,
        name {text} NOT NULL,
        network {text} NOT NULL,
        descriptor {text} NOT NULL,
        cold_descriptor {text},
        next_index {whole} NOT NULL,
        cold_next_index {whole} NOT NULL,
        created_at {whole} NOT NULL,
        PRIMARY KEY (id),
        UNIQUE (name)
    )
    """,
    """
    CREATE TABLE addresses (
        script {bytes} NOT NULL,
        wallet_id {uuid} NOT NULL,
        keychain {text} NOT NULL,
        "index" {whole} NOT NULL,
        purpose {text} NOT NULL,
        invoice_id {uuid},
        PRIMARY KEY (script),
        UNIQUE (wallet_id, keychain, "index"),
        CONSTRAINT known_keychain CHECK (keychain IN ('hot', 'cold')),
        FOREIGN KEY (wallet_id) REFERENCES wallets (id)
    )
    """,
    "CREATE INDEX addresses_by_purpose ON addresses (wallet_id, purpose)",
    """
    CREATE TABLE stores (
        id {uuid} NOT NULL,
        wallet_id {uuid} NOT NULL,
        name {text} NOT NULL,
        policy {bytes} NOT NULL,
        created_at {whole} NOT NULL,
        archived_at {whole},
        PRIMARY KEY (id),
        FOREIGN KEY (wallet_id) REFERENCES wallets (id)
    )
    """,
    """
    CREATE TABLE wallet_coins (
        outpoint {text} NOT NULL,
        wallet_id {uuid} NOT NULL,
        script {bytes} NOT NULL,
        "index" {whole} NOT NULL,
        value {whole} NOT NULL,
        height {whole},
        absent BOOLEAN NOT NULL,
        spent_by {text},
        spent_height {whole},
        PRIMARY KEY (outpoint),
        FOREIGN KEY (wallet_id) REFERENCES wallets (id)
    )
    """,
    "CREATE INDEX unspent_coins ON wallet_coins (wallet_id) WHERE spent_height IS NULL",
    """
    CREATE TABLE idempotency (
        store_id {uuid} NOT NULL,
        key {text} NOT NULL,
        request {bytes} NOT NULL,
        invoice_id {uuid} NOT NULL,
        created_at {whole} NOT NULL,
        PRIMARY KEY (store_id, key),
        FOREIGN KEY (store_id) REFERENCES stores (id)
    )
    """,
    """
    CREATE TABLE invoices (
        id {uuid} NOT NULL,
        store_id {uuid} NOT NULL,
        wallet_id {uuid} NOT NULL,
        amount {whole} NOT NULL,
        currency {text},
        price {text},
        rate {text},
        label {text},
        order_id {text},
        metadata {bytes},
        redirect_url {text},
        address {text} NOT NULL,
        script {bytes} NOT NULL,
        settlement_script {bytes},
        terms {bytes} NOT NULL,
        created_at {whole} NOT NULL,
        expires_at {whole} NOT NULL,
        monitored_until {whole} NOT NULL,
        session_id {session_id},
        uri {text},
        no_payjoin {text},
        status {text} NOT NULL,
        exception {text} NOT NULL,
        cause {text} NOT NULL,
        paid {whole} NOT NULL,
        gained {whole} NOT NULL,
        looked {whole} NOT NULL,
        events {whole} NOT NULL,
        next_change_at {whole},
        forgotten_at {whole},
        PRIMARY KEY (id),
        FOREIGN KEY (store_id) REFERENCES stores (id),
        FOREIGN KEY (wallet_id) REFERENCES wallets (id),
        UNIQUE (script),
        UNIQUE (settlement_script),
        UNIQUE (session_id)
    )
    """,
    "CREATE INDEX invoices_by_monitoring ON invoices (wallet_id, monitored_until)",
    "CREATE INDEX invoices_by_order ON invoices (store_id, order_id)",
    "CREATE INDEX invoices_by_store ON invoices (store_id, id)",
    "CREATE INDEX invoices_to_change ON invoices (next_change_at) WHERE next_change_at IS NOT NULL",
    "CREATE INDEX open_invoices ON invoices (wallet_id) WHERE status IN ('new', 'processing')",
    """
    CREATE TABLE webhook_endpoints (
        id {uuid} NOT NULL,
        store_id {uuid} NOT NULL,
        url {text} NOT NULL,
        secret {text} NOT NULL,
        previous_secret {text},
        previous_until {whole},
        kinds {bytes},
        active BOOLEAN NOT NULL,
        created_at {whole} NOT NULL,
        PRIMARY KEY (id),
        FOREIGN KEY (store_id) REFERENCES stores (id)
    )
    """,
    "CREATE INDEX endpoints_by_store ON webhook_endpoints (store_id)",
    """
    CREATE TABLE close_requests (
        invoice_id {uuid} NOT NULL,
        session_id {session_id},
        asked_by {text} NOT NULL,
        asked_at {whole} NOT NULL,
        status_then {text} NOT NULL,
        done_at {whole},
        result {text},
        PRIMARY KEY (invoice_id),
        FOREIGN KEY (invoice_id) REFERENCES invoices (id)
    )
    """,
    "CREATE INDEX open_close_requests ON close_requests (asked_at) WHERE done_at IS NULL",
    """
    CREATE TABLE invoice_events (
        id {uuid} NOT NULL,
        invoice_id {uuid} NOT NULL,
        seq {whole} NOT NULL,
        store_id {uuid} NOT NULL,
        kind {text} NOT NULL,
        status {text} NOT NULL,
        exception {text} NOT NULL,
        cause {text} NOT NULL,
        at {whole} NOT NULL,
        data {bytes} NOT NULL,
        PRIMARY KEY (id),
        UNIQUE (invoice_id, seq),
        FOREIGN KEY (invoice_id) REFERENCES invoices (id),
        FOREIGN KEY (store_id) REFERENCES stores (id)
    )
    """,
    "CREATE INDEX events_by_store ON invoice_events (store_id, id)",
    """
    CREATE TABLE invoice_transactions (
        invoice_id {uuid} NOT NULL,
        txid {text} NOT NULL,
        raw {bytes} NOT NULL,
        first_seen {whole} NOT NULL,
        look {whole} NOT NULL,
        depth {whole} NOT NULL,
        deepest {whole} NOT NULL,
        PRIMARY KEY (invoice_id, txid),
        FOREIGN KEY (invoice_id) REFERENCES invoices (id)
    )
    """,
    """
    CREATE TABLE marks (
        invoice_id {uuid} NOT NULL,
        number {whole} NOT NULL,
        settled BOOLEAN NOT NULL,
        by {text} NOT NULL,
        at {whole} NOT NULL,
        PRIMARY KEY (invoice_id, number),
        FOREIGN KEY (invoice_id) REFERENCES invoices (id)
    )
    """,
    """
    CREATE TABLE negotiations (
        invoice_id {uuid} NOT NULL,
        number {whole} NOT NULL,
        negotiation {bytes} NOT NULL,
        PRIMARY KEY (invoice_id, number),
        FOREIGN KEY (invoice_id) REFERENCES invoices (id)
    )
    """,
    """
    CREATE TABLE webhook_deliveries (
        id {uuid} NOT NULL,
        endpoint_id {uuid} NOT NULL,
        invoice_id {uuid} NOT NULL,
        event_id {uuid} NOT NULL,
        created_at {whole} NOT NULL,
        status {text} NOT NULL,
        next_at {whole},
        leased_until {whole},
        attempts {whole} NOT NULL,
        last_code {whole},
        last_error {text},
        PRIMARY KEY (id),
        FOREIGN KEY (endpoint_id) REFERENCES webhook_endpoints (id),
        FOREIGN KEY (invoice_id) REFERENCES invoices (id),
        FOREIGN KEY (event_id) REFERENCES invoice_events (id)
    )
    """,
    "CREATE INDEX deliveries_by_endpoint ON webhook_deliveries (endpoint_id, id)",
    "CREATE INDEX due_deliveries ON webhook_deliveries (next_at) WHERE status = 'pending'",
    """
    CREATE TABLE webhook_attempts (
        delivery_id {uuid} NOT NULL,
        number {whole} NOT NULL,
        at {whole} NOT NULL,
        code {whole},
        error {text},
        PRIMARY KEY (delivery_id, number),
        FOREIGN KEY (delivery_id) REFERENCES webhook_deliveries (id)
    )
    """,
)


def upgrade() -> None:
    """Make the tables."""
    connection = op.get_bind()
    types = types_of(connection)
    for statement in STATEMENTS:
        connection.exec_driver_sql(statement.format_map(types)).close()
    count_writes(connection)
