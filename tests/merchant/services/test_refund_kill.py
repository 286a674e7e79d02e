"""The process that pays a refund dies before any statement, request or broadcast: paid once."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from tests.merchant.refunds import WEEK, RefundShop, open_refund_shop
from tests.support.keys import Keys

from dovetail.bitcoin import Address, Sats
from dovetail.errors import StoreUnavailable
from dovetail.regtest import RegtestServer

AMOUNT = 5_000
ROUNDS = 12
"""Rounds of work in which an undisturbed refund is paid, and more."""


class Killed(Exception):
    """The process is no more."""


class Fate:
    """Ends the process before its next statement of this number; 0: never."""

    def __init__(self, at: int = 0) -> None:
        self.left = at

    def step(self, *_: Any, **__: Any) -> None:
        if self.left:
            self.left -= 1
            if not self.left:
                raise Killed


@pytest.fixture
def shop(database, clock, tmp_path: Path) -> Iterator[RefundShop]:
    with (
        RegtestServer() as regtest,
        open_refund_shop(database, clock, tmp_path, regtest) as opened,
    ):
        yield opened


@contextmanager
def fated(shop: RefundShop, fate: Fate, monkeypatch) -> Iterator[None]:
    """Every statement to the database, request to the signer, and broadcast is a step."""
    engine, signer = shop.database.sessions.engine, shop.parts.signer
    event.listen(engine, "before_cursor_execute", fate.step)
    event.listen(engine, "commit", fate.step)
    with monkeypatch.context() as patched:
        for part, names in ((signer, ("queue", "queued", "holders")), (shop.chain, ("broadcast",))):
            for name in names:
                patched.setattr(part, name, _after(fate, getattr(part, name)))
        try:
            yield
        finally:
            event.remove(engine, "before_cursor_execute", fate.step)
            event.remove(engine, "commit", fate.step)


def _after(fate: Fate, method: Callable[..., Any]) -> Callable[..., Any]:
    def stepping(*args: Any, **given: Any) -> Any:
        fate.step()
        answer = method(*args, **given)
        fate.step()  # its answer is lost
        return answer

    return stepping


async def test_a_refund_is_paid_once_whenever_the_process_dies(shop, monkeypatch) -> None:
    whole = Fate(10**6)
    await _refunded(shop, whole, monkeypatch, "undisturbed")
    steps = 10**6 - whole.left
    assert steps > 40
    every = 12 if shop.database.is_shared else 4
    for at in range(1, steps + 1, every):
        fate = Fate(at)
        await _refunded(shop, fate, monkeypatch, f"customer {at}")
        assert not fate.left
    assert shop.house.log.waiting() == {}


async def _refunded(shop: RefundShop, fate: Fate, monkeypatch, name: str) -> None:
    """Refund a customer, whatever is in the way: one transaction pays them, once."""
    customer = Keys(name).address(1)
    row = await _approved(shop, customer)
    shop.fund(20_000)
    with fated(shop, fate, monkeypatch):
        await _paid(shop, row)
    (sent,) = shop.sent(row)
    payments = shop.chain.payments_to(customer.script_pubkey)
    assert [(each.txid, int(each.amount)) for each in payments] == [(sent.txid, AMOUNT)]
    assert sent.raw is not None


async def _approved(shop: RefundShop, customer: Address):
    invoice = shop.invoice()
    _, token = await shop.service.create(
        invoice.id, by="shop", amount=Sats(AMOUNT), expires_in=WEEK
    )
    claim = await shop.service.give_address(token, str(customer))
    assert claim is not None
    return shop.service.approve(claim.refund.id, by="owner")


async def _paid(shop: RefundShop, row) -> None:
    for _ in range(ROUNDS):
        try:
            shop.payments.work()
            if shop.house.log.waiting():
                shop.house.log.approve(str(row.id))
            if shop.waiting():
                shop.regtest.node.mine(1)
            if shop.row(row.id).status == "paid":
                return
        except (Killed, StoreUnavailable):
            continue  # another process goes on
    raise AssertionError(shop.steps(row))
