"""The page on which a person lets shop software have a key."""

import html
import re
from urllib.parse import urlencode

import pytest
from tests.merchant.dashboard.browsing import BOTH
from tests.merchant.shop import add_shop

from dovetail.merchant.dashboard import consent
from dovetail.merchant.dashboard.access import CONSENT
from dovetail.merchant.data import api_keys, audit
from dovetail.merchant.greenfield.access import PERMISSIONS
from dovetail.merchant.greenfield.mount import PATH
from dovetail.merchant.messages import Role, Scope
from dovetail.merchant.messages.access import PLUGIN_SCOPES

PLUGIN = (
    "btcpay.store.canviewinvoices",
    "btcpay.store.cancreateinvoice",
    "btcpay.store.canviewstoresettings",
    "btcpay.store.canmodifyinvoices",
    "btcpay.store.cancreatenonapprovedpullpayments",
    "btcpay.store.webhooks.canmodifywebhooks",
)
BACK = "https://tea.example/?btcpay-settings-callback"
FIELD = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)">')
SECRET = re.compile(r'class="secret"><code>([^<]+)<')


def address(*permissions: str, path: str = CONSENT[0], **more: str) -> str:
    usual = {"applicationName": "Tea Press", "selectiveStores": "true", "redirect": BACK}
    given = {name: value for name, value in (usual | more).items() if value}
    pairs = [*(("permissions", each) for each in permissions or PLUGIN), *given.items()]
    return f"{path}?{urlencode(pairs)}"


def keys(office):
    return office.database.read(api_keys.all_keys)


@pytest.fixture
def store(office):
    return office.database.write(lambda c: add_shop(c, name="Tea <b>"))


@BOTH
@pytest.mark.parametrize("role", [Role.OWNER, Role.MANAGER])
async def test_a_key_goes_to_the_software_that_asked_for_it(office, store, role) -> None:
    browser = await office.user(role)
    shown = await browser.get(address())
    assert shown.status == 200
    for words in (
        "May Tea Press use your shop?",
        "https://tea.example",
        "Make invoices",
        "Tea <b>",
    ):
        assert words in shown.said
    made = await browser.post(address(), {"store": str(store.id)})
    fields = [(name, html.unescape(value)) for name, value in FIELD.findall(made.text)]
    (first, secret), (second, user), *rest = fields
    assert (first, second) == ("apiKey", "userId")
    assert re.fullmatch(r"[A-Za-z0-9_-]+", secret)  # plugins drop all other characters
    assert rest == [("permissions[]", f"{each}:{store.id}") for each in PLUGIN]
    assert f'action="{BACK}"' in made.text
    (row,) = keys(office)
    assert office.database.read(lambda c: api_keys.find(c, secret)) == row
    assert (row.name, row.scopes) == ("Tea Press", PLUGIN_SCOPES)
    assert row.store_ids == {store.id}
    (note, *_) = office.database.read(lambda c: audit.page(c, limit=1))
    assert (note.what, note.who) == ("key.create", f"user {user}")
    assert note.detail == {"sent_to": "https://tea.example"}


async def test_the_form_with_the_key_goes_to_that_one_origin(office, store) -> None:
    browser = await office.user()
    shown = await browser.get(address())
    assert "form-action 'self';" in shown.header("content-security-policy")
    made = await browser.post(address(), {"store": str(store.id)})
    for answer in (shown, made):
        assert "frame-ancestors 'none'" in answer.header("content-security-policy")
        assert answer.header("cache-control") == "no-store"
    assert "form-action https://tea.example;" in made.header("content-security-policy")


async def test_the_page_is_where_software_opens_it(office, store) -> None:
    browser = await office.user()
    assert CONSENT[0] == f"{PATH}/api-keys/authorize"
    for path in CONSENT:
        assert (await browser.get(address(path=path))).status == 200


async def test_without_an_address_the_key_is_shown_once(office, store) -> None:
    browser = await office.user(Role.MANAGER)
    where = address(redirect="")
    assert "shown to you once" in (await browser.get(where)).said
    made = await browser.post(where, {"store": str(store.id)})
    found = SECRET.search(made.text)
    assert found is not None
    assert office.database.read(lambda c: api_keys.find(c, found[1])) is not None
    assert "<form" not in made.text.split("<main")[1]


async def test_who_does_not_allow_it_goes_back_without_a_key(office, store) -> None:
    browser = await office.user()
    shown = await browser.get(address())
    assert f'<a class="button" href="{BACK}" rel="noreferrer">' in shown.text
    shown = await browser.get(address(redirect=""))
    assert '<a class="button" href="/dashboard" rel="noreferrer">' in shown.text
    assert keys(office) == ()


async def test_a_viewer_gives_no_key(office, store) -> None:
    browser = await office.user(Role.VIEWER)
    assert (await browser.get(address())).status == 403
    await browser.get("/dashboard")
    assert (await browser.post(address(), {"store": str(store.id)})).status == 403
    assert keys(office) == ()


async def test_nobody_gives_more_than_they_may_do_themselves(office, store) -> None:
    more = ("btcpay.store.canmodifystoresettings", *PLUGIN)
    manager, owner = await office.user(Role.MANAGER), await office.user()
    refused = await manager.get(address(*more))
    assert (refused.status, "ask an owner" in refused.said) == (403, True)
    assert (await owner.get(address(*more))).status == 200
    shown = await manager.get(address(*more, strict="false"))
    assert "Change the settings of your stores: only an owner can give this." in shown.said
    ticked = ["stores:write", "invoices:create"]
    fields = {"store": str(store.id), "scope": ticked}
    await manager.post(address(*more, strict="false"), fields)
    assert keys(office)[0].scopes == {Scope.INVOICES_CREATE}


async def test_what_is_not_needed_can_be_left_out(office, store) -> None:
    browser = await office.user()
    where = address(strict="false")
    shown = await browser.get(where)
    assert shown.text.count(" checked") == len(PLUGIN) + 1
    none = await browser.post(where, {"store": str(store.id)})
    assert (none.status, consent.NOTHING_CHOSEN in none.said) == (422, True)
    fields = {"store": str(store.id), "scope": ["invoices:read", "keys:write", "coins:read"]}
    made = await browser.post(where, fields)
    assert keys(office)[0].scopes == {Scope.INVOICES_READ}
    assert made.text.count("permissions[]") == 1


async def test_what_is_needed_cannot_be_left_out_or_added(office, store) -> None:
    browser = await office.user()
    await browser.get(address())
    await browser.post(address(), {"store": str(store.id), "scope": ["keys:write"]})
    assert keys(office)[0].scopes == PLUGIN_SCOPES


async def test_a_store_has_to_be_chosen(office, store) -> None:
    other = office.database.write(lambda c: add_shop(c, name="Other"))
    browser = await office.user()
    shown = await browser.get(address())
    assert "checked" not in shown.text
    assert "All stores" not in shown.said
    for wanted in ("", "x", "all", str(keys(office))):
        answer = await browser.post(address(), {"store": wanted})
        assert (answer.status, consent.NO_CHOICE in answer.said) == (422, True)
    named = address(f"{PLUGIN[0]}:{other.id}")
    assert "Tea" not in (await browser.get(named)).said.split("In which store")[1]
    assert (await browser.post(named, {"store": str(store.id)})).status == 422
    assert keys(office) == ()


async def test_software_that_wants_no_single_store_can_have_all(office, store) -> None:
    browser = await office.user()
    where = address(selectiveStores="false")
    assert "All stores, later ones too" in (await browser.get(where)).said
    made = await browser.post(where, {"store": consent.ALL})
    assert keys(office)[0].store_ids is None
    assert f'value="{PLUGIN[0]}"' in made.text


async def test_what_the_shop_does_not_have_is_told(office, store) -> None:
    browser = await office.user()
    shown = await browser.get(address(*PLUGIN, "btcpay.store.canuse<b>lightning"))
    assert "will not get it: btcpay.store.canuse<b>lightning" in shown.said
    assert "<b>lightning" not in shown.text


async def test_a_shop_without_a_store_connects_nothing(office) -> None:
    answer = await (await office.user()).get(address())
    assert (answer.status, "There is no store yet" in answer.said) == (422, True)


async def test_nothing_that_software_says_of_itself_is_read_as_html(office, store) -> None:
    evil = "\"><script>alert('x')</script>%(x)s"
    browser = await office.user()
    back = 'https://tea.example/?a="><script>'
    shown = await browser.get(address(applicationName=evil, redirect=back))
    assert (shown.status, "<script>" in shown.text) == (200, False)
    assert evil in shown.said.replace("  ", " ")
    made = await browser.post(
        address(applicationName=evil, redirect=back), {"store": str(store.id)}
    )
    assert made.text.count("<script") == 1


@pytest.mark.parametrize("redirect", ["http://tea.example", "javascript:alert(1)", "//x.example"])
async def test_no_page_leads_to_an_address_that_is_not_safe(office, store, redirect) -> None:
    browser = await office.user()
    answer = await browser.get(address(redirect=redirect))
    assert (answer.status, "not safe" in answer.said) == (422, True)
    assert redirect not in answer.text


async def test_who_is_not_signed_in_comes_back_after_the_sign_in(office, store) -> None:
    browser = office.browser()
    led = await browser.get(address())
    assert led.status == 303
    asked = await browser.get(led.header("location"))
    found = re.search(r'name="next" value="([^"]*)"', asked.text)
    assert found is not None
    back = html.unescape(found[1])
    assert back == address()
    answer = await browser.sign_in(next=back)
    assert answer.header("location") == address()


async def test_who_comes_from_the_software_is_led_on_with_all_that_it_asks(office, store) -> None:
    browser = office.browser()
    shown = await browser.get(address(), sec_fetch_site="cross-site")
    assert (shown.status, 'http-equiv="refresh" content="0"' in shown.text) == (200, True)
    assert f'href="{html.escape(address())}"' in shown.text


def test_each_permission_has_its_words() -> None:
    assert set(consent.WORDS) == set(PERMISSIONS)
