"""A backup of a running shop is restored into another folder, and its sessions go on."""

import asyncio
import json
import sqlite3
import stat
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path

import pytest
from tests.merchant.shop import add_shop, opened
from tests.merchant.signer.deals import cold_descriptor
from tests.merchant.till import Till, engine_at_work, open_parts, open_till, pay
from tests.support.loopback import Loopback

from dovetail.bitcoin import Network, UnixTime
from dovetail.errors import ConfigurationError, StoreUnavailable
from dovetail.merchant.data import audit, record, stores, wallets
from dovetail.merchant.data.database import Database
from dovetail.merchant.services import backups
from dovetail.merchant.services.backups import LOG, OLDER_LOG, SHOP, WALLET, Name
from dovetail.merchant.services.invoices import Invoices
from dovetail.merchant.signer.keys import Keys
from dovetail.merchant.signer.log import SignerLog
from dovetail.merchant.signer.place import SignerPlace
from dovetail.merchant.signer.policy import Limits
from dovetail.merchant.signer.server import SignerServer
from dovetail.merchant.signer.service import SignerService
from dovetail.wallets.bdk.wallet import BdkWallet

AT = UnixTime(1_800_000_000)
NAMES: tuple[Name, ...] = (SHOP, LOG, WALLET)
"""The files of a shop whose database is a file."""


def places(folder: Path) -> dict[Name, Path]:
    return {
        SHOP: folder / "shop.db",
        LOG: folder / "signer.db",
        WALLET: folder / "wallet" / "wallet.json",
    }


def backup(folder: Path, to: Path, *names: Name) -> backups.Manifest:
    parts = {name: path for name, path in places(folder).items() if name in (names or NAMES)}
    return backups.backup(parts, to, network=Network.REGTEST, now=AT)


@asynccontextmanager
async def reopened(
    world: Loopback, folder: Path, shop: Path | str | None = None
) -> AsyncIterator[Till]:
    """The shop whose files are in this folder, with another database where one is given."""
    wallet = BdkWallet.open(folder / "wallet", server=world.regtest.url)
    place = SignerPlace(path=folder / "signer.sock")
    async with AsyncExitStack() as entered:
        log = SignerLog.open(folder / "signer.db")
        entered.callback(log.close)
        keys = Keys(wallet.secret(), cold=cold_descriptor())
        signer = SignerServer(SignerService(keys, log, Limits()))
        await entered.enter_async_context(signer.listening(place))
        database = entered.enter_context(Database.open(shop or folder / "shop.db"))
        parts = await entered.enter_async_context(
            open_parts(database, world.chain, world.mailroom.url, place)
        )
        (store,) = database.read(stores.all_stores)
        await entered.enter_async_context(engine_at_work(parts))
        yield Till(world, parts, store, Invoices(parts))


async def test_a_running_shop_is_restored_elsewhere_and_its_session_goes_on(world: Loopback):
    former, other = world.folder / "shop", world.folder / "other" / "machine"
    with Database.open(former / "shop.db") as database:
        async with open_till(world, database, cold=cold_descriptor()) as till:
            settled = await pay(till, await till.ask())
            waiting = await till.ask(30_000)
            assert waiting.uri is not None
            made = await asyncio.to_thread(backup, former, world.folder / "backup")
            lost = await till.ask(20_000)
    assert set(made.files) == set(NAMES)
    await asyncio.to_thread(backups.restore, world.folder / "backup", places(other), skip=100)
    async with reopened(world, other) as restored:
        assert restored.row(settled.id).status == "settled"
        paid = await pay(restored, restored.row(waiting.id))
        found = restored.parts.database.read(lambda c: record.load(c, paid.id))
        assert [each.kind for each in found.state(restored.parts.clock()).counted] == ["payjoin"]
        later = await restored.ask(20_000)
        assert later.uri is not None
        assert later.address != lost.address
        (wallet,) = restored.parts.database.read(wallets.all_wallets)
        assert min(wallet.next_index, wallet.cold_next_index) > 100
        acts = restored.parts.database.read(lambda c: audit.page(c, limit=9))
        assert "shop.restore" in {each.what for each in acts}


def shop(folder: Path, *, sessions: bool = False) -> None:
    """The files of a shop with one invoice."""
    for path in places(folder).values():
        path.parent.mkdir(parents=True, exist_ok=True)
    with Database.open(folder / "shop.db") as database:
        invoice = opened(database)
        if sessions:
            database.write(
                lambda c: c.exec_driver_sql("UPDATE invoices SET session_id = 1").close()
            )
    log = SignerLog.open(folder / "signer.db")
    if not sessions:
        log.open_session(str(invoice), 1)
    log.close()
    (folder / "wallet" / "wallet.json").write_text("{}")


def test_a_backup_is_for_its_owners_eyes_and_one_file_each(tmp_path: Path):
    shop(tmp_path / "a")
    made = backup(tmp_path / "a", tmp_path / "b")
    assert {path.name for path in (tmp_path / "b").iterdir()} == {*NAMES, "backup.json"}
    assert stat.S_IMODE((tmp_path / "b").stat().st_mode) == 0o700
    for path in (tmp_path / "b").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert backups.read_manifest(tmp_path / "b") == made
    assert (made.network, made.made_at) == (Network.REGTEST, AT)


def test_the_database_is_copied_before_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    copied: list[str] = []
    copy = backups._copy

    def noting(name: Name, source: Path, target: Path) -> None:
        copied.append(name)
        copy(name, source, target)

    shop(tmp_path / "a")
    monkeypatch.setattr(backups, "_copy", noting)
    backup(tmp_path / "a", tmp_path / "b")
    assert copied == [SHOP, LOG, WALLET]


def test_what_is_written_but_not_yet_in_the_file_is_copied(tmp_path: Path):
    shop(tmp_path / "a")
    with Database.open(tmp_path / "a" / "shop.db") as database:
        # It is in the file beside the database's, while that is open.
        store = database.write(lambda connection: add_shop(connection, name="second"))
        backup(tmp_path / "a", tmp_path / "b", SHOP)
    with closing(sqlite3.connect(tmp_path / "b" / "shop.db")) as copy:
        ids = {row[0] for row in copy.execute("SELECT id FROM stores")}
    assert store.id.hex in ids


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path):
    shop(tmp_path / "a")
    with pytest.raises(ConfigurationError, match="cannot be made: File exists"):
        backup(tmp_path / "a", tmp_path / "a")
    assert places(tmp_path / "a")[SHOP].exists()


@pytest.mark.parametrize("name", NAMES)
def test_a_backup_that_fails_leaves_nothing(tmp_path: Path, name: Name):
    shop(tmp_path / "a")
    places(tmp_path / "a")[name].unlink()
    with pytest.raises(StoreUnavailable, match=f"{name} cannot be copied"):
        backup(tmp_path / "a", tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_a_damaged_database_is_not_taken_for_a_backup(tmp_path: Path):
    shop(tmp_path / "a")
    path = places(tmp_path / "a")[SHOP]
    whole = path.read_bytes()
    path.write_bytes(whole[:8192] + b"\xff" * 8192 + whole[16_384:])
    with pytest.raises(StoreUnavailable, match="cannot be copied"):
        backup(tmp_path / "a", tmp_path / "b")


def restored(tmp_path: Path, *, skip: int = 0) -> backups.Manifest:
    return backups.restore(tmp_path / "b", places(tmp_path / "c"), skip=skip)


def test_a_log_that_is_older_than_the_database_is_refused(tmp_path: Path):
    shop(tmp_path / "a", sessions=True)
    backup(tmp_path / "a", tmp_path / "b")
    with pytest.raises(ConfigurationError) as caught:
        restored(tmp_path)
    assert str(caught.value) == OLDER_LOG
    assert not [path for path in (tmp_path / "c").rglob("*") if path.is_file()]


def test_each_part_is_restored_alone(tmp_path: Path):
    shop(tmp_path / "a", sessions=True)
    backup(tmp_path / "a", tmp_path / "b", LOG, WALLET)
    restored(tmp_path)
    assert not places(tmp_path / "c")[SHOP].exists()
    backup(tmp_path / "a", tmp_path / "d", SHOP)
    backups.restore(tmp_path / "d", places(tmp_path / "c"), skip=0)
    assert all(path.exists() for path in places(tmp_path / "c").values())


@pytest.mark.parametrize("name", NAMES)
def test_nothing_that_is_there_is_written_over(tmp_path: Path, name: Name):
    shop(tmp_path / "a")
    backup(tmp_path / "a", tmp_path / "b")
    path = places(tmp_path / "c")[name]
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    with pytest.raises(ConfigurationError, match=f"{name} is there, and stays as it is"):
        restored(tmp_path)
    assert [each for each in (tmp_path / "c").rglob("*") if each.is_file()] == [path]


@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_was_changed_is_named(tmp_path: Path, name: Name):
    shop(tmp_path / "a")
    backup(tmp_path / "a", tmp_path / "b")
    with (tmp_path / "b" / name).open("ab") as file:
        file.write(b"x")
    with pytest.raises(ConfigurationError, match=f"{name} is not as the backup wrote it"):
        restored(tmp_path)


@pytest.mark.parametrize("text", [None, "", "{}", '{"version": 2}'])
def test_a_folder_that_is_no_backup_is_refused(tmp_path: Path, text: str | None):
    (tmp_path / "b").mkdir()
    if text is not None:
        (tmp_path / "b" / "backup.json").write_text(text)
    with pytest.raises(ConfigurationError, match="is no backup of a shop"):
        restored(tmp_path)


def test_a_backup_cannot_name_files_elsewhere(tmp_path: Path):
    shop(tmp_path / "a")
    backup(tmp_path / "a", tmp_path / "b")
    path = tmp_path / "b" / "backup.json"
    told = json.loads(path.read_text())
    path.write_text(json.dumps(told | {"files": {"../a/shop.db": "00"}}))
    with pytest.raises(ConfigurationError, match="is no backup of a shop"):
        restored(tmp_path)
