"""Refunds over the dashboard: asked for, claimed, decided."""

import asyncio
import re

import pytest
from tests.merchant import refunds as samples
from tests.merchant.dashboard.browsing import BOTH
from tests.merchant.signer.deals import SignersHouse

from dovetail.merchant.data import refunds
from dovetail.merchant.messages import Role
from dovetail.merchant.services.refunds import Refunds


@pytest.fixture
def credited(office, tmp_path):
    house = SignersHouse(tmp_path / "signer")
    house.log.close()
    store = samples.add_store(office.database, house.keys.hot)
    return samples.credited(office.database, store, house.keys.hot, 70_000)


async def ask(office, row, **fields):
    browser = await office.user(Role.MANAGER)
    await browser.get(f"/dashboard/invoices/{row.id}")
    return await browser.post(f"/dashboard/invoices/{row.id}/refunds", fields)


def only(office):
    (row,) = office.database.read(refunds.page)
    return row


async def claimed(office, row):
    """A refund whose customer has given an address."""
    made = await ask(office, row, amount="10,000", reason="broken")
    token = re.search(r"https://shop.example/claims/([\w-]+)<", made.text)
    assert token is not None
    await Refunds(office.database).give_address(token[1], str(samples.CUSTOMER))
    return only(office)


async def test_the_link_for_the_customer_is_shown_once(office, credited) -> None:
    row = await claimed(office, credited)
    assert (int(row.amount), row.reason) == (10_000, "broken")
    browser = await office.user(Role.VIEWER)
    for path in ("/dashboard/refunds", f"/dashboard/refunds/{row.id}"):
        shown = await browser.get(path)
        assert "Waits for approval" in shown.said
        assert "/claims/" not in shown.text


async def test_without_an_amount_what_was_paid_too_much_goes_back(office, credited) -> None:
    assert (await ask(office, credited)).status == 200
    assert int(only(office).amount) == 20_000


@pytest.mark.parametrize(
    ("amount", "words"),
    [("100000000", "Only 70,000 sats"), ("1.5", "whole number"), ("9" * 17, "whole number")],
)
async def test_an_amount_that_cannot_be_refunded_says_why(office, credited, amount, words) -> None:
    answer = await ask(office, credited, amount=amount)
    assert (answer.status, words in answer.said) == (422, True)
    assert office.database.read(refunds.page) == ()


async def test_an_owner_approves_and_a_manager_cannot(office, credited) -> None:
    row = await claimed(office, credited)
    path = f"/dashboard/refunds/{row.id}"
    manager = await office.user(Role.MANAGER)
    assert "Approve" not in re.findall(r"<button[^>]*>([^<]+)<", (await manager.get(path)).text)
    assert (await manager.post(f"{path}/approve")).status == 403
    owner = await office.user()
    await owner.get(path)
    answer = await owner.post(f"{path}/approve")
    assert answer.header("location") == f"{path}?done=approve"
    assert "at the signer, too" in (await owner.get(answer.header("location"))).said
    assert only(office).status == "approved"
    shown = (await owner.get(path)).said
    assert "Asked for Grace" in shown
    assert "Address given The customer" in shown
    assert "Approved Ada" in shown
    again = await owner.post(f"{path}/approve")
    assert (again.status, "approved already" in again.said) == (409, True)


@pytest.mark.parametrize(
    ("act", "status", "role"),
    [("decline", "declined", Role.OWNER), ("cancel", "cancelled", Role.MANAGER)],
)
async def test_a_refund_is_called_off(office, credited, act, status, role) -> None:
    row = await claimed(office, credited)
    browser = await office.user(role)
    await browser.get(f"/dashboard/refunds/{row.id}")
    assert (await browser.post(f"/dashboard/refunds/{row.id}/{act}")).status == 303
    assert only(office).status == status


@BOTH
async def test_two_owners_approve_at_the_same_time(office, credited) -> None:
    row = await claimed(office, credited)
    browsers = [await office.user(), await office.user()]
    for each in browsers:
        await each.get(f"/dashboard/refunds/{row.id}")
    answers = await asyncio.gather(
        *(each.post(f"/dashboard/refunds/{row.id}/approve") for each in browsers)
    )
    assert sorted(each.status for each in answers) == [303, 409]


async def test_an_unknown_refund_is_no_page(office) -> None:
    browser = await office.user()
    for name in ("x", "00000000-0000-0000-0000-000000000000"):
        assert (await browser.get(f"/dashboard/refunds/{name}")).status == 404
    assert "no refund" in (await browser.get("/dashboard/refunds")).said
