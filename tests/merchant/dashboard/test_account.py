"""The user's own password and codes, over the dashboard."""

import re
from base64 import b32decode

import pytest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from tests.merchant.dashboard.browsing import PASSWORD

from dovetail.merchant.dashboard import account
from dovetail.merchant.data import sign_ins
from dovetail.merchant.messages import Role

PAGE = "/dashboard/account"
NEW = "another long password"


async def test_a_new_password_ends_the_other_sign_ins(office) -> None:
    browser, other = await office.user(), await office.user()
    await browser.get(PAGE)
    fields = {"password": PASSWORD, "new": NEW, "again": NEW}
    answer = await browser.post(f"{PAGE}/password", fields)
    assert (answer.status, answer.header("location")) == (303, f"{PAGE}?done=password")
    assert "was changed" in (await browser.get(answer.header("location"))).said
    assert (await other.get(PAGE)).status == 303
    assert (await other.sign_in()).status == 422
    assert (await other.sign_in(password=NEW)).status == 303


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"password": "wrong password"}, account.WRONG_PASSWORD),
        ({"again": "another one, too"}, account.UNEQUAL),
        ({"new": "short", "again": "short"}, "at least 12 characters"),
    ],
)
async def test_a_password_that_will_not_do_is_refused(office, fields, words) -> None:
    browser = await office.user()
    await browser.get(PAGE)
    given = {"password": PASSWORD, "new": NEW, "again": NEW} | fields
    answer = await browser.post(f"{PAGE}/password", given)
    assert (answer.status, words in answer.said) == (422, True)
    assert (await browser.get(PAGE)).status == 200


async def test_codes_are_set_up_used_and_removed(office, clock) -> None:
    browser, other = await office.user(), await office.user()
    await browser.get(PAGE)
    shown = await browser.post(f"{PAGE}/codes", {"password": PASSWORD})
    assert "<svg" in shown.text
    secret = re.search(r'class="secret">([A-Z2-7 ]+)<', shown.text)
    assert secret is not None
    key = b32decode(secret[1].replace(" ", ""))
    totp = TOTP(key, 6, SHA1(), 30)  # noqa: S303 - RFC 6238
    wrong = await browser.post(f"{PAGE}/codes/confirm", {"code": "000000"})
    assert (wrong.status, account.WRONG_CODE in wrong.said) == (422, True)
    assert secret[1] not in wrong.text
    code = totp.generate(int(clock.now)).decode()
    done = await browser.post(f"{PAGE}/codes/confirm", {"code": code})
    assert done.header("location") == f"{PAGE}?done=codes"
    assert [(await each.get(PAGE)).status for each in (browser, other)] == [200, 303]
    clock.now += 60
    browser = office.browser()
    answer = await browser.sign_in()
    assert answer.header("location").startswith("/dashboard/sign-in/code")
    await browser.get("/dashboard/sign-in/code")
    code = totp.generate(int(clock.now)).decode()
    assert (await browser.post("/dashboard/sign-in/code", {"code": code})).status == 303
    assert "asked for a code" in (await browser.get(PAGE)).said
    again = await browser.post(f"{PAGE}/codes", {"password": PASSWORD})
    assert (again.status, "in use already" in again.said) == (422, True)
    clock.now += 60
    await other.sign_in()
    await other.get("/dashboard/sign-in/code")
    code = totp.generate(int(clock.now)).decode()
    assert (await other.post("/dashboard/sign-in/code", {"code": code})).status == 303
    await browser.get(PAGE)
    refused = await browser.post(f"{PAGE}/codes/remove", {"password": "not the right one"})
    assert (refused.status, account.WRONG_PASSWORD in refused.said) == (422, True)
    removed = await browser.post(f"{PAGE}/codes/remove", {"password": PASSWORD})
    assert removed.header("location") == f"{PAGE}?done=no-codes"
    assert "password alone" in (await browser.get(removed.header("location"))).said
    assert (await other.get(PAGE)).status == 303


async def test_nobody_sets_up_codes_without_the_password(office) -> None:
    """A sign-in that was left open must not lock its user out."""
    browser = await office.user()
    await browser.get(PAGE)
    answer = await browser.post(f"{PAGE}/codes", {"password": "guess guess guess"})
    assert (answer.status, "secret" in answer.text) == (422, False)


async def test_the_own_password_is_guessed_few_times(office) -> None:
    browser = await office.user()
    await browser.get(PAGE)
    answers = [await browser.post(f"{PAGE}/codes", {"password": "guess" * 3}) for _ in range(11)]
    assert "too many tries" in answers[-1].said
    confirmed = await browser.post(f"{PAGE}/codes/confirm", {"code": "000000"})
    assert "too many tries" in confirmed.said


async def test_words_after_an_act_never_come_from_the_address(office) -> None:
    browser = await office.user()
    answer = await browser.get(f"{PAGE}?done=Your+account+is+blocked")
    assert "blocked" not in answer.text


FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
PHONE = "Mozilla/5.0 (Linux; Android 16) AppleWebKit/537.36 Chrome/142.0 Mobile Safari/537.36"


async def test_open_sign_ins_are_listed_in_coarse_words(office, clock) -> None:
    browser, phone = office.browser(agent=FIREFOX), office.browser(agent=PHONE)
    await browser.sign_in()
    clock.now += 3_600
    await phone.sign_in()
    await (await office.user(Role.VIEWER)).get(PAGE)
    shown = await browser.get(PAGE)
    assert "Firefox, Linux by password" in shown.said
    assert "Chrome, Android by password" in shown.said
    assert shown.text.count("This browser") == 1
    assert shown.text.count("/end") == 2
    assert "145.0" not in shown.text
    assert "192.0.2" not in shown.text


async def test_one_sign_in_is_ended_from_another(office) -> None:
    browser, other, third = [await office.user() for _ in range(3)]
    await browser.get(PAGE)
    key = sign_ins.hash_of(other.jar["__Host-dovetail"]).hex()
    answer = await browser.post(f"{PAGE}/sign-ins/{key}/end")
    assert answer.header("location") == f"{PAGE}?done=signed-out"
    statuses = [(await each.get(PAGE)).status for each in (browser, other, third)]
    assert statuses == [200, 303, 200]
    assert (await browser.post(f"{PAGE}/sign-ins/{key}/end")).status == 404
    assert (await browser.post(f"{PAGE}/sign-ins/zz/end")).status == 404


async def test_nobody_ends_the_sign_in_of_another_user(office) -> None:
    browser, hers = await office.user(), await office.user(Role.VIEWER)
    await browser.get(PAGE)
    key = sign_ins.hash_of(hers.jar["__Host-dovetail"]).hex()
    assert (await browser.post(f"{PAGE}/sign-ins/{key}/end")).status == 404
    assert (await hers.get(PAGE)).status == 200


async def test_a_user_signs_out_everywhere_else(office) -> None:
    browser, other, hers = await office.user(), await office.user(), await office.user(Role.VIEWER)
    await browser.get(PAGE)
    answer = await browser.post(f"{PAGE}/sign-ins/end-others")
    assert "everywhere else" in (await browser.get(answer.header("location"))).said
    statuses = [(await each.get(PAGE)).status for each in (browser, other, hers)]
    assert statuses == [200, 303, 200]
    assert "everywhere else" not in (await browser.get(PAGE)).said.partition("Where you are")[2]


async def test_strangers_do_not_keep_a_user_from_changing_the_password(office) -> None:
    browser = await office.user()
    for number in range(60):
        stranger = office.browser(client=(f"198.51.{number}.1", 1))
        await stranger.sign_in("Ada", "x" * 12)
    await browser.get(PAGE)
    fields = {"password": PASSWORD, "new": NEW, "again": NEW}
    assert (await browser.post(f"{PAGE}/password", fields)).status == 303
