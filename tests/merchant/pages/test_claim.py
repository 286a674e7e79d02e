"""The page of a refund over a real port, on both databases."""

from urllib.parse import quote_plus

import pytest
from tests.merchant.pages import gallery
from tests.merchant.pages.site import Html, Pages, opened
from tests.merchant.refunds import CUSTOMER
from tests.support.keys import Keys

from dovetail.bitcoin import Address, Network
from dovetail.merchant.api.limits import Rate
from dovetail.merchant.data import refunds
from dovetail.merchant.invoices.refunds import RefundStatus
from dovetail.merchant.pages.claim import WORDS
from dovetail.merchant.services.refunds import MOST_STEPS
from dovetail.serving.client_shares import Clients

ADDRESS = str(CUSTOMER)
OTHER = str(Keys("customer").address(4))
MAINNET = str(Address.from_script(CUSTOMER.script_pubkey, Network.MAINNET))
TITLES = {
    RefundStatus.OPEN: "The shop wants to send you 20,000 sats",
    RefundStatus.CLAIMED: "The shop has your address",
    RefundStatus.APPROVED: "The refund was accepted",
    RefundStatus.QUEUED: "The refund was accepted",
    RefundStatus.PAYING: "20,000 sats are on their way to you",
    RefundStatus.PAID: "20,000 sats were sent to you",
    RefundStatus.DECLINED: "The refund was called off",
    RefundStatus.CANCELLED: "The refund was called off",
    RefundStatus.EXPIRED: "The time to give an address is over",
    RefundStatus.FAILED: "The refund could not be paid",
}


class Claims:
    """One refund, and its page."""

    def __init__(self, pages: Pages, *steps, **given) -> None:
        self.pages = pages
        self.invoice = pages.add(gallery.overpaid)
        self.row, token = gallery.refund(
            pages.database, self.invoice, *steps, address=ADDRESS, **given
        )
        self.path = f"/claims/{token}"

    @property
    def now(self) -> refunds.RefundRow:
        found = self.pages.database.read(lambda c: refunds.refund(c, self.row.id))
        assert found is not None
        return found

    async def give(self, address: str, *, lang: str = ""):
        return await self.pages.post(self.path + lang, f"address={quote_plus(address)}")


@pytest.mark.parametrize("status", RefundStatus)
async def test_each_status_of_a_refund_has_its_page(pages, status) -> None:
    claim = Claims(pages, *gallery.WAYS[status])
    shown = await pages.page(claim.path)
    assert TITLES[status] in shown.text
    assert "Tea & Co" in shown.text
    takes = status in (RefundStatus.OPEN, RefundStatus.CLAIMED)
    assert ("textarea" in {tag for tag, _ in shown.elements}) is takes
    assert set(WORDS) == set(RefundStatus)


async def test_an_address_is_given_without_a_script_and_may_be_changed(pages) -> None:
    claim = Claims(pages)
    form = await pages.page(claim.path)
    assert form.values("action", "form") == [f"{claim.path}?lang=en"]
    assert form.values("method", "form") == ["post"]
    assert "script" not in {tag for tag, _ in form.elements}
    told = await claim.give(f" {ADDRESS} ")
    assert (told.status, told.headers["location"]) == (303, claim.path)
    assert (claim.now.status, claim.now.address) == (RefundStatus.CLAIMED, ADDRESS)
    shown = await pages.page(claim.path)
    assert "Give another address" in shown.text
    assert ADDRESS not in shown.text
    assert (await claim.give(OTHER)).status == 303
    assert claim.now.address == OTHER


async def test_the_way_after_the_form_keeps_the_language(pages) -> None:
    claim = Claims(pages)
    told = await claim.give(ADDRESS, lang="?lang=de")
    assert told.headers["location"] == f"{claim.path}?lang=de"
    told = await claim.give(ADDRESS, lang="?lang=//a.example")
    assert told.headers["location"] == f"{claim.path}?lang=en"


@pytest.mark.parametrize(
    ("address", "english", "german"),
    [
        ("", "Type or paste an address", "Geben Sie eine Adresse"),
        ("bcrt1nothing", "This is no Bitcoin address", "Das ist keine Bitcoin-Adresse"),
        ("x" * 500, "This is no Bitcoin address", "Das ist keine Bitcoin-Adresse"),
        (MAINNET, "for another Bitcoin network: give one for regtest", "zu einem anderen"),
        ("the shop's", "This address is the shop's", "Diese Adresse gehört dem Shop"),
    ],
)
async def test_a_wrong_address_is_refused_in_the_customers_language(
    pages, address, english, german
) -> None:
    claim = Claims(pages)
    given = claim.invoice.address if address == "the shop's" else address
    for lang, words in (("?lang=en", english), ("?lang=de", german)):
        told = await claim.give(given, lang=lang)
        assert told.status == 422
        shown = Html(told.body.decode())
        assert words in shown.text
        assert shown.values("aria-describedby") == ["hint error"]
        assert "true" in shown.values("aria-invalid")
    assert claim.now.status is RefundStatus.OPEN


async def test_what_was_typed_is_there_again_and_is_no_html(pages) -> None:
    claim = Claims(pages)
    told = await claim.give("</textarea><script>alert(1)</script>")
    assert b"<script>" not in told.body
    assert "</textarea><script>alert(1)</script>" in Html(told.body.decode()).text


async def test_an_address_that_was_changed_too_often_is_refused(pages) -> None:
    claim = Claims(pages)
    for number in range(MOST_STEPS - 1):
        assert (await claim.give((ADDRESS, OTHER)[number % 2])).status == 303
    told = await claim.give((ADDRESS, OTHER)[(MOST_STEPS - 1) % 2], lang="?lang=de")
    assert told.status == 422
    assert "zu oft geändert" in Html(told.body.decode()).text


@pytest.mark.parametrize("status", [RefundStatus.APPROVED, RefundStatus.DECLINED])
async def test_an_address_that_comes_too_late_shows_how_the_refund_stands(pages, status) -> None:
    claim = Claims(pages, *gallery.WAYS[status])
    told = await claim.give(OTHER)
    assert TITLES[status] in Html(told.body.decode()).text
    assert claim.now.address != OTHER


async def test_a_refund_runs_out_by_the_clock(pages, clock) -> None:
    claim = Claims(pages, left=2 * 3600)
    assert "You have 2 hours left" in (await pages.page(claim.path)).text
    clock.pass_by(2 * 3600)
    shown = await pages.page(claim.path)
    assert TITLES[RefundStatus.EXPIRED] in shown.text
    told = await claim.give(ADDRESS)
    assert TITLES[RefundStatus.EXPIRED] in Html(told.body.decode()).text
    assert claim.now.address is None


async def test_the_page_speaks_german(pages) -> None:
    claim = Claims(pages)
    shown = await pages.page(claim.path, accept_language="de")
    assert "Der Shop möchte Ihnen 20.000 sats senden" in shown.text
    assert "Sie haben dafür noch 7 Tage Zeit." in shown.text


async def test_an_unknown_secret_is_a_plain_page_and_costs_as_much_as_a_wrong_key(database) -> None:
    few = Rate(burst=22, per_second=0.001)
    everybody = Clients(proxies=())
    async with opened(database, clients=everybody, address=few) as pages:
        await pages.page("/claims/nothing", status=404)
        told = await pages.post("/claims/nothing", f"address={ADDRESS}")
        assert told.status == 404
        assert "Too many requests" in (await pages.page("/claims/x", status=429)).text


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("application/json", '{"address":"x"}', 415),
        ("multipart/form-data; boundary=x", "--x--", 415),
        ("application/x-www-form-urlencoded", "&".join("a=b" for _ in range(50)), 400),
        ("application/x-www-form-urlencoded", "address=%FF", 400),
        ("application/x-www-form-urlencoded", "x" * 70_000, 413),
    ],
)
async def test_what_is_no_form_of_the_page_is_refused_as_a_page(pages, kind, body, status) -> None:
    claim = Claims(pages)
    told = await pages.post(claim.path, body, kind)
    assert told.status == status
    assert told.headers["content-type"] == "text/html; charset=utf-8"
    assert "That did not work" in Html(told.body.decode()).text
    assert claim.now.status is RefundStatus.OPEN


async def test_the_api_takes_no_forms(pages) -> None:
    claim = Claims(pages)
    told = await pages.post(f"/api/v1{claim.path}", f"address={ADDRESS}")
    assert told.status == 415
    assert told.headers["content-type"] == "application/problem+json"


async def test_the_secret_goes_nowhere(pages) -> None:
    claim = Claims(pages)
    headers = (await pages.get(claim.path)).headers
    assert (headers["referrer-policy"], headers["cache-control"]) == ("no-referrer", "no-store")
    assert "form-action 'self'" in headers["content-security-policy"]
