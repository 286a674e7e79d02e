"""The table of roles and pages: who sees what, and who does what."""

import pytest
from tests.merchant.counter import KEYPAD, add_point
from tests.merchant.shop import add_one, add_shop

from dovetail.merchant.dashboard import routes
from dovetail.merchant.dashboard.access import Needs
from dovetail.merchant.data import api_keys, webhooks
from dovetail.merchant.messages import Role, Scope

OWNER, MANAGER, VIEWER = Role.OWNER, Role.MANAGER, Role.VIEWER
ALL = {OWNER, MANAGER, VIEWER}
OPEN = {
    "show_sign_in",
    "sign_in",
    "show_code",
    "give_code",
    "ask_passkey",
    "sign_in_by_passkey",
}
"""What needs no user."""

SEES = {
    "/dashboard": ALL,
    "/dashboard/invoices": ALL,
    "/dashboard/invoices/export/csv": ALL,
    "/dashboard/invoices/export/labels": ALL,
    "/dashboard/invoices/{invoice}": ALL,
    "/dashboard/refunds": ALL,
    "/dashboard/coins": ALL,
    "/dashboard/points-of-sale": ALL,
    "/dashboard/points-of-sale/{point}": {OWNER, MANAGER},
    "/dashboard/webhooks": ALL,
    "/dashboard/webhooks/{webhook}": ALL,
    "/dashboard/account": ALL,
    "/dashboard/keys": {OWNER},
    "/dashboard/users": {OWNER},
    "/greenfield/api-keys/authorize?permissions=btcpay.store.canviewinvoices": {OWNER, MANAGER},
    "/api-keys/authorize?permissions=btcpay.store.canviewinvoices": {OWNER, MANAGER},
}
DOES = {
    "/dashboard/invoices/{invoice}/mark": {OWNER, MANAGER},
    "/dashboard/invoices/{invoice}/close": {OWNER, MANAGER},
    "/dashboard/invoices/{invoice}/refunds": {OWNER, MANAGER},
    "/dashboard/refunds/{none}/cancel": {OWNER, MANAGER},
    "/dashboard/refunds/{none}/approve": {OWNER},
    "/dashboard/refunds/{none}/decline": {OWNER},
    "/dashboard/webhooks": {OWNER, MANAGER},
    "/dashboard/webhooks/{webhook}/switch": {OWNER, MANAGER},
    "/dashboard/webhooks/{webhook}/resend": {OWNER, MANAGER},
    "/dashboard/points-of-sale": {OWNER, MANAGER},
    "/dashboard/points-of-sale/{point}": {OWNER, MANAGER},
    "/dashboard/points-of-sale/{point}/archive": {OWNER, MANAGER},
    "/dashboard/points-of-sale/{point}/address": {OWNER, MANAGER},
    "/dashboard/keys": {OWNER},
    "/dashboard/keys/{key}/revoke": {OWNER},
    "/dashboard/users": {OWNER},
    "/dashboard/users/{none}/disable": {OWNER},
    "/dashboard/account/password": ALL,
    "/dashboard/account/codes": ALL,
    "/dashboard/account/codes/confirm": ALL,
    "/dashboard/account/codes/remove": ALL,
    "/dashboard/account/passkeys": ALL,
    "/dashboard/account/passkeys/options": ALL,
    "/dashboard/account/passkeys/{none}/remove": ALL,
    "/dashboard/account/sign-ins/{none}/end": ALL,
    "/dashboard/account/sign-ins/end-others": ALL,
    "/greenfield/api-keys/authorize": {OWNER, MANAGER},
    "/api-keys/authorize": {OWNER, MANAGER},
}


@pytest.fixture
def names(office):
    store = office.database.write(add_shop)
    now = office.database.now()
    invoice = office.database.write(lambda c: add_one(c, store, now=int(now)))
    webhook = office.database.write(
        lambda c: webhooks.add_endpoint(
            c, store_id=store.id, url="https://a.example", secret="x", kinds=None, now=now
        )
    )
    key, _ = office.database.write(
        lambda c: api_keys.add_key(c, name="k", scopes=[*Scope], store_ids=None, now=now)
    )
    point = office.database.write(lambda c: add_point(c, store, currency=None, menu=KEYPAD))
    return {
        "invoice": invoice.id,
        "webhook": webhook.id,
        "key": key.id,
        "point": point.id,
        "none": invoice.id,
    }


@pytest.mark.parametrize("role", [OWNER, MANAGER, VIEWER])
async def test_each_role_sees_and_does_what_the_table_says(office, names, role) -> None:
    browser = await office.user(role)
    shown = await browser.get("/dashboard")
    assert ("Users" in shown.said, "API keys" in shown.said) == ((role is OWNER,) * 2)
    for path, roles in SEES.items():
        answer = await browser.get(path.format(**names))
        assert answer.status == (200 if role in roles else 403), path
    for path, roles in DOES.items():
        answer = await browser.post(path.format(**names), {"mark": "settled"})
        assert (answer.status != 403) == (role in roles), path


async def test_what_a_role_may_not_do_is_told_on_a_page(office) -> None:
    answer = await (await office.user(VIEWER)).get("/dashboard/users")
    assert (answer.status, "ask an owner" in answer.said) == (403, True)


async def test_every_page_has_a_guard_and_every_form_is_in_the_table(office, names) -> None:
    """No page is forgotten, and none opens without a sign-in."""
    stranger = office.browser()
    for handler in routes.PAGES:
        name = handler.fn.__name__
        guards = [each for each in handler.guards or () if isinstance(each, Needs)]
        assert bool(guards) != (name in OPEN), name
    for path in SEES:
        assert (await stranger.get(path.format(**names))).status == 303, path
    for path in DOES:
        answer = await stranger.post(path.format(**names), token="0" * 64)
        assert (answer.status, answer.header("location")) == (303, "/dashboard/sign-in"), path
    posts = {p for each in routes.PAGES if "POST" in each.http_methods for p in each.paths}
    others = {"sign-in", "code", "sign-out", "passkey", "passkey/options"}
    assert len(posts) == len(DOES) + len(others)


async def test_no_form_of_any_page_works_without_its_token(office, names) -> None:
    """CSRF: every act is refused to other sites, and without a token."""
    browser = await office.user()
    await browser.get("/dashboard")
    for path in DOES:
        for about in ({"token": ""}, {"origin": "https://evil.example"}):
            assert (await browser.post(path.format(**names), **about)).status == 403, path
