"""Users sign in by password and code, on both databases."""

from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import pytest
from argon2 import PasswordHasher
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from sqlalchemy import select, update
from tests.support.clock import Clock

from dovetail.errors import UsageError
from dovetail.merchant.data import audit, sign_ins, user_codes, users
from dovetail.merchant.data.database import Database
from dovetail.merchant.data.sign_ins import Way
from dovetail.merchant.data.user_tables import sign_ins as table
from dovetail.merchant.messages import Role
from dovetail.merchant.services.sign_in import (
    Browser,
    SignedIn,
    SignIns,
    form_token,
    is_form_token,
)
from dovetail.merchant.services.users import Users

QUICK = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
PASSWORD = "correct horse battery"


@pytest.fixture
def known(database) -> Users:
    made = Users(database, QUICK)
    made.add("Ada", PASSWORD, Role.OWNER, by="test")
    return made


@pytest.fixture
def door(database, known) -> SignIns:
    return SignIns(database, known)


def ada(database: Database) -> users.UserRow:
    found = database.read(lambda c: users.user_of_name(c, "Ada"))
    assert found is not None
    return found


@dataclass
class Guarded:
    """Ada's sign-ins, and her app."""

    door: SignIns
    database: Database
    clock: Clock

    def code(self, drift: int = 0) -> str:
        """What the app shows after so many seconds."""
        kept = self.database.read(lambda c: user_codes.codes_of(c, ada(self.database).id))
        assert kept is not None
        shown = TOTP(kept.secret, 6, SHA1(), 30)  # noqa: S303 - RFC 6238
        return shown.generate(int(self.clock.now) + drift).decode()

    def start(self) -> SignedIn:
        begun = self.door.start("Ada", PASSWORD)
        assert begun is not None
        return begun


@pytest.fixture
def guarded(database, door, clock) -> Guarded:
    """Ada has set up codes."""
    made = Guarded(door, database, clock)
    door.propose_codes(ada(database))
    assert door.confirm_codes(ada(database), made.code(), by="user Ada")
    clock.now += 60
    return made


def test_a_password_signs_in(database, door) -> None:
    begun = door.start("Ada", PASSWORD)
    assert begun.whole
    assert begun.token not in repr(begun)
    found = door.current(begun.token)
    assert found.user == ada(database)
    (act, *_) = database.read(lambda c: audit.page(c, limit=9))
    assert (act.what, act.who) == ("user.sign-in", f"user {found.user.id}")
    door.end(begun.token)
    assert door.current(begun.token) is None


@pytest.mark.parametrize(("name", "password"), [("Ada", "wrong"), ("Bob", PASSWORD)])
def test_a_wrong_name_or_password_does_not(door, caplog, name: str, password: str) -> None:
    assert door.start(name, password) is None
    assert door.current("made up") is None
    assert "refused" in caplog.text
    assert name not in caplog.text


def test_only_a_hash_of_the_token_is_kept(database, door) -> None:
    begun = door.start("Ada", PASSWORD)
    kept = database.read(lambda c: c.execute(select(table)).one()).token
    assert kept == sign_ins.hash_of(begun.token)
    assert begun.token.encode() not in kept


def test_a_sign_in_that_is_not_used_ends(door, clock) -> None:
    begun = door.start("Ada", PASSWORD)
    clock.now += sign_ins.IDLE
    assert door.current(begun.token) is None


def test_a_sign_in_that_is_used_ends_too(door, clock) -> None:
    begun = door.start("Ada", PASSWORD)
    for _ in range(sign_ins.LONGEST // 3_600):
        assert door.current(begun.token) is not None
        clock.now += 3_600
    assert door.current(begun.token) is None


def test_what_is_over_is_deleted(database, door, clock) -> None:
    door.start("Ada", PASSWORD)
    clock.now += sign_ins.IDLE
    door.start("Ada", PASSWORD)
    assert len(database.read(lambda c: c.execute(select(table)).all())) == 1


@pytest.mark.parametrize("act", ["disable", "password"])
def test_a_disabled_user_and_an_old_password_are_out_at_once(known, door, act: str) -> None:
    begun = door.start("Ada", PASSWORD)
    if act == "disable":
        known.disable("Ada", by="test")
    else:
        known.set_password("Ada", "another long password", by="test")
    assert door.current(begun.token) is None


def test_a_user_who_is_disabled_elsewhere_is_out(database, door) -> None:
    begun, now = door.start("Ada", PASSWORD), database.now()
    database.write(lambda c: users.disable(c, ada(database).id, by="test", now=now))
    assert door.current(begun.token) is None
    assert database.write(lambda c: sign_ins.forget(c, now)) == 1


def test_a_code_is_asked_for_once_it_is_set_up(guarded, door) -> None:
    begun = guarded.start()
    assert not begun.whole
    assert door.current(begun.token) is None
    code = guarded.code()
    done = door.complete(begun.token, f"{code[:3]} {code[3:]}")
    assert done.whole
    assert done.token != begun.token
    assert door.current(done.token) is not None
    assert door.complete(begun.token, guarded.code(30)) is None
    assert door.complete(done.token, guarded.code(30)) is None


@pytest.mark.parametrize(("drift", "fits"), [(-60, False), (-30, True), (30, True), (60, False)])
def test_the_clocks_may_differ_by_one_period(guarded, door, drift: int, *, fits: bool) -> None:
    begun = guarded.start()
    assert (door.complete(begun.token, guarded.code(drift)) is not None) is fits


def test_a_code_counts_once(guarded, door, clock) -> None:
    first, second = guarded.start(), guarded.start()
    assert door.complete(first.token, guarded.code()) is not None
    assert door.complete(second.token, guarded.code()) is None
    assert door.complete(second.token, guarded.code(-30)) is None
    clock.now += 30
    assert door.complete(second.token, guarded.code()) is not None


def test_codes_are_not_guessed(guarded, door) -> None:
    begun = guarded.start()
    for _ in range(sign_ins.MOST_TRIES):
        assert door.complete(begun.token, "00000\ud800") is None
    assert door.complete(begun.token, guarded.code()) is None


def test_a_code_is_waited_for_some_minutes(guarded, door, clock) -> None:
    begun = guarded.start()
    clock.now += sign_ins.HALF
    assert door.complete(begun.token, guarded.code()) is None


def test_a_secret_counts_once_its_first_code_was_right(database, door, clock) -> None:
    row, app = ada(database), Guarded(door, database, clock)
    assert not door.confirm_codes(row, "123456", by="test")
    first, made = door.propose_codes(row), door.propose_codes(row)
    assert first.secret != made.secret
    asked = parse_qs(urlsplit(made.uri).query)
    assert (asked["secret"], asked["issuer"]) == ([made.secret], ["Dovetail"])
    assert made.secret not in repr(made)
    assert not door.confirm_codes(row, "123456", by="test")
    before = app.start()
    assert before.whole
    assert door.confirm_codes(row, app.code(), by="test")
    assert door.current(before.token) is None
    assert not door.confirm_codes(row, app.code(30), by="test")
    with pytest.raises(UsageError, match="in use already"):
        door.propose_codes(row)
    kept = database.read(lambda c: user_codes.codes_of(c, row.id))
    assert str(kept.secret) not in repr(kept)
    door.remove_codes(row, by="test")
    assert app.start().whole
    acts = [each.what for each in database.read(lambda c: audit.page(c, limit=9))]
    assert {"user.codes", "user.no-codes"} <= set(acts)


def test_open_sign_ins_are_told_and_ended_one_by_one(database, known, door, clock) -> None:
    known.add("Grace", PASSWORD, Role.OWNER, by="test")
    first = door.start("Ada", PASSWORD, Browser(words="Firefox, Linux"))
    clock.now += 60
    second, hers = door.start("Ada", PASSWORD), door.start("Grace", PASSWORD)
    listed = door.open_of(ada(database))
    assert [(each.browser, each.way, each.created_at) for each in listed] == [
        (None, Way.PASSWORD, clock.now),
        ("Firefox, Linux", Way.PASSWORD, clock.now - 60),
    ]
    assert not door.end_one(ada(database), sign_ins.hash_of(hers.token))
    assert door.end_one(ada(database), listed[1].key)
    assert not door.end_one(ada(database), listed[1].key)
    assert door.current(first.token) is None
    assert door.current(second.token) is not None
    assert door.current(hers.token) is not None


def test_half_a_sign_in_is_no_open_one(guarded, door, database) -> None:
    begun = guarded.start()
    assert door.open_of(ada(database)) == ()
    assert door.complete(begun.token, guarded.code(), Browser(words="Edge, Windows")) is not None
    (listed,) = door.open_of(ada(database))
    assert (listed.way, listed.browser) == (Way.CODE, "Edge, Windows")


def test_a_sign_in_of_an_older_release_is_told_without_its_way(database, door) -> None:
    door.start("Ada", PASSWORD)
    database.write(lambda c: c.execute(update(table).values(way=None, browser=None)))
    (listed,) = door.open_of(ada(database))
    assert (listed.way, listed.browser) == (None, None)


def test_the_other_sign_ins_are_ended_and_their_browsers_forgotten(database, door) -> None:
    here, there = door.start("Ada", PASSWORD), door.start("Ada", PASSWORD)
    mine, other = Browser(known=here.known), Browser(known=there.known)
    door.end_others(ada(database), mine, but=here.token)
    assert door.current(here.token) is not None
    assert door.current(there.token) is None
    assert (door.knows(mine, "Ada"), door.knows(other, "Ada")) == (True, False)


def test_a_browser_is_known_to_who_has_signed_in_there(known, door) -> None:
    known.add("Grace", PASSWORD, Role.OWNER, by="test")
    begun = door.start("Ada", PASSWORD)
    assert begun.known not in repr(begun)
    browser = Browser(known=begun.known)
    assert begun.known not in repr(browser)
    for name, fits in (
        (None, True),
        ("Ada", True),
        ("Grace", False),
        ("Bob", False),
        ("\0", False),
    ):
        assert door.knows(browser, name) is fits
    for stranger in (Browser(), Browser(known="made up")):
        assert not door.knows(stranger, "Ada")
        assert not door.knows(stranger)


@pytest.mark.parametrize("act", ["password", "codes", "no-codes"])
def test_a_change_ends_the_other_sign_ins(known, guarded, door, database, act: str) -> None:
    mine, other = guarded.start(), guarded.start()
    mine = door.complete(mine.token, guarded.code(-30))
    other = door.complete(other.token, guarded.code())
    row = ada(database)
    if act == "password":
        known.set_password("Ada", "another long password", by="test", keep=mine.token)
    elif act == "no-codes":
        door.remove_codes(row, by="test", keep=mine.token)
    else:
        database.write(lambda c: user_codes.remove(c, row.id, by="test", now=database.now()))
        door.propose_codes(row)
        assert door.confirm_codes(row, guarded.code(), by="test", keep=mine.token)
    assert door.current(mine.token) is not None
    assert door.current(other.token) is None


def test_a_form_belongs_to_its_sign_in() -> None:
    assert is_form_token("token", form_token("token"))
    for token, given in (("other", form_token("token")), ("token", ""), ("token", "\ud800")):
        assert not is_form_token(token, given)
