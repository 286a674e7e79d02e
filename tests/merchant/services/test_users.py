"""Users and their passwords, on both databases."""

import pytest
from argon2 import PasswordHasher

from dovetail.errors import ConfigurationError
from dovetail.merchant.data import audit, users
from dovetail.merchant.messages import Role, Scope
from dovetail.merchant.services import users as service
from dovetail.merchant.services.users import Users

QUICK = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
PASSWORD = "correct horse battery"


@pytest.fixture
def known(database) -> Users:
    made = Users(database, QUICK)
    made.add("Ada", PASSWORD, Role.OWNER, by="test")
    return made


def _row(database, name="Ada"):
    return database.read(lambda c: users.user_of_name(c, name))


def test_a_user_is_known_by_name_and_password(database, known) -> None:
    found = known.authenticate("Ada", PASSWORD)
    assert (found.name, found.role) == ("Ada", Role.OWNER)
    assert found == database.read(lambda c: users.user(c, found.id))
    for name, password in (("Ada", PASSWORD + "!"), ("Bob", PASSWORD), ("Ada", "x" * 1001)):
        assert known.authenticate(name, password) is None


def test_only_a_hash_of_argon2id_is_kept(database, known) -> None:
    row = _row(database)
    assert row.password.startswith("$argon2id$v=19$m=64,t=1,p=1$")
    assert PASSWORD not in row.password
    assert Users(database)._hasher.memory_cost >= 47_104  # OWASP's least, in KiB
    assert "Ada" not in repr(row)


def test_an_unknown_name_costs_a_check_as_a_known_one_does(database, known, monkeypatch) -> None:
    checked = []
    verify = PasswordHasher.verify

    def counted(self, known_hash, password):
        checked.append(known_hash)
        return verify(self, known_hash, password)

    monkeypatch.setattr(PasswordHasher, "verify", counted)
    known.disable("Ada", by="test")
    assert known.authenticate("Ada", PASSWORD) is None
    assert known.authenticate("Bob", PASSWORD) is None
    assert len(checked) == 2
    assert checked[0].rpartition("$")[0].split("$")[:4] == checked[1].split("$")[:4]


def test_a_hash_of_older_parameters_is_made_anew(database, known) -> None:
    before = _row(database).password
    stronger = Users(database, PasswordHasher(time_cost=2, memory_cost=64, parallelism=1))
    assert stronger.authenticate("Ada", "wrong password") is None
    assert _row(database).password == before
    assert stronger.authenticate("Ada", PASSWORD) is not None
    after = _row(database).password
    assert "t=2" in after
    assert stronger.authenticate("Ada", PASSWORD) is not None
    assert _row(database).password == after


@pytest.mark.parametrize(
    ("name", "password"), [("owner\0", "x" * 20), ("\ud800", "x" * 20), ("Ada", "\ud800" * 20)]
)
def test_what_is_no_text_lets_nobody_in(known, name: str, password: str) -> None:
    assert known.authenticate(name, password) is None


def test_a_password_that_is_no_text_is_refused(known) -> None:
    with pytest.raises(ConfigurationError, match="no text"):
        known.add("another", "no text \ud800 at all", Role.OWNER, by="test")


def test_a_damaged_hash_lets_nobody_in(database, known) -> None:
    row = _row(database)
    database.write(lambda c: users.rehash(c, row, "damaged"))
    assert known.authenticate("Ada", PASSWORD) is None


def test_a_password_is_changed(database, known) -> None:
    known.set_password("Ada", "another long password", by="test")
    assert known.authenticate("Ada", PASSWORD) is None
    assert known.authenticate("Ada", "another long password") is not None


def test_a_disabled_user_is_locked_out_and_stays_listed(database, known) -> None:
    known.disable("Ada", by="test")
    first = _row(database).disabled_at
    known.disable("Ada", by="test")
    assert known.authenticate("Ada", PASSWORD) is None
    assert [each.disabled_at for each in database.read(users.all_users)] == [first]


@pytest.mark.parametrize("password", ["x" * (service.LEAST_LENGTH - 1), "x" * 1001])
def test_a_password_that_will_not_do_is_refused(database, known, password: str) -> None:
    with pytest.raises(ConfigurationError, match="at least 12"):
        known.add("Bob", password, Role.VIEWER, by="test")
    with pytest.raises(ConfigurationError, match="at least 12"):
        known.set_password("Ada", password, by="test")
    assert _row(database, "Bob") is None


def test_a_password_that_is_guessed_first_is_refused(database, known) -> None:
    for password in ("Passw0rd-12345", "Grace Hopper 1906"):
        with pytest.raises(ConfigurationError, match="guessed soon"):
            known.add("Grace Hopper", password, Role.VIEWER, by="test")
    with pytest.raises(ConfigurationError, match="guessed soon"):
        known.set_password("Ada", "adaadaada-1815", by="test")
    assert _row(database, "Grace Hopper") is None


@pytest.mark.parametrize("name", ["", " Bob", "B\nob", "x" * 101])
def test_a_name_that_will_not_do_is_refused(database, known, name: str) -> None:
    with pytest.raises(ConfigurationError, match="one line"):
        known.add(name, PASSWORD, Role.VIEWER, by="test")


def test_a_name_is_taken_once(database, known) -> None:
    with pytest.raises(ConfigurationError, match="exists already"):
        known.add("Ada", PASSWORD, Role.VIEWER, by="test")


def test_an_unknown_user_is_told(database, known) -> None:
    with pytest.raises(ConfigurationError, match="No user"):
        known.disable("Bob", by="test")
    with pytest.raises(ConfigurationError, match="No user"):
        known.set_password("Bob", PASSWORD, by="test")


def test_what_is_done_with_users_is_in_the_audit_trail(database, known) -> None:
    known.set_password("Ada", "another long password", by="test")
    known.disable("Ada", by="test")
    acts = database.read(lambda c: audit.page(c, limit=10))
    assert [each.what for each in acts] == ["user.disable", "user.password", "user.create"]
    assert all("another" not in str(each.detail) for each in acts)


def test_roles_differ_in_what_they_may_do() -> None:
    assert Role.OWNER.scopes == frozenset(Scope)
    assert Role.VIEWER.scopes < Role.MANAGER.scopes < Role.OWNER.scopes
    assert all(each.value.endswith(":read") for each in Role.VIEWER.scopes)
    for scope in (Scope.REFUNDS_APPROVE, Scope.KEYS_WRITE, Scope.STORES_WRITE):
        assert scope not in Role.MANAGER.scopes
