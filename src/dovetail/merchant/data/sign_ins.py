"""Sign-ins of users in browsers: each is a random token, of which only the hash is kept."""

import secrets
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, and_, delete, insert, not_, or_, select, update

from dovetail.bitcoin import UnixTime
from dovetail.merchant.data.user_tables import sign_ins, users
from dovetail.merchant.data.users import UserRow, user

IDLE = 2 * 3600
"""Seconds without a request after which a sign-in is over."""

LONGEST = 12 * 3600
"""Seconds after which it is over in any case: a working day."""

HALF = 300
"""Seconds in which a user who has given the password has to give the code of the second factor."""

MOST_TRIES = 5
"""Wrong codes after which the password has to be given again."""

_BYTES = 32
_SEEN_EVERY = 60


class Way(StrEnum):
    """How a user has signed in."""

    PASSWORD = "password"  # noqa: S105 - no password, but the word for one
    CODE = "code"
    """By password and code."""
    PASSKEY = "passkey"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInRow:
    """A sign-in that goes on, and its user as they are now."""

    user: UserRow
    whole: bool
    """Whether all was given that this user is asked for."""
    seen_at: UnixTime

    def is_due(self, now: UnixTime) -> bool:
        """Whether its last request is to be recorded again: once a minute at most."""
        return now - self.seen_at >= _SEEN_EVERY


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSignIn:
    """A sign-in as its user sees it."""

    key: bytes
    """The hash of its token: it names the sign-in, and opens nothing."""
    way: Way | None
    """None: it is from before this was recorded."""
    browser: str | None
    """In a word or two, such as "Firefox, Linux"."""
    created_at: UnixTime
    seen_at: UnixTime


def begin(
    connection: Connection,
    user_id: UUID,
    now: UnixTime,
    *,
    whole: bool,
    way: Way = Way.PASSWORD,
    browser: str = "",
) -> str:
    """Begin a sign-in; return its token, which nobody can be told again."""
    token = secrets.token_urlsafe(_BYTES)
    connection.execute(
        insert(sign_ins).values(
            token=hash_of(token),
            user_id=user_id,
            whole=whole,
            tries=0,
            created_at=int(now),
            seen_at=int(now),
            way=way.value,
            browser=browser or None,
        )
    )
    return token


def find(connection: Connection, token: str, now: UnixTime) -> SignInRow | None:
    """Return the sign-in of a token; None for one that is unknown or over.

    It is over once its user is disabled. The database compares hashes of 256 random bits, so that
    its time tells nothing of the token.
    """
    query = select(sign_ins).where(sign_ins.c.token == hash_of(token), _goes_on(now))
    found = connection.execute(query).first()
    row = None if found is None else user(connection, found.user_id)
    if found is None or row is None or row.disabled_at is not None:
        return None
    return SignInRow(user=row, whole=found.whole, seen_at=UnixTime(found.seen_at))


def count_try(connection: Connection, token: str) -> None:
    """Count a wrong code; after `MOST_TRIES` of them the sign-in is over."""
    table = sign_ins.c
    mine = table.token == hash_of(token)
    connection.execute(update(sign_ins).where(mine).values(tries=table.tries + 1))
    connection.execute(delete(sign_ins).where(mine, table.tries >= MOST_TRIES))


def touch(connection: Connection, token: str, now: UnixTime) -> None:
    """Record that a sign-in was used."""
    connection.execute(
        update(sign_ins).where(sign_ins.c.token == hash_of(token)).values(seen_at=int(now))
    )


def end(connection: Connection, token: str) -> None:
    """End one sign-in, if there is one."""
    connection.execute(delete(sign_ins).where(sign_ins.c.token == hash_of(token)))


def end_all(connection: Connection, user_id: UUID, *, but: str | None = None) -> None:
    """End every sign-in of a user, but for the one of a token."""
    statement = delete(sign_ins).where(sign_ins.c.user_id == user_id)
    if but is not None:
        statement = statement.where(sign_ins.c.token != hash_of(but))
    connection.execute(statement)


def end_one(connection: Connection, user_id: UUID, key: bytes) -> bool:
    """End the sign-in of this key; False where the user has none of it."""
    mine = sign_ins.c.token == key, sign_ins.c.user_id == user_id
    return connection.execute(delete(sign_ins).where(*mine)).rowcount > 0


def open_of(connection: Connection, user_id: UUID, now: UnixTime) -> tuple[OpenSignIn, ...]:
    """Return the sign-ins of a user that are complete and go on, the latest seen first."""
    table = sign_ins.c
    query = (
        select(sign_ins)
        .where(table.user_id == user_id, table.whole, _goes_on(now))
        .order_by(table.seen_at.desc(), table.created_at.desc(), table.token)
    )
    return tuple(
        OpenSignIn(
            key=row.token,
            way=None if row.way is None else Way(row.way),
            browser=row.browser,
            created_at=UnixTime(row.created_at),
            seen_at=UnixTime(row.seen_at),
        )
        for row in connection.execute(query)
    )


def forget(connection: Connection, now: UnixTime) -> int:
    """Delete those that are over; return how many."""
    disabled = select(users.c.id).where(users.c.disabled_at.is_not(None))
    over = or_(not_(_goes_on(now)), sign_ins.c.user_id.in_(disabled))
    return connection.execute(delete(sign_ins).where(over)).rowcount


def hash_of(token: str) -> bytes:
    """SHA-256 of a token, as it is kept."""
    return sha256(token.encode("utf-8", "surrogatepass")).digest()


def _goes_on(now: UnixTime) -> ColumnElement[bool]:
    table = sign_ins.c
    return and_(
        table.seen_at > int(now) - IDLE,
        table.created_at > int(now) - LONGEST,
        or_(table.whole, table.created_at > int(now) - HALF),
    )
