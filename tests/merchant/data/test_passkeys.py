"""Passkeys, their challenges and known browsers in both databases."""

from uuid import UUID

import pytest
from sqlalchemy import select

from dovetail.bitcoin import UnixTime
from dovetail.errors import UsageError
from dovetail.merchant.data import audit, challenges, known_browsers, passkeys, users
from dovetail.merchant.data.challenges import Purpose
from dovetail.merchant.data.passkeys import PasskeyRow
from dovetail.merchant.data.user_tables import known_browsers as browsers_table
from dovetail.merchant.data.user_tables import passkey_challenges
from dovetail.merchant.messages import Role


@pytest.fixture
def ada(database) -> UUID:
    return person(database, "Ada")


@pytest.fixture
def grace(database) -> UUID:
    return person(database, "Grace")


def person(database, name: str) -> UUID:
    now = database.now()
    row = database.write(
        lambda c: users.add_user(c, name=name, password="x", role=Role.OWNER, by="test", now=now)
    )
    return UUID(str(row.id))


def some(user_id: UUID, credential: bytes = b"credential", count: int = 0) -> PasskeyRow:
    return passkeys.new_passkey(
        user_id=user_id,
        credential_id=credential,
        public_key=b"public",
        sign_count=count,
        name="Phone",
        now=1_000,
    )


def test_a_passkey_is_kept_and_found_by_what_its_device_calls_it(database, ada) -> None:
    row = some(ada, count=3)
    database.write(lambda c: passkeys.add(c, row, by="user Ada"))
    assert database.read(lambda c: passkeys.passkey_of(c, b"credential")) == row
    assert database.read(lambda c: passkeys.passkey_of(c, b"another")) is None
    assert database.read(lambda c: passkeys.passkeys_of(c, ada)) == (row,)
    assert "public" not in repr(row)
    (act, *_) = database.read(lambda c: audit.page(c, limit=1))
    assert (act.what, act.who, act.detail) == (
        "user.passkey",
        "user Ada",
        {"passkey": str(row.id)},
    )


def test_one_passkey_belongs_to_one_user(database, ada, grace) -> None:
    database.write(lambda c: passkeys.add(c, some(ada), by="test"))
    with pytest.raises(UsageError, match="known already"):
        database.write(lambda c: passkeys.add(c, some(grace), by="test"))
    assert database.read(lambda c: passkeys.passkeys_of(c, grace)) == ()


def test_a_user_has_so_many_passkeys_and_no_more(database, ada, monkeypatch) -> None:
    monkeypatch.setattr(passkeys, "MOST", 2)
    for each in (b"1", b"2"):
        database.write(lambda c, each=each: passkeys.add(c, some(ada, each), by="test"))
    with pytest.raises(UsageError, match="remove one first"):
        database.write(lambda c: passkeys.add(c, some(ada, b"3"), by="test"))


def test_a_use_counts_once(database, ada) -> None:
    """Of two sign-ins with one count one is refused: a copy of the passkey may be in use."""
    row = some(ada, count=4)
    database.write(lambda c: passkeys.add(c, row, by="test"))
    assert database.write(lambda c: passkeys.count_use(c, row, 5, UnixTime(2_000)))
    assert not database.write(lambda c: passkeys.count_use(c, row, 5, UnixTime(2_000)))
    found = database.read(lambda c: passkeys.passkey_of(c, b"credential"))
    assert (found.sign_count, found.used_at) == (5, 2_000)


def test_nobody_removes_the_passkey_of_another_user(database, ada, grace) -> None:
    row, now = some(ada), UnixTime(2_000)
    database.write(lambda c: passkeys.add(c, row, by="test"))
    assert not database.write(lambda c: passkeys.remove(c, grace, row.id, by="test", now=now))
    assert database.read(lambda c: passkeys.passkeys_of(c, ada)) == (row,)
    assert database.write(lambda c: passkeys.remove(c, ada, row.id, by="test", now=now))
    assert database.read(lambda c: passkeys.passkeys_of(c, ada)) == ()
    (act, *_) = database.read(lambda c: audit.page(c, limit=1))
    assert act.what == "user.no-passkey"
    assert not database.write(lambda c: passkeys.count_use(c, row, 1, now))


def test_a_challenge_is_used_once_by_who_asked_for_what_it_was(database) -> None:
    now, purpose = database.now(), Purpose.SIGN_IN
    challenge = database.write(lambda c: challenges.make(c, "token", purpose, now))
    assert len(challenge) == 32
    kept = database.read(lambda c: c.execute(select(passkey_challenges)).one())
    assert challenge not in (kept.challenge, kept.owner)
    for token, wanted, what in (
        ("other", purpose, challenge),
        ("token", Purpose.ADD, challenge),
        ("token", purpose, bytes(32)),
    ):
        assert not database.write(
            lambda c, t=token, w=wanted, x=what: challenges.use(c, x, t, w, now)
        )
    assert database.write(lambda c: challenges.use(c, challenge, "token", purpose, now))
    assert not database.write(lambda c: challenges.use(c, challenge, "token", purpose, now))


def test_a_challenge_is_over_after_some_minutes_and_then_deleted(database) -> None:
    now, purpose = database.now(), Purpose.ADD
    late = UnixTime(now + challenges.LIFE)
    challenge = database.write(lambda c: challenges.make(c, "token", purpose, now))
    assert not database.write(lambda c: challenges.use(c, challenge, "token", purpose, late))
    database.write(lambda c: challenges.make(c, "token", purpose, late))
    assert len(database.read(lambda c: c.execute(select(passkey_challenges)).all())) == 1


def test_a_browser_is_known_to_all_who_have_signed_in_there(database, ada, grace) -> None:
    now = database.now()
    first = database.write(lambda c: known_browsers.remember(c, None, ada, now))
    second = database.write(lambda c: known_browsers.remember(c, first, grace, now))
    third = database.write(lambda c: known_browsers.remember(c, second, ada, now))
    assert database.read(lambda c: known_browsers.users_of(c, third, now)) == {ada, grace}
    for former in (first, second, "made up"):
        assert not database.read(lambda c, former=former: known_browsers.users_of(c, former, now))
    kept = database.read(lambda c: c.execute(select(browsers_table)).all())
    assert all(third.encode() not in each.token for each in kept)


def test_a_planted_token_makes_nobody_known_to_who_planted_it(database, ada) -> None:
    now = database.now()
    given = database.write(lambda c: known_browsers.remember(c, "planted", ada, now))
    assert not database.read(lambda c: known_browsers.users_of(c, "planted", now))
    assert database.read(lambda c: known_browsers.users_of(c, given, now)) == {ada}


def test_a_browser_that_is_not_used_is_forgotten(database, ada) -> None:
    now = database.now()
    token = database.write(lambda c: known_browsers.remember(c, None, ada, now))
    late = UnixTime(now + known_browsers.KEPT)
    assert not database.read(lambda c: known_browsers.users_of(c, token, late))
    database.write(lambda c: known_browsers.remember(c, None, ada, late))
    assert len(database.read(lambda c: c.execute(select(browsers_table)).all())) == 1


@pytest.mark.parametrize("keeps", [True, False])
def test_other_browsers_are_forgotten_when_asked(database, ada, grace, *, keeps: bool) -> None:
    now = database.now()
    mine, other, hers = (
        database.write(lambda c, who=who: known_browsers.remember(c, None, who, now))
        for who in (ada, ada, grace)
    )
    kept = mine if keeps else None
    database.write(lambda c: known_browsers.forget_others(c, ada, kept))
    found = [
        bool(database.read(lambda c, each=each: known_browsers.users_of(c, each, now)))
        for each in (mine, other, hers)
    ]
    assert found == [keeps, False, True]
