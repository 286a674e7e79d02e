"""The tables of a shop, beside those of the sessions in one database (ADR 0056).

Ids are UUIDv7, times Unix seconds, amounts satoshis. Values that only Python reads are JSON. The
tables of users are in `user_tables`.
"""

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
    Uuid,
)

from dovetail.merchant.data import user_tables
from dovetail.stores.sql.schema import SESSION_ID, TEXT, WHOLE, where

metadata = user_tables.metadata

wallets = Table(
    "wallets",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("name", TEXT, nullable=False, unique=True),
    Column("network", TEXT, nullable=False),
    Column("descriptor", TEXT, nullable=False),
    Column("cold_descriptor", TEXT),
    Column("next_index", WHOLE, nullable=False),
    Column("cold_next_index", WHOLE, nullable=False),
    Column("created_at", WHOLE, nullable=False),
)

stores = Table(
    "stores",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("wallet_id", Uuid, ForeignKey(wallets.c.id), nullable=False),
    Column("name", TEXT, nullable=False),
    Column("policy", LargeBinary, nullable=False),
    Column("created_at", WHOLE, nullable=False),
    Column("archived_at", WHOLE),
)

# `events` counts the invoice's events, `looked` is the number of its latest look at the chain, and
# `next_change_at` is when the clock alone may change its status. `session_id` is unique: an invoice
# has one session, whose URI is `uri`. It has no foreign key, as sessions are deleted before it.
invoices = Table(
    "invoices",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("store_id", Uuid, ForeignKey(stores.c.id), nullable=False),
    Column("wallet_id", Uuid, ForeignKey(wallets.c.id), nullable=False),
    Column("amount", WHOLE, nullable=False),
    Column("currency", TEXT),
    Column("price", TEXT),
    Column("rate", TEXT),
    Column("label", TEXT),
    Column("order_id", TEXT),
    Column("metadata", LargeBinary),
    Column("redirect_url", TEXT),
    Column("address", TEXT, nullable=False),
    Column("script", LargeBinary, nullable=False, unique=True),
    Column("settlement_script", LargeBinary, unique=True),
    Column("terms", LargeBinary, nullable=False),
    Column("created_at", WHOLE, nullable=False),
    Column("expires_at", WHOLE, nullable=False),
    Column("monitored_until", WHOLE, nullable=False),
    Column("session_id", SESSION_ID, unique=True),
    Column("uri", TEXT),
    Column("no_payjoin", TEXT),
    Column("status", TEXT, nullable=False),
    Column("exception", TEXT, nullable=False),
    Column("cause", TEXT, nullable=False),
    Column("paid", WHOLE, nullable=False),
    Column("gained", WHOLE, nullable=False),
    Column("looked", WHOLE, nullable=False),
    Column("events", WHOLE, nullable=False),
    Column("next_change_at", WHOLE),
    Column("forgotten_at", WHOLE),
    Column("archived_at", WHOLE),
    Index("invoices_by_store", "store_id", "id"),
    Index("invoices_by_order", "store_id", "order_id"),
    Index("invoices_to_change", "next_change_at", **where("next_change_at IS NOT NULL")),
    Index("invoices_by_monitoring", "wallet_id", "monitored_until"),
    Index("open_invoices", "wallet_id", **where("status IN ('new', 'processing')")),
)

addresses = Table(
    "addresses",
    metadata,
    Column("script", LargeBinary, primary_key=True),
    Column("wallet_id", Uuid, ForeignKey(wallets.c.id), nullable=False),
    Column("keychain", TEXT, nullable=False),
    Column("index", WHOLE, nullable=False),
    Column("purpose", TEXT, nullable=False),
    Column("invoice_id", Uuid),
    UniqueConstraint("wallet_id", "keychain", "index"),
    CheckConstraint("keychain IN ('hot', 'cold')", name="known_keychain"),
    Index("addresses_by_purpose", "wallet_id", "purpose"),
)

# The chain watcher writes it; `height` is empty while the coin's transaction is unconfirmed, and
# `absent` while neither block nor mempool has it.
wallet_coins = Table(
    "wallet_coins",
    metadata,
    Column("outpoint", TEXT, primary_key=True),
    Column("wallet_id", Uuid, ForeignKey(wallets.c.id), nullable=False),
    Column("script", LargeBinary, nullable=False),
    Column("index", WHOLE, nullable=False),
    Column("value", WHOLE, nullable=False),
    Column("height", WHOLE),
    Column("absent", Boolean, nullable=False),
    Column("spent_by", TEXT),
    Column("spent_height", WHOLE),
    Index("unspent_coins", "wallet_id", **where("spent_height IS NULL")),
)

negotiations = Table(
    "negotiations",
    metadata,
    Column("invoice_id", Uuid, ForeignKey(invoices.c.id), nullable=False),
    Column("number", WHOLE, nullable=False),
    Column("negotiation", LargeBinary, nullable=False),
    PrimaryKeyConstraint("invoice_id", "number"),
)

marks = Table(
    "marks",
    metadata,
    Column("invoice_id", Uuid, ForeignKey(invoices.c.id), nullable=False),
    Column("number", WHOLE, nullable=False),
    Column("settled", Boolean, nullable=False),
    Column("by", TEXT, nullable=False),
    Column("at", WHOLE, nullable=False),
    PrimaryKeyConstraint("invoice_id", "number"),
)

# All that the looks at the chain say of one transaction (`invoices.payments.Seen`).
invoice_transactions = Table(
    "invoice_transactions",
    metadata,
    Column("invoice_id", Uuid, ForeignKey(invoices.c.id), nullable=False),
    Column("txid", TEXT, nullable=False),
    Column("raw", LargeBinary, nullable=False),
    Column("first_seen", WHOLE, nullable=False),
    Column("look", WHOLE, nullable=False),
    Column("depth", WHOLE, nullable=False),
    Column("deepest", WHOLE, nullable=False),
    PrimaryKeyConstraint("invoice_id", "txid"),
)

# What an invoice went through, numbered from 1: webhooks and event streams tell it.
invoice_events = Table(
    "invoice_events",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("invoice_id", Uuid, ForeignKey(invoices.c.id), nullable=False),
    Column("seq", WHOLE, nullable=False),
    Column("store_id", Uuid, ForeignKey(stores.c.id), nullable=False),
    Column("kind", TEXT, nullable=False),
    Column("status", TEXT, nullable=False),
    Column("exception", TEXT, nullable=False),
    Column("cause", TEXT, nullable=False),
    Column("at", WHOLE, nullable=False),
    Column("data", LargeBinary, nullable=False),
    UniqueConstraint("invoice_id", "seq"),
    Index("events_by_store", "store_id", "id"),
)

close_requests = Table(
    "close_requests",
    metadata,
    Column("invoice_id", Uuid, ForeignKey(invoices.c.id), primary_key=True),
    Column("session_id", SESSION_ID),
    Column("asked_by", TEXT, nullable=False),
    Column("asked_at", WHOLE, nullable=False),
    Column("status_then", TEXT, nullable=False),
    Column("done_at", WHOLE),
    Column("result", TEXT),
    Index("open_close_requests", "asked_at", **where("done_at IS NULL")),
)

counters = Table(
    "counters",
    metadata,
    Column("name", TEXT, primary_key=True),
    Column("value", WHOLE, nullable=False),
)

# `form` is in whose words it hears of events, empty: in ours. One that was removed stays for the
# deliveries that name it.
webhook_endpoints = Table(
    "webhook_endpoints",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("store_id", Uuid, ForeignKey(stores.c.id), nullable=False),
    Column("url", TEXT, nullable=False),
    Column("secret", TEXT, nullable=False),
    Column("previous_secret", TEXT),
    Column("previous_until", WHOLE),
    Column("kinds", LargeBinary),
    Column("active", Boolean, nullable=False),
    Column("created_at", WHOLE, nullable=False),
    Column("form", TEXT),
    Column("removed_at", WHOLE),
    Index("endpoints_by_store", "store_id"),
)

# Where the endpoint has a form, `name` is its name of the event, and `subject` the transaction that
# the event is about. `original_id` is the delivery that this one repeats.
webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("endpoint_id", Uuid, ForeignKey(webhook_endpoints.c.id), nullable=False),
    Column("invoice_id", Uuid, ForeignKey(invoices.c.id), nullable=False),
    Column("event_id", Uuid, ForeignKey(invoice_events.c.id), nullable=False),
    Column("created_at", WHOLE, nullable=False),
    Column("status", TEXT, nullable=False),
    Column("next_at", WHOLE),
    Column("leased_until", WHOLE),
    Column("attempts", WHOLE, nullable=False),
    Column("last_code", WHOLE),
    Column("last_error", TEXT),
    Column("name", TEXT),
    Column("subject", TEXT),
    Column("original_id", Uuid),
    Index("due_deliveries", "next_at", **where("status = 'pending'")),
    Index("deliveries_by_endpoint", "endpoint_id", "id"),
)

webhook_attempts = Table(
    "webhook_attempts",
    metadata,
    Column("delivery_id", Uuid, ForeignKey(webhook_deliveries.c.id), nullable=False),
    Column("number", WHOLE, nullable=False),
    Column("at", WHOLE, nullable=False),
    Column("code", WHOLE),
    Column("error", TEXT),
    PrimaryKeyConstraint("delivery_id", "number"),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("name", TEXT, nullable=False),
    Column("hash", LargeBinary, nullable=False, unique=True),
    Column("scopes", LargeBinary, nullable=False),
    Column("store_ids", LargeBinary),
    Column("created_at", WHOLE, nullable=False),
    Column("last_used_at", WHOLE),
    Column("revoked_at", WHOLE),
)

audit = Table(
    "audit",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("store_id", Uuid),
    Column("at", WHOLE, nullable=False),
    Column("who", TEXT, nullable=False),
    Column("what", TEXT, nullable=False),
    Column("subject", TEXT, nullable=False),
    Column("detail", LargeBinary, nullable=False),
    Index("audit_by_store", "store_id", "id"),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("store_id", Uuid, ForeignKey(stores.c.id), nullable=False),
    Column("key", TEXT, nullable=False),
    Column("request", LargeBinary, nullable=False),
    Column("invoice_id", Uuid, nullable=False),
    Column("created_at", WHOLE, nullable=False),
    PrimaryKeyConstraint("store_id", "key"),
)

# A refund of an invoice; `token` is the SHA-256 of its claim link's secret. `due` says that the
# engine has something to do for it, and `trouble` what keeps it from that.
refunds = Table(
    "refunds",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("invoice_id", Uuid, ForeignKey(invoices.c.id), nullable=False),
    Column("store_id", Uuid, ForeignKey(stores.c.id), nullable=False),
    Column("wallet_id", Uuid, ForeignKey(wallets.c.id), nullable=False),
    Column("amount", WHOLE, nullable=False),
    Column("reason", TEXT),
    Column("status", TEXT, nullable=False),
    Column("token", LargeBinary, unique=True),
    Column("address", TEXT),
    Column("created_at", WHOLE, nullable=False),
    Column("expires_at", WHOLE, nullable=False),
    Column("asked_by", TEXT, nullable=False),
    Column("decided_by", TEXT),
    Column("txid", TEXT),
    Column("depth", WHOLE, nullable=False),
    Column("due", Boolean, nullable=False),
    Column("trouble", TEXT),
    Column("steps", WHOLE, nullable=False),
    Index("refunds_by_invoice", "invoice_id"),
    Index("refunds_by_store", "store_id", "id"),
    Index("due_refunds", "id", **where("due")),
    Index("claimable_refunds", "expires_at", **where("status = 'open'")),
)

refund_steps = Table(
    "refund_steps",
    metadata,
    Column("refund_id", Uuid, ForeignKey(refunds.c.id), nullable=False),
    Column("number", WHOLE, nullable=False),
    Column("step", TEXT, nullable=False),
    Column("status", TEXT, nullable=False),
    Column("who", TEXT, nullable=False),
    Column("at", WHOLE, nullable=False),
    PrimaryKeyConstraint("refund_id", "number"),
)

# The one transaction of a refund, and those that only raise its fee: all spend the same coins.
refund_payments = Table(
    "refund_payments",
    metadata,
    Column("refund_id", Uuid, ForeignKey(refunds.c.id), nullable=False),
    Column("number", WHOLE, nullable=False),
    Column("txid", TEXT, nullable=False),
    Column("fee", WHOLE, nullable=False),
    Column("psbt", LargeBinary),
    Column("raw", LargeBinary),
    Column("at", WHOLE, nullable=False),
    PrimaryKeyConstraint("refund_id", "number"),
)

# The coins that a refund's transaction spends; no session and no other refund may use them.
refund_coins = Table(
    "refund_coins",
    metadata,
    Column("outpoint", TEXT, primary_key=True),
    Column("refund_id", Uuid, ForeignKey(refunds.c.id), nullable=False),
    Index("coins_by_refund", "refund_id"),
)

# A page that makes invoices at a counter; `token` is its public path, and `menu` what it sells.
points_of_sale = Table(
    "points_of_sale",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("store_id", Uuid, ForeignKey(stores.c.id), nullable=False),
    Column("token", TEXT, nullable=False, unique=True),
    Column("title", TEXT, nullable=False),
    Column("currency", TEXT),
    Column("menu", LargeBinary, nullable=False),
    Column("created_at", WHOLE, nullable=False),
    Column("archived_at", WHOLE),
)
