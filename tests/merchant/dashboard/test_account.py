"""The user's own password and codes, over the dashboard."""

import re
from base64 import b32decode

import pytest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from tests.merchant.dashboard.browsing import PASSWORD

from dovetail.merchant.dashboard import account

PAGE = "/dashboard/account"
NEW = "another long password"


async def test_a_new_password_ends_all_sign_ins(office) -> None:
    browser, other = await office.user(), await office.user()
    await browser.get(PAGE)
    fields = {"password": PASSWORD, "new": NEW, "again": NEW}
    answer = await browser.post(f"{PAGE}/password", fields)
    assert (answer.status, answer.header("location")) == (
        303,
        "/dashboard/sign-in?done=password",
    )
    assert "was changed" in (await browser.get(answer.header("location"))).said
    assert (await other.get(PAGE)).status == 303
    assert (await browser.sign_in()).status == 422
    assert (await browser.sign_in(password=NEW)).status == 303


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
    browser = await office.user()
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
    assert done.header("location") == "/dashboard/sign-in?done=codes"
    clock.now += 60
    answer = await browser.sign_in()
    assert answer.header("location").startswith("/dashboard/sign-in/code")
    await browser.get("/dashboard/sign-in/code")
    code = totp.generate(int(clock.now)).decode()
    assert (await browser.post("/dashboard/sign-in/code", {"code": code})).status == 303
    assert "asked for a code" in (await browser.get(PAGE)).said
    again = await browser.post(f"{PAGE}/codes", {"password": PASSWORD})
    assert (again.status, "in use already" in again.said) == (422, True)
    await browser.get(PAGE)
    refused = await browser.post(f"{PAGE}/codes/remove", {"password": "not the right one"})
    assert (refused.status, account.WRONG_PASSWORD in refused.said) == (422, True)
    removed = await browser.post(f"{PAGE}/codes/remove", {"password": PASSWORD})
    assert removed.header("location") == f"{PAGE}?done=no-codes"
    assert "password alone" in (await browser.get(removed.header("location"))).said


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
