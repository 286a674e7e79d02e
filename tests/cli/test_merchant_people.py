"""What the owner of a shop decides at the command line: refunds and users."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from tests.cli.in_process import Cli
from tests.merchant import refunds as samples
from tests.merchant.signer.deals import SignersHouse

from dovetail.cli import json_keys
from dovetail.merchant.data import api_keys, audit, refunds
from dovetail.merchant.data.database import Database
from dovetail.merchant.data.refunds import RefundRow
from dovetail.merchant.messages import Scope
from dovetail.merchant.messages.access import PLUGIN_SCOPES
from dovetail.merchant.services.refunds import Refunds
from dovetail.merchant.services.users import Users

PASSWORD = "correct horse battery"


@dataclass
class Owner:
    cli: Cli
    database: Database

    def __call__(self, *words: str, **options: str):
        return self.cli("merchant", *words, **options)

    def row(self, refund: RefundRow) -> RefundRow:
        found = self.database.read(lambda c: refunds.refund(c, refund.id))
        assert found is not None
        return found


@pytest.fixture
def owner(person) -> Iterator[Owner]:
    cli = person("shop")
    place = cli.folder / "regtest" / "merchant" / "shop.db"
    with Database.open(place) as database:
        yield Owner(cli, database)


@pytest.fixture
def claimed(owner: Owner, tmp_path) -> RefundRow:
    """A refund of 20,000 sats whose customer has given an address."""
    house = SignersHouse(tmp_path / "signer")
    house.log.close()
    database, hot = owner.database, house.keys.hot
    store = samples.add_store(database, hot)
    invoice = samples.credited(database, store, hot, 70_000)
    service = Refunds(database)
    _, token = asyncio.run(service.create(invoice.id, by="shop", expires_in=3600))
    found = asyncio.run(service.give_address(token, str(samples.CUSTOMER)))
    assert found is not None
    return found.refund


def test_a_refund_is_listed_and_approved(owner: Owner, claimed: RefundRow):
    line = f"{claimed.id}: claimed, 20,000 sats to {samples.CUSTOMER}"
    assert owner("refund", "list", "--waiting").out == f"{line}\n"
    told = owner("refund", "list", "--json").json
    assert set(told) == set(json_keys.MERCHANT_REFUNDS)
    assert told["refunds"][0]["address"] == str(samples.CUSTOMER)
    said = owner("refund", "approve", str(claimed.id), "--yes")
    assert (said.code, said.out) == (0, "approved\n")
    assert line in said.err
    assert owner.row(claimed).decided_by == "command line"
    assert "no such refund" in owner("refund", "list", "--waiting").err


def test_a_refund_is_declined(owner: Owner, claimed: RefundRow):
    said = owner("refund", "decline", str(claimed.id), "--yes", "--json")
    assert said.json == {"refund": str(claimed.id), "status": "declined"}
    again = owner("refund", "approve", str(claimed.id), "--yes")
    assert again.code == 2
    assert "was declined" in again.err


def test_what_keeps_a_refund_from_being_paid_is_told(owner: Owner, claimed: RefundRow):
    owner.database.write(lambda c: refunds.note(c, claimed, trouble="no-coins"))
    assert "send coins to its deposit address" in owner("refund", "list").out


def test_nothing_is_decided_without_a_word(owner: Owner, claimed: RefundRow):
    for word in ("approve", "decline"):
        said = owner("refund", word, str(claimed.id))
        assert said.code != 0
        assert "--yes" in said.err
    assert owner.row(claimed).status == "claimed"


@pytest.mark.parametrize(
    ("given", "why"),
    [("x", "is a UUID"), ("01a22129-7846-7226-92e0-f9e725f40201", "No refund has this id")],
)
def test_a_refund_that_is_not_there_is_told(owner: Owner, given: str, why: str):
    assert why in owner("refund", "approve", given, "--yes").err


def test_users_are_made_listed_and_locked_out(owner: Owner):
    assert "no user yet" in owner("user", "list").err
    said = owner("user", "add", "Ada", "--role", "owner", stdin=f"{PASSWORD}\n")
    assert said.code == 0, said.err
    assert Users(owner.database).authenticate("Ada", PASSWORD) is not None
    assert owner("user", "list").out == "Ada: owner\n"
    told = owner("user", "list", "--json").json
    assert set(told) == set(json_keys.MERCHANT_USERS)
    assert told["users"][0]["disabled"] is False
    assert owner("user", "disable", "Ada").code == 0
    assert owner("user", "list").out == "Ada: owner (disabled)\n"
    acts = owner.database.read(lambda c: audit.page(c, limit=9))
    assert {each.who for each in acts} == {"command line"}


def test_a_password_is_changed(owner: Owner):
    owner("user", "add", "Ada", stdin=PASSWORD)
    said = owner("user", "password", "Ada", "--json", stdin="another long password\r\n")
    assert set(said.json) == set(json_keys.MERCHANT_USER)
    assert Users(owner.database).authenticate("Ada", "another long password") is not None


def test_a_short_password_is_refused(owner: Owner):
    said = owner("user", "add", "Ada", stdin="short")
    assert said.code == 2
    assert "at least 12 characters" in said.err
    assert "no user yet" in owner("user", "list").err


def test_a_key_approves_refunds_only_where_that_is_asked_for(owner: Owner, claimed: RefundRow):
    assert owner("key", "Web shop").code == 0
    assert owner("key", "Back office", "--approves").code == 0
    web, office = owner.database.read(api_keys.all_keys)
    assert office.scopes - web.scopes == {Scope.REFUNDS_APPROVE}
    assert office.scopes == frozenset(Scope)


def test_a_key_for_a_plugin_does_what_a_plugin_needs_in_one_store(owner: Owner, claimed: RefundRow):
    store = str(claimed.store_id)
    assert owner("key", "Web shop", "--plugin", "--store", store).code == 0
    (row,) = owner.database.read(api_keys.all_keys)
    assert row.scopes == {each.value for each in PLUGIN_SCOPES}
    assert row.store_ids == frozenset({claimed.store_id})
    for more in ((), ("--store", store, "--approves")):
        said = owner("key", "Web shop", "--plugin", *more)
        assert said.code == 2
        assert "is for one store and approves nothing" in said.err
