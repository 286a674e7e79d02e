"""Users: people with a name, a password of which only the hash is kept, and a role."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, insert, select, update

from dovetail.bitcoin import UnixTime
from dovetail.errors import ConfigurationError
from dovetail.merchant.data import audit
from dovetail.merchant.data.ids import new_id
from dovetail.merchant.data.user_tables import users
from dovetail.merchant.messages import Role


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class UserRow:
    """A user; its repr shows neither name nor hash (P4)."""

    id: UUID
    name: str
    password: str
    """The Argon2id hash, with its parameters and salt (RFC 9106, in PHC's string format)."""
    role: Role
    created_at: UnixTime
    disabled_at: UnixTime | None

    def __repr__(self) -> str:
        return f"<UserRow {self.id}>"


def add_user(
    connection: Connection, *, name: str, password: str, role: Role, by: str, now: UnixTime
) -> UserRow:
    """Insert a user with the hash of a password; raises `ConfigurationError` for a taken name."""
    if user_of_name(connection, name) is not None:
        raise ConfigurationError("A user of this name exists already: choose another name.")
    row = UserRow(
        id=new_id(), name=name, password=password, role=role, created_at=now, disabled_at=None
    )
    values = {field: getattr(row, field) for field in UserRow.__slots__}
    connection.execute(insert(users).values(values | {"role": role.value}))
    _note(connection, row.id, "user.create", by=by, now=now, role=role.value)
    return row


def user(connection: Connection, user_id: UUID) -> UserRow | None:
    """Return a user, or None."""
    found = connection.execute(select(users).where(users.c.id == user_id)).first()
    return None if found is None else _row(found)


def user_of_name(connection: Connection, name: str) -> UserRow | None:
    """Return the user of a name, or None."""
    found = connection.execute(select(users).where(users.c.name == name)).first()
    return None if found is None else _row(found)


def all_users(connection: Connection) -> tuple[UserRow, ...]:
    """Return every user, the oldest first."""
    return tuple(map(_row, connection.execute(select(users).order_by(users.c.id))))


def set_password(
    connection: Connection, user_id: UUID, password: str, *, by: str, now: UnixTime
) -> None:
    """Give a user the hash of another password."""
    connection.execute(update(users).where(users.c.id == user_id).values(password=password))
    _note(connection, user_id, "user.password", by=by, now=now)


def rehash(connection: Connection, row: UserRow, password: str) -> None:
    """Put a new hash of the same password in the place of the one in `row`, if it is there yet."""
    connection.execute(
        update(users)
        .where(users.c.id == row.id, users.c.password == row.password)
        .values(password=password)
    )


def disable(connection: Connection, user_id: UUID, *, by: str, now: UnixTime) -> None:
    """Lock a user out, for good."""
    connection.execute(
        update(users)
        .where(users.c.id == user_id, users.c.disabled_at.is_(None))
        .values(disabled_at=int(now))
    )
    _note(connection, user_id, "user.disable", by=by, now=now)


def _note(
    connection: Connection, user_id: UUID, what: str, *, by: str, now: UnixTime, **detail: str
) -> None:
    audit.add(connection, who=by, what=what, subject=str(user_id), now=now, detail=detail)


def _row(row: Any) -> UserRow:
    return UserRow(**row._asdict() | {"role": Role(row.role)})
