"""Passkeys over the dashboard: what its script and its forms send, and what attackers do."""

import json

import pytest
from tests.merchant.dashboard.browsing import BOTH, PASSWORD, Answer, Browser, Office, open_office
from tests.support.authenticator import Authenticator

from dovetail.merchant.dashboard import account, passkeys, sign_in
from dovetail.merchant.dashboard.desk import CHALLENGES, NAME_TRIES
from dovetail.merchant.data import user_codes, users
from dovetail.merchant.data.passkeys import PasskeyRow, passkeys_of

PAGE = "/dashboard/account"
ENTER = "/dashboard/sign-in/passkey"
COOKIE = "__Host-dovetail"


async def add(browser: Browser, name: str = "Phone", password: str = PASSWORD) -> Authenticator:
    """A passkey for the user of the browser."""
    device = Authenticator(origin=browser.origin)
    await browser.get(PAGE)
    asked = await browser.post(f"{PAGE}/passkeys/options", {"password": password})
    assert (asked.status, asked.header("content-type")) == (200, "application/json")
    answer = await browser.post(
        f"{PAGE}/passkeys", {"name": name, "answer": device.make(asked.text)}
    )
    assert answer.header("location") == f"{PAGE}?done=passkey", answer.said
    return device


async def enter(browser: Browser, device: Authenticator, **more: str) -> Answer:
    """Sign in as the script does."""
    await browser.get("/dashboard/sign-in")
    asked = await browser.post(f"{ENTER}/options")
    assert asked.status == 200, asked.text
    return await browser.post(ENTER, {"answer": device.sign(asked.text)} | more)


@BOTH
async def test_a_passkey_is_made_signs_in_and_is_removed(office, clock) -> None:
    browser = await office.user()
    device = await add(browser)
    assert "Not used yet" in (await browser.get(f"{PAGE}?done=passkey")).said
    await browser.post("/dashboard/sign-out")
    clock.now += 86_400
    answer = await enter(browser, device, next=PAGE)
    assert (answer.status, answer.header("location")) == (303, PAGE)
    shown = await browser.get(PAGE)
    assert "by passkey" in shown.said
    assert "Not used yet" not in shown.said
    (kept,) = kept_of(office)
    removed = await browser.post(f"{PAGE}/passkeys/{kept.id}/remove", {"password": PASSWORD})
    assert removed.header("location") == f"{PAGE}?done=no-passkey"
    assert "was removed" in (await browser.get(removed.header("location"))).said
    refused = await enter(office.browser(), device)
    assert (refused.status, passkeys.WRONG in refused.said) == (422, True)


def kept_of(office: Office) -> tuple[PasskeyRow, ...]:
    row = office.database.read(lambda c: users.user_of_name(c, "Ada"))
    assert row is not None
    return office.database.read(lambda c: passkeys_of(c, row.id))


async def test_a_passkey_needs_no_code(office) -> None:
    browser = await office.user()
    device = await add(browser)
    row = office.database.read(lambda c: users.user_of_name(c, "Ada"))
    now = office.database.now()
    office.database.write(lambda c: user_codes.propose(c, row.id, b"s" * 20))
    office.database.write(lambda c: user_codes.confirm(c, row.id, by="test", now=now))
    answer = await enter(office.browser(), device)
    assert answer.header("location") == "/dashboard"


async def test_no_token_that_was_there_before_becomes_a_sign_in_by_passkey(office) -> None:
    """Session fixation: the cookies of the browser, planted or its own, change."""
    device = await add(await office.user())
    browser = office.browser()
    browser.jar = {COOKIE: "planted", f"{COOKIE}-form": "planted too"}
    assert (await enter(browser, device)).status == 303
    assert browser.jar[COOKIE] not in ("planted", "planted too")
    assert f"{COOKIE}-form" not in browser.jar
    former = browser.jar[COOKIE]
    assert (await enter(browser, device)).status == 303
    other = office.browser()
    for token in (former, "planted"):
        other.jar = {COOKIE: token}
        assert (await other.get(PAGE)).status == 303


async def test_an_answer_that_somebody_has_seen_is_worth_nothing(office) -> None:
    device = await add(await office.user())
    browser, thief = office.browser(), office.browser()
    await browser.get("/dashboard/sign-in")
    asked = await browser.post(f"{ENTER}/options")
    answer = device.sign(asked.text)
    await thief.get("/dashboard/sign-in")
    assert (await thief.post(ENTER, {"answer": answer})).status == 422
    assert (await browser.post(ENTER, {"answer": answer})).status == 303
    await browser.get("/dashboard/sign-in")
    assert (await browser.post(ENTER, {"answer": answer})).status == 422


@pytest.mark.parametrize("answer", ["", "{}", "\ud83d", "x" * 50_000, json.dumps({"id": "AA"})])
async def test_what_is_no_answer_is_refused_on_the_page(office, answer) -> None:
    browser = office.browser()
    await browser.get("/dashboard/sign-in")
    await browser.post(f"{ENTER}/options")
    refused = await browser.post(ENTER, {"answer": answer.encode("utf-8", "replace").decode()})
    assert (refused.status, passkeys.WRONG in refused.said) == (422, True)


async def test_nobody_adds_a_passkey_without_the_password(office) -> None:
    """A sign-in that was left open must not become a way in for good."""
    browser = await office.user()
    await browser.get(PAGE)
    asked = await browser.post(f"{PAGE}/passkeys/options", {"password": "guess guess guess"})
    assert (asked.status, json.loads(asked.text)) == (422, {"words": account.WRONG_PASSWORD})
    made = Authenticator()
    options = {
        "rp": {"id": "shop.example"},
        "user": {"id": "AAAA"},
        "challenge": "AAAA",
    }
    answer = await browser.post(
        f"{PAGE}/passkeys", {"name": "Phone", "answer": made.make(json.dumps(options))}
    )
    assert (answer.status, "could not be made" in answer.said) == (422, True)


async def test_nobody_removes_a_passkey_without_the_password(office) -> None:
    """The last way in is not removed: who removes a passkey has just shown another one."""
    browser = await office.user()
    device = await add(browser)
    (kept,) = kept_of(office)
    await browser.get(PAGE)
    path = f"{PAGE}/passkeys/{kept.id}/remove"
    refused = await browser.post(path, {"password": "forgotten password"})
    assert (refused.status, account.WRONG_PASSWORD in refused.said) == (422, True)
    assert (await enter(office.browser(), device)).status == 303
    removed = await browser.post(path, {"password": PASSWORD})
    assert removed.status == 303
    assert (await office.browser().sign_in()).status == 303


async def test_a_passkey_of_nobody_is_not_removed(office) -> None:
    browser = await office.user()
    await browser.get(PAGE)
    for wanted in ("018f0000-0000-7000-8000-000000000000", "none"):
        answer = await browser.post(f"{PAGE}/passkeys/{wanted}/remove", {"password": PASSWORD})
        assert answer.status == 404


async def test_a_name_of_a_passkey_is_text_and_no_markup(office) -> None:
    browser = await office.user()
    await add(browser, "<b>Phone</b>")
    shown = await browser.get(PAGE)
    assert "&lt;b&gt;Phone&lt;/b&gt;" in shown.text
    assert "<b>Phone" not in shown.text


async def test_strangers_lock_nobody_out_of_a_passkey(office) -> None:
    """Nobody guesses a passkey, so that guesses of the password do not slow it down."""
    device = await add(await office.user())
    for number in range(NAME_TRIES.burst + 1):
        stranger = office.browser(client=(f"198.51.{number}.1", 1))
        await stranger.sign_in("Ada", "x" * 12)
    elsewhere = office.browser(client=("203.0.113.1", 1))
    assert (await elsewhere.sign_in()).status == 429
    assert (await enter(elsewhere, device)).status == 303


async def test_one_network_asks_for_few_challenges(office) -> None:
    """Each is a row for some minutes."""
    known, browser = await office.user(), office.browser()
    await browser.get("/dashboard/sign-in")
    answers = [await browser.post(f"{ENTER}/options") for _ in range(CHALLENGES.burst + 1)]
    assert {each.status for each in answers[:-1]} == {200}
    assert (answers[-1].status, "too many tries" in answers[-1].text) == (429, True)
    await known.get("/dashboard/sign-in")
    assert (await known.post(f"{ENTER}/options")).status == 200


@pytest.mark.parametrize("path", [ENTER, f"{ENTER}/options"])
async def test_no_other_site_asks_or_answers(office, path) -> None:
    browser = office.browser()
    await browser.get("/dashboard/sign-in")
    for about in ({"token": ""}, {"origin": "https://evil.example"}):
        assert (await browser.post(path, **about)).status == 403
    browser.jar.clear()
    answer = await browser.post(path)
    assert (answer.status, sign_in.NO_COOKIE in answer.said) == (403, True)


async def test_an_address_of_digits_offers_no_passkeys(database, clock) -> None:
    office = open_office(database, clock, public=None)
    browser = office.browser(host="127.0.0.1:8080", scheme="http")
    assert "data-passkey" not in (await browser.get("/dashboard/sign-in")).text
    assert (await browser.post(f"{ENTER}/options")).status == 409
    assert (await browser.sign_in()).status == 303
    shown = await browser.get(PAGE)
    assert ("data-passkey" in shown.text, "by a name" in shown.said) == (False, True)


async def test_on_the_own_machine_plain_http_is_enough(database, clock) -> None:
    office = open_office(database, clock, public=None)
    browser = office.browser(host="localhost:8080", scheme="http")
    await browser.sign_in()
    device = await add(browser)
    assert (await enter(browser, device)).status == 303


async def test_without_a_script_the_forms_are_not_shown(office) -> None:
    browser = await office.user()
    for path in (PAGE, "/dashboard/sign-in"):
        text = (await browser.get(path)).text
        (form,) = [part for part in text.split("<form")[1:] if "data-passkey" in part]
        assert " hidden>" in form.partition("\n")[0]
