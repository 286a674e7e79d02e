"""A shop whose database is in PostgreSQL is copied while it runs, and goes on in another one."""

import asyncio
import stat
import subprocess
from pathlib import Path

import psycopg
import pytest
from tests.merchant.services.test_backups import AT, places, reopened
from tests.merchant.shop import add_shop, opened
from tests.merchant.signer.deals import cold_descriptor
from tests.merchant.till import open_till, pay
from tests.support.loopback import Loopback
from tests.support.postgres import Server

from dovetail.bitcoin import Network
from dovetail.errors import ConfigurationError, StoreUnavailable
from dovetail.merchant.data import record, stores, wallets
from dovetail.merchant.data.database import Database
from dovetail.merchant.services import backups
from dovetail.merchant.services.backups import DUMP, LOG, OLDER_LOG, SHOP, Places
from dovetail.merchant.services.postgres_copies import SharedDatabase
from dovetail.merchant.signer.log import SignerLog

SECRET = "a secret of the database"


@pytest.fixture
def url(server: Server):
    with server.database() as url:
        yield url


@pytest.fixture
def other(server: Server):
    with server.database() as url:
        yield url


def places_of(folder: Path, server: Server, url: str) -> Places:
    files = {name: path for name, path in places(folder).items() if name != SHOP}
    return {DUMP: SharedDatabase(url, server.programs), **files}


async def test_a_running_shop_is_restored_into_another_database_and_its_session_goes_on(
    world: Loopback, server: Server, url: str, other: str
) -> None:
    former, elsewhere, copy = (world.folder / name for name in ("shop", "other", "copy"))
    with Database.open(url) as database:
        async with open_till(world, database, cold=cold_descriptor()) as till:
            settled = await pay(till, await till.ask())
            waiting = await till.ask(30_000)
            assert waiting.uri is not None
            parts = places_of(former, server, url)
            made = await asyncio.to_thread(
                backups.backup, parts, copy, network=Network.REGTEST, now=AT
            )
            lost = await till.ask(20_000)
    assert set(made.files) == {"shop.dump", "signer.db", "wallet.json"}
    assert stat.S_IMODE((copy / DUMP).stat().st_mode) == 0o600
    targets = places_of(elsewhere, server, other)
    await asyncio.to_thread(backups.restore, copy, targets, skip=100)
    async with reopened(world, elsewhere, other) as restored:
        assert restored.row(settled.id).status == "settled"
        paid = await pay(restored, restored.row(waiting.id))
        found = restored.parts.database.read(lambda c: record.load(c, paid.id))
        assert [each.kind for each in found.state(restored.parts.clock()).counted] == ["payjoin"]
        later = await restored.ask(20_000)
        assert later.uri is not None
        assert later.address != lost.address
        (wallet,) = restored.parts.database.read(wallets.all_wallets)
        assert min(wallet.next_index, wallet.cold_next_index) > 100


def shop(folder: Path, url: str, *, sessions: bool = False) -> None:
    """A shop with one invoice, perhaps with a session that the log does not know."""
    for path in places(folder).values():
        path.parent.mkdir(parents=True, exist_ok=True)
    with Database.open(url) as database:
        opened(database)
        if sessions:
            database.write(
                lambda c: c.exec_driver_sql("UPDATE invoices SET session_id = id").close()
            )
    SignerLog.open(folder / "signer.db").close()
    (folder / "wallet" / "wallet.json").write_text("{}")


def test_a_log_that_is_older_than_the_database_is_refused_and_what_to_do_is_told(
    server: Server, url: str, other: str, tmp_path: Path
) -> None:
    shop(tmp_path / "a", url, sessions=True)
    backups.backup(
        places_of(tmp_path / "a", server, url), tmp_path / "b", network=Network.REGTEST, now=AT
    )
    with pytest.raises(ConfigurationError, match="drop it before you try again") as caught:
        backups.restore(tmp_path / "b", places_of(tmp_path / "c", server, other), skip=0)
    assert str(caught.value).startswith(OLDER_LOG)
    assert not places(tmp_path / "c")[LOG].exists()


def test_a_database_that_has_tables_stays_as_it_is(
    server: Server, url: str, other: str, tmp_path: Path
) -> None:
    shop(tmp_path / "a", url)
    backups.backup(
        places_of(tmp_path / "a", server, url), tmp_path / "b", network=Network.REGTEST, now=AT
    )
    with psycopg.connect(other, autocommit=True) as connection:
        connection.execute("CREATE TABLE mine (name text)")
    with pytest.raises(ConfigurationError, match="has tables, and stays as it is"):
        backups.restore(tmp_path / "b", places_of(tmp_path / "c", server, other), skip=0)
    with psycopg.connect(other) as connection:
        found = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        assert found.fetchall() == [("mine",)]
    assert not (tmp_path / "c" / "signer.db").exists()


def test_a_copy_is_of_one_moment(server: Server, url: str, other: str, tmp_path: Path) -> None:
    with Database.open(url) as database:
        database.write(add_shop)
        source = SharedDatabase(url, server.programs)
        with psycopg.connect(url) as open_transaction:
            open_transaction.execute("UPDATE stores SET name = 'unwritten'")
            source.dump(tmp_path / "dump")
    SharedDatabase(other, server.programs).restore(tmp_path / "dump")
    with Database.open(other) as database:
        assert [each.name for each in database.read(stores.all_stores)] == ["main"]


def test_the_password_is_in_no_argument(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other users of the machine see the arguments of a program."""
    ran: list[tuple[list[str], dict[str, str]]] = []

    def run(command: list[str], *, env: dict[str, str], **_: object):
        ran.append((command, env))
        return subprocess.CompletedProcess(command, 1, b"", SECRET.encode())

    program = tmp_path / "pg_dump"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o700)
    monkeypatch.setattr(subprocess, "run", run)
    for number, given in enumerate(
        (
            f"postgresql://ada:{SECRET.replace(' ', '%20')}@db.example:5433/shop?sslmode=require",
            f"postgresql://ada@db.example:5433/shop?password={SECRET.replace(' ', '+')}",
        )
    ):
        shared = SharedDatabase(given, tmp_path)
        with pytest.raises(StoreUnavailable, match=r"at db.example:5433") as caught:
            shared.dump(tmp_path / f"dump{number}")
        assert SECRET not in f"{caught.value} {shared} {shared!r}"
    for command, environment in ran:
        assert environment["PGPASSWORD"] == SECRET
        assert SECRET not in " ".join(command)
        assert "user=ada" in " ".join(command)
        assert "--no-password" in command


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("pg_dump: error: aborting because of server version mismatch", "is older than the"),
        ("pg_dump: error: connection to server failed", "cannot copy the database at"),
    ],
)
def test_a_program_that_fails_is_one_sentence(tmp_path: Path, text: str, words: str) -> None:
    program = tmp_path / "pg_dump"
    program.write_text(f"#!/bin/sh\necho '{text}' >&2\nexit 1\n")
    program.chmod(0o700)
    with pytest.raises((ConfigurationError, StoreUnavailable), match=words) as caught:
        SharedDatabase("postgresql://127.0.0.1:1/shop", tmp_path).dump(tmp_path / "dump")
    assert text not in str(caught.value)


def test_programs_that_are_missing_or_broken_name_the_setting(tmp_path: Path) -> None:
    shared = SharedDatabase("postgresql://127.0.0.1:1/shop", tmp_path)
    with pytest.raises(ConfigurationError, match=r"`pg_dump` is not there.*`postgresql_programs`"):
        shared.dump(tmp_path / "a")
    (tmp_path / "pg_restore").write_bytes(b"\x00")
    (tmp_path / "pg_restore").chmod(0o700)
    with pytest.raises(ConfigurationError, match=r"cannot be started.*`postgresql_programs`"):
        shared.restore(tmp_path / "a")
    with pytest.raises(StoreUnavailable, match=r"The copy .* cannot be made: "):
        shared.dump(tmp_path / "a")
