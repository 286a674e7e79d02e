"""What BIP 78 asks of a request, and what a strange one gets: no session hears of it."""

import asyncio

import httpx2 as httpx
import pytest
from tests.bip78.shop import address_of, body_of, opened, post, refused
from tests.support.stepping import Side
from tests.support.world import World

from dovetail.bip78 import V1ServerSettings
from dovetail.bitcoin import Psbt
from dovetail.errors import StoreUnavailable
from dovetail.sessions import receiver


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
async def test_only_post_is_understood(world: World, bob: Side, method: str):
    async with opened(world) as shop, httpx.AsyncClient(trust_env=False) as client:
        answer = await client.request(method, address_of(await shop.invoice()))
        assert answer.status_code == 405
        assert answer.headers["allow"] == "OPTIONS, POST"
        assert answer.headers["access-control-allow-origin"] == "*"


async def test_a_browser_is_told_that_it_may_ask(world: World, bob: Side):
    async with opened(world) as shop, httpx.AsyncClient(trust_env=False) as client:
        answer = await client.options(address_of(await shop.invoice()))
        assert answer.status_code == 204
        assert "POST" in answer.headers["access-control-allow-methods"]
        assert answer.headers["access-control-allow-origin"] == "*"


async def test_a_url_that_no_invoice_has_is_not_found(world: World, alice: Side, bob: Side):
    async with opened(world) as shop:
        invoice = await shop.invoice()
        body = body_of(shop, invoice)
        for url in (shop.url, f"{shop.url}/", f"{shop.url}/nothing", address_of(invoice)[:-1]):
            refused(await post(url, body), 404, "unavailable")
        assert isinstance(invoice.state, receiver.Initialized)


async def test_a_slash_at_the_end_or_another_path_before_it_changes_nothing(
    world: World, alice: Side, bob: Side
):
    async with opened(world) as shop:
        invoice = await shop.invoice()
        token = address_of(invoice).rpartition("/")[2]
        body = body_of(shop, invoice)
        assert (await post(f"{shop.url}/some/where/{token}/", body)).status_code == 200


@pytest.mark.parametrize("kind", ["application/json", "text/html", ""])
async def test_another_media_type_is_refused(world: World, alice: Side, bob: Side, kind: str):
    async with opened(world) as shop:
        invoice = await shop.invoice()
        answer = await post(address_of(invoice), body_of(shop, invoice), **{"content-type": kind})
        refused(answer, 415, "original-psbt-rejected")
        assert isinstance(invoice.state, receiver.Initialized)


async def test_text_may_say_its_character_set(world: World, alice: Side, bob: Side):
    async with opened(world) as shop:
        invoice = await shop.invoice()
        kind = {"content-type": "Text/Plain; charset=utf-8"}
        assert (await post(address_of(invoice), body_of(shop, invoice), **kind)).status_code == 200


@pytest.mark.parametrize("version", ["0", "2", "3", "one"])
async def test_another_version_hears_which_is_supported(
    world: World, alice: Side, bob: Side, version: str
):
    async with opened(world) as shop:
        invoice = await shop.invoice()
        body = body_of(shop, invoice)
        answer = await post(address_of(invoice), body, query=f"v={version}")
        refused(answer, 400, "version-unsupported")
        assert answer.json()["supported"] == [1]
        assert isinstance(invoice.state, receiver.Initialized)
        assert (await post(address_of(invoice), body, query="")).status_code == 200


async def test_what_is_no_original_psbt_is_rejected_and_the_invoice_stays(
    world: World, alice: Side, bob: Side
):
    async with opened(world) as shop:
        invoice = await shop.invoice()
        original = shop.original(invoice)
        unsigned = Psbt.from_unsigned(original.unsigned_transaction).to_base64().encode()
        for body in (b"", b"cHNidP8=", b"\xff" * 50, b"[]", unsigned):
            refused(await post(address_of(invoice), body), 400, "original-psbt-rejected")
        good = original.to_base64().encode()
        answer = await post(address_of(invoice), good, query="minfeerate=low")
        refused(answer, 400, "original-psbt-rejected")
        assert isinstance(invoice.state, receiver.Initialized)
        assert (await post(address_of(invoice), good)).status_code == 200


async def test_coins_that_another_invoice_has_seen_are_refused(
    world: World, alice: Side, bob: Side
):
    """P2"""
    async with opened(world) as shop:
        first, second = await shop.invoice(), await shop.invoice()
        assert (await post(address_of(first), body_of(shop, first))).status_code == 200
        again = shop.original(second, of=shop.spent)
        answer = await post(address_of(second), again.to_base64().encode())
        refused(answer, 400, "original-psbt-rejected")


async def test_an_expired_invoice_is_unavailable(world: World, alice: Side, bob: Side):
    async with opened(world) as shop:
        invoice = await shop.agent.receive(50_000, endpoint=shop.url, lifetime=60)
        body = body_of(shop, invoice)
        world.clock.pass_by(60)
        answer = await post(address_of(invoice), body)
        assert answer.status_code in (404, 503)
        assert answer.json()["errorCode"] == "unavailable"


async def test_a_store_that_is_full_makes_it_unavailable(
    world: World, alice: Side, bob: Side, monkeypatch: pytest.MonkeyPatch
):
    async with opened(world) as shop:
        invoice = await shop.invoice()
        body = body_of(shop, invoice)

        def full(*_: object) -> None:
            raise StoreUnavailable("The disk is full.")

        monkeypatch.setattr(shop.agent.services.store, "receiver", full)
        refused(await post(address_of(invoice), body), 503, "unavailable")
        monkeypatch.setattr(shop.agent.services.store, "receiver", None)
        refused(await post(address_of(invoice), body), 500, "unavailable")


async def test_an_answer_that_takes_too_long_is_not_waited_for(
    world: World, alice: Side, bob: Side
):
    async with opened(world, settings=V1ServerSettings(hold=0.3)) as shop:
        invoice = await shop.invoice()
        body = body_of(shop, invoice)
        bob.party.chain.away = True
        refused(await post(address_of(invoice), body), 503, "unavailable")
        bob.party.chain.away = False
        async for update in invoice.updates():
            if isinstance(update.state, receiver.Monitor):
                break
        assert (await post(address_of(invoice), body)).status_code == 200


async def test_nothing_of_a_request_is_logged(
    world: World, alice: Side, bob: Side, caplog: pytest.LogCaptureFixture
):
    """P4"""
    caplog.set_level("DEBUG")
    async with opened(world) as shop:
        invoice = await shop.invoice()
        body = body_of(shop, invoice)
        caplog.clear()
        reader, writer = await asyncio.open_connection("127.0.0.1", shop.port)
        token = address_of(invoice).rpartition("/")[2]
        head = f"POST /{token}?v=1 HTTP/1.1\r\nhost: shop\r\ncontent-type: text/plain\r\n"
        writer.write(head.encode() + b"content-length: %d\r\n\r\n" % len(body) + body)
        assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
        writer.close()
    assert token not in caplog.text
    assert body.decode()[:60] not in caplog.text
