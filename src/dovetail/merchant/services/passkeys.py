"""Passkeys: a user's device signs a challenge in the place of a password (WebAuthn, level 3)."""

import logging
from uuid import UUID

from sqlalchemy import Connection

from dovetail.errors import UsageError
from dovetail.merchant.data import challenges, passkeys, sign_ins, users
from dovetail.merchant.data.challenges import Purpose
from dovetail.merchant.data.database import Database
from dovetail.merchant.data.passkeys import PasskeyRow
from dovetail.merchant.data.sign_ins import Way
from dovetail.merchant.data.users import UserRow
from dovetail.merchant.services import authenticators
from dovetail.merchant.services.authenticators import AnswerRefused, NewKey, Party
from dovetail.merchant.services.sign_in import Browser, SignedIn, begun

MOST_NAME = 100
_FAILED = "The passkey could not be made: try again."

_logger = logging.getLogger(__name__)


class Passkeys:
    """Adds, asks for and removes passkeys. Its methods block.

    The `token` of a method is what the browser has that asks and answers: a challenge is for it
    alone, counts once, and for `challenges.LIFE` seconds.
    """

    def __init__(self, database: Database) -> None:
        """Passkeys of this shop's users."""
        self._database = database

    def of(self, row: UserRow) -> tuple[PasskeyRow, ...]:
        """Return a user's passkeys, the oldest first."""
        return self._database.read(lambda connection: passkeys.passkeys_of(connection, row.id))

    def options_to_add(self, row: UserRow, party: Party, token: str) -> str:
        """Return what the browser needs to have a device make a passkey, as JSON."""
        challenge = self._challenge(token, Purpose.ADD)
        return authenticators.options_to_add(party, row, challenge, self.of(row))

    def add(self, row: UserRow, party: Party, token: str, *, name: str, answer: str) -> PasskeyRow:
        """Keep the passkey that a device has made; raises `UsageError`."""
        if not 0 < len(name) <= MOST_NAME or not name.isprintable():
            raise UsageError(
                f"Give the passkey a name of 1 to {MOST_NAME} characters in one line: try again."
            )
        try:
            made = self._new_key(party, token, answer)
        except AnswerRefused:
            _logger.warning("A passkey was refused: its device's answer is not right.")
            raise UsageError(_FAILED) from None
        now = self._database.now()
        kept = passkeys.new_passkey(
            user_id=row.id,
            credential_id=made.credential_id,
            public_key=made.public_key,
            sign_count=made.sign_count,
            name=name,
            now=now,
        )
        self._database.write(lambda connection: passkeys.add(connection, kept, by=_who(row)))
        return kept

    def options_to_sign_in(self, party: Party, token: str) -> str:
        """Return what the browser needs to ask for a passkey, as JSON."""
        return authenticators.options_to_sign_in(party, self._challenge(token, Purpose.SIGN_IN))

    def sign_in(self, party: Party, token: str, answer: str, browser: Browser) -> SignedIn | None:
        """Sign in who has the passkey; None for an answer that is not right.

        A passkey alone is enough: the device has made sure who its user is.
        """
        try:
            row, sign_count = self._signed(party, token, answer)
        except AnswerRefused:
            _logger.warning("A sign-in was refused: the passkey's answer is not right.")
            return None
        now = self._database.now()

        def write(connection: Connection) -> SignedIn | None:
            user = users.user(connection, row.user_id)
            if user is None or user.disabled_at is not None:
                return None
            if not passkeys.count_use(connection, row, sign_count, now):
                return None
            sign_ins.forget(connection, now)
            return begun(connection, user.id, now, Way.PASSKEY, browser)

        return self._database.write(write)

    def remove(self, row: UserRow, passkey_id: UUID, *, keep: str) -> bool:
        """Forget a passkey; False where the user has none of this id.

        Their sign-ins end but for the one of the token `keep`: somebody may have the device.
        """
        now = self._database.now()

        def write(connection: Connection) -> bool:
            if not passkeys.remove(connection, row.id, passkey_id, by=_who(row), now=now):
                return False
            sign_ins.end_all(connection, row.id, but=keep)
            return True

        return self._database.write(write)

    def _challenge(self, token: str, purpose: Purpose) -> bytes:
        now = self._database.now()
        return self._database.write(lambda c: challenges.make(c, token, purpose, now))

    def _use(self, challenge: bytes, token: str, purpose: Purpose) -> None:
        """Use a challenge up, whatever comes after it; raises `AnswerRefused`."""
        now = self._database.now()
        if not self._database.write(lambda c: challenges.use(c, challenge, token, purpose, now)):
            raise AnswerRefused("Nobody has asked this browser for it, or too long ago.")

    def _new_key(self, party: Party, token: str, answer: str) -> NewKey:
        credential = authenticators.read_new(answer)
        challenge = authenticators.challenge_of(credential)
        self._use(challenge, token, Purpose.ADD)
        return authenticators.verify_new(credential, party, challenge)

    def _signed(self, party: Party, token: str, answer: str) -> tuple[PasskeyRow, int]:
        credential = authenticators.read_signed(answer)
        challenge = authenticators.challenge_of(credential)
        self._use(challenge, token, Purpose.SIGN_IN)
        row = self._database.read(lambda c: passkeys.passkey_of(c, credential.raw_id))
        if row is None or credential.response.user_handle != row.user_id.bytes:
            raise AnswerRefused("No user has this passkey.")
        return row, authenticators.verify_signed(credential, party, challenge, row)


def _who(row: UserRow) -> str:
    return f"user {row.id}"
