"""Idempotency keys: a request that is repeated with one creates nothing again."""

from hashlib import sha256
from uuid import UUID

from sqlalchemy import Connection, select

from dovetail.bitcoin import UnixTime
from dovetail.errors import UsageError
from dovetail.merchant.data.schema import idempotency
from dovetail.stores.sql.upsert import upsert


class IdempotencyConflict(UsageError):
    """The key came before with another request."""


def claim(
    connection: Connection,
    store_id: UUID,
    key: str,
    request: bytes,
    invoice_id: UUID,
    *,
    now: UnixTime,
) -> UUID:
    """Claim a key for a new invoice; return the invoice that the key stands for.

    That is another one where the same request came before. Call it in the transaction that adds
    the invoice: of two requests at once, the second waits, and finds the first one's invoice.
    Raises `IdempotencyConflict` where another request came with this key.
    """
    digest = sha256(request).digest()
    statement = upsert(connection, idempotency).values(
        store_id=store_id,
        key=key,
        request=digest,
        invoice_id=invoice_id,
        created_at=int(now),
    )
    table = idempotency.c
    connection.execute(statement.on_conflict_do_nothing(index_elements=[table.store_id, table.key]))
    known = connection.execute(
        select(table.request, table.invoice_id).where(table.store_id == store_id, table.key == key)
    ).one()
    if bytes(known.request) != digest:
        raise IdempotencyConflict("This key came before with another request: draw a new key.")
    found: UUID = known.invoice_id
    return found
