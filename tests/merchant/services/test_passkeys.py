"""Users add passkeys, sign in with them and remove them, on both databases."""

import json
import logging

import pytest
from argon2 import PasswordHasher
from sqlalchemy import select
from tests.support.authenticator import Authenticator

from dovetail.errors import UsageError
from dovetail.merchant.data import audit, challenges, sign_ins, users
from dovetail.merchant.data.database import Database
from dovetail.merchant.data.sign_ins import Way
from dovetail.merchant.data.user_tables import passkey_challenges
from dovetail.merchant.messages import Role
from dovetail.merchant.services.authenticators import Party
from dovetail.merchant.services.passkeys import Passkeys
from dovetail.merchant.services.sign_in import UNKNOWN, SignedIn, SignIns
from dovetail.merchant.services.users import Users

QUICK = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
PASSWORD = "correct horse battery"
PARTY = Party("https://shop.example", "shop.example")


@pytest.fixture
def known(database) -> Users:
    made = Users(database, QUICK)
    for name in ("Ada", "Grace"):
        made.add(name, PASSWORD, Role.OWNER, by="test")
    return made


@pytest.fixture
def door(database, known) -> SignIns:
    return SignIns(database, known)


@pytest.fixture
def keys(database, known) -> Passkeys:
    return Passkeys(database)


def user(database: Database, name: str = "Ada") -> users.UserRow:
    found = database.read(lambda c: users.user_of_name(c, name))
    assert found is not None
    return found


@pytest.fixture
def device(database, keys) -> Authenticator:
    """Ada's phone, with a passkey."""
    return add(keys, user(database))


def add(keys: Passkeys, row: users.UserRow, owner: str = "hers") -> Authenticator:
    made = Authenticator()
    answer = made.make(keys.options_to_add(row, PARTY, owner))
    keys.add(row, PARTY, owner, name="Phone", answer=answer)
    return made


def enter(keys: Passkeys, device: Authenticator) -> SignedIn | None:
    answer = device.sign(keys.options_to_sign_in(PARTY, "form"))
    return keys.sign_in(PARTY, "form", answer, UNKNOWN)


def test_a_passkey_alone_signs_in(database, keys, door, device, clock) -> None:
    clock.now += 60
    begun = enter(keys, device)
    assert begun is not None
    assert begun.whole
    found = door.current(begun.token)
    assert found is not None
    assert found.user == user(database)
    (kept,) = keys.of(user(database))
    assert (kept.name, kept.sign_count, kept.used_at) == ("Phone", 1, clock.now)
    (act, *_) = database.read(lambda c: audit.page(c, limit=1))
    assert (act.what, act.detail) == ("user.sign-in", {"way": "passkey"})
    (listed,) = door.open_of(user(database))
    assert listed.way is Way.PASSKEY


def test_each_sign_in_has_a_token_of_its_own(keys, door, device) -> None:
    first, second = enter(keys, device), enter(keys, device)
    assert first is not None
    assert second is not None
    assert len({first.token, second.token, "form"}) == 3
    assert door.current("form") is None


@pytest.mark.parametrize("step", [0, 1])
def test_an_answer_counts_once(keys, device, step: int) -> None:
    """Replay: whoever has seen an answer cannot use it again, also of a device that counts not."""
    device.step = step
    answer = device.sign(keys.options_to_sign_in(PARTY, "form"))
    assert keys.sign_in(PARTY, "form", answer, UNKNOWN) is not None
    assert keys.sign_in(PARTY, "form", answer, UNKNOWN) is None


def test_an_answer_is_of_the_browser_that_asked(keys, device) -> None:
    answer = device.sign(keys.options_to_sign_in(PARTY, "form"))
    assert keys.sign_in(PARTY, "another", answer, UNKNOWN) is None


def test_a_wrong_answer_uses_its_challenge_up(database, keys, device) -> None:
    options = keys.options_to_sign_in(PARTY, "form")
    stranger = Authenticator(credential_id=device.credential_id, handle=device.handle)
    assert keys.sign_in(PARTY, "form", stranger.sign(options), UNKNOWN) is None
    assert database.read(lambda c: c.execute(select(passkey_challenges)).all()) == []
    assert keys.sign_in(PARTY, "form", device.sign(options), UNKNOWN) is None


def test_an_answer_is_waited_for_some_minutes(keys, device, clock) -> None:
    answer = device.sign(keys.options_to_sign_in(PARTY, "form"))
    clock.now += challenges.LIFE
    assert keys.sign_in(PARTY, "form", answer, UNKNOWN) is None


def test_a_challenge_is_for_one_purpose(database, keys, device) -> None:
    ada, site = user(database), {"rpId": PARTY.name, "rp": {"id": PARTY.name}}
    asked = json.loads(keys.options_to_add(ada, PARTY, "form")) | site
    assert keys.sign_in(PARTY, "form", device.sign(json.dumps(asked)), UNKNOWN) is None
    asked = json.loads(keys.options_to_sign_in(PARTY, "form")) | site | {"user": {"id": "AAAA"}}
    answer = Authenticator().make(json.dumps(asked))
    with pytest.raises(UsageError, match="could not be made"):
        keys.add(ada, PARTY, "form", name="Phone", answer=answer)


def test_a_passkey_names_its_user_and_no_other(database, keys, device) -> None:
    device.handle = user(database, "Grace").id.bytes
    assert enter(keys, device) is None
    device.handle = b""
    assert enter(keys, device) is None


def test_a_passkey_that_nobody_has_is_refused(keys, known, caplog) -> None:
    with caplog.at_level(logging.WARNING):
        assert enter(keys, Authenticator(handle=bytes(16))) is None
    assert "refused" in caplog.text


def test_a_copy_of_a_passkey_is_told_by_its_count(keys, device) -> None:
    copy = Authenticator(credential_id=device.credential_id, key=device.key, handle=device.handle)
    assert enter(keys, device) is not None
    assert enter(keys, device) is not None
    assert enter(keys, copy) is None


def test_a_disabled_user_has_no_way_in(known, keys, device) -> None:
    known.disable("Ada", by="test")
    assert enter(keys, device) is None


def test_of_two_answers_with_one_count_one_is_taken(keys, device, monkeypatch) -> None:
    """Both are read before either is written."""
    first = device.sign(keys.options_to_sign_in(PARTY, "one"))
    device.count -= 1
    second = device.sign(keys.options_to_sign_in(PARTY, "two"))
    signed = keys._signed(PARTY, "one", first)
    assert keys.sign_in(PARTY, "two", second, UNKNOWN) is not None
    monkeypatch.setattr(keys, "_signed", lambda *_: signed)
    assert keys.sign_in(PARTY, "one", first, UNKNOWN) is None


def test_a_removed_passkey_opens_nothing_and_ends_the_other_sign_ins(
    database, keys, door, device
) -> None:
    mine, thiefs = door.start("Ada", PASSWORD), enter(keys, device)
    assert mine is not None
    assert thiefs is not None
    ada, grace = user(database), user(database, "Grace")
    (row,) = keys.of(ada)
    assert not keys.remove(grace, row.id, keep="hers")
    assert door.current(thiefs.token) is not None
    assert keys.remove(ada, row.id, keep=mine.token)
    assert keys.of(ada) == ()
    assert door.current(mine.token) is not None
    assert door.current(thiefs.token) is None
    assert enter(keys, device) is None


def test_a_device_makes_one_passkey_for_a_user(database, keys, device) -> None:
    ada = user(database)
    options = keys.options_to_add(ada, PARTY, "hers")
    assert "excludeCredentials" in options
    with pytest.raises(UsageError, match="known already"):
        keys.add(ada, PARTY, "hers", name="Again", answer=device.make(options))


@pytest.mark.parametrize("name", ["", "x" * 101, "a\nb"])
def test_a_name_that_will_not_do_is_refused(database, keys, name: str) -> None:
    ada, made = user(database), Authenticator()
    answer = made.make(keys.options_to_add(ada, PARTY, "hers"))
    with pytest.raises(UsageError, match="one line"):
        keys.add(ada, PARTY, "hers", name=name, answer=answer)
    assert keys.of(ada) == ()


def test_a_new_passkey_is_of_the_sign_in_that_asked(database, keys) -> None:
    ada, made = user(database), Authenticator()
    answer = made.make(keys.options_to_add(ada, PARTY, "hers"))
    with pytest.raises(UsageError, match="could not be made"):
        keys.add(ada, PARTY, "of somebody else", name="Phone", answer=answer)
    assert keys.of(ada) == ()


def test_what_is_over_is_deleted_at_a_sign_in(database, keys, door, device, clock) -> None:
    door.start("Ada", PASSWORD)
    clock.now += sign_ins.IDLE
    assert enter(keys, device) is not None
    assert len(door.open_of(user(database))) == 1
