"""The tables of a shop's users: who they are, how they sign in, and where they have."""

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Uuid,
)

from dovetail.stores.sql.schema import TEXT, WHOLE

metadata = MetaData()
"""Of all tables of a shop; the others are in `schema`."""

users = Table(
    "users",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("name", TEXT, nullable=False, unique=True),
    Column("password", TEXT, nullable=False),
    Column("role", TEXT, nullable=False),
    Column("created_at", WHOLE, nullable=False),
    Column("disabled_at", WHOLE),
    CheckConstraint("role IN ('owner', 'manager', 'viewer')", name="known_role"),
)

# What a user's phone shows beside the password: one secret, and the newest code that was used.
user_codes = Table(
    "user_codes",
    metadata,
    Column("user_id", Uuid, ForeignKey(users.c.id), primary_key=True),
    Column("secret", LargeBinary, nullable=False),
    Column("since", WHOLE),
    Column("used", WHOLE, nullable=False),
)

# A sign-in of a user whose code is still asked for is not `whole`. `way` and `browser` say how they
# have signed in, and where, in a word or two; `token` and those below are SHA-256 of random ones.
sign_ins = Table(
    "sign_ins",
    metadata,
    Column("token", LargeBinary, primary_key=True),
    Column("user_id", Uuid, ForeignKey(users.c.id), nullable=False),
    Column("whole", Boolean, nullable=False),
    Column("tries", WHOLE, nullable=False),
    Column("created_at", WHOLE, nullable=False),
    Column("seen_at", WHOLE, nullable=False),
    Column("way", TEXT),
    Column("browser", TEXT),
    Index("sign_ins_by_user", "user_id"),
)

# The public halves of keys that users' devices keep (WebAuthn); `public_key` is in COSE's form.
passkeys = Table(
    "passkeys",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("user_id", Uuid, ForeignKey(users.c.id), nullable=False),
    Column("credential_id", LargeBinary, nullable=False, unique=True),
    Column("public_key", LargeBinary, nullable=False),
    Column("sign_count", WHOLE, nullable=False),
    Column("name", TEXT, nullable=False),
    Column("created_at", WHOLE, nullable=False),
    Column("used_at", WHOLE),
    Index("passkeys_by_user", "user_id"),
)

# What a passkey was asked to sign, and by whom: `owner` is the token of the browser that asked.
passkey_challenges = Table(
    "passkey_challenges",
    metadata,
    Column("challenge", LargeBinary, primary_key=True),
    Column("owner", LargeBinary, nullable=False),
    Column("purpose", TEXT, nullable=False),
    Column("made_at", WHOLE, nullable=False),
    Index("old_challenges", "made_at"),
)

# Browsers in which a user has signed in before: strangers' guesses do not hold them up.
known_browsers = Table(
    "known_browsers",
    metadata,
    Column("token", LargeBinary, nullable=False),
    Column("user_id", Uuid, ForeignKey(users.c.id), nullable=False),
    Column("seen_at", WHOLE, nullable=False),
    PrimaryKeyConstraint("token", "user_id"),
)
