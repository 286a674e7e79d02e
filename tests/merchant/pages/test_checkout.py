"""The checkout page over a real port, on both databases."""

import asyncio
import json
import re
from uuid import uuid4

import pytest
from tests.merchant.api.raw_http import dialled, request
from tests.merchant.pages import gallery
from tests.merchant.pages.site import Html, opened
from tests.merchant.quiet import NOBODY
from tests.merchant.shop import add_one
from tests.test_qr import read_svg

from dovetail.bitcoin.uri import BitcoinUri
from dovetail.errors import StoreUnavailable
from dovetail.merchant.api.limits import Rate
from dovetail.merchant.data import retention
from dovetail.merchant.pages.view import WORDS, Stage
from dovetail.serving.client_shares import Clients

EVERYBODY = Clients(proxies=())
EVIL = "\"><script>alert('x')</script>&lt;%(x)s"
STRICT = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors "
)


def path(row) -> str:
    return f"/i/{row.id}"


async def test_the_page_shows_what_to_pay_and_how(pages) -> None:
    row = pages.add(gallery.add, label="Two cups", order_id="A-7", price="27.50", currency="EUR")
    shown = await pages.page(path(row))
    for words in ("Tea & Co", "Two cups · Order A-7", "0.00050000 BTC", "50,000 sats · 27.50 EUR"):
        assert words in shown.text
    uri = pages.row(row).uri
    assert uri in shown.values("href", "a")
    assert uri in shown.values("data-copy", "button")
    assert {row.address, "0.00050000"} < set(shown.values("data-copy"))


@pytest.mark.parametrize("stage", Stage)
async def test_each_stage_has_its_page(pages, stage) -> None:
    if stage in gallery.HOLDS:
        pages.open_store(broadcasts_fallback=False)
    where = path(pages.add(gallery.STAGES[stage]))
    assert WORDS[stage].title in (await pages.page(where)).text
    told = await pages.get(where + "/state")
    assert told.json["stage"] == stage


async def test_the_code_is_the_payment_uri(pages) -> None:
    row = pages.add(gallery.add)
    told = await pages.get(path(row))
    uri = pages.row(row).uri or ""
    body, mark, rest = uri.partition("?")
    assert read_svg(told.body.decode()) == body.upper() + mark + rest


async def test_after_a_part_the_code_asks_for_the_rest(pages) -> None:
    row = pages.add(gallery.STAGES[Stage.PARTIAL])
    told = await pages.get(path(row))
    asked = BitcoinUri.parse(read_svg(told.body.decode()))
    assert (str(asked.address), asked.amount) == (row.address, 30_000)


async def test_the_first_look_gives_an_invoice_its_uri(pages) -> None:
    row = pages.add(lambda c, store, now: add_one(c, store, now=now))
    assert pages.row(row).uri is None
    shown = await pages.page(path(row))
    assert pages.row(row).uri in shown.values("href", "a")


async def test_the_script_and_the_styles_are_the_only_files_and_never_change(pages) -> None:
    shown = await pages.page(path(pages.add(gallery.add)))
    files = [
        each for each in shown.values("src") + shown.values("href", "link") if each != "data:,"
    ]
    assert [re.sub(r"\.[0-9a-f]{16}\.", ".HASH.", each) for each in files] == [
        "/assets/pages.HASH.js",
        "/assets/colours.HASH.css",
        "/assets/pages.HASH.css",
    ]
    for each, kind in zip(files, ("text/javascript", "text/css", "text/css"), strict=True):
        told = await pages.get(each)
        assert told.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert told.headers["content-type"] == f"{kind}; charset=utf-8"
        assert told.headers["x-content-type-options"] == "nosniff"
    assert (await pages.get("/assets/pages.0000000000000000.css")).status == 404


async def test_nothing_of_the_page_is_inline_or_from_elsewhere(pages) -> None:
    for stage in (Stage.WAITING, Stage.PAID):
        shown = await pages.page(path(pages.add(gallery.STAGES[stage])))
        names = {name for _, attrs in shown.elements for name in attrs}
        assert not {each for each in names if each.startswith("on")} | {"style"} & names
        scripts = [attrs for tag, attrs in shown.elements if tag == "script"]
        assert all("src" in attrs for attrs in scripts)
        assert "style" not in {tag for tag, _ in shown.elements}
        for each in shown.values("src") + shown.values("href") + shown.values("action"):
            assert each.startswith(("/", "bitcoin:")) or each == "data:,"
        assert NOBODY not in str(shown.elements)


async def test_the_headers_are_strict(pages) -> None:
    headers = (await pages.get(path(pages.add(gallery.add)))).headers
    assert headers["content-security-policy"] == STRICT + "'none'"
    assert headers["cache-control"] == "no-store"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["vary"] == "Accept-Language"
    assert headers["x-content-type-options"] == "nosniff"


async def test_texts_of_the_shop_are_no_html(pages) -> None:
    row = pages.add(gallery.add, label=EVIL, order_id=EVIL, metadata=b'{"secret":"<b>"}')
    told = await pages.get(path(row))
    assert b"<script>alert" not in told.body
    assert b"secret" not in told.body
    assert f"{EVIL} · Order {EVIL}" in Html(told.body.decode()).text
    row = pages.add(gallery.STAGES[Stage.PARTIAL], label=EVIL)
    told = await pages.get(path(row))
    assert b"<script>alert" not in told.body


@pytest.mark.parametrize(
    ("url", "links"),
    [("https://shop.example/?a=1&b='2'", 1), ("javascript:alert(1)", 0), ("//a.example", 0)],
)
async def test_the_way_back_is_one_of_the_web(pages, url, links) -> None:
    shown = await pages.page(path(pages.add(gallery.STAGES[Stage.PAID], redirect_url=url)))
    assert shown.values("href", "a").count(url) == links
    assert ("Back to Tea & Co" in shown.text) is bool(links)


async def test_an_overpaid_invoice_says_how_much_is_too_much(pages) -> None:
    shown = await pages.page(path(pages.add(gallery.overpaid)))
    assert "You paid 20,000 sats more than was asked for." in shown.text


async def test_the_page_speaks_german_to_who_wants_it(pages) -> None:
    where = path(pages.add(gallery.add, order_id="A-7", price="27.50", currency="EUR"))
    for shown in (
        await pages.page(where, accept_language="de-DE,de;q=0.9,en;q=0.8"),
        await pages.page(f"{where}?lang=de", accept_language="en"),
    ):
        assert shown.values("lang", "html") == ["de"]
        for words in (
            "Wir warten auf Ihre Zahlung",
            "0,00050000 BTC",
            "50.000 sats · 27,50 EUR",
            "Bestellung A-7",
            "In Wallet öffnen",
        ):
            assert words in shown.text
    english = await pages.page(f"{where}?lang=en&utm_source=x", accept_language="de")
    assert english.values("lang", "html") == ["en"]
    assert f"{where}?lang=de" in english.values("href", "a")


async def test_without_a_script_the_page_loads_itself_again_while_that_helps(pages) -> None:
    waits = await pages.page(path(pages.add(gallery.add)))
    assert ("meta", {"http-equiv": "refresh", "content": "10"}) in waits.elements
    paid = await pages.page(path(pages.add(gallery.STAGES[Stage.PAID])))
    assert "refresh" not in paid.values("http-equiv")


@pytest.mark.parametrize(
    "name", ["nothing", "01a22214-50d2-776b-94d5-2cbc49dc9aff", "%00", "a" * 300, "%F0%9F%98%80"]
)
async def test_an_unknown_invoice_is_a_plain_page(pages, name) -> None:
    shown = await pages.page(f"/i/{name}", status=404)
    assert "There is no such page" in shown.text
    german = await pages.page(f"/i/{name}", status=404, accept_language="de")
    assert "Diese Seite gibt es nicht" in german.text
    for part in ("state", "stream"):
        assert (await pages.get(f"/i/{name}/{part}")).status == 404


async def test_guesses_use_up_the_requests_of_a_client(database) -> None:
    few = Rate(burst=30, per_second=0.001)
    async with opened(database, clients=EVERYBODY, address=few) as pages:
        where = path(pages.add(gallery.add))
        assert (await pages.get(where)).status == 200
        for _ in range(2):
            assert (await pages.get(f"/i/{uuid4()}")).status == 404
        await pages.get(f"/i/{uuid4()}/state")
        shown = await pages.page(where, status=429, accept_language="de")
        assert "Zu viele Anfragen" in shown.text
        told = await pages.get(where)
        assert int(told.headers["retry-after"]) > 0
        assert told.headers["content-security-policy"] == STRICT + "'none'"


async def test_a_database_that_is_away_is_told_as_a_page(pages, monkeypatch) -> None:
    row = pages.add(gallery.add)
    monkeypatch.setattr(type(pages.database), "aread", _away)
    shown = await pages.page(path(row), status=503)
    assert "Payments that were made are not lost." in shown.text


async def _away(*_args) -> None:
    raise StoreUnavailable("The database is away.")


async def test_a_forgotten_invoice_still_says_that_it_was_paid(pages) -> None:
    row = pages.add(gallery.STAGES[Stage.PAID], label="Two cups")
    pages.database.write(lambda c: retention.forget(c, row.id, pages.database.now()))
    shown = await pages.page(path(row))
    assert "Your payment is complete." in shown.text
    assert "Two cups" not in shown.text


async def test_the_state_says_only_what_the_page_shows(pages) -> None:
    row = pages.add(gallery.STAGES[Stage.PARTIAL], label="Secret")
    told = await pages.get(path(row) + "/state")
    assert told.json == {
        "stage": "partial",
        "version": "partial-20000-0",
        "follows": True,
        "seconds_left": 840,
    }
    shown = await pages.page(path(row))
    assert shown.values("data-version") == ["partial-20000-0"]


async def test_the_stream_tells_of_a_payment_at_once(pages) -> None:
    row = pages.add(gallery.add)
    async with dialled(pages.url) as line:
        await line.send(request("GET", path(row) + "/stream"))
        status, headers = await line.head()
        assert (status, headers["cache-control"]) == (200, "no-store")
        first = await line.event()
        assert first is not None
        assert first.keys() == {"data", "retry"}
        assert json.loads(first["data"])["stage"] == "waiting"
        pages.look(row, gallery.AMOUNT)
        while True:
            each = await line.event()
            assert each is not None
            if "data" in each:
                break
        assert json.loads(each["data"])["stage"] == "seen"
        assert json.loads(each["data"]).keys() == {"stage", "version", "follows", "seconds_left"}


async def test_a_client_opens_only_so_many_streams(database) -> None:
    async with opened(database, clients=EVERYBODY, streams_per_visitor=1) as pages:
        where = path(pages.add(gallery.add)) + "/stream"
        async with dialled(pages.url) as line:
            await line.send(request("GET", where))
            assert (await line.head())[0] == 200
            assert await line.event()
            told = await pages.get(where)
            assert (told.status, b"Too many requests" in told.body) == (429, True)
        async with asyncio.timeout(20):
            while True:
                if await _opens(pages, where):
                    return
                await asyncio.sleep(0.05)


async def test_pages_leave_streams_to_keys(database) -> None:
    async with opened(database, visitor_streams=1) as pages:
        where = path(pages.add(gallery.add)) + "/stream"
        async with dialled(pages.url) as line:
            await line.send(request("GET", where))
            assert (await line.head())[0] == 200
            assert await line.event()
            told = await pages.get(where)
            assert (told.status, told.headers["retry-after"]) == (429, "5")


async def _opens(pages, where: str) -> bool:
    async with dialled(pages.url) as line:
        await line.send(request("GET", where))
        return (await line.head())[0] == 200


async def test_the_pages_are_no_part_of_the_apis_document(pages) -> None:
    told = await pages.get("/api/v1/openapi.json")
    assert all(each.startswith("/api/v1/") for each in told.json["paths"])


async def test_only_reading_is_possible(pages) -> None:
    where = path(pages.add(gallery.add))
    told = await pages.post(where, "x=1")
    assert (told.status, set(told.headers["allow"].split(", "))) == (405, {"GET", "OPTIONS"})
