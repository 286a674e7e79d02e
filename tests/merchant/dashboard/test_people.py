"""Keys, users and webhooks over the dashboard."""

import re

import pytest
from tests.merchant.dashboard.browsing import BOTH, PASSWORD
from tests.merchant.shop import add_one, add_shop

from dovetail.merchant.dashboard import people, webhooks
from dovetail.merchant.data import api_keys, audit, deliveries, users
from dovetail.merchant.data import webhooks as rows
from dovetail.merchant.messages import Role, Scope

SECRET = re.compile(r'class="secret"><code>([^<]+)<')


async def opened(office, path, role=Role.OWNER):
    browser = await office.user(role)
    await browser.get(path)
    return browser


async def test_a_key_is_made_shown_once_and_revoked(office) -> None:
    browser = await opened(office, people.KEYS)
    made = await browser.post(
        people.KEYS, {"name": "<b>Shop</b>", "scope": ["invoices:read", "invoices:create"]}
    )
    found = SECRET.search(made.text)
    assert found is not None
    row = office.database.read(lambda c: api_keys.find(c, found[1]))
    assert row is not None
    assert row.scopes == {Scope.INVOICES_READ, Scope.INVOICES_CREATE}
    listed = await browser.get(people.KEYS)
    assert found[1] not in listed.text
    assert "<b>Shop" not in listed.text
    assert "<b>Shop</b>" in listed.said
    gone = await browser.post(f"{people.KEYS}/{row.id}/revoke")
    assert gone.header("location") == f"{people.KEYS}?done=revoked"
    assert office.database.read(lambda c: api_keys.find(c, found[1])) is None
    assert "Revoked" in (await browser.get(people.KEYS)).said
    done = [each.what for each in office.database.read(lambda c: audit.page(c, limit=2))]
    assert done == ["key.revoke", "key.create"]
    assert (await browser.post(f"{people.KEYS}/x/revoke")).status == 404


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"name": "", "scope": "invoices:read"}, people.NO_NAME),
        ({"name": "a\nb", "scope": "invoices:read"}, people.NO_NAME),
        ({"name": "shop"}, people.NO_SCOPE),
        ({"name": "shop", "scope": "everything"}, people.NO_SCOPE),
    ],
)
async def test_a_key_that_will_not_do_is_not_made(office, fields, words) -> None:
    browser = await opened(office, people.KEYS)
    answer = await browser.post(people.KEYS, fields)
    assert (answer.status, words in answer.said) == (422, True)
    assert office.database.read(api_keys.all_keys) == ()


async def test_an_owner_makes_a_user_and_locks_one_out(office) -> None:
    browser = await opened(office, people.USERS)
    fields = {"name": "Mary <i>", "password": PASSWORD, "role": "viewer"}
    answer = await browser.post(people.USERS, fields)
    assert answer.header("location") == f"{people.USERS}?done=user"
    assert "Mary <i>" in (await browser.get(people.USERS)).said
    mary = office.browser()
    assert (await mary.sign_in("Mary <i>")).status == 303
    row = office.database.read(lambda c: users.user_of_name(c, "Mary <i>"))
    assert row is not None
    await browser.post(f"{people.USERS}/{row.id}/disable")
    assert (await mary.get("/dashboard")).status == 303
    assert "Locked out" in (await browser.get(people.USERS)).said


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"role": "root"}, people.NO_ROLE),
        ({"password": "short"}, "at least 12 characters"),
        ({"name": "Ada"}, "exists already"),
        ({"name": "a\nb"}, "one line"),
    ],
)
async def test_a_user_that_will_not_do_is_not_made(office, fields, words) -> None:
    browser = await opened(office, people.USERS)
    given = {"name": "Mary", "password": PASSWORD, "role": "viewer"} | fields
    answer = await browser.post(people.USERS, given)
    assert (answer.status, words in answer.said) == (422, True)
    assert len(office.database.read(users.all_users)) == 3
    assert PASSWORD not in answer.text


async def test_nobody_locks_themselves_out(office) -> None:
    browser = await opened(office, people.USERS)
    row = office.database.read(lambda c: users.user_of_name(c, "Ada"))
    answer = await browser.post(f"{people.USERS}/{row.id}/disable")
    assert (answer.status, people.OWN in answer.said) == (409, True)
    assert (await browser.post(f"{people.USERS}/x/disable")).status == 404


@BOTH
async def test_a_webhook_is_made_switched_and_its_event_sent_again(office) -> None:
    store = office.database.write(add_shop)
    browser = await opened(office, webhooks.LIST, Role.MANAGER)
    fields = {"store": str(store.id), "url": "https://shop.example/hook?a=<b>"}
    made = await browser.post(webhooks.LIST, fields)
    found = SECRET.search(made.text)
    assert found is not None
    assert found[1].startswith("whsec_")
    (row,) = office.database.read(lambda c: rows.endpoints_of(c, store.id))
    assert (row.secret, row.url) == (found[1], fields["url"])
    assert found[1] not in (await browser.get(webhooks.LIST)).text
    path = f"{webhooks.LIST}/{row.id}"
    assert "Nothing was delivered" in (await browser.get(path)).said
    invoice = office.database.write(lambda c: add_one(c, store, now=int(office.database.now())))
    shown = await browser.get(path)
    assert (" Created " in shown.said, str(invoice.id) in shown.text) == (True, True)
    (delivery,) = office.database.read(lambda c: deliveries.deliveries_of(c, row.id, limit=9))
    again = await browser.post(f"{path}/resend", {"delivery": str(delivery.id)})
    assert again.header("location") == f"{path}?done=resend"
    assert len(office.database.read(lambda c: deliveries.deliveries_of(c, row.id, limit=9))) == 2
    assert (await browser.post(f"{path}/resend", {"delivery": str(row.id)})).status == 404
    off = await browser.post(f"{path}/switch", {"active": "off"})
    assert off.header("location") == f"{path}?done=off"
    assert "Off" in (await browser.get(off.header("location"))).said
    await browser.post(f"{path}/switch", {"active": "on"})
    (row,) = office.database.read(lambda c: rows.endpoints_of(c, store.id))
    assert row.active


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"url": "ftp://a.example"}, webhooks.NO_URL),
        ({"url": "javascript:alert(1)"}, webhooks.NO_URL),
        ({"url": "https://user:word@a.example"}, webhooks.NO_URL),
        ({"url": "https://a.example\r\nx: y"}, webhooks.NO_URL),
        ({"store": "x"}, webhooks.NO_STORE),
    ],
)
async def test_a_webhook_that_will_not_do_is_not_made(office, fields, words) -> None:
    store = office.database.write(add_shop)
    browser = await opened(office, webhooks.LIST)
    given = {"store": str(store.id), "url": "https://a.example"} | fields
    answer = await browser.post(webhooks.LIST, given)
    assert (answer.status, words in answer.said) == (422, True)
    assert office.database.read(lambda c: rows.endpoints_of(c, store.id)) == ()


async def test_an_unknown_webhook_is_no_page(office) -> None:
    browser = await office.user()
    assert (await browser.get(f"{webhooks.LIST}/x")).status == 404
    assert "There is no store yet" in (await browser.get(webhooks.LIST)).said
