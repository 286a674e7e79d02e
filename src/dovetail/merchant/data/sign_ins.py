"""Sign-ins of users in browsers: each is a random token, of which only the hash is kept."""

import secrets
from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, and_, delete, insert, not_, or_, select, update

from dovetail.bitcoin import UnixTime
from dovetail.merchant.data.schema import sign_ins, users
from dovetail.merchant.data.users import UserRow, user

IDLE = 12 * 3600
"""Seconds without a request after which a sign-in is over."""

LONGEST = 7 * 86_400
"""Seconds after which it is over in any case."""

HALF = 300
"""Seconds in which a user who has given the password has to give the code of the second factor."""

MOST_TRIES = 5
"""Wrong codes after which the password has to be given again."""

_BYTES = 32
_SEEN_EVERY = 60


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


def begin(connection: Connection, user_id: UUID, now: UnixTime, *, whole: bool) -> str:
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


def end_all(connection: Connection, user_id: UUID) -> None:
    """End every sign-in of a user."""
    connection.execute(delete(sign_ins).where(sign_ins.c.user_id == user_id))


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
