"""Signing in: a password, and for those who have set it up a code that changes with time."""

import hmac
import logging
import secrets
from base64 import b32encode
from dataclasses import dataclass
from uuid import UUID

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from sqlalchemy import Connection

from dovetail.bitcoin import UnixTime
from dovetail.errors import UsageError
from dovetail.merchant.data import audit, known_browsers, sign_ins, user_codes, users
from dovetail.merchant.data.database import Database
from dovetail.merchant.data.sign_ins import OpenSignIn, SignInRow, Way
from dovetail.merchant.data.user_codes import CodeRow
from dovetail.merchant.data.users import UserRow
from dovetail.merchant.services.users import Users

DIGITS = 6
PERIOD = 30
"""Seconds for which an app shows a code (RFC 6238; these are what every app takes as given)."""

_DRIFT = (0, -1, 1)
"""Periods by which the clocks of phone and shop may differ."""

_SECRET_BYTES = 20
_ISSUER = "Dovetail"

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class SignedIn:
    """A sign-in that has begun; its repr shows nothing (P4)."""

    token: str
    """For the browser alone: a cookie that no script reads."""
    whole: bool
    """Whether it is complete; else `SignIns.complete` takes the code."""
    known: str | None
    """What tells later that the user has signed in with this browser, once the sign-in is whole."""

    def __repr__(self) -> str:
        return "<SignedIn>"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Browser:
    """Where somebody signs in; its repr shows nothing (P4)."""

    words: str = ""
    """What the user knows it by, such as "Firefox, Linux"."""
    known: str | None = None
    """What the last sign-in there has given it."""

    def __repr__(self) -> str:
        return "<Browser>"


UNKNOWN = Browser()


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class NewCodes:
    """A new secret for a user's app; its repr shows nothing (P4)."""

    secret: str
    """In base32, to type in."""
    uri: str
    """The same as `otpauth:`, to scan."""

    def __repr__(self) -> str:
        return "<NewCodes>"


class SignIns:
    """Lets users in and out. Its methods block."""

    def __init__(self, database: Database, users: Users) -> None:
        """`users` checks passwords."""
        self._database = database
        self._users = users

    def start(self, name: str, password: str, browser: Browser = UNKNOWN) -> SignedIn | None:
        """Begin a sign-in; None for a wrong name or password, whichever it is."""
        row = self._users.authenticate(name, password)
        if row is None:
            _logger.warning("A sign-in was refused: the name or the password is wrong.")
            return None
        now = self._database.now()

        def write(connection: Connection) -> SignedIn:
            sign_ins.forget(connection, now)
            if not _asks(user_codes.codes_of(connection, row.id)):
                return begun(connection, row.id, now, Way.PASSWORD, browser)
            half = sign_ins.begin(connection, row.id, now, whole=False)
            return SignedIn(token=half, whole=False, known=None)

        return self._database.write(write)

    def complete(self, token: str, code: str, browser: Browser = UNKNOWN) -> SignedIn | None:
        """Complete a sign-in by the code; None for a wrong one, and where it is over.

        The sign-in gets another token, so that one that somebody has seen before is worth nothing.
        Each code counts once.
        """
        now = self._database.now()

        def write(connection: Connection) -> SignedIn | None:
            found = sign_ins.find(connection, token, now)
            if found is None or found.whole:
                return None
            known = user_codes.codes_of(connection, found.user.id)
            if known is None or not _takes(connection, known, code, now):
                _logger.warning("A sign-in was refused: the code is wrong.")
                sign_ins.count_try(connection, token)
                return None
            sign_ins.end(connection, token)
            return begun(connection, found.user.id, now, Way.CODE, browser)

        return self._database.write(write)

    def current(self, token: str) -> SignInRow | None:
        """Return the sign-in of a token and its user; None where it is over or not complete."""
        now = self._database.now()
        found = self._database.read(lambda connection: sign_ins.find(connection, token, now))
        if found is None or not found.whole:
            return None
        if found.is_due(now):
            self._database.write(lambda connection: sign_ins.touch(connection, token, now))
        return found

    def end(self, token: str) -> None:
        """Sign out."""
        self._database.write(lambda connection: sign_ins.end(connection, token))

    def open_of(self, row: UserRow) -> tuple[OpenSignIn, ...]:
        """Return where the user has signed in, the latest seen first."""
        now = self._database.now()
        return self._database.read(lambda connection: sign_ins.open_of(connection, row.id, now))

    def end_one(self, row: UserRow, key: bytes) -> bool:
        """Sign the user out where the sign-in has this key; False where they have none of it."""
        return self._database.write(lambda c: sign_ins.end_one(c, row.id, key))

    def end_others(self, row: UserRow, browser: Browser, *, but: str) -> None:
        """Sign the user out but for the sign-in of a token; only its browser stays known."""

        def write(connection: Connection) -> None:
            sign_ins.end_all(connection, row.id, but=but)
            known_browsers.forget_others(connection, row.id, browser.known)

        self._database.write(write)

    def knows(self, browser: Browser, name: str | None = None) -> bool:
        """Whether the user of this name has signed in with this browser; None: whether anybody."""
        token, now = browser.known, self._database.now()
        if token is None:
            return False

        def read(connection: Connection) -> bool:
            found = known_browsers.users_of(connection, token, now)
            if name is None:
                return bool(found)
            row = users.user_of_name(connection, name) if name.isprintable() else None
            return row is not None and row.id in found

        return self._database.read(read)

    def propose_codes(self, row: UserRow) -> NewCodes:
        """Make a secret for the user's app; `confirm_codes` puts it to use.

        Raises `UsageError` where the user has one in use.
        """
        secret = secrets.token_bytes(_SECRET_BYTES)
        if self._database.write(lambda c: user_codes.propose(c, row.id, secret)):
            raise UsageError("Codes are in use already: remove them first.")
        uri = _totp(secret).get_provisioning_uri(row.name, _ISSUER)
        return NewCodes(secret=b32encode(secret).decode(), uri=uri)

    def confirm_codes(self, row: UserRow, code: str, *, by: str, keep: str | None = None) -> bool:
        """Ask the user for codes from now on, if this one of the new secret is right.

        Their sign-ins end but for the one of the token `keep`, so that the next one asks for it.
        """
        now = self._database.now()

        def write(connection: Connection) -> bool:
            known = user_codes.codes_of(connection, row.id)
            if known is None or _asks(known) or not _takes(connection, known, code, now):
                return False
            user_codes.confirm(connection, row.id, by=by, now=now)
            sign_ins.end_all(connection, row.id, but=keep)
            return True

        return self._database.write(write)

    def remove_codes(self, row: UserRow, *, by: str, keep: str | None = None) -> None:
        """Ask the user for the password alone; their other sign-ins than `keep` end."""
        now = self._database.now()

        def write(connection: Connection) -> None:
            user_codes.remove(connection, row.id, by=by, now=now)
            sign_ins.end_all(connection, row.id, but=keep)

        self._database.write(write)


def form_token(token: str) -> str:
    """What each form of a sign-in carries, so that no other site can send it (CSRF)."""
    return hmac.digest(token.encode("utf-8", "surrogatepass"), b"form", "sha256").hex()


def is_form_token(token: str, given: str) -> bool:
    """Whether a form was made for this sign-in."""
    return hmac.compare_digest(form_token(token).encode(), given.encode("utf-8", "surrogatepass"))


def begun(
    connection: Connection, user_id: UUID, now: UnixTime, way: Way, browser: Browser
) -> SignedIn:
    """Begin a sign-in that is whole, with a token that nobody has seen before."""
    who = f"user {user_id}"
    detail = {"way": way.value}
    audit.add(
        connection, who=who, what="user.sign-in", subject=str(user_id), now=now, detail=detail
    )
    token = sign_ins.begin(connection, user_id, now, whole=True, way=way, browser=browser.words)
    known = known_browsers.remember(connection, browser.known, user_id, now)
    return SignedIn(token=token, whole=True, known=known)


def _asks(row: CodeRow | None) -> bool:
    return row is not None and row.since is not None


def _takes(connection: Connection, row: CodeRow, code: str, now: UnixTime) -> bool:
    """Whether this is a code of now or a moment ago, which was not used before."""
    given, totp = code.replace(" ", "").encode("utf-8", "surrogatepass"), _totp(row.secret)
    for drift in _DRIFT:
        period = int(now) // PERIOD + drift
        if hmac.compare_digest(totp.generate(period * PERIOD), given):
            return user_codes.use(connection, row, period)
    return False


def _totp(secret: bytes) -> TOTP:
    return TOTP(secret, DIGITS, SHA1(), PERIOD)  # noqa: S303 - RFC 6238
