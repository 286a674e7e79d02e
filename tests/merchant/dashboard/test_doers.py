"""Who did something, in words and names."""

from uuid import UUID

import pytest

from dovetail.merchant.dashboard.doers import Doer, doer_of
from dovetail.merchant.data import api_keys, users
from dovetail.merchant.data.ids import new_id
from dovetail.merchant.messages import Scope
from dovetail.merchant.services.refund_payments import ENGINE


def test_users_and_keys_have_their_names(office) -> None:
    user = office.database.read(lambda c: users.user_of_name(c, "Ada"))
    assert user is not None
    key, _ = office.database.write(
        lambda c: api_keys.add_key(
            c,
            name="Waiting",
            scopes=[Scope.REFUNDS_READ],
            store_ids=None,
            now=office.database.now(),
        )
    )
    found = [
        office.database.read(lambda c, w=who: doer_of(c, w))
        for who in (f"user {user.id}", f"key {key.id}", ENGINE)
    ]
    assert found == [Doer("", "Ada"), Doer("API key", "Waiting"), Doer("The server", "")]


@pytest.mark.parametrize("who", ["user nobody", f"user {UUID(int=7)}", "somebody", ""])
def test_who_is_not_known_keeps_the_name_of_the_trail(office, who) -> None:
    assert office.database.read(lambda c: doer_of(c, who)) == Doer("", who)


def test_a_key_that_is_gone_keeps_its_id(office) -> None:
    gone = str(new_id())
    assert office.database.read(lambda c: doer_of(c, f"key {gone}")) == Doer("API key", gone)
