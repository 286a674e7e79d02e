"""`/health` over real HTTP: no key, a word for each part, nothing secret, little cost."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import event, text
from tests.merchant.api.raw_http import Told, ask
from tests.merchant.quiet import quiet_parts
from tests.merchant.signer.deals import SignersHouse
from tests.merchant.signer.served import serving as signing

from dovetail.bitcoin import Network
from dovetail.errors import ChainError, StoreUnavailable, WalletError
from dovetail.merchant.api.limits import Limits, Rate
from dovetail.merchant.data.database import Database
from dovetail.merchant.engine.procrastinate_duties import ProcrastinateDuties
from dovetail.merchant.server import serving
from dovetail.merchant.services import health as module
from dovetail.merchant.services.health import Health, Overall, Word
from dovetail.merchant.signer.client import RemoteSigner
from dovetail.merchant.signer.place import SignerPlace
from dovetail.regtest import RegtestServer
from dovetail.wallets.esplora.chain import EsploraChain


class Seconds:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def regtest() -> Iterator[RegtestServer]:
    with RegtestServer() as server:
        yield server


@pytest.fixture
def signer(tmp_path, short) -> Iterator[RemoteSigner]:
    place = SignerPlace(path=short / "signer.sock")
    with signing(SignersHouse(tmp_path), place):
        remote = RemoteSigner(place)
        yield remote
        remote.close()


@pytest.fixture
def short(tmp_path_factory) -> Any:
    return tmp_path_factory.mktemp("s")


@asynccontextmanager
async def healthy(database, regtest, signer) -> AsyncIterator[tuple[Health, Seconds]]:
    clock = Seconds()
    with EsploraChain(regtest.url, Network.REGTEST) as chain:
        async with quiet_parts(database, chain=chain, signer=signer) as parts:
            yield Health(parts, works=lambda: True, clock=clock), clock


async def _ready(url: str) -> tuple[int, dict[str, str]]:
    told = await ask(url, "GET", "/health/ready")
    return told.status, told.json


async def test_a_whole_shop_is_ready(database, regtest, signer) -> None:
    async with healthy(database, regtest, signer) as (health, _):
        found = await health.findings()
        assert found.overall is Overall.READY
        assert set(found.parts.values()) == {Word.OK}


async def test_without_a_signer_payments_come_in_all_the_same(database, regtest) -> None:
    with EsploraChain(regtest.url, Network.REGTEST) as chain:
        async with quiet_parts(database, chain=chain) as parts:
            health = Health(parts, works=lambda: True)
            async with serving(parts, "127.0.0.1", 0, health=health) as url:
                assert await _ready(url) == (
                    200,
                    {
                        "status": "degraded",
                        "database": "ok",
                        "chain": "ok",
                        "workers": "ok",
                        "signer": "none",
                    },
                )


async def test_what_is_away_is_named_and_nothing_secret_is_told(database, tmp_path) -> None:
    signer = RemoteSigner(SignerPlace(path=tmp_path / "nobody.sock"))
    async with (
        quiet_parts(database, signer=signer) as parts,
        serving(parts, "127.0.0.1", 0) as url,
    ):
        status, told = await _ready(url)
        assert status == 200
        assert told == {
            "status": "blind",
            "database": "ok",
            "chain": "away",
            "workers": "none",
            "signer": "away",
        }
        assert (await ask(url, "GET", "/health/live")).json == {"status": "live"}


async def test_only_reading_is_allowed_and_other_paths_are_not_here(database) -> None:
    async with quiet_parts(database) as parts, serving(parts, "127.0.0.1", 0) as url:
        assert (await ask(url, "POST", "/health/live")).status == 405
        assert (await ask(url, "GET", "/health")).status == 404
        assert (await ask(url, "GET", "/health/live?x=1")).status == 200


async def test_another_schema_is_not_ready(database, regtest, signer) -> None:
    async with healthy(database, regtest, signer) as (health, clock):
        database.write(
            lambda c: c.execute(text("UPDATE merchant_version SET version_num = 'm999'"))
        )
        found = await health.findings()
        assert (found.overall, found.parts["database"]) == (Overall.NOT_READY, Word.OTHER_SCHEMA)
        clock.now += module.FRESH
        database.write(lambda c: c.execute(text("DROP TABLE merchant_version")))
        assert (await health.findings()).parts["database"] is Word.OTHER_SCHEMA


async def test_a_database_that_is_away_is_told(database, regtest, signer, monkeypatch) -> None:
    def away(*_: object) -> None:
        raise StoreUnavailable("The database is away.")

    monkeypatch.setattr(Database, "read", away)
    async with healthy(database, regtest, signer) as (health, _):
        found = await health.findings()
        assert (found.overall, found.parts["database"]) == (Overall.NOT_READY, Word.AWAY)
        assert not found.takes_requests


async def test_a_chain_source_that_was_seen_lately_counts(
    database, regtest, signer, monkeypatch
) -> None:
    async with healthy(database, regtest, signer) as (health, clock):
        assert (await health.findings()).parts["chain"] is Word.OK

        def away(self) -> int:
            raise ChainError("The chain source is away.")

        monkeypatch.setattr(EsploraChain, "height", away)
        clock.now += module.LATELY - 1
        assert (await health.findings()).parts["chain"] is Word.OK
        clock.now += module.FRESH
        found = await health.findings()
        assert (found.overall, found.parts["chain"]) == (Overall.BLIND, Word.AWAY)
        assert (found.takes_requests, found.sees_payments) == (True, False)


async def test_an_engine_that_has_ended_is_told(database, regtest, signer) -> None:
    async with healthy(database, regtest, signer) as (health, _):
        health.works = lambda: False
        found = await health.findings()
        assert (found.overall, found.parts["workers"]) == (Overall.BLIND, Word.NONE)


@pytest.mark.parametrize("place", ["postgresql"], indirect=True)
async def test_workers_elsewhere_count_while_they_give_signs_of_life(
    database, regtest, signer
) -> None:
    async with healthy(database, regtest, signer) as (health, clock):
        health.works = None
        assert (await health.findings()).parts["workers"] is Word.NONE
        stop = asyncio.Event()
        async with ProcrastinateDuties.open(database.url, {}) as duties:
            working = asyncio.create_task(duties.run(stop))
            async with asyncio.timeout(20):
                while (await health.findings()).parts["workers"] is not Word.OK:
                    clock.now += module.FRESH
                    await asyncio.sleep(0.1)
            stop.set()
            await working
        clock.now += module.FRESH
        assert (await health.findings()).parts["workers"] is Word.NONE


async def test_a_flood_of_questions_asks_the_parts_once(database, regtest, signer) -> None:
    asked: list[str] = []

    def count(_connection, _cursor, statement, *_: object) -> None:
        asked.append(statement)

    async with healthy(database, regtest, signer) as (health, _):
        event.listen(database.sessions.engine, "before_cursor_execute", count)
        await health.findings()
        once = len(asked)
        await asyncio.gather(*(health.findings() for _ in range(200)))
        assert len(asked) == once
        event.remove(database.sessions.engine, "before_cursor_execute", count)


async def test_questions_count_for_no_limit(database) -> None:
    few = Limits(address=Rate(burst=2, per_second=0.01))
    async with (
        quiet_parts(database) as parts,
        serving(parts, "127.0.0.1", 0, limits=few) as url,
    ):
        statuses = {(await ask(url, "GET", "/health/live")).status for _ in range(10)}
        assert statuses == {200}


async def test_a_part_that_hangs_keeps_one_thread_and_lets_nobody_wait(
    database, regtest, monkeypatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.1)
    go_on, calls = threading.Event(), []

    class Hanging(RemoteSigner):
        def descriptors(self) -> tuple[str, str | None]:
            calls.append(1)
            go_on.wait(20)
            raise WalletError("The signer does not answer.")

    signer = Hanging(SignerPlace(path=module.__file__))  # type: ignore[arg-type]
    async with healthy(database, regtest, signer) as (health, clock):
        for _ in range(4):
            assert (await health.findings()).parts["signer"] is Word.AWAY
            clock.now += module.FRESH
        assert len(calls) == 1
        go_on.set()
        await asyncio.sleep(0.1)


async def test_a_graceful_stop_is_told_before_the_server_goes(database) -> None:
    async with quiet_parts(database) as parts:
        served = serving(parts, "127.0.0.1", 0, limits=Limits(drain=1.0))
        url = await served.__aenter__()
        stopping = asyncio.create_task(served.__aexit__(None, None, None))
        await asyncio.sleep(0.2)
        told: Told = await ask(url, "GET", "/health/ready")
        assert (told.status, told.json["status"]) == (503, "stopping")
        assert (await ask(url, "GET", "/api/v1/openapi.json")).status == 200
        await stopping
        with pytest.raises(OSError, match="onnect"):
            await ask(url, "GET", "/health/live")
