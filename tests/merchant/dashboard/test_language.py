"""The dashboard in the language of its user: words, numbers, and the choice of it."""

import ast
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.merchant.dashboard.browsing import PASSWORD
from tests.merchant.dashboard.showroom import Rooms, furnish, payjoin_paid
from tests.merchant.pages.site import Html
from tests.merchant.refunds import CUSTOMER
from tests.merchant.shop import add_shop
from tools.catalogues import catalogues, read

import dovetail
from dovetail.bitcoin import Txid
from dovetail.explain import describe_sighting
from dovetail.explain.outcome import ending
from dovetail.merchant.dashboard import sentences, speech
from dovetail.merchant.data import refunds
from dovetail.merchant.data.invoices import InvoiceRow
from dovetail.merchant.data.stores import StoreRow
from dovetail.merchant.pages.language import language
from dovetail.sessions import outcomes
from dovetail.sessions.reasons import Reason
from dovetail.sessions.sightings import Sighting, SpendKind

GERMAN = {"accept_language": "de-AT, en;q=0.5"}
SHOWN = ("aria-label", "placeholder", "title", "alt")
VALUE = re.compile(r"%\(\w+\)s|%%")
SENTENCE = 12
"""Letters from which on a part of a message is found within other text."""


@pytest.fixture
def store(office, clock) -> StoreRow:
    clock.now = int(time.time())
    made: StoreRow = office.database.write(lambda c: add_shop(c, now=clock.now, name="Tea & Co"))
    return made


@pytest.fixture
def rooms(office, store) -> Rooms:
    return furnish(office.database, store, str(CUSTOMER))


@pytest.fixture
def paid(office, store, clock) -> InvoiceRow:
    terms: dict[str, Any] = {"price": "2750.00", "currency": "EUR", "rate": "55000.00"}
    at = clock.now - 600
    made: InvoiceRow = office.database.write(lambda c: payjoin_paid(c, store, at, **terms))
    return made


def english() -> tuple[set[str], set[str]]:
    """The words of the catalogue that German writes otherwise: whole texts, and longer parts."""
    (path,) = catalogues()
    whole, parts = set[str](), set[str]()
    for message in read(path):
        ids, strings = (
            each if isinstance(each, tuple) else (each,) for each in (message.id, message.string)
        )
        for words, german in zip(map(str, ids), map(str, strings), strict=True):
            if words and words != german:
                whole.add(words)
                parts |= {each.strip() for each in VALUE.split(words) if len(each) >= SENTENCE}
    return whole, {each for each in parts if " " in each}


def texts(page: str) -> Iterator[str]:
    """Each text that a person reads or hears."""
    html = Html(page)
    yield from html.words
    for name in SHOWN:
        yield from html.values(name)


async def test_no_page_has_english_words_left_in_german(office, rooms) -> None:
    whole, parts = english()
    browser = await office.user()
    for path in rooms.pages:
        answer = await browser.get(f"/dashboard{path}", **GERMAN)
        assert (answer.status, '<html lang="de">' in answer.text) == (200, True), path
        for text in texts(answer.text):
            assert text not in whole, (path, text)
            assert not any(part in text for part in parts), (path, text)
        english_left = re.findall(r'<span lang="en">([^<]*)', answer.text)
        assert english_left == [], path


async def test_english_words_would_be_found(office, rooms) -> None:
    whole, parts = english()
    browser = await office.user()
    answer = await browser.get("/dashboard", accept_language="en")
    found = list(texts(answer.text))
    assert {"Overview", "Sign out", "Chain source"} <= whole & set(found)
    assert any(part in text for text in found for part in parts)


async def test_the_way_to_sign_in_is_german_too(office) -> None:
    browser = office.browser()
    shown = await browser.get("/dashboard/sign-in", **GERMAN)
    assert "Anmelden" in shown.said
    refused = await browser.post("/dashboard/sign-in", {"name": "x", "password": "y"}, **GERMAN)
    assert "Der Name oder das Passwort ist falsch." in refused.said
    missing = await browser.get("/dashboard/none", **GERMAN)
    assert (missing.status, "Diese Seite gibt es nicht" in missing.said) == (404, True)
    for _ in range(12):
        refused = await browser.post("/dashboard/sign-in", {"name": "x"}, **GERMAN)
    assert re.search(r"Es waren zu viele Versuche\. Warten Sie \d+ Sekunden", refused.said)


async def test_dates_and_numbers_are_as_the_language_writes_them(office, paid) -> None:
    path, created = f"/dashboard/invoices/{paid.id}", paid.created_at
    browser = await office.user()
    shown = {
        code: (await browser.get(path, accept_language=code)).said.replace("\xa0", " ")
        for code in ("en", "de")
    }
    assert "50,000 sats 2,750.00 EUR · 1 BTC = 55,000.00 EUR" in shown["en"]
    assert "50.000 sats 2.750,00 EUR · 1 BTC = 55.000,00 EUR" in shown["de"]
    assert time.strftime("%d.%m.%Y, %H:%M", time.gmtime(created)) in shown["de"]
    assert time.strftime("%b %Y, %H:%M", time.gmtime(created)) in shown["en"]


@pytest.mark.parametrize(
    ("code", "text", "amount"),
    [
        ("de", "10.000", 10_000),
        ("de", "10000 sats", 10_000),
        ("en", "10,000", 10_000),
        ("en", "10\xa0000", 10_000),
        ("de", "10,000", None),
        ("de", "1.50", None),
        ("en", "10.000", None),
        ("en", "1,0000", None),
        ("en", "-1", None),
    ],
)
async def test_an_amount_is_read_as_its_language_writes_it(
    office, paid, code, text, amount
) -> None:
    path = f"/dashboard/invoices/{paid.id}"
    browser = await office.user()
    await browser.get(path)
    answer = await browser.post(f"{path}/refunds", {"amount": text}, accept_language=code)
    assert answer.status == (422 if amount is None else 200), answer.said
    made = office.database.read(lambda c: refunds.refunds_of(c, paid.id))
    assert [int(each.amount) for each in made] == ([] if amount is None else [amount])


async def test_a_user_reads_in_german_where_they_are_signed_in(office) -> None:
    browser, agent = office.browser(), "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Firefox/128.0"
    await browser.get("/dashboard/sign-in")
    fields = {"name": "Ada", "password": PASSWORD}
    await browser.post("/dashboard/sign-in", fields, user_agent=agent)
    said = (await browser.get("/dashboard/account", **GERMAN)).said
    assert "Firefox, Linux mit Passwort" in said


async def test_a_chosen_language_is_kept(office) -> None:
    browser = await office.user()
    plain = await browser.get("/dashboard/invoices?q=tea&status=new", **GERMAN)
    chosen = re.search(r'<a href="([^"]+)" lang="en"', plain.text)
    assert chosen is not None
    path = chosen[1].replace("&amp;", "&")
    assert path == "/dashboard/invoices?q=tea&status=new&lang=en"
    answer = await browser.get(path, **GERMAN)
    (cookie,) = answer.cookies
    assert {"httponly", "secure", "path=/dashboard", "samesite=lax"} <= {
        each.strip().lower() for each in cookie.split(";")
    }
    assert '<html lang="en">' in answer.text
    assert '<html lang="en">' in (await browser.get("/dashboard", **GERMAN)).text
    back = await browser.get("/dashboard?lang=de")
    assert '<html lang="de">' in back.text
    assert '<html lang="de">' in (await browser.get("/dashboard/none")).text


@pytest.mark.parametrize("cookie", ["xx", "", "de; =; \x01", "../../de"])
async def test_a_language_that_nobody_knows_is_ignored(office, cookie) -> None:
    browser = await office.user()
    browser.jar[speech.COOKIE] = cookie.partition(";")[0]
    if cookie == "":
        browser.jar["no/name"] = "of a cookie"
    answer = await browser.get("/dashboard?lang=../de", **GERMAN)
    assert (answer.cookies, '<html lang="de">' in answer.text) == ([], True)


async def test_a_page_that_answers_a_form_is_not_asked_for_again(office) -> None:
    browser = await office.user()
    await browser.get("/dashboard/users")
    answer = await browser.post("/dashboard/users", {"name": "x", "role": "none"})
    assert "hreflang" not in answer.text
    assert "hreflang" in (await browser.get("/dashboard/users")).text


def test_what_has_no_translation_is_marked_as_english() -> None:
    said = speech.told("It answers. The disk is <full>. Expired.", language("de"))
    assert said == ('Er antwortet. <span lang="en">The disk is &lt;full&gt;.</span> Abgelaufen.')
    assert speech.told("The disk is <full>.", language("en")) == "The disk is &lt;full&gt;."


def test_values_are_put_in_as_they_are() -> None:
    words = "It answers for regtest; the newest block is 1,204."
    assert speech.told(words, language("de")) == (
        "Sie antwortet für regtest; der neueste Block ist 1.204."
    )
    assert speech.told("store <b>", language("de")) == "Shop &lt;b&gt;"


_TXID = Txid(bytes(32))
ENDS = (
    outcomes.Success(txid=str(_TXID)),
    outcomes.FallbackBroadcasted(txid=str(_TXID)),
    outcomes.PaidDirectly(txid=str(_TXID)),
    outcomes.PayjoinProposalSent(),
    outcomes.Expired(),
    outcomes.Expired(received=0),
    outcomes.Expired(received=7_000),
    outcomes.Cancelled(why=Reason.CANCELLED_BY_US),
    outcomes.Cancelled(why=Reason.CANCELLED_BY_US, received=7_000),
    outcomes.Unrecognized(txid=str(_TXID)),
)


@pytest.mark.parametrize("outcome", ENDS)
@pytest.mark.parametrize("asked", [None, 50_000])
def test_each_end_of_a_session_has_a_translation(outcome, asked) -> None:
    words, _, _ = ending(outcome, paying=False, asked=asked)
    german = speech.said(words, language("de"))
    assert german is not None, words
    assert " of " not in german


@pytest.mark.parametrize("kind", [SpendKind.PAYJOIN, SpendKind.FALLBACK, SpendKind.DIRECT])
@pytest.mark.parametrize(("depth", "wanted"), [(0, 1), (1, 1), (1, 3)])
def test_each_sighting_of_a_payment_has_a_translation(kind, depth, wanted) -> None:
    words = describe_sighting(Sighting(kind=kind, txid=_TXID, depth=depth, wanted=wanted))
    assert speech.said(words, language("de")) is not None, words


def constants() -> set[str]:
    """Each text of the program, with `%` for its values."""
    found = set[str]()
    for path in sorted(Path(dovetail.__file__).parent.rglob("*.py")):
        if path.name in ("sentences.py", "speech.py"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
            elif isinstance(node, ast.JoinedStr):
                parts = (
                    each.value if isinstance(each, ast.Constant) else "%" for each in node.values
                )
                found.add("".join(map(str, parts)))
    return found


COMPOSED = re.compile(
    r"^(Expired: |Cancelled: |It answers|A file: |The (payjoin|ordinary payment) has %|An ordinary"
    r"|The (network has|ordinary payment is broadcast|payment has been)|%.* (coins? of yours|came)"
    r"|%.*sats have come|A transaction that spends the sender's coins was seen. |Payjoins are off"
    r"|The endpoint (could|did) not|There (were|are) too many|Paid to|The sender's coins were spent"
    r"|Item %|\(The entry|Its schema is)"
)
"""Sentences that the program puts together of parts; other tests make some of them."""


def test_each_sentence_is_still_said_by_the_program() -> None:
    said = constants()
    shapes = {re.sub(r"%\(\w+\)s", "%", each) for each in sentences.WHOLE + sentences.PATTERNS}
    assert {each for each in shapes - said if not COMPOSED.match(each)} == set()
