"""`dovetail merchant backup` and `restore`, as an operator types them."""

from pathlib import Path

import pytest
from tests.cli.in_process import Cli
from tests.merchant.shop import add_shop
from tests.support.postgres import Server

from dovetail.cli import json_keys
from dovetail.merchant.data import stores, wallets
from dovetail.merchant.data.database import Database
from dovetail.merchant.signer.log import SignerLog


@pytest.fixture
def kept(shop: Cli) -> Cli:
    """A shop with a wallet, a database with one store, and a signer's log."""
    assert shop("wallet", "new", "--no-passphrase").code == 0
    folder = shop.folder / "regtest" / "merchant"
    with Database.open(folder / "shop.db") as database:
        database.write(add_shop)
    SignerLog.open(folder / "signer.db").close()
    return shop


def test_a_shop_is_copied_and_put_back_elsewhere(kept: Cli, tmp_path: Path) -> None:
    said = kept("merchant", "backup", str(tmp_path / "copy"), "--json")
    assert said.code == 0, said.err
    assert set(said.json) == set(json_keys.MERCHANT_BACKUP)
    assert said.json["files"] == ["shop.db", "signer.db", "wallet.json"]
    assert "The configuration file is not in it" in said.err
    assert "can spend the hot wallet" in said.err
    kept.folder = tmp_path / "new"
    said = kept("merchant", "restore", str(tmp_path / "copy"), "--json")
    assert said.code == 0, said.err
    assert set(said.json) == set(json_keys.MERCHANT_RESTORE)
    assert "passes over 1,000 addresses" in said.err
    assert kept("wallet", "info").code == 0
    with Database.open(kept.folder / "regtest" / "merchant" / "shop.db") as database:
        assert len(database.read(stores.all_stores)) == 1
        assert database.read(wallets.all_wallets)[0].next_index == 1000


def test_a_database_elsewhere_is_copied_and_restored_there(kept: Cli, tmp_path: Path) -> None:
    place, other = tmp_path / "elsewhere.db", tmp_path / "other.db"
    Database.open(place).close()
    words = ("merchant", "backup", str(tmp_path / "copy"), "--only", "shop")
    said = kept(*words, "--database", str(place))
    assert said.out == f"{tmp_path / 'copy'}\n"
    words = ("merchant", "restore", str(tmp_path / "copy"), "--skip", "0")
    said = kept(*words, "--database", str(other))
    assert said.out == f"shop.db: {other}\n"
    assert "passes over" not in said.err


def test_signer_and_shop_are_copied_apart(kept: Cli, tmp_path: Path) -> None:
    said = kept("merchant", "backup", str(tmp_path / "a"), "--only", "signer", "--json")
    assert said.json["files"] == ["signer.db", "wallet.json"]
    said = kept("merchant", "backup", str(tmp_path / "b"), "--only", "shop")
    assert "can spend" not in said.err


def test_a_shop_in_postgresql_is_copied_and_put_back_elsewhere(
    kept: Cli, settings, postgres: Server, url: str, tmp_path: Path
) -> None:
    settings(f'postgresql_programs = "{postgres.programs}"')
    with Database.open(url) as database:
        database.write(add_shop)
    said = kept("merchant", "backup", str(tmp_path / "copy"), "--database", url, "--json")
    assert said.code == 0, said.err
    assert said.json["files"] == ["shop.dump", "signer.db", "wallet.json"]
    kept.folder = tmp_path / "new"
    restore = ("merchant", "restore", str(tmp_path / "copy"))
    said = kept(*restore, "--database", url)
    assert (said.code, "The database has tables, and stays as it is" in said.err) == (2, True)
    said = kept(*restore, "--database", str(tmp_path / "shop.db"))
    assert (said.code, "give the URL of an empty one" in said.err) == (2, True)
    with postgres.database() as other:
        said = kept(*restore, "--database", other, "--json")
        assert said.code == 0, said.err
        assert said.json["files"]["shop.dump"] == "PostgreSQL"
        assert "passes over 1,000 addresses" in said.err
        with Database.open(other) as database:
            assert len(database.read(stores.all_stores)) == 1
            assert database.read(wallets.all_wallets)[0].next_index == 1000


def test_a_copy_of_a_file_does_not_go_into_postgresql(kept: Cli, tmp_path: Path) -> None:
    kept("merchant", "backup", str(tmp_path / "whole"))
    words = ("--database", "postgresql://127.0.0.1:1/shop")
    said = kept("merchant", "restore", str(tmp_path / "whole"), *words)
    assert said.code == 2
    assert "`database` names one in PostgreSQL" in said.err


def test_what_cannot_be_is_one_sentence(kept: Cli, tmp_path: Path) -> None:
    assert kept("merchant", "backup", str(tmp_path / "copy")).code == 0
    again = kept("merchant", "backup", str(tmp_path / "copy"))
    assert (again.code, again.err.count("\n")) == (2, 1)
    there = kept("merchant", "restore", str(tmp_path / "copy"))
    assert "is there, and stays as it is" in there.err
    kept.settings["network"] = "signet"
    other = kept("merchant", "restore", str(tmp_path / "copy"))
    assert "The backup is of a shop on regtest, not on signet" in other.err
    kept.folder = tmp_path / "empty"
    nothing = kept("merchant", "backup", str(tmp_path / "none"))
    assert "There is nothing to copy" in nothing.err
    assert not (tmp_path / "none").exists()
