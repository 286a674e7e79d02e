"""Signing in and out in a browser, and what attackers try there."""

import re
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from tests.merchant.dashboard.browsing import BOTH, PASSWORD, Browser, Office, open_office
from tests.support.clock import Clock

from dovetail.merchant.dashboard import sign_in
from dovetail.merchant.dashboard.desk import NAME_TRIES
from dovetail.merchant.data import sign_ins, user_codes, users
from dovetail.merchant.data.known_browsers import KEPT
from dovetail.merchant.messages import Role

COOKIE = "__Host-dovetail"
KNOWN = "__Host-dovetail-browser"
SCRIPT = r'<script src="/assets/[a-z]+\.[0-9a-f]{16}\.js" defer></script>'
"""A script of ours, in a file."""
PAGE = "/dashboard/account"


def code_of(office: Office, clock: Clock, name: str = "Ada", drift: int = 0) -> str:
    """What the user's app shows; the secret is made and confirmed where there is none."""
    row = office.database.read(lambda c: users.user_of_name(c, name))
    assert row is not None
    known = office.database.read(lambda c: user_codes.codes_of(c, row.id))
    if known is None:
        office.database.write(lambda c: user_codes.propose(c, row.id, b"s" * 20))
        now = office.database.now()
        office.database.write(lambda c: user_codes.confirm(c, row.id, by="test", now=now))
        known = office.database.read(lambda c: user_codes.codes_of(c, row.id))
    assert known is not None
    shown = TOTP(known.secret, 6, SHA1(), 30)  # noqa: S303 - RFC 6238
    return shown.generate(int(clock.now) + drift).decode()


@BOTH
async def test_a_user_signs_in_sees_a_page_and_signs_out(office) -> None:
    browser = office.browser()
    answer = await browser.get(PAGE)
    assert (answer.status, answer.header("location")) == (
        303,
        "/dashboard/sign-in?next=%2Fdashboard%2Faccount",
    )
    asked = await browser.get(answer.header("location"))
    assert 'name="next" value="/dashboard/account"' in asked.text
    answer = await browser.post(
        "/dashboard/sign-in", {"name": "Ada", "password": PASSWORD, "next": PAGE}
    )
    assert (answer.status, answer.header("location")) == (303, PAGE)
    shown = await browser.get(PAGE)
    assert shown.status == 200
    assert "Ada" in shown.said
    token = browser.jar[COOKIE]
    left = await browser.post("/dashboard/sign-out")
    assert (left.status, left.header("location")) == (303, "/dashboard/sign-in")
    assert COOKIE not in browser.jar
    browser.jar[COOKIE] = token
    assert (await browser.get(PAGE)).status == 303


async def test_the_cookie_is_for_this_host_and_for_no_script(office) -> None:
    browser = await office.user()
    answer = await office.browser().sign_in()
    (cookie,) = [each for each in answer.cookies if each.startswith(f"{COOKIE}=")]
    assert {"httponly", "secure", "samesite=strict", "path=/"} <= {
        each.strip().lower() for each in cookie.split(";")
    }
    assert "domain" not in cookie.lower()
    assert browser.jar[COOKIE] not in (await browser.get(PAGE)).text


async def test_on_the_own_machine_plain_http_is_enough(database, clock) -> None:
    office = open_office(database, clock, public=None)
    browser = office.browser(host="127.0.0.1:8080", scheme="http")
    assert (await browser.sign_in()).status == 303
    assert set(browser.jar) == {"dovetail", "dovetail-browser"}
    assert (await browser.get(PAGE)).status == 200


async def test_over_plain_http_elsewhere_the_browser_keeps_no_sign_in(office) -> None:
    browser = office.browser(scheme="http")
    answer = await browser.sign_in()
    assert answer.status == 403
    assert browser.jar == {}


async def test_behind_a_proxy_with_tls_the_cookie_is_secure(office) -> None:
    browser = office.browser()
    browser.scheme = "http"  # as the server hears it
    answer = await browser.get("/dashboard/sign-in")
    assert all("Secure" in each for each in answer.cookies)


async def test_no_token_that_was_there_before_becomes_a_sign_in(office) -> None:
    """Session fixation: an attacker has put both cookies into the browser."""
    browser = office.browser()
    browser.jar = {COOKIE: "planted", f"{COOKIE}-form": "planted too"}
    assert (await browser.sign_in()).status == 303
    assert browser.jar[COOKIE] not in ("planted", "planted too")
    attacker = office.browser()
    attacker.jar = {COOKIE: "planted"}
    assert (await attacker.get(PAGE)).status == 303


async def test_a_second_sign_in_ends_the_first_one_of_the_browser(office) -> None:
    browser = await office.user()
    former = browser.jar[COOKIE]
    await browser.sign_in("Grace")
    other = office.browser()
    other.jar = {COOKIE: former}
    assert (await other.get(PAGE)).status == 303


@BOTH
async def test_the_code_is_asked_for_and_gives_a_new_token(office, clock) -> None:
    code = code_of(office, clock)
    browser = office.browser()
    answer = await browser.sign_in(next=PAGE)
    assert answer.header("location") == "/dashboard/sign-in/code?next=%2Fdashboard%2Faccount"
    half = browser.jar[COOKIE]
    assert (await browser.get(PAGE)).status == 303  # half a sign-in opens nothing
    await browser.get(answer.header("location"))
    wrong = await browser.post("/dashboard/sign-in/code", {"code": "000000", "next": PAGE})
    assert (wrong.status, sign_in.WRONG_CODE in wrong.said) == (422, True)
    done = await browser.post("/dashboard/sign-in/code", {"code": code, "next": PAGE})
    assert (done.status, done.header("location")) == (303, PAGE)
    assert browser.jar[COOKIE] != half
    assert (await browser.get(PAGE)).status == 200
    other = office.browser()
    other.jar = {COOKIE: half}
    assert (await other.get(PAGE)).status == 303


@BOTH
async def test_too_many_wrong_codes_ask_for_the_password_again(office, clock) -> None:
    code_of(office, clock)
    browser = office.browser()
    await browser.sign_in()
    await browser.get("/dashboard/sign-in/code")
    answers = [
        await browser.post("/dashboard/sign-in/code", {"code": "000000"})
        for _ in range(sign_ins.MOST_TRIES)
    ]
    assert sign_in.AGAIN in answers[-1].said
    assert all(sign_in.WRONG_CODE in each.said for each in answers[:-1])


async def test_codes_without_a_password_are_led_back(office, clock) -> None:
    browser = office.browser()
    assert (await browser.get("/dashboard/sign-in/code")).header("location") == "/dashboard/sign-in"
    assert (await browser.post("/dashboard/sign-in/code", {"code": "1"})).status == 303
    code_of(office, clock)
    await browser.sign_in()
    await browser.get("/dashboard/sign-in/code")
    clock.now += sign_ins.HALF + 1
    late = await browser.post("/dashboard/sign-in/code", {"code": code_of(office, clock)})
    assert (late.status, sign_in.AGAIN in late.said) == (422, True)


async def test_an_unknown_name_looks_like_a_wrong_password(office) -> None:
    """Enumeration of names."""
    unknown, wrong, disabled = office.browser(), office.browser(), office.browser()
    office.users.disable("Joan", by="test")
    answers = [
        await unknown.sign_in("Nobody", PASSWORD),
        await wrong.sign_in("Ada", "not this one!"),
        await disabled.sign_in("Joan", PASSWORD),
    ]
    assert {each.status for each in answers} == {422}
    assert all(sign_in.WRONG in each.said for each in answers)
    assert len({each.said.replace("Nobody", "") for each in answers}) == 1


async def test_one_network_may_guess_few_passwords(office) -> None:
    """Brute force over many names."""
    browser = office.browser()
    await browser.get("/dashboard/sign-in")
    answers = [
        await browser.post("/dashboard/sign-in", {"name": f"name{number}", "password": "x" * 12})
        for number in range(22)
    ]
    assert [each.status for each in answers[:20]] == [422] * 20
    assert answers[-1].status == 429
    assert 0 < int(answers[-1].header("retry-after")) <= 61
    elsewhere = office.browser(client=("198.51.100.1", 1))
    assert (await elsewhere.sign_in()).status == 303


async def test_one_network_may_guess_few_passwords_of_one_name(office) -> None:
    browser = office.browser()
    statuses = [(await browser.sign_in("aDa", "x" * 12)).status for _ in range(11)]
    assert statuses == [422] * 10 + [429]
    elsewhere = office.browser(client=("198.51.100.1", 1))
    assert (await elsewhere.sign_in()).status == 303


async def guess(office: Office, times: int) -> list[int]:
    """Wrong passwords for Ada, each from a network of its own."""
    found = []
    for number in range(times):
        browser = office.browser(client=(f"198.51.{number}.1", 1))
        found.append((await browser.sign_in("aDa", "x" * 12)).status)
    return found


async def test_one_name_may_be_guessed_so_often_from_anywhere(office) -> None:
    """Brute force from many networks."""
    most = NAME_TRIES.burst
    assert await guess(office, most + 1) == [422] * most + [429]
    right = await office.browser(client=("203.0.113.1", 1)).sign_in()
    assert (right.status, right.header("retry-after") is not None) == (429, True)
    assert COOKIE not in [each.partition("=")[0] for each in right.cookies]


async def test_strangers_lock_nobody_out_of_a_browser_they_have_used(office) -> None:
    """The lock-out: guesses slow down only browsers in which the user has never signed in."""
    ada, grace = await office.user(), await office.user(Role.MANAGER)
    await ada.get(PAGE)
    await ada.post("/dashboard/sign-out")
    await guess(office, NAME_TRIES.burst + 1)
    assert (await office.browser(client=("203.0.113.9", 1)).sign_in()).status == 429
    assert (await ada.sign_in()).status == 303
    ada.client = ("203.0.113.5", 1)  # at another place
    assert (await ada.sign_in()).status == 303
    assert (await grace.sign_in("Ada")).status == 429  # who is known, but not as Ada


async def test_strangers_in_the_same_network_lock_nobody_out_either(office) -> None:
    ada, stranger = await office.user(), office.browser()
    for number in range(25):
        await stranger.sign_in(f"name{number}", "x" * 12)
    assert (await office.browser().sign_in("Grace")).status == 429
    assert (await ada.sign_in()).status == 303


async def test_a_browser_that_is_known_may_guess_few_times_too(office) -> None:
    """It may have been stolen."""
    ada = await office.user()
    statuses = [(await ada.sign_in("Ada", "x" * 12)).status for _ in range(11)]
    assert statuses == [422] * 10 + [429]


async def test_no_browser_is_known_by_a_cookie_that_it_made_up(office) -> None:
    await guess(office, NAME_TRIES.burst + 1)
    stranger = office.browser(client=("203.0.113.9", 1))
    stranger.jar = {KNOWN: "made up"}
    assert (await stranger.sign_in()).status == 429


@BOTH
async def test_the_cookie_of_a_known_browser_stays_and_changes_at_each_sign_in(office) -> None:
    browser = office.browser()
    answer = await browser.sign_in()
    (cookie,) = [each for each in answer.cookies if each.startswith(f"{KNOWN}=")]
    told = {each.strip().lower() for each in cookie.split(";")}
    assert {"httponly", "secure", "samesite=strict", f"max-age={KEPT}"} <= told
    first = browser.jar[KNOWN]
    await browser.sign_in()
    assert browser.jar[KNOWN] != first
    assert (await office.browser().sign_in("Ada", "not this one!")).cookies == []


async def test_half_a_sign_in_makes_no_browser_known(office, clock) -> None:
    """Who has the password alone is a stranger still."""
    code_of(office, clock)
    browser = office.browser()
    assert (await browser.sign_in()).status == 303
    assert KNOWN not in browser.jar
    await browser.get("/dashboard/sign-in/code")
    code = code_of(office, clock)
    assert (await browser.post("/dashboard/sign-in/code", {"code": code})).status == 303
    assert KNOWN in browser.jar


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example/",
        "//evil.example",
        "/dashboard//evil.example",
        "/\\evil.example",
        "/dashboard/../..//evil.example",
        "/dashboardevil",
        "javascript:alert(1)",
        "/dashboard@evil.example",
        "/dashboard\r\nSet-Cookie: a=b",
        "/dashboard?x=\r\nSet-Cookie: a=b",
        "/dashboard\n",
        "/api/v1/openapi.json",
    ],
)
async def test_after_the_sign_in_no_address_leads_elsewhere(office, elsewhere) -> None:
    """Open redirects, and headers that the address would inject."""
    browser = office.browser()
    await browser.get(f"/dashboard/sign-in?next={quote(elsewhere)}")
    answer = await browser.sign_in(next=elsewhere)
    assert (answer.status, answer.header("location")) == (303, "/dashboard")
    assert not any(each.startswith("a=b") for each in answer.cookies)


@pytest.mark.parametrize(
    ("token", "headers"),
    [
        ("", {}),
        ("0" * 64, {}),
        ("é", {}),
        (None, {"sec_fetch_site": "cross-site"}),
        (None, {"sec_fetch_site": "same-site"}),
        (None, {"sec_fetch_site": "none"}),
        (None, {"origin": "https://evil.example"}),
        (None, {"origin": "null"}),
        (None, {"origin": "", "sec_fetch_site": ""}),
    ],
)
@pytest.mark.parametrize("path", ["/dashboard/sign-in", "/dashboard/sign-out"])
async def test_no_other_site_sends_a_form(office, token, headers, path) -> None:
    """CSRF, also of the sign-in itself."""
    browser = await office.user()
    await browser.get("/dashboard/sign-in" if path.endswith("in") else PAGE)
    fields = {"name": "Grace", "password": PASSWORD}
    answer = await browser.post(path, fields, token=token, **headers)
    assert answer.status == 403
    assert (await browser.get(PAGE)).status == 200


async def test_the_form_of_one_user_does_not_do_for_another(office) -> None:
    ada, other = await office.user(), office.browser()
    await other.sign_in("Grace")
    await other.get(PAGE)
    await ada.get(PAGE)
    assert (await ada.post("/dashboard/sign-out", token=other.form)).status == 403


async def test_a_form_that_cannot_be_read_is_refused(office) -> None:
    browser = await office.user()
    await browser.get(PAGE)
    many = {f"f{number}": "" for number in range(251)}
    assert (await browser.post("/dashboard/sign-out", many)).status == 400
    assert (await raw(browser, b"form=%ff%fe")).status == 400
    assert (await raw(browser, b"form=\xff")).status == 400


async def raw(browser: Browser, body: bytes):
    headers = {
        "origin": browser.origin,
        "sec-fetch-site": "same-origin",
        "content-type": "application/x-www-form-urlencoded",
    }
    return await browser._ask("POST", "/dashboard/sign-out", body, headers)


async def test_a_link_on_another_site_opens_the_page_all_the_same(office) -> None:
    """Browsers leave a strict cookie away then, and send it when the page loads itself again."""
    browser = await office.user()
    jar, browser.jar = browser.jar, {}
    answer = await browser.get(PAGE, sec_fetch_site="cross-site")
    assert (answer.status, 'http-equiv="refresh"' in answer.text) == (200, True)
    assert answer.cookies == []
    browser.jar = jar
    assert (await browser.get(PAGE)).status == 200


async def test_pages_are_kept_by_nobody_and_framed_by_nobody(office) -> None:
    for answer in (
        await office.browser().get("/dashboard/sign-in"),
        await (await office.user()).get(PAGE),
        await office.browser().get("/dashboard/none"),
    ):
        policy = answer.header("content-security-policy") or ""
        assert answer.header("cache-control") == "no-store"
        assert "frame-ancestors 'none'" in policy
        assert answer.header("referrer-policy") == "same-origin"  # else `Origin` would be null
        assert "unsafe" not in policy
        assert re.sub(SCRIPT, "", answer.text).count("<script") == 0
        assert " style=" not in answer.text
        assert " on" not in "".join(part for part in answer.text.split("<") if "onclick" in part)


async def test_json_is_no_form(office) -> None:
    browser = await office.user()
    await browser.get(PAGE)
    answer = await browser.post("/dashboard/sign-out", content_type="application/json")
    assert (answer.status, "text/html" in (answer.header("content-type") or "")) == (415, True)


async def test_an_unknown_page_says_so(office) -> None:
    answer = await (await office.user()).get("/dashboard/none")
    assert (answer.status, "There is no such page" in answer.said) == (404, True)
