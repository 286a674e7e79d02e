"""Challenges: random bytes that a passkey signs, so that each answer counts once and in time."""

import secrets
from enum import StrEnum
from hashlib import sha256

from sqlalchemy import Connection, delete, insert

from dovetail.bitcoin import UnixTime
from dovetail.merchant.data.sign_ins import hash_of
from dovetail.merchant.data.user_tables import passkey_challenges

LIFE = 300
"""Seconds for which an answer is waited for."""

_BYTES = 32


class Purpose(StrEnum):
    """What the answer is for."""

    ADD = "add"
    SIGN_IN = "sign-in"


def make(connection: Connection, token: str, purpose: Purpose, now: UnixTime) -> bytes:
    """Return a challenge for the browser that has this token; those that are over go."""
    table = passkey_challenges
    connection.execute(delete(table).where(table.c.made_at <= int(now) - LIFE))
    challenge = secrets.token_bytes(_BYTES)
    connection.execute(
        insert(table).values(
            challenge=sha256(challenge).digest(),
            owner=hash_of(token),
            purpose=purpose.value,
            made_at=int(now),
        )
    )
    return challenge


def use(
    connection: Connection, challenge: bytes, token: str, purpose: Purpose, now: UnixTime
) -> bool:
    """Delete a challenge; whether it was made for this browser and this purpose, and is in time."""
    table = passkey_challenges.c
    statement = delete(passkey_challenges).where(
        table.challenge == sha256(challenge).digest(),
        table.owner == hash_of(token),
        table.purpose == purpose.value,
        table.made_at > int(now) - LIFE,
    )
    return connection.execute(statement).rowcount > 0
