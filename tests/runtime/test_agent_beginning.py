import pytest
from tests.support.wire import Wire
from tests.support.world import World

from dovetail import (
    Agent,
    FeeRate,
    PayjoinUri,
    Sats,
)
from dovetail.bitcoin import Network
from dovetail.errors import (
    ChainError,
    CoinsTaken,
    ConfigurationError,
    DuplicateSession,
    InsufficientFunds,
    TransportError,
    UsageError,
    WalletError,
)
from dovetail.protocol.uri import V2Endpoint
from dovetail.stores.memory import MemoryStore

AMOUNT = 50_000


# beginning


async def test_receiving_needs_a_directory(world: World):
    async with Agent.open(
        world.bob.folder, wallet=world.bob.wallet, chain=world.bob.chain, direct=True
    ) as agent:
        with pytest.raises(UsageError, match="No directory"):
            await agent.receive(1)


@pytest.mark.parametrize(("amount", "lifetime"), [(0, 60), (-5, 60), (1, 0)])
async def test_nonsense_is_not_asked_for(world: World, amount: int, lifetime: int):
    async with world.agent(world.bob) as bob:
        with pytest.raises(UsageError):
            await bob.receive(amount, lifetime=lifetime)
        assert bob.sessions == ()


async def test_an_amount_is_not_needed(world: World):
    async with world.agent(world.bob) as bob:
        receiving = await bob.receive()
        assert PayjoinUri.parse(receiving.uri).amount is None


class NarrowWire(Wire):
    """Two connections, and a way to everywhere."""

    most_at_once = 2

    async def require_way(self, url: str) -> None:
        """There is one."""


async def test_no_session_begins_that_could_not_wait_at_its_mailbox(world: World):
    async with Agent(
        store=MemoryStore(),
        wallet=world.bob.wallet,
        chain=world.bob.chain,
        transport=NarrowWire(world.wire.directory),
        directory=world.wire.directory.origin,
        relays=world.relays,
        clock=world.clock,
    ) as agent:
        await agent.receive(endpoint="https://shop.example/pj")  # waits at no mailbox
        first = await agent.receive()
        await agent.receive()
        with pytest.raises(ConfigurationError, match=r"2 connections open.*`ulimit -n`"):
            await agent.receive()
        await agent.receive(endpoint="https://shop.example/pj")
        await first.stop()
        await agent.receive()


DOWN = "https://down.example"


async def test_the_next_directory_is_used_where_keys_cannot_be_had(world: World):
    good = world.wire.directory.origin
    world.directories = (DOWN, good)
    world.wire.down = {DOWN}
    async with world.agent(world.bob) as bob:
        uri = PayjoinUri.parse((await bob.receive()).uri)
    assert isinstance(uri.endpoint, V2Endpoint)
    assert uri.endpoint.directory == good


async def test_a_directory_whose_operator_runs_every_relay_is_passed_over(world: World):
    good = world.wire.directory.origin
    world.directories = ("https://mailboxes.relay.example", good)
    async with world.agent(world.bob) as bob:
        uri = PayjoinUri.parse((await bob.receive()).uri)
    assert isinstance(uri.endpoint, V2Endpoint)
    assert uri.endpoint.directory == good
    assert {url for url, _ in world.wire.gets} == {f"{good}/.well-known/ohttp-gateway"}


async def test_where_every_directory_fails_nothing_begins(world: World):
    world.directories = (DOWN, "https://mailboxes.relay.example")
    world.wire.down = {DOWN}
    async with world.agent(world.bob) as bob:
        with pytest.raises(ConfigurationError, match="set `relays`"):
            await bob.receive()
        assert bob.sessions == ()
        assert bob.services.store.live() == ()


async def test_a_payment_by_the_operator_of_every_relay_is_refused_before_it_is_signed(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    world.fund(world.alice, 100_000)
    async with world.agent(world.bob) as bob:
        uri = (await bob.receive(AMOUNT)).uri
    world.relays = ("https://relay.directory.example",)
    monkeypatch.setattr(world.alice.wallet, "pay", None)  # no wallet is asked
    async with world.agent(world.alice) as alice:
        with pytest.raises(ConfigurationError, match=r"directory\.example, who"):
            await alice.send(uri)
        assert alice.sessions == ()
    assert world.wire.sent == []


async def test_a_directory_that_cannot_be_reached_begins_nothing(world: World):
    world.wire.keys_status = 500
    async with world.agent(world.bob) as bob:
        with pytest.raises(TransportError):
            await bob.receive(AMOUNT)
        assert bob.services.store.history() == ()


async def test_an_address_with_a_history_is_passed_over(world: World):
    """An old payment must not pass for the one that is awaited."""
    wallet = world.bob.wallet
    world.node.fund(wallet.keys.address(1).script_pubkey, Sats(AMOUNT))
    async with world.agent(world.bob) as bob:
        receiving = await bob.receive(AMOUNT)
    assert PayjoinUri.parse(receiving.uri).address == wallet.keys.address(2)


async def test_a_wallet_that_repeats_itself_is_an_error(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    old = world.bob.wallet.new_address()
    world.node.fund(old.script_pubkey, Sats(AMOUNT))
    monkeypatch.setattr(world.bob.wallet, "new_address", lambda: old)
    async with world.agent(world.bob) as bob:
        with pytest.raises(WalletError, match="paid before"):
            await bob.receive(AMOUNT)


async def test_a_chain_that_is_away_delays_no_payment_link(world: World):
    world.bob.chain.away = True
    async with world.agent(world.bob) as bob:
        receiving = await bob.receive(AMOUNT)
        async for update in receiving.updates():
            if isinstance(update.trouble, ChainError):
                break
        world.bob.chain.away = False
        async for update in receiving.updates():
            if update.trouble is None:
                break


async def uri_of(world: World, amount: int | None = AMOUNT) -> PayjoinUri:
    async with world.agent(world.bob) as bob:
        return PayjoinUri.parse((await bob.receive(amount)).uri)


async def test_a_payment_can_be_looked_at_before_it_begins(pair: World):
    uri = await uri_of(pair)
    async with pair.agent(pair.alice) as alice:
        payment = await alice.prepare(uri, fee_rate=FeeRate.from_sat_per_vb(3))
        assert (payment.amount, payment.fee_rate) == (AMOUNT, FeeRate.from_sat_per_vb(3))
        assert payment.fee > 0
        assert 0 < payment.most_added < 1000
        assert repr(payment) == "<PreparedPayment>"
        assert alice.sessions == ()
        assert alice.services.store.reserved() == frozenset()


@pytest.mark.parametrize("chosen", ["1", "2.5", "4.2"])
async def test_the_chosen_rate_is_demanded_of_the_payjoin(pair: World, chosen: str):
    uri, rate = await uri_of(pair), FeeRate.from_sat_per_vb(chosen)
    async with pair.agent(pair.alice) as alice:
        payment = await alice.prepare(uri, fee_rate=rate)
    assert payment.params.min_fee_rate == rate
    assert not payment.receiver_pays
    # A P2WPKH input weighs 68 vbytes, and one more is offered for rounding.
    assert payment.most_added >= 68 * rate.sat_per_vb


async def test_no_more_is_demanded_than_the_wallet_made_the_ordinary_payment_pay(pair: World):
    uri = await uri_of(pair)
    async with pair.agent(pair.alice) as alice:  # whose wallet pays 1,000 sats whatever is chosen
        payment = await alice.prepare(uri, fee_rate=FeeRate.from_sat_per_vb(5))
    paid = FeeRate.of(payment.fee, payment.original.extract().weight)
    assert payment.params.min_fee_rate == paid < payment.fee_rate


async def test_who_pays_chooses_an_amount_only_where_none_is_named(pair: World):
    named, free = await uri_of(pair), await uri_of(pair, None)
    async with pair.agent(pair.alice) as alice:
        with pytest.raises(UsageError, match="already asks for"):
            await alice.prepare(named, amount=Sats(AMOUNT + 1))
        with pytest.raises(UsageError, match="names no amount"):
            await alice.prepare(free)
        assert (await alice.prepare(free, amount=Sats(2000))).amount == 2000
        assert (await alice.prepare(named, amount=Sats(AMOUNT))).amount == AMOUNT


async def test_another_network_is_refused(pair: World, monkeypatch: pytest.MonkeyPatch):
    uri = await uri_of(pair)
    monkeypatch.setattr(pair.alice.wallet, "network", Network.MAINNET)
    async with pair.agent(pair.alice) as alice:
        with pytest.raises(UsageError, match="not for mainnet"):
            await alice.prepare(uri)


async def test_without_money_nothing_begins(world: World):
    uri = await uri_of(world)
    async with world.agent(world.alice) as alice:
        with pytest.raises(InsufficientFunds):
            await alice.send(uri)


async def test_a_payment_without_change_adds_nothing(pair: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("dovetail.runtime.prepared_payment.fee_contribution", lambda *_, **__: None)
    uri = await uri_of(pair)
    async with pair.agent(pair.alice) as alice:
        payment = await alice.prepare(uri)
    assert payment.most_added == 0
    assert payment.receiver_pays


async def test_a_uri_is_paid_once(pair: World):
    pair.fund(pair.alice, 100_000)
    uri = await uri_of(pair)
    async with pair.agent(pair.alice) as alice:
        payment = await alice.prepare(uri)
        sending = await alice.start(payment)
        with pytest.raises(DuplicateSession, match=f"Session {sending.session_id} pays this URI"):
            await alice.prepare(uri)
        with pytest.raises(DuplicateSession):
            await alice.start(payment)


async def test_a_coin_pays_once_at_a_time(pair: World):
    first, second = await uri_of(pair), await uri_of(pair)
    async with pair.agent(pair.alice) as alice:
        payments = [await alice.prepare(first), await alice.prepare(second)]
        await alice.start(payments[0])
        with pytest.raises(CoinsTaken):
            await alice.start(payments[1])
        with pytest.raises(InsufficientFunds):
            await alice.prepare(second)
        assert len(alice.sessions) == 1
