"""A customer's wallet pays invoices of a shop that runs in this process, on both databases."""

import asyncio
from collections.abc import Collection, Iterator

import pytest
from tests.merchant.till import Till, open_till, pay
from tests.support.bdk import bdk_wallet
from tests.support.waiting import until

from dovetail.bitcoin.uri import BitcoinUri
from dovetail.errors import StoreUnavailable
from dovetail.merchant.data import record
from dovetail.merchant.data.database import Database
from dovetail.merchant.engine import session_duties
from dovetail.merchant.engine.engine import Engine
from dovetail.stores.ports import SessionId
from dovetail.testing.store_samples import started
from dovetail.wallets.bdk.keys import public


@pytest.fixture
def database(place) -> Iterator[Database]:
    with Database.open(place) as opened:
        yield opened


async def test_an_invoice_is_settled_by_a_payjoin(world, database) -> None:
    async with open_till(world, database) as till:
        row = await till.ask()
        assert row.no_payjoin is None
        settled = await pay(till, row)
        assert settled.paid >= row.amount
        assert till.told(row.id) == [
            ("created", "waiting"),
            ("processing", "payment-seen"),
            ("settled", "confirmed"),
        ]
        (kind,) = _kinds(till, row)
        assert kind == "payjoin"


async def test_a_payjoin_settles_in_cold_storage(world, database, tmp_path) -> None:
    cold = public(bdk_wallet(tmp_path / "cold", world.regtest).secret())[0]
    async with open_till(world, database, cold=cold) as till:
        row = await till.ask()
        settled = await pay(till, row)
        assert settled.settlement_script is not None
        paid = world.chain.payments_to(settled.settlement_script)
        assert sum(each.amount for each in paid) > row.amount
        assert world.chain.payments_to(row.script) == ()
        assert _kinds(till, row) == ["payjoin"]


async def test_without_a_signer_the_plain_address_is_paid(world, database) -> None:
    async with open_till(world, database, signs=False) as till:
        row = await till.ask()
        assert row.no_payjoin == "signer-away"
        plain = BitcoinUri.parse(row.uri or "")
        assert plain.address is not None
        assert plain.get("pj") is None
        assert await till.invoices.payment_uri(row.id) == row.uri


def _kinds(till: Till, row) -> list[str]:
    found = till.parts.database.read(lambda c: record.load(c, row.id))
    return [each.kind.value for each in found.state(till.parts.clock()).counted]


class _Ensured:
    """Duties that only remember what they were asked to ensure."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    async def ensure(self, names: Collection[str]) -> None:
        self.names.update(names)

    @property
    def running(self) -> frozenset[str]:
        return frozenset()

    async def run(self, stop: asyncio.Event) -> None:
        await stop.wait()


async def test_a_database_that_is_away_for_a_moment_ends_no_look_for_duties(
    world, database, monkeypatch
) -> None:
    pulse = database.pulse
    failed: list[bool] = []

    def away_once() -> int:
        if not failed:
            failed.append(True)
            raise StoreUnavailable("The database is away.")
        now: int = pulse()
        return now

    monkeypatch.setattr(database, "pulse", away_once)
    async with open_till(world, database, works=False) as till:
        engine, duties = Engine(till.parts, _nothing, look=0.01), _Ensured()
        looking = [
            asyncio.create_task(engine._ensure(duties)),
            asyncio.create_task(engine.sessions.watch_requests(0.01)),
        ]
        await until(lambda: "upkeep" in duties.names)
        assert failed
        failed.clear()
        await until(lambda: bool(failed))
        assert not any(each.done() for each in looking)
        for each in looking:
            each.cancel()
        await asyncio.gather(*looking, return_exceptions=True)


async def test_only_sessions_that_are_new_or_grew_are_ensured_again(world, database) -> None:
    async with open_till(world, database, works=False) as till:
        engine, heads = Engine(till.parts, _nothing), dict[SessionId, int]()
        first = session_duties.name_of(started(database.sessions).session_id)
        assert {first, "upkeep"} <= set(engine._wanted(heads))
        assert first not in engine._wanted(heads)
        second = session_duties.name_of(started(database.sessions).session_id)
        wanted = engine._wanted(heads)
        assert [each for each in wanted if each.startswith("session:")] == [second]


async def _nothing(_: str) -> None:
    """Send no webhook."""
