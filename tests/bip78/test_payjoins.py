"""Our own v1 sender and our own v1 receiver, over HTTP and TLS on real sockets."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from tests.bip78.shop import AMOUNT, Shop, address_of, customer, opened, post
from tests.support.certificates import make_certificate
from tests.support.onions import ONION, onions
from tests.support.stepping import Side
from tests.support.world import World, until

from dovetail import Success
from dovetail.bitcoin import FeeRate, Psbt
from dovetail.runtime.agent import DATABASE, Agent
from dovetail.runtime.live_session import LiveReceiver
from dovetail.runtime.receiver_steps import step_receiver
from dovetail.runtime.transport import HttpTransport
from dovetail.runtime.turn import Turn
from dovetail.sessions import receiver, sender
from dovetail.stores.sql import SqliteStore


async def pay(world: World, shop: Shop, payer: Agent, invoice: LiveReceiver, uri: str) -> None:
    paid = await payer.send(uri)
    await until(paid, sender.Monitor)
    world.node.mine()
    outcomes = await asyncio.gather(invoice.wait_closed(), paid.wait_closed())
    txids = {outcome.txid for outcome in outcomes if isinstance(outcome, Success)}
    assert len(txids) == 1, outcomes
    assert isinstance(invoice.state, receiver.Closed)
    assert invoice.state.payjoin is not None
    assert len(invoice.state.payjoin.inputs) == 2


async def test_a_payjoin_over_http(world: World, alice: Side, bob: Side):
    async with opened(world) as shop, customer(world) as payer:
        invoice = await shop.invoice()
        await pay(world, shop, payer, invoice, invoice.uri)


async def test_a_payjoin_over_tls(world: World, alice: Side, bob: Side, tmp_path: Path):
    certificate = make_certificate(tmp_path)
    web = HttpTransport(trust=certificate.trust())
    async with opened(world, tls=certificate.server()) as shop, customer(world, web=web) as payer:
        assert shop.url.startswith("https://")
        invoice = await shop.invoice()
        await pay(world, shop, payer, invoice, invoice.uri)


async def test_a_payjoin_over_tor(world: World, alice: Side, bob: Side):
    async with (
        opened(world) as shop,
        onions({ONION: shop.port}) as tor,
        customer(world, web=HttpTransport(tor=tor.proxy)) as payer,
    ):
        invoice = await shop.agent.receive(50_000, endpoint=f"http://{ONION}/pj")
        assert address_of(invoice).startswith(f"http://{ONION}/pj/")
        await pay(world, shop, payer, invoice, invoice.uri)
    assert {host for host, _ in tor.asked} == {ONION}


async def test_two_invoices_at_one_endpoint_are_told_apart(world: World, alice: Side, bob: Side):
    async with opened(world) as shop:
        invoices = [await shop.invoice() for _ in range(2)]
        assert address_of(invoices[0]) != address_of(invoices[1])
        originals = [shop.original(each) for each in invoices]
        answers = await asyncio.gather(
            *(
                post(address_of(invoice), original.to_base64().encode())
                for invoice, original in zip(invoices, originals, strict=True)
            )
        )
        for invoice, original, answer in zip(invoices, originals, answers, strict=True):
            assert answer.status_code == 200
            assert answer.headers["content-type"] == "text/plain"
            assert answer.headers["access-control-allow-origin"] == "*"
            proposal = Psbt.from_base64(answer.text).unsigned_transaction
            assert set(original.unsigned_transaction.contested()) < set(proposal.contested())
            await until(invoice, receiver.Monitor)


async def test_the_same_original_gets_the_same_proposal_again_and_another_none(
    world: World, alice: Side, bob: Side
):
    async with opened(world) as shop:
        invoice = await shop.invoice()
        body = shop.original(invoice).to_base64().encode()
        first = await post(address_of(invoice), body)
        state = await until(invoice, receiver.Monitor)
        again = await post(address_of(invoice), body)
        assert (again.status_code, again.content) == (200, first.content)
        for other, query in (
            (shop.original(invoice).to_base64().encode(), "v=1"),
            (body, "v=1&minfeerate=9"),
        ):
            refused = await post(address_of(invoice), other, query=query)
            assert refused.status_code == 503
            assert refused.json()["errorCode"] == "unavailable"
        assert invoice.state is state


async def test_a_second_post_while_the_first_is_answered_shares_its_proposal(
    world: World, alice: Side, bob: Side
):
    async with opened(world) as shop:
        invoice = await shop.invoice()
        body = shop.original(invoice).to_base64().encode()
        answers = await asyncio.gather(*(post(address_of(invoice), body) for _ in range(3)))
        assert {answer.status_code for answer in answers} == {200}
        assert len({answer.content for answer in answers}) == 1


async def test_without_a_coin_to_add_the_sender_hears_it_and_the_fallback_is_paid(
    world: World, alice: Side
):
    async with opened(world) as shop:
        invoice = await shop.invoice()
        original = shop.original(invoice)
        refused = await post(address_of(invoice), original.to_base64().encode())
        assert refused.status_code == 503
        assert refused.json()["errorCode"] == "unavailable"
        await until(invoice, receiver.Monitor)
        assert world.node.in_mempool(original.extract().txid)
        again = await post(address_of(invoice), original.to_base64().encode())
        assert again.json() == refused.json()


async def test_a_sender_that_is_gone_before_the_answer_leaves_the_session_to_its_end(
    world: World, alice: Side, bob: Side
):
    async with opened(world) as shop:
        invoice = await shop.invoice()
        original = shop.original(invoice)
        body = original.to_base64().encode()
        bob.party.chain.away = True
        head = f"POST /{address_of(invoice).rpartition('/')[2]}?v=1 HTTP/1.1\r\nhost: shop\r\n"
        head += f"content-type: text/plain\r\ncontent-length: {len(body)}\r\n\r\n"
        _, writer = await asyncio.open_connection("127.0.0.1", shop.port)
        writer.write(head.encode() + body)
        await until(invoice, receiver.UncheckedOriginalPayload)
        writer.close()
        await writer.wait_closed()
        bob.party.chain.away = False
        state = await until(invoice, receiver.Monitor)
        assert isinstance(state, receiver.Monitor)
        assert state.proposal_out
        late = await post(address_of(invoice), body)  # it asks again
        assert late.status_code == 200
        world.clock.pass_by(86_400 + world.policy.grace)
        await until(invoice, receiver.PendingFallback, receiver.Monitor)
        async for update in invoice.updates():
            if isinstance(update.state, receiver.Monitor) and update.state.fallback_broadcast:
                break
        assert world.node.in_mempool(original.extract().txid)


async def test_a_session_of_an_earlier_run_is_served_again(world: World, alice: Side, bob: Side):
    async with opened(world) as shop:
        invoice = await shop.invoice()
        uri, port = invoice.uri, shop.port
    async with opened(world, resume=False, port=port) as shop:
        assert shop.agent.sessions == ()
        body = shop.original(invoice).to_base64().encode()
        assert (await post(address_of(invoice), body)).status_code == 200
        assert [live.session_id for live in shop.begun] == [invoice.session_id]
        assert shop.begun[0].uri == uri
        assert (await post(address_of(invoice), body)).status_code == 200
        assert len(shop.begun) == 1


@pytest.mark.parametrize("killed_after", ["RetrievedOriginalPayload", "FinalizedProposal"])
async def test_what_was_durable_when_the_receiver_died_is_answered_by_the_next_run(
    world: World, alice: Side, bob: Side, killed_after: str
):
    async with opened(world) as shop:
        invoice = await shop.invoice()
        original = shop.original(invoice)
        port = shop.port
    body = original.to_base64().encode()
    with SqliteStore.open(world.bob.folder / DATABASE) as store:
        log = store.receiver(invoice.session_id)
        session = receiver.replay(log.load())
        assert isinstance(session, receiver.Initialized)
        reached: receiver.ReceiverSession = session.receive_v1(body, "v=1", now=world.clock()).save(
            log
        )
        while type(log.load()[-1]).__name__ != killed_after:
            turn = Turn(log, replace(bob.services(), store=store))
            reached = await step_receiver(reached, turn)
    async with opened(world, port=port):
        first = await post(address_of(invoice), body)
        assert first.status_code == 200
        assert (await post(address_of(invoice), body)).content == first.content


async def test_an_original_that_pays_its_sender_keeps_no_honest_payer_out(
    world: World, alice: Side, bob: Side
):
    async with opened(world) as shop:
        invoice = await shop.invoice()
        made = shop.original(invoice)
        script = world.alice.wallet.new_address().script_pubkey
        selfish = world.alice.wallet.pay(script, AMOUNT, fee_rate=FeeRate(500))
        body = selfish.to_base64().encode()
        for _ in range(2):
            refused = await post(address_of(invoice), body)
            assert refused.json()["errorCode"] == "original-psbt-rejected"
        honest = await post(address_of(invoice), made.to_base64().encode())
        assert honest.status_code == 200
        proposal = Psbt.from_base64(honest.text).unsigned_transaction
        assert set(made.unsigned_transaction.contested()) < set(proposal.contested())
