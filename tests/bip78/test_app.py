"""The ASGI application by itself, where a server of ours does not lead."""

import asyncio
import sqlite3
from contextlib import closing
from typing import Any

import pytest
from tests.bip78.shop import address_of, body_of, opened, post, refused
from tests.support.stepping import Side
from tests.support.world import World, until

import dovetail.bip78
from dovetail.bip78 import V1ServerSettings
from dovetail.errors import ConfigurationError
from dovetail.runtime.agent import DATABASE
from dovetail.sessions import receiver


async def test_a_server_of_ones_own_may_speak_lifespan(world: World, bob: Side):
    sent: list[str] = []
    asked = iter(["lifespan.startup", "lifespan.shutdown"])

    async def receive() -> Any:
        return {"type": next(asked)}

    async def send(message: Any) -> None:
        sent.append(message["type"])

    async with opened(world) as shop:
        await shop.endpoint({"type": "lifespan"}, receive, send)
        with pytest.raises(ConfigurationError, match="use HTTP"):
            await shop.endpoint({"type": "websocket"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def test_who_comes_while_it_stops_is_told_to_come_again(world: World, alice: Side, bob: Side):
    async with opened(world) as shop:
        invoice = await shop.invoice()
        body = body_of(shop, invoice)
        shop.endpoint.drain()
        shop.endpoint.drain()
        refused(await post(address_of(invoice), body), 503, "unavailable")
        assert isinstance(invoice.state, receiver.Initialized)


async def test_a_session_whose_log_is_damaged_is_unavailable_and_stops_no_other(
    world: World, alice: Side, bob: Side
):
    async with opened(world) as shop:
        damaged, sound = await shop.invoice(), await shop.invoice()
        bodies = [body_of(shop, each) for each in (damaged, sound)]
        port = shop.port
    with closing(sqlite3.connect(world.bob.folder / DATABASE)) as database, database:
        database.execute(
            "UPDATE session_events SET data = ? WHERE session_id = ?", (b"{}", damaged.session_id)
        )
    async with opened(world, port=port) as shop:
        refused(await post(address_of(damaged), bodies[0]), 404, "unavailable")
        assert (await post(address_of(sound), bodies[1])).status_code == 200


async def test_a_session_that_its_agent_stops_answers_unavailable(
    world: World, alice: Side, bob: Side
):
    async with opened(world) as shop:
        invoice = await shop.invoice()
        body = body_of(shop, invoice)
        bob.party.chain.away = True
        asked = asyncio.create_task(post(address_of(invoice), body))
        await until(invoice, receiver.UncheckedOriginalPayload)
        await invoice.stop()
        refused(await asked, 503, "unavailable")


async def test_a_session_that_was_cancelled_answers_unavailable(
    world: World, alice: Side, bob: Side
):
    async with opened(world) as shop:
        invoice = await shop.invoice()
        body = body_of(shop, invoice)
        log = shop.agent.services.store.receiver(invoice.session_id)
        state = receiver.replay(log.load())
        assert isinstance(state, receiver.Initialized)
        assert (await post(f"{address_of(invoice)}x", body)).status_code == 404  # it is known now
        state.cancel().save(log)
        refused(await post(address_of(invoice), body), 503, "unavailable")


async def test_a_held_sender_is_not_taken_for_a_stalled_one(world: World, alice: Side, bob: Side):
    async with opened(world, settings=V1ServerSettings(read_timeout=0.2)) as shop:
        invoice = await shop.invoice()
        body = body_of(shop, invoice)
        bob.party.chain.away = True
        asked = asyncio.create_task(post(address_of(invoice), body))
        await asyncio.sleep(1)
        bob.party.chain.away = False
        assert (await asked).status_code == 200


async def test_a_fault_after_the_sender_has_gone_is_logged_without_its_words(
    world: World, alice: Side, bob: Side, caplog: pytest.LogCaptureFixture
):
    caplog.set_level("INFO")
    async with opened(world, settings=V1ServerSettings(hold=0.05)) as shop:
        invoice = await shop.invoice()
        body = body_of(shop, invoice)

        async def fail(*_: object) -> None:
            await asyncio.sleep(0.3)
            raise ValueError("secret")

        shop.endpoint._dispatcher.take = fail  # type: ignore[method-assign,assignment]
        refused(await post(address_of(invoice), body), 503, "unavailable")
        async with asyncio.timeout(10):
            while "A request ended with ValueError" not in caplog.text:  # noqa: ASYNC110  # nobody tells
                await asyncio.sleep(0.05)
    assert "secret" not in caplog.text


def test_the_package_names_what_it_has():
    with pytest.raises(AttributeError, match="no attribute 'Endpiont'"):
        _ = dovetail.bip78.Endpiont  # type: ignore[attr-defined]
