"""Refunds in the database: their links, their share of the credit, and what is forgotten."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256

import pytest
from tests.merchant import builders
from tests.merchant import refunds as samples
from tests.merchant.signer.deals import SignersHouse
from tests.support.keys import Keys

from dovetail.bitcoin import OutPoint, Sats, Txid, UnixTime
from dovetail.errors import CoinsTaken, UsageError
from dovetail.merchant.data import (
    audit,
    deliveries,
    events,
    invoices,
    refund_payments,
    refunds,
    retention,
    webhooks,
)
from dovetail.merchant.data.ids import new_id
from dovetail.merchant.data.schema import refunds as table
from dovetail.merchant.engine.upkeep import Upkeep
from dovetail.merchant.invoices.refunds import RefundRefused, RefundStatus, RefundStep, StepRefused
from dovetail.merchant.services.refunds import Refunds

PAID = builders.AMOUNT + 20_000


class Shop:
    def __init__(self, database, clock, hot: str) -> None:
        self.database, self.clock, self.hot = database, clock, hot
        self.store = samples.add_store(database, hot)
        self.service = Refunds(database)

    def invoice(self, value: int = PAID, **given):
        return samples.credited(self.database, self.store, self.hot, value, **given)

    def create(self, invoice, amount: int | None = None, *, expires_in: int = 3600):
        wanted = None if amount is None else Sats(amount)
        return asyncio.run(
            self.service.create(
                invoice.id, by="key 1", amount=wanted, reason="broken", expires_in=expires_in
            )
        )

    def claim(self, token: str, address: str = str(samples.CUSTOMER)):
        return asyncio.run(self.service.give_address(token, address))

    def seen(self, token: str):
        return asyncio.run(self.service.claim(token))

    def row(self, row):
        return self.database.read(lambda c: refunds.refund(c, row.id))


@pytest.fixture
def shop(database, clock, tmp_path) -> Shop:
    clock.now = builders.CREATED
    house = SignersHouse(tmp_path / "signer")
    house.log.close()
    return Shop(database, clock, house.keys.hot)


def test_a_refund_is_made_with_a_link_of_which_only_the_hash_is_kept(shop) -> None:
    row, token = shop.create(shop.invoice())
    assert (row.status, row.amount, row.asked_by, row.steps) == ("open", 20_000, "key 1", 1)
    assert len(token) == 43  # 256 bits in base 64
    kept = shop.database.read(lambda c: c.execute(table.select()).one())
    assert kept.token == sha256(token.encode()).digest()
    assert token not in str(kept)
    assert token not in repr(row)


def test_a_link_finds_its_refund_and_nothing_else_does(shop) -> None:
    row, token = shop.create(shop.invoice())
    assert shop.seen(token).refund == row
    for wrong in (token[:-1], token + "=", "", "\ud800", str(row.id)):
        assert shop.seen(wrong) is None
        assert shop.claim(wrong) is None


def test_the_customer_may_change_the_address_until_the_approval(shop) -> None:
    row, token = shop.create(shop.invoice())
    other = str(Keys("customer").address(4))
    assert shop.claim(token).refund.address == str(samples.CUSTOMER)
    assert shop.claim(token, f" {other}\n").refund.address == other
    shop.service.approve(row.id, by="key 2")
    with pytest.raises(StepRefused, match="approved already"):
        shop.claim(token)
    assert shop.row(row).address == other
    assert shop.row(row).decided_by == "key 2"


def test_the_shops_own_addresses_are_not_paid(shop) -> None:
    invoice = shop.invoice()
    _, token = shop.create(invoice)
    with pytest.raises(RefundRefused, match="the shop's"):
        shop.claim(token, invoice.address)


def test_an_unclaimed_refund_expires_and_gives_its_share_back(shop) -> None:
    invoice = shop.invoice()
    row, token = shop.create(invoice, expires_in=3600)
    upkeep = Upkeep(shop.database)
    shop.clock.now += 3599
    upkeep.change_due()
    assert shop.row(row).status == "open"
    shop.clock.now += 1
    assert shop.seen(token).status is RefundStatus.EXPIRED  # before the upkeep has told it
    with pytest.raises(StepRefused, match="time to give an address is over"):
        shop.claim(token)
    upkeep.change_due()
    assert shop.row(row).status == "expired"
    assert shop.create(invoice)[0].amount == row.amount


def test_a_claimed_refund_does_not_expire(shop) -> None:
    row, token = shop.create(shop.invoice())
    shop.claim(token)
    shop.clock.now += 4000
    Upkeep(shop.database).change_due()
    assert shop.row(row).status == "claimed"
    with pytest.raises(StepRefused, match="is over"):
        shop.claim(token)
    assert shop.service.approve(row.id, by="owner").status == "approved"


def test_refunds_at_once_never_exceed_the_credit(shop) -> None:
    invoice = shop.invoice()

    def one(_: int) -> int:
        try:
            shop.create(invoice, 30_000)
        except RefundRefused:
            return 0
        return 1

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(one, range(8))) == 2  # of 70,000


def test_a_cancelled_refund_gives_its_share_back(shop) -> None:
    invoice = shop.invoice()
    row, token = shop.create(invoice)
    with pytest.raises(RefundRefused):
        shop.create(invoice, PAID)
    assert shop.service.cancel(row.id, by="key 1").status == "cancelled"
    assert shop.create(invoice, PAID)[0].amount == PAID
    with pytest.raises(StepRefused, match="was cancelled"):
        shop.claim(token)


def test_an_approval_needs_the_credit(shop) -> None:
    invoice = shop.invoice()
    row, token = shop.create(invoice)
    shop.claim(token)
    samples.see(shop.database, invoice)  # the payment is gone
    with pytest.raises(StepRefused, match="do not cover"):
        shop.service.approve(row.id, by="owner")
    assert shop.row(row).status == "claimed"


def test_an_unknown_refund_and_a_forgotten_invoice_are_refused(shop) -> None:
    with pytest.raises(UsageError, match="No refund"):
        shop.service.cancel(new_id(), by="x")
    with pytest.raises(UsageError, match="No invoice"):
        asyncio.run(shop.service.create(new_id(), by="x", expires_in=3600))
    invoice = shop.invoice()
    shop.database.write(lambda c: retention.forget(c, invoice.id, shop.database.now()))
    with pytest.raises(UsageError, match="were deleted"):
        shop.create(invoice)


def test_each_step_is_an_event_an_audit_entry_and_a_delivery(shop) -> None:
    shop.database.write(
        lambda c: webhooks.add_endpoint(
            c,
            store_id=shop.store.id,
            url="https://x.example",
            secret="whsec_x",
            kinds=("refund.created", "refund.claimed"),
            now=shop.database.now(),
        )
    )
    invoice = shop.invoice()
    row, token = shop.create(invoice)
    shop.claim(token)
    shop.service.decline(row.id, by="owner")
    found = shop.database.read(lambda c: events.events_of(c, invoice.id))
    assert [each.kind for each in found][-3:] == [
        "refund.created",
        "refund.claimed",
        "refund.declined",
    ]
    assert found[-1].status == "settled"
    acts = shop.database.read(lambda c: audit.page(c, limit=3))
    assert [(each.who, each.what) for each in acts] == [
        ("owner", "refund.decline"),
        ("customer", "refund.claim"),
        ("key 1", "refund.create"),
    ]
    (endpoint,) = shop.database.read(lambda c: webhooks.endpoints_of(c, shop.store.id))
    sent = shop.database.read(lambda c: deliveries.deliveries_of(c, endpoint.id, limit=9))
    assert len(sent) == 2
    told = str([each.data for each in found]) + str([each.detail for each in acts])
    assert token not in told
    assert str(samples.CUSTOMER) not in told


def test_what_the_clock_has_changed_is_told_before_a_refund(shop) -> None:
    invoice = shop.invoice(20_000)  # paid in part
    shop.clock.now = invoice.expires_at + 5
    shop.create(invoice)
    found = shop.database.read(lambda c: events.events_of(c, invoice.id))
    assert [each.kind for each in found][-2:] == ["invoice.expired", "refund.created"]
    assert found[-1].status == "expired"


def test_refunds_are_listed_by_store_status_and_page(shop) -> None:
    first, _ = shop.create(shop.invoice())
    second, token = shop.create(shop.invoice())
    shop.claim(token)

    def ids(**wanted):
        return [each.id for each in shop.database.read(lambda c: refunds.page(c, **wanted))]

    assert ids() == [second.id, first.id]
    assert ids(limit=1, before=second.id) == [first.id]
    assert ids(statuses=(RefundStatus.OPEN,)) == [first.id]
    assert ids(store_ids=(new_id(),)) == []
    assert ids(store_ids=(shop.store.id,)) == [second.id, first.id]


def test_an_invoice_is_forgotten_with_its_refunds_once_they_are_over(shop) -> None:
    invoice = shop.invoice()
    row, token = shop.create(invoice)
    shop.claim(token)
    over = UnixTime(invoice.monitored_until + shop.store.policy.secrets_seconds + 1)
    assert shop.database.read(lambda c: retention.due(c, over)) == ()
    shop.service.decline(row.id, by="owner")
    assert shop.database.read(lambda c: retention.due(c, over)) == (invoice.id,)
    shop.database.write(lambda c: retention.forget(c, invoice.id, over))
    kept = shop.row(row)
    assert (kept.address, kept.reason, kept.amount) == (None, None, row.amount)
    assert shop.seen(token) is None
    assert shop.database.read(lambda c: invoices.invoice(c, invoice.id)).forgotten_at == over


def test_two_refunds_never_hold_a_coin(shop) -> None:
    first, _ = shop.create(shop.invoice())
    second, _ = shop.create(shop.invoice())
    coins = [OutPoint(Txid(bytes([n]) * 32), 0) for n in (1, 2)]
    shop.database.write(lambda c: refund_payments.hold_coins(c, first.id, coins))
    shop.database.write(lambda c: refund_payments.hold_coins(c, first.id, coins))
    with pytest.raises(CoinsTaken, match="Another refund"):
        shop.database.write(lambda c: refund_payments.hold_coins(c, second.id, coins[1:]))
    assert shop.database.read(refund_payments.held_coins) == frozenset(coins)


def test_what_the_engine_notes_is_lost_once_the_refund_has_moved_on(shop) -> None:
    row, token = shop.create(shop.invoice())
    shop.claim(token)
    shop.database.write(lambda c: refunds.note(c, row, trouble="no-coins"))
    assert shop.row(row).trouble is None


def test_a_step_that_does_not_follow_changes_nothing(shop) -> None:
    row, _ = shop.create(shop.invoice())
    before = shop.database.read(lambda c: events.events_of(c, row.invoice_id))
    with pytest.raises(StepRefused):
        shop.database.write(
            lambda c: refunds.move(
                c, row.id, RefundStep.SIGN, who="x", now=shop.database.now(), txid="00"
            )
        )
    assert shop.row(row) == row
    assert shop.database.read(lambda c: events.events_of(c, row.invoice_id)) == before
