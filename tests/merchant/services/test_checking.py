"""What `dovetail merchant check` finds in a shop that works, and in parts that are missing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.merchant.quiet import quiet_parts
from tests.merchant.till import open_till
from tests.support.clock import NOW, Clock
from tests.support.loopback import open_loopback

from dovetail.bitcoin import Network, UnixTime
from dovetail.errors import ConfigurationError, StoreUnavailable
from dovetail.merchant.data.database import Database
from dovetail.merchant.engine.procrastinate_duties import ProcrastinateDuties
from dovetail.merchant.services.checking import Finding, Setup, findings
from dovetail.merchant.services.clocks import require_chains_time, require_databases_time
from dovetail.merchant.services.parts import Parts
from dovetail.runtime.agent import now


class Tip:
    """A chain source of which only the newest block matters."""

    def __init__(self, time: int) -> None:
        self._time = time

    def height(self) -> int:
        return 7

    def block_time(self, height: int) -> UnixTime:
        assert height == 7
        return UnixTime(self._time)


async def _found(parts: Parts, database: Any, **setup: Any) -> dict[str, Finding]:
    usual: dict[str, Any] = {"network": Network.REGTEST, "public": None, "has_rates": False}
    found = await findings(Setup(around=parts, database=database, **(usual | setup)))
    return {each.about: each for each in found}


@asynccontextmanager
async def quiet(database: Database, **parts: Any) -> AsyncIterator[Parts]:
    async with quiet_parts(database, clock=database.now, **parts) as made:
        yield made


async def test_a_whole_shop_is_well(place, tmp_path) -> None:
    with open_loopback(tmp_path) as world, Database.open(place) as database:
        async with open_till(world, database, coins=(80_000,)) as till:
            found = await _found(till.parts, database)
    assert found["store Shop"] == Finding(
        "store Shop", True, "Payjoins are offered; 1 coin is free to contribute."
    )
    assert found["signer"].words == "It answers, and keeps payments hot, as `cold` is not set."
    wrong = {about for about, each in found.items() if not each.is_well}
    assert wrong <= {"workers"}


async def test_without_a_signer_its_setting_is_named(database) -> None:
    async with quiet(database) as parts:
        found = await _found(parts, database)
    assert found["signer"].words == "No signer is set: set `signer`, and start one."


async def test_a_directory_that_sees_our_address_is_told(database, monkeypatch) -> None:
    async def of(*_: object) -> None:
        await asyncio.sleep(0)

    async with quiet(database) as parts:
        monkeypatch.setattr(type(parts.keys), "of", of)
        monkeypatch.setattr(type(parts.relays), "hides_from", lambda *_: False)
        found = await _found(parts, database)
    assert found["directory"] == Finding(
        "directory", True, "It answers straight, so that it sees this machine's address."
    )


async def test_a_signer_and_rates_are_asked_without_a_database(database, monkeypatch) -> None:
    class Answering:
        def descriptors(self) -> tuple[str, None]:
            return "wpkh(public)", None

    async with quiet(database, signer=Answering()) as parts:
        away = StoreUnavailable("The database is away: start it.")
        found = await _found(parts, away, has_rates=True)
    assert found["database"] == Finding("database", False, "The database is away: start it.")
    assert found["signer"] == Finding("signer", True, "It answers.")
    assert found["rates"].words.startswith("No rate source is configured")
    assert "stores" not in found


@pytest.mark.parametrize("place", ["postgresql"], indirect=True)
async def test_living_workers_are_counted(place) -> None:
    with Database.open(place) as database:
        stop = asyncio.Event()
        async with (
            quiet_parts(database) as parts,
            ProcrastinateDuties.open(database.url, {}) as duties,
        ):
            working = asyncio.create_task(duties.run(stop))
            async with asyncio.timeout(20):
                while not (found := await _found(parts, database))["workers"].is_well:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
            stop.set()
            await working
    assert found["workers"] == Finding("workers", True, "1 alive.")


@pytest.mark.parametrize("place", ["postgresql"], indirect=True)
async def test_the_databases_clock_is_compared(place) -> None:
    with Database.open(place) as database:
        require_databases_time(database, now)
        for seconds in (-31, 45):
            with pytest.raises(ConfigurationError, match=r"database server are \d\d seconds apart"):
                require_databases_time(database, lambda: UnixTime(now() + seconds))  # noqa: B023


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
def test_a_file_has_the_time_of_its_machine(database: Database, clock: Clock) -> None:
    require_databases_time(database, clock)


def test_the_newest_block_may_be_a_little_ahead_and_some_hours_old() -> None:
    for seconds in (7200, 0, -6 * 3600):
        assert require_chains_time(Tip(NOW + seconds), Network.MAINNET, NOW) == 7  # type: ignore[arg-type]


def test_a_block_from_the_future_means_that_the_clock_is_behind() -> None:
    with pytest.raises(ConfigurationError, match="clock here is 2 hours behind the newest block"):
        require_chains_time(Tip(NOW + 7201), Network.REGTEST, NOW)  # type: ignore[arg-type]


def test_an_old_block_means_a_wrong_clock_or_a_chain_source_that_stopped() -> None:
    with pytest.raises(
        ConfigurationError, match=r"newest block is 2 days old .* of `chain` has st"
    ):
        require_chains_time(Tip(NOW - 2 * 86_400), Network.SIGNET, NOW)  # type: ignore[arg-type]
    assert require_chains_time(Tip(NOW - 2 * 86_400), Network.REGTEST, NOW) == 7  # type: ignore[arg-type]
