import asyncio

import pytest
from tests.support.world import Party, World, until

from dovetail import (
    AtExpiry,
    Cancelled,
    Expired,
    FallbackBroadcasted,
    LiveReceiver,
    LiveSender,
    PaidDirectly,
    PayjoinUri,
    Reason,
    Sats,
    Success,
)
from dovetail.errors import (
    ReplayError,
    SessionNotFound,
    TransportError,
)
from dovetail.protocol.requests import Request
from dovetail.runtime import decisions
from dovetail.runtime.agent import DATABASE
from dovetail.runtime.transport import Reply
from dovetail.sessions import receiver, sender
from dovetail.stores.ports import SessionId
from dovetail.stores.sql import SqliteStore

AMOUNT = 50_000


async def paid(world: World, *sessions: LiveReceiver | LiveSender) -> None:
    """Mine until the sessions are closed."""
    while any(session.running for session in sessions):
        await asyncio.sleep(0.02)
        if world.node.mempool_txids():
            world.node.mine()


# payments


async def test_a_payment_between_two_agents_is_a_payjoin(pair: World):
    async with pair.agent(pair.bob) as bob, pair.agent(pair.alice) as alice:
        receiving = await bob.receive(AMOUNT, label="coffee")
        sending = await alice.send(receiving.uri)
        await paid(pair, sending, receiving)
        out, into = await sending.wait_closed(), await receiving.wait_closed()
        assert bob.sessions == alice.sessions == ()
    assert isinstance(out, Success)
    assert isinstance(into, Success)
    assert out.txid == into.txid
    state = receiving.state
    assert isinstance(state, receiver.Closed)
    (value,) = pair.received(state.address)
    assert value > AMOUNT, "the receiver's coin is in it"


async def test_what_is_closed_is_forgotten_at_once(pair: World):
    """By whoever asks first: before the event loop has told anybody else of the end."""
    async with pair.agent(pair.bob) as bob, pair.agent(pair.alice) as alice:
        receiving = await bob.receive(AMOUNT)
        sending = await alice.send(receiving.uri)

        async def left_at_the_end() -> tuple[object, ...]:
            while sending.running:  # noqa: ASYNC110 - the very first moment is meant
                await asyncio.sleep(0)
            return alice.sessions

        left = asyncio.create_task(left_at_the_end())
        await paid(pair, sending, receiving)
        assert await left == ()


async def test_a_receiver_that_never_answers_costs_one_fallback(pair: World):
    async with pair.agent(pair.bob) as bob:
        receiving = await bob.receive(AMOUNT, lifetime=60)
    async with pair.agent(pair.alice) as alice:
        sending = await alice.send(receiving.uri)
        await until(sending, sender.PollingForProposal)
        pair.clock.pass_by(60)
        await paid(pair, sending)
        outcome = await sending.wait_closed()
    assert isinstance(outcome, FallbackBroadcasted)
    assert outcome.why is Reason.EXPIRED_WAITING_FOR_PROPOSAL
    assert len(pair.alice.chain.broadcasts) == 1
    assert pair.received(receiving.state.address) == [AMOUNT]  # type: ignore[union-attr]  # read


async def test_a_sender_that_never_signs_is_paid_for_after_the_grace(pair: World):
    pair.alice.wallet.cannot_sign = True
    async with pair.agent(pair.bob) as bob, pair.agent(pair.alice) as alice:
        receiving = await bob.receive(AMOUNT, lifetime=60)
        sending = await alice.send(receiving.uri)
        await until(receiving, receiver.Monitor)
        await until(sending, sender.ProposalReceived)
        pair.clock.pass_by(60)
        await asyncio.sleep(0.1)
        assert pair.bob.chain.broadcasts == []
        pair.clock.pass_by(600)
        await paid(pair, sending, receiving)
        out, into = await sending.wait_closed(), await receiving.wait_closed()
    assert isinstance(out, FallbackBroadcasted)
    assert isinstance(into, FallbackBroadcasted)
    assert (out.txid, into.why) == (into.txid, Reason.FALLBACK_DUE)
    assert len(pair.bob.chain.broadcasts) == 1
    assert pair.alice.chain.broadcasts == []


async def test_a_receiver_that_cannot_sign_does_not_give_up_in_silence(pair: World):
    pair.bob.wallet.cannot_sign = True
    async with pair.agent(pair.bob) as bob, pair.agent(pair.alice) as alice:
        receiving = await bob.receive(AMOUNT)
        sending = await alice.send(receiving.uri)
        await paid(pair, sending, receiving)
        out, into = await sending.wait_closed(), await receiving.wait_closed()
    assert isinstance(out, FallbackBroadcasted)
    assert isinstance(into, FallbackBroadcasted)
    assert into.why is Reason.WALLET_CANNOT_SIGN
    # Either she read the answer, or his broadcast of the fallback came first.
    assert out.why in {Reason.RECEIVER_UNAVAILABLE, Reason.RECEIVER_TOOK_FALLBACK}
    assert pair.received(receiving.state.address) == [AMOUNT]  # type: ignore[union-attr]  # read


async def test_a_reorganisation_costs_nothing_but_time(pair: World):
    async with pair.agent(pair.bob, depth=3) as bob, pair.agent(pair.alice, depth=3) as alice:
        receiving = await bob.receive(AMOUNT)
        sending = await alice.send(receiving.uri)
        await until(sending, sender.Monitor)
        pair.node.mine()
        await asyncio.sleep(0.05)
        pair.node.reorg(1)
        await asyncio.sleep(0.05)
        pair.node.mine(3)
        assert isinstance(await sending.wait_closed(), Success)
        assert isinstance(await receiving.wait_closed(), Success)


async def test_a_plain_payment_is_noticed(pair: World):
    async with pair.agent(pair.bob) as bob:
        receiving = await bob.receive(AMOUNT)
        address = PayjoinUri.parse(receiving.uri).address
        paid_by = pair.node.fund(address.script_pubkey, Sats(AMOUNT))
        assert await receiving.wait_closed() == PaidDirectly(
            txid=str(paid_by.txid), received=AMOUNT
        )


@pytest.mark.parametrize("fault", ["no request", "no answer", "garbage", "busy", "unavailable"])
async def test_a_payjoin_comes_about_over_a_bad_network(pair: World, fault: str):
    calls = 0

    def disturb(request: Request, reply: Reply) -> Reply:
        nonlocal calls
        calls += 1
        if calls % 2:
            return reply
        match fault:
            case "no request" | "no answer":
                raise TransportError("lost")
            case "garbage":
                return Reply(200, reply.body[:-1] + bytes([reply.body[-1] ^ 1]))
            case "busy":
                return Reply(503, b"")
            case _:
                pair.wire.directory.status = 503 if pair.wire.directory.status is None else None
                return reply

    pair.wire.fault = disturb
    async with pair.agent(pair.bob) as bob, pair.agent(pair.alice) as alice:
        receiving = await bob.receive(AMOUNT)
        sending = await alice.send(receiving.uri)
        await paid(pair, sending, receiving)
        assert isinstance(await sending.wait_closed(), Success)
        assert isinstance(await receiving.wait_closed(), Success)


async def test_a_directory_that_is_away_for_good_ends_in_the_fallback(pair: World):
    async with pair.agent(pair.bob) as bob, pair.agent(pair.alice) as alice:
        receiving = await bob.receive(AMOUNT, lifetime=60)
        sending = await alice.send(receiving.uri)
        pair.wire.directory.status = 503
        async for update in sending.updates():
            if update.trouble is not None:
                pair.clock.pass_by(60)
            if isinstance(update.state, sender.Monitor):
                break
        pair.node.mine()
        out, into = await sending.wait_closed(), await receiving.wait_closed()
    assert isinstance(out, FallbackBroadcasted)
    assert isinstance(into, Expired | PaidDirectly)


async def test_two_agents_on_one_database_take_turns(pair: World):
    async with (
        pair.agent(pair.bob) as first,
        pair.agent(pair.bob) as second,
        pair.agent(pair.alice) as alice,
    ):
        receiving = await first.receive(AMOUNT)
        also = second.resume()[0]
        sending = await alice.send(receiving.uri)
        await paid(pair, sending, receiving, also)
        assert isinstance(await sending.wait_closed(), Success)
        assert isinstance(await receiving.wait_closed(), Success)
        assert isinstance(await also.wait_closed(), Success)
        tags = [row.last_tag for row in first.services.store.history()]
        assert tags == ["Closed"]


async def test_many_payments_at_once_share_no_coin(world: World):
    """P3"""
    world.fund(world.alice, *[100_000] * 6)
    world.fund(world.bob, *[70_000] * 4)
    async with world.agent(world.bob) as bob, world.agent(world.alice) as alice:
        receiving = [await bob.receive(AMOUNT) for _ in range(6)]
        sending = [await alice.send(each.uri) for each in receiving]
        await paid(world, *sending, *receiving)
        sessions: list[LiveReceiver | LiveSender] = [*sending, *receiving]
        for each in sessions:
            assert isinstance(await each.wait_closed(), Success | FallbackBroadcasted)
        assert alice.services.store.reserved() == frozenset()
        assert bob.services.store.reserved() == frozenset()
    spent = [
        txin.previous_output
        for tx in {tx.txid: tx for tx in world.alice.chain.broadcasts}.values()
        for txin in tx.inputs
    ]
    assert len(set(spent)) == len(spent)
    for each in receiving:
        assert len(world.received(PayjoinUri.parse(each.uri).address)) == 1


async def test_a_person_may_act_while_the_agent_is_at_work(pair: World):
    async with pair.agent(pair.bob) as bob:
        receiving = await bob.receive(AMOUNT)
        await decisions.cancel(bob.services, receiving.session_id)
        assert await receiving.wait_closed() == Cancelled(why=Reason.CANCELLED_BY_US, received=0)


async def test_a_cancelled_payment_waits_for_the_users_word(pair: World):
    async with pair.agent(pair.bob) as bob:
        receiving = await bob.receive(AMOUNT)
    async with pair.agent(pair.alice) as alice:
        sending = await alice.send(receiving.uri)
        await until(sending, sender.PollingForProposal)
        await decisions.cancel(alice.services, sending.session_id)
        await until(sending, sender.PendingFallback)
        await asyncio.sleep(0.1)
        assert pair.alice.chain.broadcasts == []
        await decisions.fallback(alice.services, sending.session_id)
        await paid(pair, sending)
        outcome = await sending.wait_closed()
    assert isinstance(outcome, FallbackBroadcasted)
    assert outcome.why is Reason.CANCELLED_BY_US


async def test_who_asks_to_be_asked_is_asked_at_the_expiration(pair: World):
    async with pair.agent(pair.bob) as bob:
        receiving = await bob.receive(AMOUNT, lifetime=60)
    async with pair.agent(pair.alice, at_expiry=AtExpiry.ASK) as alice:
        sending = await alice.send(receiving.uri)
        await until(sending, sender.PollingForProposal)
        pair.clock.pass_by(60)
        await until(sending, sender.PendingFallback)
        await asyncio.sleep(0.1)
        assert pair.alice.chain.broadcasts == []


# going on


async def test_sessions_go_on_after_a_restart(pair: World):
    async with pair.agent(pair.bob) as bob:
        uri = (await bob.receive(AMOUNT)).uri
    async with pair.agent(pair.alice) as alice:
        sending = await alice.send(uri)
        await until(sending, sender.PollingForProposal)
    async with pair.agent(pair.bob) as bob, pair.agent(pair.alice) as alice:
        (receiving,), (sending_again,) = bob.sessions, alice.sessions
        await paid(pair, receiving, sending_again)
        assert isinstance(await receiving.wait_closed(), Success)
        assert isinstance(await sending_again.wait_closed(), Success)
    assert not sending.running


async def test_sessions_are_resumed_by_name_too(world: World):
    async with world.agent(world.bob) as bob:
        ids = [(await bob.receive(AMOUNT)).session_id for _ in range(3)]
    async with world.agent(world.bob, resume=False) as bob:
        assert bob.sessions == ()
        assert [each.session_id for each in bob.resume(ids[:2])] == ids[:2]
        assert [each.session_id for each in bob.resume()] == ids
        assert len(bob.sessions) == 3


async def test_a_session_is_followed_once(world: World):
    async with world.agent(world.bob) as bob:
        receiving = await bob.receive(AMOUNT)
        assert bob.follow(receiving.session_id) is receiving
        await receiving.stop()
        again = bob.follow(receiving.session_id)
        assert again is not receiving
        assert again.running
        with pytest.raises(SessionNotFound):
            bob.follow(SessionId(99))


async def test_a_closed_session_tells_its_outcome(world: World):
    async with world.agent(world.bob) as bob:
        receiving = await bob.receive(AMOUNT, lifetime=60)
        world.clock.pass_by(660)
        assert await receiving.wait_closed() == Expired(received=0)
        await asyncio.sleep(0)
        assert bob.sessions == ()
        assert await bob.follow(receiving.session_id).wait_closed() == Expired(received=0)


async def test_one_log_that_cannot_be_read_stops_no_other_session(world: World):
    async with world.agent(world.bob) as bob:
        broken, sound = [await bob.receive(AMOUNT, lifetime=60) for _ in range(2)]
    corrupt(world.bob, broken.session_id)
    world.clock.pass_by(660)
    async with world.agent(world.bob) as bob:
        bad, good = (bob.follow(each.session_id) for each in (broken, sound))
        assert await good.wait_closed() == Expired(received=0)
        with pytest.raises(ReplayError):
            await bad.wait_closed()
        await asyncio.sleep(0.01)
        assert bob.sessions == (bad,), "it stays in sight"
        assert bob.services.store.row(broken.session_id).closed_at is None


def corrupt(party: Party, session_id: SessionId) -> None:
    with SqliteStore.open(party.folder / DATABASE) as store:
        store.write(
            lambda connection: connection.exec_driver_sql(
                "UPDATE session_events SET data = X'7b7d' WHERE session_id = ?", (session_id,)
            ).close()
        )
