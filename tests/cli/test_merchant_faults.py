"""What is wrong with a shop's setup is one sentence that says what to change, and no half work."""

import asyncio
import socket
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import text
from tests.cli.in_process import Cli, Said
from tests.merchant.shop import add_shop
from tests.merchant.signer.deals import SignersHouse
from tests.merchant.signer.served import serving
from tests.support.postgres import Server, running

from dovetail.bitcoin import UnixTime
from dovetail.merchant.data import stores
from dovetail.merchant.data.database import Database
from dovetail.merchant.services import rates
from dovetail.merchant.services.rates import Source
from dovetail.merchant.signer.place import SignerPlace
from dovetail.regtest import RegtestServer
from dovetail.runtime import agent

SPAN = "0s to 5m, such as 90s, 10m or 24h"


@pytest.fixture(scope="session")
def postgres(testrun_uid: str) -> Server:
    return running(testrun_uid)


@pytest.fixture
def url(postgres: Server) -> Iterator[str]:
    with postgres.database() as url:
        yield url


@pytest.fixture
def shop(cli: Cli) -> Iterator[Cli]:
    """A shop on regtest whose chain source, directory and signer are away."""
    cli.settings |= {"directory": "http://127.0.0.1:1", "relays": "http://127.0.0.1:1"}
    with tempfile.TemporaryDirectory() as short:  # a socket's path must be
        cli.folder = Path(short)
        yield cli


@pytest.fixture
def settings(shop: Cli, tmp_path: Path) -> Callable[..., Path]:
    """Write the table [merchant] of the configuration."""

    def write(*lines: str) -> Path:
        file = tmp_path / "config.toml"
        file.write_text("\n".join(["[merchant]", *lines]))
        shop.settings["config"] = str(file)
        return file

    return write


def serve(shop: Cli, *words: str) -> Said:
    return shop("merchant", "serve", "--listen", "127.0.0.1:0", *words)


def wrong(said: Said, code: int, sentence: str) -> None:
    """That it says this one sentence, and nothing else."""
    assert (said.code, said.out) == (code, ""), said.err
    assert said.err == f"Error: {sentence}\n"


def tables(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        return {name for (name,) in found}


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


@contextmanager
def signer(tmp_path: Path) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as short:
        place = SignerPlace(path=Path(short) / "signer.sock")
        with serving(SignersHouse(tmp_path), place):
            yield str(place)


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


# What `check` finds.


def checked(shop: Cli, *words: str) -> dict[str, tuple[bool, str]]:
    said = shop("merchant", "check", "--json", *words)
    told = said.json
    assert said.code == (0 if told["well"] else 1)
    return {each["about"]: (each["well"], each["words"]) for each in told["findings"]}


def test_a_check_tells_of_every_part_though_all_are_away(shop: Cli, tmp_path: Path) -> None:
    place = tmp_path / "nobody.sock"
    where = ("--database", "postgresql://127.0.0.1:1/shop", "--signer", str(place))
    found = checked(shop, *where)
    assert {about: well for about, (well, _) in found.items()} == {
        "database": False,
        "chain": False,
        "directory": False,
        "signer": False,
        "rates": True,
    }
    assert found["signer"][1] == (
        f"The signer does not answer at {place}: start it, or correct `signer`."
    )
    said = shop("merchant", "check", *where)
    assert said.code == 1
    assert len(said.lines) == 5
    assert said.lines[0].startswith("WRONG  database   Dovetail cannot reach")
    assert said.lines[4] == "ok     rates      No source is set: invoices are in satoshis alone."
    assert said.err.strip() == "To mend: 4 of 5, marked WRONG. Then run the check again."


def test_a_check_names_a_relay_of_the_directorys_operator(shop: Cli) -> None:
    shop.settings |= {
        "directory": "https://directory.example.org",
        "relays": "https://relay.example.org",
    }
    well, words = checked(shop)["directory"]
    assert not well
    assert words.startswith("Every relay that is set belongs to the directory's operator")


def test_a_check_of_a_shop_that_is_whole(person, tmp_path: Path, chain: RegtestServer) -> None:
    shop = person("shop")
    with signer(tmp_path) as place:
        assert checked(shop, "--signer", place)["stores"] == (
            False,
            "There is no store yet: make one with `merchant store NAME`.",
        )
        assert shop("merchant", "store", "Books", "--signer", place).code == 0
        found = checked(shop, "--signer", place)
        well, words = found["store Books"]
        assert not well
        assert words.startswith("The wallet has no confirmed coin that is free to contribute: send")
        del found["store Books"]
        assert found == {
            "database": (True, "A file: `serve` does all of the work. Its schema is current."),
            "chain": (
                True,
                f"It answers for regtest; the newest block is {chain.node.height:,}.",
            ),
            "directory": (True, "It answers through a relay."),
            "signer": (True, "It answers, and settles in cold storage."),
            "rates": (True, "No source is set: invoices are in satoshis alone."),
        }


def test_a_check_finds_a_signer_with_another_wallet(shop: Cli, tmp_path: Path) -> None:
    folder = shop.folder / "regtest" / "merchant"
    with Database.open(folder / "shop.db") as database:
        database.write(add_shop)
    with signer(tmp_path) as place:
        well, words = checked(shop, "--signer", place)["signer"]
    assert not well
    assert words.startswith("It answers, and holds another wallet than the stores have: start it")


def test_a_check_finds_the_clock_behind(shop: Cli, chain: RegtestServer, monkeypatch) -> None:
    chain.node.mine(1)
    shop.settings["chain"] = chain.url
    monkeypatch.setattr(agent, "now", lambda: UnixTime(int(time.time()) - 5 * 86_400))
    well, words = checked(shop)["chain"]
    assert (well, words[:29]) == (False, "The clock here is 5 days behi")


def test_a_check_finds_rates_away(shop: Cli, settings, monkeypatch) -> None:
    away = Source("kraken", lambda _: "http://127.0.0.1:1/", lambda answer: answer)
    monkeypatch.setattr(rates, "SOURCES", {"kraken": away})
    settings('rates = ["kraken"]')
    assert checked(shop)["rates"] == (
        False,
        "No rate source answers: try again later, or ask for an amount in satoshis.",
    )


def test_a_check_asks_for_the_currencies_of_the_stores(shop: Cli, settings, monkeypatch) -> None:
    asked: list[str] = []

    async def rate(_self: Any, currency: str) -> None:
        asked.append(currency)
        await asyncio.sleep(0)

    monkeypatch.setattr(rates.PublicRates, "rate", rate)
    settings('rates = ["kraken"]')
    assert checked(shop)["rates"] == (True, "They give a rate for EUR.")
    with Database.open(shop.folder / "regtest" / "merchant" / "shop.db") as database:
        for name, currency in (("A", "USD"), ("B", "CHF"), ("C", None)):
            database.write(partial(add_shop, name=name, currency=currency))
    assert checked(shop)["rates"] == (True, "They give a rate for CHF, USD.")
    assert asked == ["EUR", "CHF", "USD"]


def test_a_check_misses_workers_and_changes_no_schema(shop: Cli, url: str) -> None:
    found = checked(shop, "--database", url)
    words = "an older schema: start the shop's server once, which upgrades them."
    assert found["database"] == (False, f"The shop's tables have {words}")
    assert tables(url) == set()
    Database.open(url).close()
    found = checked(shop, "--database", url)
    assert found["database"] == (True, "PostgreSQL. Its schema is current.")
    words = "nothing is negotiated or seen: start `dovetail merchant worker`."
    assert found["workers"] == (False, f"No worker is alive, so that {words}")
