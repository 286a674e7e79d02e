"""What the methods of the shop's clients take and return, as type checkers see it."""

from collections.abc import AsyncIterator, Iterator
from typing import assert_type
from uuid import UUID

from dovetail.merchant.client import AsyncShop, InvoiceStatus, Shop
from dovetail.merchant.messages import Delivery, Event, Invoice, NewInvoice, Page, Payment


def ask(shop: Shop, store_id: UUID) -> None:
    invoice = shop.create_invoice(store_id, NewInvoice(amount_sats=1), idempotency_key="a")
    assert_type(invoice, Invoice)
    assert_type(shop.list_invoices(order_id="a", limit=5), Page[Invoice])
    assert_type(shop.invoices(status=[InvoiceStatus.NEW]), Iterator[Invoice])
    assert_type(shop.list_payments(invoice.id), list[Payment])
    assert_type(shop.events(invoice.id, after=1), Iterator[Event])
    assert_type(shop.wait_for(invoice.id, InvoiceStatus.SETTLED, timeout=1), Invoice)
    shop.get_invoice("1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    shop.create_invoice(store_id)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


async def ask_async(shop: AsyncShop, store_id: UUID) -> None:
    invoice = await shop.create_invoice(store_id, NewInvoice(amount_sats=1))
    assert_type(invoice, Invoice)
    assert_type(await shop.list_invoices(order_id="a", limit=5), Page[Invoice])
    assert_type(shop.deliveries(invoice.id), AsyncIterator[Delivery])
    async for each in shop.events(invoice.id):
        assert_type(each, Event)
    assert_type(await shop.wait_for(invoice.id, seconds=1), Invoice)
    shop.get_invoice("1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
