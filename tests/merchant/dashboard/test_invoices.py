"""The list of invoices with its files, one invoice's story, and what is done to it."""

import csv
import io
import json
import re

import pytest
from tests.merchant import builders
from tests.merchant import refunds as samples
from tests.merchant.dashboard.browsing import BOTH, Office
from tests.merchant.shop import add_one, add_shop
from tests.merchant.signer.deals import SignersHouse

from dovetail.merchant.dashboard.exports import plain
from dovetail.merchant.data import audit, invoices, record
from dovetail.merchant.invoices.invoice import InvoiceStatus
from dovetail.merchant.messages import Role

LIST = "/dashboard/invoices"
NASTY = '<script>alert("x")</script> & "quoted" \'single\''


def add(office: Office, **columns):
    store = office.store = office.store or office.database.write(add_shop)
    now = int(office.database.now())
    return office.database.write(lambda c: add_one(c, store, now=now, **columns))


def row_of(office: Office, invoice_id):
    found = office.database.read(lambda c: invoices.invoice(c, invoice_id))
    assert found is not None
    return found


@BOTH
async def test_the_newest_invoice_comes_first_and_the_next_page_goes_on(office) -> None:
    made = [add(office, order_id=f"order-{number:02}") for number in range(60)]
    browser = await office.user(Role.VIEWER)
    first = await browser.get(LIST)
    shown = re.findall(r"order-\d\d", first.said)
    assert shown == [each.order_id for each in reversed(made)][:50]
    following = re.search(r'href="([^"]+)" rel="next"', first.text)
    assert following is not None
    second = await browser.get(following[1].replace("&amp;", "&"))
    assert re.findall(r"order-\d\d", second.said) == [f"order-{n:02}" for n in range(9, -1, -1)]
    assert 'rel="next"' not in second.text


@BOTH
async def test_invoices_are_found_by_what_a_person_knows(office) -> None:
    mine = add(office, order_id="A-100%", label="Blue Jacket")
    add(office, order_id="B-200", label="Red hat")
    builders_pay = builders.pay(1, to=mine.script)
    samples.see(office.database, mine, builders_pay, depth=0)
    browser = await office.user()
    for text in (str(mine.id), "a-100", "blue j", mine.address, str(builders_pay.txid), "100%25"):
        answer = await browser.get(f"{LIST}?q={text.replace(' ', '+')}")
        assert ("A-100%" in answer.said, "B-200" in answer.said) == (True, False), text
    assert "A-100%" not in (await browser.get(f"{LIST}?q=A_100")).said  # no wildcard
    assert "No invoice matches" in (await browser.get(f"{LIST}?q=nothing")).said


@BOTH
async def test_invoices_are_found_by_status_store_and_day(office, clock) -> None:
    add(office, order_id="first")
    other = office.database.write(lambda c: add_shop(c, name="other"))
    clock.now += 3 * 86_400
    now = int(office.database.now())
    office.database.write(lambda c: add_one(c, other, now=now, order_id="second"))
    browser = await office.user()
    day = (await browser.get(LIST)).text.split('<time datetime="')[1][:10]
    for query, found in (
        (f"store={other.id}", ["second"]),
        (f"since={day}", ["second"]),
        (f"until={day}", ["second", "first"]),
        ("status=new", ["second", "first"]),
        ("status=settled", []),
        ("status=none&store=x&since=32.13.&before=zzz", ["second", "first"]),
    ):
        said = (await browser.get(f"{LIST}?{query}")).said
        assert [each for each in ("second", "first") if f" {each} " in said] == found, query


async def test_what_a_shop_or_a_customer_wrote_is_shown_as_text(office) -> None:
    row = add(office, order_id=NASTY, label=NASTY, metadata=json.dumps({"note": NASTY}).encode())
    browser = await office.user()
    for path in (LIST, f"{LIST}/{row.id}", f"{LIST}?q=%22%3E%3Cscript%3E"):
        answer = await browser.get(path)
        assert answer.status == 200
        assert "<script" not in answer.text
    assert NASTY in (await browser.get(f"{LIST}/{row.id}")).said


async def test_the_table_is_harmless_in_a_spreadsheet(office) -> None:
    """CSV formula injection."""
    add(office, order_id="=cmd|' /C calc'!A0", label='@SUM(1+1)*"x"\n')
    add(office, order_id="plain, with a comma", label="-2+3")
    browser = await office.user(Role.VIEWER)
    answer = await browser.get(f"{LIST}/export/csv")
    assert answer.header("content-type") == "text/csv; charset=utf-8"
    assert answer.header("content-disposition") == 'attachment; filename="invoices.csv"'
    assert answer.text[0] == "\ufeff"
    found = list(csv.DictReader(io.StringIO(answer.text[1:], newline="")))
    assert [each["order_id"] for each in found] == [
        "plain, with a comma",
        "'=cmd|' /C calc'!A0",
    ]
    assert [each["label"] for each in found] == ["'-2+3", '\'@SUM(1+1)*"x"\n']
    assert found[0]["amount_sats"] == "50000"


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@a", "\t=1", "  =1", "\uff1d1", "\r=1"])
def test_a_formula_gets_an_apostrophe(text) -> None:
    assert plain(text) == f"'{text}"
    assert plain(f"a{text}") == f"a{text}"


async def test_a_file_has_all_invoices_of_the_search(office) -> None:
    for number in range(205):
        add(office, order_id=f"order-{number % 2}")
    browser = await office.user()
    answer = await browser.get(f"{LIST}/export/csv?q=order-1")
    assert len(answer.text.splitlines()) == 1 + 102


async def test_labels_name_addresses_transactions_and_outputs(office) -> None:
    row = add(office, order_id="A-1", label="Tea" * 200)
    paid = builders.pay(1, to=row.script)
    samples.see(office.database, row, paid, depth=1)
    browser = await office.user()
    answer = await browser.get(f"{LIST}/export/labels")
    assert answer.header("content-disposition") == ('attachment; filename="invoices.labels.jsonl"')
    lines = [json.loads(each) for each in answer.text.split("\n")[:-1]]
    assert [(each["type"], each["ref"]) for each in lines] == [
        ("addr", row.address),
        ("tx", str(paid.txid)),
        ("output", f"{paid.txid}:0"),
    ]
    assert {len(each["label"]) for each in lines} == {255}
    assert all(set(each) == {"type", "ref", "label"} for each in lines)


async def test_an_invoice_tells_its_whole_story(office, tmp_path) -> None:
    house = SignersHouse(tmp_path / "signer")
    house.log.close()
    store = samples.add_store(office.database, house.keys.hot)
    row = samples.credited(office.database, store, house.keys.hot, 70_000)
    browser = await office.user()
    shown = await browser.get(f"{LIST}/{row.id}")
    for words in ("Settled", "Overpaid", "70,000", "Created", "Ordinary payment", "Confirmed"):
        assert words in shown.said, words
    assert "More came than was asked for" in shown.said
    assert "Output: Shop, 70,000 sats, pays this invoice." in shown.said.replace("\xa0", " ")
    assert "Input: Unknown, an unknown amount." in shown.said
    assert 'role="img"' in shown.text
    assert "The invoice has no payjoin session." in shown.said


async def test_a_payjoin_is_drawn_with_both_sides(office) -> None:
    row = add(office)
    negotiation, _, payjoin = builders.pinned(1, fee=100)
    paying = builders.pay(1, builders.own(90), to=row.script, value=119_900)
    known = builders.negotiated(builders.pay(1, to=row.script), script=row.script)
    pinned = known.pinned(builders.proposal(paying), scripts={row.script})
    office.database.write(lambda c: record.keep_negotiation(c, row.id, pinned))
    samples.see(office.database, row, paying, depth=1)
    shown = await (await office.user()).get(f"{LIST}/{row.id}")
    del negotiation, payjoin
    for words in (
        "Payjoin",
        "Input: Customer, an unknown amount.",
        "Input: Shop, 70,000 sats.",
        "Output: Shop, 119,900 sats, pays this invoice.",
        "Output: Customer, 1,000 sats.",
        "100 sats of it went to the miner's fee",
    ):
        assert words in shown.said.replace("\xa0", " "), words


@BOTH
async def test_a_manager_closes_and_marks(office) -> None:
    row = add(office)
    browser = await office.user(Role.MANAGER)
    await browser.get(f"{LIST}/{row.id}")
    answer = await browser.post(f"{LIST}/{row.id}/mark", {"mark": "settled"})
    assert answer.header("location") == f"{LIST}/{row.id}?done=settled"
    assert "counts as settled" in (await browser.get(answer.header("location"))).said
    assert row_of(office, row.id).status is InvoiceStatus.SETTLED
    await browser.post(f"{LIST}/{row.id}/mark", {"mark": "invalid"})
    assert row_of(office, row.id).status is InvoiceStatus.INVALID
    assert (await browser.post(f"{LIST}/{row.id}/mark", {"mark": "gone"})).status == 404
    closed = await browser.post(f"{LIST}/{row.id}/close")
    assert closed.header("location") == f"{LIST}/{row.id}?done=close"
    assert "asked to be closed" in (await browser.get(f"{LIST}/{row.id}")).said
    acts = office.database.read(lambda c: audit.page(c, limit=10))
    done = [each for each in acts if each.what.startswith("invoice.")]
    assert [each.what for each in done] == ["invoice.close", "invoice.mark", "invoice.mark"]
    assert {each.who.partition(" ")[0] for each in done} == {"user"}


async def test_a_viewer_sees_no_act_and_can_do_none(office) -> None:
    row = add(office)
    browser = await office.user(Role.VIEWER)
    shown = await browser.get(f"{LIST}/{row.id}")
    assert "Mark as settled" not in shown.said
    assert (await browser.post(f"{LIST}/{row.id}/mark", {"mark": "settled"})).status == 403
    assert (await browser.post(f"{LIST}/{row.id}/refunds")).status == 403
    assert row_of(office, row.id).status is InvoiceStatus.NEW


@pytest.mark.parametrize("name", ["x", "00000000-0000-0000-0000-000000000000", "..", "%00"])
async def test_an_invoice_that_nobody_has_is_no_page(office, name) -> None:
    answer = await (await office.user()).get(f"{LIST}/{name}")
    assert (answer.status, "There is no such page" in answer.said) == (404, True)


async def test_nothing_is_told_before_the_sign_in(office) -> None:
    """Enumeration of invoices: known and unknown ones look alike."""
    row = add(office)
    for path in (f"{LIST}/{row.id}", f"{LIST}/x", LIST, f"{LIST}/export/csv"):
        answer = await office.browser().get(path)
        assert (answer.status, answer.text) == (303, ""), path
