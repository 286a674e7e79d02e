"""The checkout page in a frame over a shop's page: who may show it, and the script for that."""

import pytest
from tests.merchant.pages import gallery
from tests.merchant.pages.site import opened
from tests.merchant.pages.test_checkout import STRICT, path

from dovetail.merchant.pages.modal import SCRIPT
from dovetail.merchant.pages.view import Stage

NAMED = ("https://shop.example",)
BACK = "https://tea.example:8443/thanks?order=7"
TOLD = {
    Stage.WAITING: "new",
    Stage.PARTIAL: "new",
    Stage.SEEN: "processing",
    Stage.COMPLETING: "processing",
    Stage.PAID: "settled",
    Stage.EXPIRED: "expired",
    Stage.SHORT: "expired",
    Stage.LATE: "expired",
    Stage.HELD: "expired",
    Stage.INVALID: "invalid",
    Stage.CLOSED: "invalid",
}


async def framed_by(pages, where: str) -> str:
    told = await pages.get(where)
    assert told.status in (200, 404)
    policy: str = told.headers["content-security-policy"]
    return policy.removeprefix(STRICT)


async def test_a_page_is_framed_only_where_it_is_opened_for_that(database) -> None:
    async with opened(database, embedded_by=NAMED) as pages:
        row = pages.add(gallery.add, redirect_url=BACK)
        framed = f"{path(row)}?view=modal"
        assert await framed_by(pages, framed) == "https://shop.example https://tea.example:8443"
        for where in (path(row), f"{path(row)}?view=x", "/i/nothing?view=modal", "/claims/x"):
            assert await framed_by(pages, where) == "'none'", where


@pytest.mark.parametrize(
    ("back", "origins"),
    [
        (None, "'none'"),
        (BACK, "https://tea.example:8443"),
        ("http://tea.example/thanks", "'none'"),
        ("http://127.0.0.1:3000/thanks", "http://127.0.0.1:3000"),
        ("https://tea.example;script-src%20*", "'none'"),
    ],
)
async def test_the_site_to_which_a_customer_returns_may_show_it(pages, back, origins) -> None:
    row = pages.add(gallery.add, redirect_url=back)
    assert await framed_by(pages, f"{path(row)}?view=modal") == origins


async def test_a_site_that_is_named_twice_is_told_once(database) -> None:
    async with opened(database, embedded_by=("https://tea.example:8443",)) as pages:
        row = pages.add(gallery.add, redirect_url=BACK)
        assert await framed_by(pages, f"{path(row)}?view=modal") == "https://tea.example:8443"


@pytest.mark.parametrize("stage", Stage)
async def test_the_framed_page_tells_its_status(pages, stage) -> None:
    if stage in gallery.HOLDS:
        pages.open_store(broadcasts_fallback=False)
    row = pages.add(gallery.STAGES[stage], redirect_url=BACK)
    shown = await pages.page(f"{path(row)}?view=modal")
    assert shown.values("data-status") == [TOLD[stage]]
    assert shown.values("data-invoice") == [str(row.id)]
    assert "view=modal&lang=de" in " ".join(shown.values("href", "a"))
    for target, href in [
        (attrs.get("target"), attrs["href"]) for tag, attrs in shown.elements if tag == "a"
    ]:
        assert (target == "_top") == (href == BACK)


async def test_the_page_itself_has_nothing_of_the_frame(pages) -> None:
    shown = await pages.page(path(pages.add(gallery.add)))
    assert not {"data-status", "data-close", "target"} & {
        name for _, attrs in shown.elements for name in attrs
    }
    assert not any("modal" in each for each in shown.values("src") + shown.values("href"))


@pytest.mark.parametrize("where", SCRIPT)
async def test_pages_of_other_sites_load_the_script(pages, where) -> None:
    told = await pages.get(f"{where}?ver=2.8.0")
    assert (told.status, told.headers["content-type"]) == (200, "text/javascript; charset=utf-8")
    assert told.headers["cross-origin-resource-policy"] == "cross-origin"
    assert told.headers["cache-control"] == "public, max-age=3600"
    assert b"window.btcpay = " in told.body


async def test_the_address_that_plugins_make_leads_to_the_framed_page(pages) -> None:
    row = pages.add(gallery.add)
    for query, end in (("?view=modal", "?view=modal"), ("?view=x", ""), ("", "")):
        told = await pages.get(f"/greenfield/i/{row.id}{query}")
        assert (told.status, told.headers["location"]) == (302, f"/i/{row.id}{end}")
