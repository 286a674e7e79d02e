"""Both clients ask the real application over a real port."""

import asyncio
from uuid import uuid4

import pytest

from dovetail.merchant import messages
from dovetail.merchant.client import AsyncShop, Shop, ShopProblem
from dovetail.merchant.data import webhooks
from dovetail.merchant.invoices.invoice import InvoiceException, InvoiceStatus
from dovetail.merchant.messages import NewInvoice, Scope


def _wanted(amount: int = 5_000, **more) -> NewInvoice:
    return NewInvoice(amount_sats=amount, **more)


async def test_an_invoice_is_created_shown_and_listed(shop, served) -> None:
    order = f"A {uuid4()}"
    made = await shop.ask("create_invoice", served.store_id, _wanted(order_id=order))
    assert (made.status, made.amount_sats, made.order_id) == (InvoiceStatus.NEW, 5_000, order)
    assert made.payment_uri.startswith("bitcoin:")
    assert await shop.ask("get_invoice", made.id) == made
    assert await shop.listed("invoices", order_id=order) == [made]
    page = await shop.ask("list_invoices", status=[InvoiceStatus.NEW], limit=1)
    assert len(page.items) == 1


async def test_a_client_is_closed_at_the_end_of_its_block(served) -> None:
    with Shop(served.url, served.key()) as shop:
        assert await asyncio.to_thread(shop.list_stores)
    async with AsyncShop(served.url, served.key()) as other:
        found = [each async for each in other.invoices(limit=1, order_id="none")]
        assert found == []


async def test_pages_follow_each_other_to_the_end(shop, served) -> None:
    order = f"B {uuid4()}"
    for number in range(5):
        await shop.ask("create_invoice", served.store_id, _wanted(5_000 + number, order_id=order))
    found = await shop.listed(
        "invoices", store_id=served.store_id, order_id=order, created_from=0, limit=2
    )
    assert [each.amount_sats for each in found] == [5_004, 5_003, 5_002, 5_001, 5_000]


async def test_an_idempotency_key_gives_the_same_invoice_again(shop, served) -> None:
    key = str(uuid4())

    async def ask(amount: int):
        return await shop.ask(
            "create_invoice", served.store_id, _wanted(amount), idempotency_key=key
        )

    assert await ask(5_000) == await ask(5_000)
    with pytest.raises(ShopProblem) as caught:
        await ask(6_000)
    assert (caught.value.status, caught.value.kind) == (409, "idempotency-conflict")


async def test_a_problem_has_its_fields_and_a_sentence(shop, served) -> None:
    with pytest.raises(ShopProblem) as caught:
        await shop.ask("create_invoice", served.store_id, NewInvoice())
    assert caught.value.status == 422
    assert str(caught.value) == "Give either `amount_sats` or `price`."
    assert caught.value.request_id is not None
    with pytest.raises(ShopProblem) as caught:
        await shop.ask("create_webhook", served.store_id, messages.NewWebhook(url="x"))
    assert [each.field for each in caught.value.errors] == ["url"]
    with pytest.raises(ShopProblem) as caught:
        await shop.ask("get_invoice", uuid4())
    assert caught.value.kind == "not-found"


async def test_a_key_that_may_not_is_told_so(client, served) -> None:
    for key, kind in (("dvt_none", "unauthorized"), (served.key(Scope.AUDIT_READ), "forbidden")):
        with pytest.raises(ShopProblem) as caught:
            await client(served.url, key).ask("list_stores")
        assert caught.value.kind == kind


async def test_an_invoice_is_marked_closed_and_followed(shop, served) -> None:
    made = await shop.ask("create_invoice", served.store_id, _wanted())
    waiting = asyncio.create_task(shop.wait(made.id, InvoiceStatus.SETTLED))
    following = asyncio.create_task(shop.events(made.id, 3))
    await asyncio.sleep(0.3)
    closed = await shop.ask("close_invoice", made.id)
    assert closed.result == "no-session"
    marked = await shop.ask("mark_invoice", made.id, messages.NewMark(settled=True))
    assert marked.exception is InvoiceException.MARKED
    assert (await waiting).status is InvoiceStatus.SETTLED
    await shop.ask("mark_invoice", made.id, messages.NewMark(settled=False))
    found = await following
    assert [each.type for each in found] == [
        "invoice.created",
        "invoice.settled",
        "invoice.invalid",
    ]
    assert await shop.ask("list_events", made.id) == found
    assert await shop.ask("list_events", made.id, after=2) == found[2:]
    assert await shop.events(made.id, 1, after=2) == found[2:]
    assert (await shop.wait(made.id)).status is InvoiceStatus.INVALID
    assert await shop.ask("list_payments", made.id) == []
    assert (await shop.ask("get_session", made.id)).payjoin.offered is False


async def test_a_wait_ends_in_time(shop, served) -> None:
    made = await shop.ask("create_invoice", served.store_id, _wanted())
    with pytest.raises(TimeoutError):
        await shop.wait(made.id, seconds=0.7)
    assert (await shop.wait(made.id, InvoiceStatus.NEW)).id == made.id


async def test_stores_and_coins_are_managed(shop, served) -> None:
    wallet = served.till.store.wallet_id
    made = await shop.ask("create_store", messages.NewStore(name="Two", wallet_id=wallet))
    assert made in await shop.ask("list_stores")
    change = messages.StoreChange(policy=messages.StorePolicy(expiry_seconds=60))
    changed = await shop.ask("change_store", made.id, change)
    assert (changed.name, changed.policy.expiry_seconds) == ("Two", 60)
    assert await shop.ask("get_store", made.id) == changed
    assert await shop.ask("list_coins", made.id) == []


async def test_webhooks_and_deliveries_are_managed(shop, served) -> None:
    hook = await shop.ask(
        "create_webhook", served.store_id, messages.NewWebhook(url="https://shop.example/hook")
    )
    assert hook.secret.startswith("whsec_")
    assert "whsec_" not in repr(hook)
    await shop.ask("create_invoice", served.store_id, _wanted())
    (sent,) = await shop.listed("deliveries", hook.id)
    again = await shop.ask("resend_delivery", sent.id)
    assert again.id != sent.id
    page = await shop.ask("list_deliveries", hook.id, limit=1)
    assert page.cursor is not None
    assert len(await shop.listed("deliveries", hook.id, limit=1)) == 2
    rotated = await shop.ask("rotate_webhook", hook.id)
    assert rotated.secret != hook.secret
    off = await shop.ask("change_webhook", hook.id, messages.WebhookChange(active=False))
    assert not off.active
    assert off.url == hook.url
    listed = await shop.ask("list_webhooks", served.store_id)
    assert next(each for each in listed if each.id == hook.id) == off
    database = served.till.parts.database
    assert database.read(lambda c: webhooks.endpoint(c, hook.id)).url == hook.url


async def test_keys_are_made_used_and_revoked(client, shop, served) -> None:
    wanted = messages.NewApiKey(name="till", scopes=frozenset({Scope.STORES_READ}))
    made = await shop.ask("create_key", wanted)
    other = client(served.url, made.secret)
    assert len(await other.ask("list_stores")) >= 1
    assert made.id in {each.id for each in await shop.ask("list_keys")}
    assert (await shop.ask("revoke_key", made.id)).revoked_at is not None
    with pytest.raises(ShopProblem):
        await other.ask("list_stores")
    trail = await shop.listed("audit", limit=50)
    assert {"key.create", "key.revoke"} <= {each.what for each in trail}
    assert (await shop.ask("list_audit", limit=1)).items[0] == trail[0]
