"""Users and their passwords, which are hashed by Argon2id (RFC 9106)."""

from functools import cache, partial

from dovetail.extras import brought_by

with brought_by("merchant", "dovetail.merchant"):
    from argon2 import PasswordHasher
    from argon2.exceptions import InvalidHashError, VerificationError

from sqlalchemy import Connection

from dovetail.errors import ConfigurationError
from dovetail.merchant.data import sign_ins, users
from dovetail.merchant.data.database import Database
from dovetail.merchant.data.users import UserRow
from dovetail.merchant.messages import Role
from dovetail.merchant.services.common_passwords import is_common

LEAST_LENGTH = 12
"""The least characters of a password."""

MOST_LENGTH = 1000
_MOST_NAME = 100
_STANDARD = PasswordHasher()


@cache
def _hash_of_nobody(hasher: PasswordHasher) -> str:
    """A hash that takes as long to check as that of a user."""
    return hasher.hash("of a name that is unknown")


class Users:
    """Makes, checks and locks out users. Its methods block: a hash takes some 50 ms and 64 MB."""

    def __init__(self, database: Database, hasher: PasswordHasher | None = None) -> None:
        """`hasher` has the parameters of new hashes; None: those that RFC 9106 calls the second."""
        self._database = database
        self._hasher = hasher or _STANDARD
        self._nobody = _hash_of_nobody(self._hasher)

    def add(self, name: str, password: str, role: Role, *, by: str) -> UserRow:
        """Make a user; raises `ConfigurationError` for a name or a password that will not do."""
        require_name(name)
        hashed = self._hashed(name, password)
        now = self._database.now()
        return self._database.write(
            lambda c: users.add_user(c, name=name, password=hashed, role=role, by=by, now=now)
        )

    def authenticate(self, name: str, password: str) -> UserRow | None:
        """Return the user of this name and password; None for a wrong one, whichever it is.

        An unknown name, a disabled user and a wrong password take the same time. A hash of older
        parameters is made anew.
        """
        row = None
        if name.isprintable():  # a database may refuse any other text
            row = self._database.read(lambda connection: users.user_of_name(connection, name))
        known = self._nobody if row is None else row.password
        fits = len(password) <= MOST_LENGTH and self._verifies(known, password)
        if row is None or not fits or row.disabled_at is not None:
            return None
        if self._hasher.check_needs_rehash(row.password):
            self._database.write(
                partial(users.rehash, row=row, password=self._hasher.hash(password))
            )
        return row

    def set_password(
        self, name: str, password: str, *, by: str, keep: str | None = None
    ) -> UserRow:
        """Give a user another password; raises `ConfigurationError`.

        Their sign-ins end, but for the one of the token `keep`.
        """
        hashed = self._hashed(name, password)
        now = self._database.now()

        def write(connection: Connection) -> UserRow:
            row = _named(connection, name)
            users.set_password(connection, row.id, hashed, by=by, now=now)
            sign_ins.end_all(connection, row.id, but=keep)
            return row

        return self._database.write(write)

    def disable(self, name: str, *, by: str) -> UserRow:
        """Lock a user out, for good; raises `ConfigurationError` for an unknown one."""
        now = self._database.now()

        def write(connection: Connection) -> UserRow:
            row = _named(connection, name)
            users.disable(connection, row.id, by=by, now=now)
            sign_ins.end_all(connection, row.id)
            return row

        return self._database.write(write)

    def _hashed(self, name: str, password: str) -> str:
        require_password(password, name)
        try:
            return self._hasher.hash(password)
        except UnicodeEncodeError:
            raise ConfigurationError(
                "The password has a character that is no text: choose another one."
            ) from None

    def _verifies(self, known: str, password: str) -> bool:
        try:
            return self._hasher.verify(known, password)
        except (VerificationError, InvalidHashError, UnicodeEncodeError):
            return False


def require_name(name: str) -> None:
    """Raise `ConfigurationError` for a name that no user may have."""
    if not 0 < len(name) <= _MOST_NAME or not name.isprintable() or name.strip() != name:
        raise ConfigurationError(
            f"A user's name is one line of 1 to {_MOST_NAME} characters; correct it."
        )


def require_password(password: str, name: str = "") -> None:
    """Raise `ConfigurationError` for a password that is too short, too long, or guessed first."""
    if not LEAST_LENGTH <= len(password) <= MOST_LENGTH:
        raise ConfigurationError(
            f"A password has at least {LEAST_LENGTH} characters, and at most {MOST_LENGTH}:"
            " choose another one."
        )
    if is_common(password, name):
        raise ConfigurationError(
            "This password is guessed soon, as it is made of well-known words or rows of keys:"
            " choose another one, such as several words by chance."
        )


def _named(connection: Connection, name: str) -> UserRow:
    row = users.user_of_name(connection, name)
    if row is None:
        raise ConfigurationError("No user has this name: correct it.")
    return row
