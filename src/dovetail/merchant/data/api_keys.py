"""API keys: each is a random secret, of which only the hash is kept."""

import secrets
from collections.abc import Collection
from hashlib import sha256
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Connection, insert, select, update

from dovetail.bitcoin import UnixTime
from dovetail.merchant.data.ids import new_id
from dovetail.merchant.data.schema import api_keys

PREFIX = "dvt_"
"""What every key begins with, so that programs that look for leaked secrets find it."""

_BYTES = 32
_USED_EVERY = 60


class KeyRow(msgspec.Struct, frozen=True, kw_only=True):
    """A key without its secret; `store_ids` are the stores that it sees, None: all."""

    id: UUID
    name: str
    scopes: frozenset[str]
    store_ids: frozenset[UUID] | None
    created_at: int
    last_used_at: int | None = None
    revoked_at: int | None = None


def add_key(
    connection: Connection,
    *,
    name: str,
    scopes: Collection[str],
    store_ids: Collection[UUID] | None,
    now: UnixTime,
) -> tuple[KeyRow, str]:
    """Make a key; return it and its secret, which nobody can be told again."""
    secret = PREFIX + secrets.token_urlsafe(_BYTES)
    row = KeyRow(
        id=new_id(),
        name=name,
        scopes=frozenset(scopes),
        store_ids=None if store_ids is None else frozenset(store_ids),
        created_at=int(now),
    )
    connection.execute(
        insert(api_keys).values(
            id=row.id,
            name=name,
            hash=_hash(secret),
            scopes=msgspec.json.encode(sorted(row.scopes)),
            store_ids=None
            if row.store_ids is None
            else msgspec.json.encode(sorted(map(str, row.store_ids))),
            created_at=int(now),
        )
    )
    return row, secret


def find(connection: Connection, secret: str) -> KeyRow | None:
    """Return the key of a secret; None for an unknown one, and one that was revoked.

    The database compares hashes of 256 random bits, so that its time tells nothing of the secret.
    """
    query = select(api_keys).where(
        api_keys.c.hash == _hash(secret), api_keys.c.revoked_at.is_(None)
    )
    found = connection.execute(query).first()
    return None if found is None else _row(found)


def is_due(row: KeyRow, now: UnixTime) -> bool:
    """Whether the key's last use is to be recorded again: once a minute at most."""
    return row.last_used_at is None or now - row.last_used_at >= _USED_EVERY


def touch(connection: Connection, key_id: UUID, now: UnixTime) -> None:
    """Record that a key was used."""
    connection.execute(
        update(api_keys).where(api_keys.c.id == key_id).values(last_used_at=int(now))
    )


def revoke(connection: Connection, key_id: UUID, now: UnixTime) -> None:
    """Revoke a key, for good."""
    connection.execute(
        update(api_keys)
        .where(api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None))
        .values(revoked_at=int(now))
    )


def key(connection: Connection, key_id: UUID) -> KeyRow | None:
    """Return a key, or None."""
    found = connection.execute(select(api_keys).where(api_keys.c.id == key_id)).first()
    return None if found is None else _row(found)


def valid(connection: Connection, key_ids: Collection[UUID]) -> frozenset[UUID]:
    """Return those of these keys that exist and were not revoked."""
    query = select(api_keys.c.id).where(api_keys.c.id.in_(key_ids), api_keys.c.revoked_at.is_(None))
    return frozenset(connection.execute(query).scalars())


def all_keys(connection: Connection) -> tuple[KeyRow, ...]:
    """Return every key, the oldest first."""
    return tuple(map(_row, connection.execute(select(api_keys).order_by(api_keys.c.id))))


def _hash(secret: str) -> bytes:
    return sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _row(row: Any) -> KeyRow:
    only = row.store_ids
    return KeyRow(
        id=row.id,
        name=row.name,
        scopes=msgspec.json.decode(row.scopes, type=frozenset[str]),
        store_ids=None if only is None else msgspec.json.decode(only, type=frozenset[UUID]),
        created_at=row.created_at,
        last_used_at=row.last_used_at,
        revoked_at=row.revoked_at,
    )
