"""Passkeys of users: the public halves of keys that never leave the users' devices (WebAuthn)."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, delete, insert, select, update

from dovetail.bitcoin import UnixTime
from dovetail.errors import UsageError
from dovetail.merchant.data import audit
from dovetail.merchant.data.ids import new_id
from dovetail.merchant.data.user_tables import passkeys

MOST = 20
"""Passkeys that one user may have."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PasskeyRow:
    """A passkey; its repr shows its id alone (P4)."""

    id: UUID
    user_id: UUID
    credential_id: bytes
    """What the device calls it."""
    public_key: bytes
    """In COSE's form (RFC 9052)."""
    sign_count: int
    """How often the device says that it was used; devices that do not count say 0."""
    name: str
    """What its user calls it."""
    created_at: UnixTime
    used_at: UnixTime | None
    """When its user has last signed in with it."""

    def __repr__(self) -> str:
        return f"<PasskeyRow {self.id}>"


def add(connection: Connection, row: PasskeyRow, *, by: str) -> None:
    """Insert a passkey.

    Raises `UsageError` for one that somebody has already, and for one too many.
    """
    if passkey_of(connection, row.credential_id) is not None:
        raise UsageError("This passkey is known already: use another device.")
    if len(passkeys_of(connection, row.user_id)) >= MOST:
        raise UsageError(f"There are {MOST} passkeys already: remove one first.")
    values = {field: getattr(row, field) for field in PasskeyRow.__slots__}
    connection.execute(insert(passkeys).values(values))
    _note(connection, row, "user.passkey", by=by, now=row.created_at)


def new_passkey(
    *, user_id: UUID, credential_id: bytes, public_key: bytes, sign_count: int, name: str, now: int
) -> PasskeyRow:
    """Return a passkey that `add` inserts."""
    return PasskeyRow(
        id=new_id(),
        user_id=user_id,
        credential_id=credential_id,
        public_key=public_key,
        sign_count=sign_count,
        name=name,
        created_at=UnixTime(now),
        used_at=None,
    )


def passkeys_of(connection: Connection, user_id: UUID) -> tuple[PasskeyRow, ...]:
    """Return a user's passkeys, the oldest first."""
    query = select(passkeys).where(passkeys.c.user_id == user_id).order_by(passkeys.c.id)
    return tuple(map(_row, connection.execute(query)))


def passkey_of(connection: Connection, credential_id: bytes) -> PasskeyRow | None:
    """Return the passkey that a device calls this, or None."""
    query = select(passkeys).where(passkeys.c.credential_id == credential_id)
    found = connection.execute(query).first()
    return None if found is None else _row(found)


def count_use(connection: Connection, row: PasskeyRow, sign_count: int, now: UnixTime) -> bool:
    """Record a sign-in; False where the passkey was used or removed since `row` was read."""
    table = passkeys.c
    statement = (
        update(passkeys)
        .where(table.id == row.id, table.sign_count == row.sign_count)
        .values(sign_count=sign_count, used_at=int(now))
    )
    return connection.execute(statement).rowcount > 0


def remove(
    connection: Connection, user_id: UUID, passkey_id: UUID, *, by: str, now: UnixTime
) -> bool:
    """Delete a passkey of this user; False where they have none of this id."""
    mine = passkeys.c.id == passkey_id, passkeys.c.user_id == user_id
    found = connection.execute(select(passkeys).where(*mine)).first()
    if found is None:
        return False
    connection.execute(delete(passkeys).where(*mine))
    _note(connection, _row(found), "user.no-passkey", by=by, now=now)
    return True


def _note(connection: Connection, row: PasskeyRow, what: str, *, by: str, now: UnixTime) -> None:
    detail = {"passkey": str(row.id)}
    audit.add(connection, who=by, what=what, subject=str(row.user_id), now=now, detail=detail)


def _row(row: Any) -> PasskeyRow:
    return PasskeyRow(**row._asdict())
