"""What a client may take of a server that others use too: bodies, connections, places to wait."""

import asyncio
import json
import time

import httpx2 as httpx
import pytest
from tests.bip78.shop import TEXT, Shop, address_of, body_of, opened, post, refused, said
from tests.support.stepping import Side
from tests.support.waiting import until
from tests.support.world import World

from dovetail.bip78 import V1ServerSettings
from dovetail.sessions import receiver


async def test_a_body_of_unknown_length_is_refused_unread(world: World, alice: Side, bob: Side):
    async with opened(world) as shop, httpx.AsyncClient(trust_env=False) as client:
        invoice = await shop.invoice()
        body = body_of(shop, invoice)

        async def chunks():
            yield body

        answer = await client.post(address_of(invoice), content=chunks(), headers=TEXT)
        refused(answer, 411, "original-psbt-rejected")
        path = address_of(invoice).rpartition("/")[2].encode()
        plain = b"POST /%s HTTP/1.1\r\nhost: x\r\ncontent-type: text/plain\r\n\r\n" % path
        assert (await said(shop.port, plain)).startswith(b"HTTP/1.1 411 ")
        assert isinstance(invoice.state, receiver.Initialized)


async def test_a_body_over_the_limit_is_refused_before_it_is_read(
    world: World, alice: Side, bob: Side
):
    async with opened(world, settings=V1ServerSettings(body_limit=1_000)) as shop:
        invoice = await shop.invoice()
        path = address_of(invoice).rpartition("/")[2].encode()
        head = b"POST /%s HTTP/1.1\r\nhost: x\r\ncontent-type: text/plain\r\n" % path
        answer = await said(shop.port, head + b"content-length: 1001\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert b"original-psbt-rejected" in answer
        refused(await post(address_of(invoice), b"A" * 1_000), 400, "original-psbt-rejected")
        assert isinstance(invoice.state, receiver.Initialized)


async def test_a_slow_body_is_given_up_and_its_connection_closed(
    world: World, alice: Side, bob: Side
):
    async with opened(world, settings=V1ServerSettings(read_timeout=0.3)) as shop:
        invoice = await shop.invoice()
        path = address_of(invoice).rpartition("/")[2].encode()
        head = b"POST /%s HTTP/1.1\r\nhost: x\r\ncontent-type: text/plain\r\n" % path
        began = time.monotonic()
        answer = await said(shop.port, head + b"content-length: 900\r\n\r\ncHNidP8")
        assert time.monotonic() - began < 5
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["errorCode"] == "original-psbt-rejected"
        assert isinstance(invoice.state, receiver.Initialized)


async def test_a_connection_that_says_nothing_or_half_a_head_is_closed(world: World, bob: Side):
    async with opened(world, settings=V1ServerSettings(read_timeout=0.2)) as shop:
        for data in (b"", b"POST /", b"POST / HTTP/1.1\r\nhost: x\r\n"):
            assert not await said(shop.port, data)


async def test_connections_are_bounded(world: World, alice: Side, bob: Side):
    async with opened(world, settings=V1ServerSettings(max_connections=2)) as shop:
        held = [await asyncio.open_connection("127.0.0.1", shop.port) for _ in range(2)]
        await asyncio.sleep(0.05)
        assert (await said(shop.port, b"")).startswith(b"HTTP/1.1 503 ")
        for _, writer in held:
            writer.close()
            await writer.wait_closed()
        await asyncio.sleep(0.05)
        invoice = await shop.invoice()
        assert (await post(address_of(invoice), body_of(shop, invoice))).status_code == 200


async def test_bodies_that_are_read_at_once_are_bounded(world: World, alice: Side, bob: Side):
    settings = V1ServerSettings(max_bodies=1, read_timeout=5)
    async with opened(world, settings=settings) as shop:
        invoice = await shop.invoice()
        body = body_of(shop, invoice)
        path = address_of(invoice).rpartition("/")[2].encode()
        head = b"POST /%s?v=1 HTTP/1.1\r\nhost: x\r\ncontent-type: text/plain\r\n" % path
        reader, writer = await asyncio.open_connection("127.0.0.1", shop.port)
        writer.write(head + b"content-length: %d\r\n\r\n" % len(body) + body[:100])
        await asyncio.sleep(0.1)
        refused(await post(address_of(invoice), body), 503, "unavailable")
        writer.write(body[100:])
        assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
        writer.close()


async def reading(shop: Shop, count: int) -> None:
    """Wait until so many bodies are read."""
    await until(lambda: shop.endpoint._bodies.count == count)


async def begin_a_body(shop: Shop, invoice, address: str = "127.0.0.1"):
    """A connection from this address that sent half of a body."""
    path = address_of(invoice).rpartition("/")[2].encode()
    head = b"POST /%s?v=1 HTTP/1.1\r\nhost: x\r\ncontent-type: text/plain\r\n" % path
    reader, writer = await asyncio.open_connection("127.0.0.1", shop.port, local_addr=(address, 0))
    writer.write(head + b"content-length: 100\r\n\r\n" + bytes(50))
    return reader, writer


async def test_one_client_cannot_hoard_the_bodies(
    world: World, alice: Side, bob: Side, caplog: pytest.LogCaptureFixture
):
    async with opened(world, settings=V1ServerSettings(max_bodies_per_client=2)) as shop:
        invoice = await shop.invoice()
        held = [await begin_a_body(shop, invoice, f"127.9.9.{n}") for n in (1, 2, 3)]
        lines = [asyncio.create_task(each.readline()) for each, _ in held]
        refused_, waiting = await asyncio.wait(
            lines, timeout=5, return_when=asyncio.FIRST_COMPLETED
        )
        assert [(await each)[:13] for each in refused_] == [b"HTTP/1.1 503 "]
        assert "too many bodies, or its client has reached its limit" in caplog.text
        assert (await post(address_of(invoice), body_of(shop, invoice))).status_code == 200
        for each in waiting:
            each.cancel()
        for _, writer in held:
            writer.close()


async def test_clients_from_many_networks_leave_a_body_to_another(
    world: World, alice: Side, bob: Side
):
    async with opened(world) as shop:
        invoice = await shop.invoice()
        held = [
            await begin_a_body(shop, invoice, f"127.{net}.9.{n}")
            for net in (9, 10, 11)
            for n in range(1, 11)
        ]
        await asyncio.sleep(0.1)
        assert (await post(address_of(invoice), body_of(shop, invoice))).status_code == 200
        for _, writer in held:
            writer.close()


async def test_the_client_that_reads_most_bodies_gives_way_to_another(
    world: World, alice: Side, bob: Side
):
    settings = V1ServerSettings(max_bodies=4, read_timeout=30)
    async with opened(world, settings=settings) as shop:
        invoice = await shop.invoice()
        held = []
        for number, network in enumerate((9, 9, 10, 11), 1):
            held.append(await begin_a_body(shop, invoice, f"127.{network}.9.1"))
            await reading(shop, number)
        reader, writer = await begin_a_body(shop, invoice, "127.12.9.1")
        largest = [asyncio.create_task(each.read()) for each, _ in held[:2]]
        gone, left = await asyncio.wait(largest, timeout=5, return_when=asyncio.FIRST_COMPLETED)
        assert (len(gone), len(left)) == (1, 1)
        answer = await gone.pop()
        left.pop().cancel()
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"unavailable" in answer
        writer.write(b"x" * 50)
        assert (await asyncio.wait_for(reader.readline(), 5)).startswith(b"HTTP/1.1 400 ")
        for _, each in (*held, (reader, writer)):
            each.close()


async def test_the_client_with_the_most_senders_who_wait_gives_way_to_another(
    world: World, alice: Side, bob: Side
):
    settings = V1ServerSettings(max_held=4, hold=20, client_header="x-client")
    async with opened(world, settings=settings) as shop:
        invoices = [await shop.invoice() for _ in range(5)]
        bodies = [body_of(shop, each) for each in invoices]
        bob.party.chain.away = True
        networks = ("192.0.2.1", "192.0.2.2", "192.1.2.1", "192.2.2.1", "203.0.113.1")
        asked = []
        for invoice, body, address in zip(invoices, bodies, networks, strict=True):
            asked.append(
                asyncio.create_task(post(address_of(invoice), body, **{"x-client": address}))
            )
            await until(lambda: shop.endpoint._held.count == min(len(asked), 4))
        refused(await asyncio.wait_for(asked[0], 5), 503, "unavailable")
        assert not any(each.done() for each in asked[1:])
        bob.party.chain.away = False
        await asyncio.gather(*asked[1:])


async def test_one_client_cannot_take_all_connections(world: World, alice: Side, bob: Side):
    async with opened(world, settings=V1ServerSettings(max_connections_per_client=2)) as shop:
        invoice = await shop.invoice()
        address = ("127.0.0.1", shop.port)
        held = [
            await asyncio.open_connection(*address, local_addr=(f"127.9.9.{n}", 0)) for n in (1, 2)
        ]
        await asyncio.sleep(0.05)
        reader, writer = await asyncio.open_connection(*address, local_addr=("127.9.9.3", 0))
        async with asyncio.timeout(5):
            assert (await reader.read()).startswith(b"HTTP/1.1 503 ")
        assert (await post(address_of(invoice), body_of(shop, invoice))).status_code == 200
        for each in (*(other for _, other in held), writer):
            each.close()


async def test_senders_who_wait_are_bounded_for_each_session(world: World, alice: Side, bob: Side):
    settings = V1ServerSettings(max_held_per_session=2, hold=20)
    async with opened(world, settings=settings) as shop:
        invoice, other = await shop.invoice(), await shop.invoice()
        body, its_body = body_of(shop, invoice), body_of(shop, other)
        bob.party.chain.away = True
        waiting = [asyncio.create_task(post(address_of(invoice), body)) for _ in range(2)]
        await until(lambda: shop.endpoint._held.count == 2)
        refused(await post(address_of(invoice), body), 503, "unavailable")
        waiting.append(asyncio.create_task(post(address_of(other), its_body)))
        await until(lambda: shop.endpoint._held.count == 3)
        bob.party.chain.away = False
        assert {(await each).status_code for each in waiting} == {200}
        assert shop.endpoint._held.count == 0


async def test_senders_who_wait_are_bounded_for_each_client(world: World, alice: Side, bob: Side):
    settings = V1ServerSettings(max_held_per_client=1, hold=20, client_header="x-client")
    async with opened(world, settings=settings) as shop:
        world.fund(world.bob, 90_000, 95_000)  # a coin for each, also for who waits no longer
        invoices = [await shop.invoice() for _ in range(3)]
        bodies = [body_of(shop, each) for each in invoices]
        bob.party.chain.away = True
        first = asyncio.create_task(
            post(address_of(invoices[0]), bodies[0], **{"x-client": "192.0.2.1"})
        )
        await until(lambda: shop.endpoint._held.count == 1)
        begun = time.monotonic()
        at_once = await post(address_of(invoices[1]), bodies[1], **{"x-client": "192.0.2.2"})
        refused(at_once, 503, "unavailable")
        assert time.monotonic() - begun < settings.hold / 2
        other = asyncio.create_task(
            post(address_of(invoices[2]), bodies[2], **{"x-client": "198.51.100.1"})
        )
        await until(lambda: shop.endpoint._held.count == 2)
        bob.party.chain.away = False
        assert (await first).status_code == (await other).status_code == 200


async def test_unknown_urls_share_their_looks_into_the_store(
    world: World, alice: Side, bob: Side, monkeypatch: pytest.MonkeyPatch
):
    async with opened(world) as shop:
        invoice = await shop.invoice()
        store, looks = shop.agent.services.store, 0
        live = type(store).live

        def counted(self):
            nonlocal looks
            looks += 1
            time.sleep(0.05)
            return live(self)

        monkeypatch.setattr(type(store), "live", counted)
        asked = [post(f"{shop.url}/{number:016}", b"") for number in range(60)]
        answers = await asyncio.gather(*asked)
        assert {each.status_code for each in answers} == {404}
        assert looks < 20
        assert (await post(address_of(invoice), body_of(shop, invoice))).status_code == 200
