"""What is wrong with a shop's setup is one sentence that says what to change, and no half work."""

import socket
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text
from tests.cli.in_process import Cli, Said
from tests.cli.merchant.parts import signer, tables
from tests.support.postgres import Server

from dovetail.bitcoin import UnixTime
from dovetail.merchant.data import stores
from dovetail.merchant.data.database import Database
from dovetail.regtest import RegtestServer
from dovetail.runtime import agent


def serve(shop: Cli, *words: str) -> Said:
    return shop("merchant", "serve", "--listen", "127.0.0.1:0", *words)


SPAN = "0s to 5m, such as 90s, 10m or 24h"


def wrong(said: Said, code: int, sentence: str) -> None:
    """That it says this one sentence, and nothing else."""
    assert (said.code, said.out) == (code, ""), said.err
    assert said.err == f"Error: {sentence}\n"


@pytest.mark.parametrize("words", [("serve",), ("worker",), ("store", "Shop"), ("key", "till")])
def test_a_database_that_is_away(shop: Cli, words) -> None:
    said = shop("merchant", *words, "--database", "postgresql://127.0.0.1:1/shop")
    wrong(
        said,
        1,
        "Dovetail cannot reach the database server at 127.0.0.1:1, or has lost the connection;"
        " nothing was written. Start it or correct the database's URL, then try again.",
    )


def test_a_wrong_password(shop: Cli, url: str, postgres: Server) -> None:
    postgres.execute("DROP ROLE IF EXISTS guarded")
    postgres.execute("CREATE ROLE guarded LOGIN PASSWORD 'right'")
    said = serve(shop, "--database", url.replace("//postgres@", "//guarded:hunter2@"))
    assert "refused the user or the password: correct the database's URL." in said.err
    assert "hunter2" not in said.err
    assert (said.code, len(said.err.splitlines())) == (1, 1)
    assert tables(url) == set()


def test_a_database_url_that_is_none(shop: Cli) -> None:
    said = serve(shop, "--database", "mysql://user:secret@host/shop")
    wrong(
        said,
        2,
        "`database` must be a file's path or a URL that begins with `postgresql://`.",
    )


def test_a_worker_waits_for_the_server_to_make_the_schema(shop: Cli, url: str) -> None:
    said = shop("merchant", "worker", "--database", url)
    wrong(
        said,
        1,
        "The shop's tables have an older schema: start the shop's server once, which upgrades"
        " them.",
    )
    assert tables(url) == set()


@pytest.mark.parametrize("command", ["serve", "worker"])
def test_a_newer_schema(shop: Cli, url: str, command: str) -> None:
    with Database.open(url) as database:
        database.write(lambda c: c.execute(text("UPDATE merchant_version SET version_num='m9'")))
    said = shop("merchant", command, "--database", url)
    wrong(said, 1, "The shop's tables were written by a newer Dovetail: install that version.")


def test_another_programs_tables(shop: Cli, url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE invoices (id int)")
    wrong(
        serve(shop, "--database", url),
        1,
        "The database has a table `invoices` of another program: set `database` to one for"
        " Dovetail alone.",
    )
    assert tables(url) == {"invoices"}


def test_another_programs_file(shop: Cli, tmp_path: Path) -> None:
    file = tmp_path / "other.db"
    with closing(sqlite3.connect(file)) as other, other:
        other.execute("CREATE TABLE invoices (id int)")
    said = serve(shop, "--database", str(file))
    wrong(said, 1, f"The database {file} belongs to another program: name a file of Dovetail's.")


def test_a_worker_of_a_file(shop: Cli) -> None:
    wrong(
        shop("merchant", "worker"),
        2,
        "A worker shares a database in PostgreSQL with the server: set `database` to its URL. With"
        " a file as database `dovetail merchant serve` does all of the work.",
    )


def test_a_signer_on_another_network(shop: Cli, tmp_path: Path) -> None:
    shop.settings["network"] = "signet"
    with signer(tmp_path) as place:
        wrong(
            shop("merchant", "store", "Shop", "--signer", place),
            2,
            "The signer's wallet is on regtest, and this shop on signet: set `signer` to one on"
            " signet, or `network` to regtest.",
        )
    with Database.open(shop.folder / "signet" / "merchant" / "shop.db") as database:
        assert database.read(stores.all_stores) == ()


def test_a_signer_that_is_away(shop: Cli, tmp_path: Path) -> None:
    place = tmp_path / "nobody.sock"
    wrong(
        shop("merchant", "store", "Shop", "--signer", str(place)),
        1,
        f"The signer does not answer at {place}: start it, or correct `signer`.",
    )


def test_cold_storage_on_another_network(shop: Cli) -> None:
    assert shop("wallet", "new").code == 0
    xpub = (
        "xpub661MyMwAqRbcFtXgS5sYJABqqG9YLmC4Q1Rdap9gSE8NqtwybGhePY2gZ29ESFjqJoCu1Rupje8YtGqsefD265"
        "TMg7usUDFdp6W1EGMcet8"
    )
    wrong(
        shop("merchant", "signer", "--cold", f"wpkh({xpub}/0/*)"),
        2,
        "The keys of `cold` are not for regtest: export the descriptor of a wallet on that"
        " network.",
    )


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("store", "Shop", "--minimum", "-1"), "`--minimum` is out of range: correct it."),
        (("store", "Shop", "--expiry", "5"), "`--expiry` is out of range: correct it."),
        (("store", "a\nb"), "`NAME` must be one line of 1 to 100 letters: choose another."),
        (("key", ""), "`NAME` must be one line of 1 to 100 letters: choose another."),
        (
            ("key", "till", "--store", "x"),
            "`--store` must be a UUID: give an id that `merchant store` has printed.",
        ),
        (
            ("key", "till", "--store", "0190a0b0-0000-7000-8000-000000000000"),
            "`--store` names no store: give an id that `merchant store` has printed.",
        ),
        (("deposit",), "There is no store yet: make one with `merchant store`."),
    ],
)
def test_what_cannot_be_made(shop: Cli, words, sentence: str) -> None:
    wrong(shop("merchant", *words), 2, sentence)


def test_a_port_in_use(shop: Cli) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = shop("merchant", "serve", "--listen", f"127.0.0.1:{port}")
    wrong(
        said,
        2,
        f"Port {port} cannot be listened on, as another program listens there: stop it, or choose"
        " another port.",
    )


@pytest.mark.parametrize("command", ["serve", "worker"])
def test_a_relay_of_the_directorys_operator(shop: Cli, url: str, command: str) -> None:
    shop.settings |= {
        "directory": "https://directory.example.org",
        "relays": "https://relay.example.org",
    }
    wrong(
        shop("merchant", command, "--database", url),
        2,
        "Every relay that is set belongs to the directory's operator, example.org, who would learn"
        " your IP address: set `relays` to another operator's, or `direct = true` to let the"
        " directory see your IP address.",
    )
    assert tables(url) == set()


def test_a_clock_that_is_behind(shop: Cli, chain: RegtestServer, monkeypatch) -> None:
    chain.node.mine(1)
    shop.settings["chain"] = chain.url
    monkeypatch.setattr(agent, "now", lambda: UnixTime(int(time.time()) - 5 * 86_400))
    said = serve(shop)
    wrong(
        said,
        2,
        "The clock here is 5 days behind the newest block: set this machine's clock, such as by"
        " NTP.",
    )


def test_a_clock_unlike_the_databases(shop: Cli, url: str, monkeypatch) -> None:
    monkeypatch.setattr(agent, "now", lambda: UnixTime(int(time.time()) + 301))
    said = serve(shop, "--database", url)
    wrong(
        said,
        2,
        "The clocks of this machine and of the database server are 5 minutes apart: set both, such"
        " as by NTP.",
    )


def test_a_configuration_that_cannot_be_read(shop: Cli, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    shop.settings["config"] = str(file)
    wrong(serve(shop), 2, f"The configuration file {file} is not there: check its path.")
    file.write_text("[merchant\n")
    wrong(serve(shop), 2, f"{file}, line 1: the configuration file is not valid TOML: correct it.")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('databse = "x"', "The table [merchant] has no key `databse`: did you mean `database`?"),
        ("zzz = 1", "The table [merchant] has no key `zzz`: remove it."),
        ('"a b" = 1', "The table [merchant] has no key `?`: remove it."),
        ("rates = 5", "`merchant.rates` must be a list: correct it."),
        ("rates = [5]", "`merchant.rates` must be text: correct it in the configuration."),
        (
            'rates = ["mtgox"]',
            "`rates` knows kraken, coinbase, bitstamp; correct or remove the other one.",
        ),
        ("private_webhooks = 5", "`merchant.private_webhooks` must be true or false: correct it."),
        ("database = 5", "`merchant.database` must be text: correct it in the configuration."),
        (
            'drain = "1h"',
            f"`merchant.drain` must be a duration from {SPAN}: correct it.",
        ),
        (
            'embedded_by = ["https://a.example/; script-src *"]',
            "`merchant.embedded_by` must list origins, such as https://shop.example: correct it.",
        ),
        ('proxies = "x"', "`merchant.proxies` must be a list: correct it."),
        ('proxies = ["x"]', "`proxies` must hold IP addresses or networks: correct it."),
        (
            'metrics = "127.0.0.1"',
            "`merchant.metrics`: give a host and a port, such as 127.0.0.1:8080.",
        ),
        (
            'signer = "127.0.0.1:70000"',
            "`signer` must be a socket's path or host:port; correct it.",
        ),
        (
            'signer_ca = "ca.pem"',
            "TLS to the signer takes all of `signer_ca`, `signer_cert` and `signer_key`.",
        ),
    ],
)
def test_a_setting_that_is_wrong_is_named(shop: Cli, settings, line: str, sentence: str) -> None:
    file = settings(line)
    said = serve(shop)
    assert (said.code, len(said.err.splitlines())) == (2, 1)
    assert said.err.replace(f"{file}: ", "") == f"Error: {sentence}\n"
    assert not (shop.folder / "regtest" / "merchant" / "shop.db").exists()


def test_a_table_that_is_none(shop: Cli, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    shop.settings["config"] = str(file)
    file.write_text("merchant = 5\n")
    said = serve(shop)
    assert (said.code, len(said.err.splitlines())) == (2, 1)
    assert "merchant" in said.err


def test_settings_that_miss(shop: Cli) -> None:
    shop.settings |= {"network": "signet", "chain": "https://esplora.example.org"}
    del shop.settings["relays"]
    del shop.settings["directory"]
    said = serve(shop)
    assert (said.code, len(said.err.splitlines())) == (2, 1)
    assert "`directory`" in said.err
    assert "`relays`" in said.err
