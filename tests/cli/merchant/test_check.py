"""`dovetail merchant check` tells of every part of a shop, in one line each."""

import asyncio
import time
from functools import partial
from pathlib import Path
from typing import Any

from tests.cli.in_process import Cli, Said
from tests.cli.merchant.parts import signer, tables
from tests.merchant.shop import add_shop

from dovetail.bitcoin import UnixTime
from dovetail.cli import terminal
from dovetail.merchant.data.database import Database
from dovetail.merchant.services import rates
from dovetail.merchant.services.rates import Source
from dovetail.regtest import RegtestServer
from dovetail.runtime import agent


def serve(shop: Cli, *words: str) -> Said:
    return shop("merchant", "serve", "--listen", "127.0.0.1:0", *words)


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
        "public_url": True,
        "rates": True,
    }
    assert found["signer"][1] == (
        f"The signer does not answer at {place}: start it, or correct `signer`."
    )
    said = shop("merchant", "check", *where)
    assert said.code == 1
    assert len(said.lines) == 6
    assert said.lines[0].startswith("WRONG  database    Dovetail cannot reach")
    assert said.lines[5] == "ok     rates       No source is set: invoices are in satoshis alone."
    assert said.err.strip() == "To mend: 4 of 6, marked WRONG. Then run the check again."


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
            "There is no store yet: make one.",
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
            "public_url": (True, "It is not set: the server answers this machine alone."),
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
    monkeypatch.setattr(agent, "now", lambda: UnixTime(int(time.time()) - 5 * 86_400 - 3_600))
    well, words = checked(shop)["chain"]
    assert (well, words[:29]) == (False, "The clock here is 5 days behi")


def test_a_check_refuses_a_public_url_without_tls_but_for_play_money(shop: Cli, settings) -> None:
    settings('public_url = "http://pay.example"')
    assert checked(shop)["public_url"] == (True, "Pages and links begin with http://pay.example/.")
    shop.settings["network"] = "signet"
    well, words = checked(shop)["public_url"]
    assert not well
    assert words.startswith("`public_url` must begin with https://, as http shows passwords")
    said = serve(shop)
    assert (said.code, "`public_url` must begin with https://" in said.err) == (2, True)


def test_a_check_misses_the_header_in_which_a_proxy_tells_of_its_clients(
    shop: Cli, settings
) -> None:
    settings('public_url = "https://pay.example"')
    well, words = checked(shop)["public_url"]
    assert not well
    assert words.startswith("`client_header` is not set, so that the requests of nobody")
    settings('public_url = "https://pay.example"', 'client_header = "x-forwarded-for"')
    assert checked(shop)["public_url"] == (True, "Pages and links begin with https://pay.example/.")


def test_a_check_finds_rates_away(shop: Cli, settings, monkeypatch) -> None:
    away = Source("kraken", lambda _: "http://127.0.0.1:1/", lambda answer: answer)
    monkeypatch.setattr(rates, "SOURCES", {"kraken": away})
    settings('rates = ["kraken"]')
    well, words = checked(shop)["rates"]
    assert not well
    assert words.startswith("No source of `rates` gives a rate for EUR now: try again later")


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
    words = "nothing is negotiated or seen: start one."
    assert found["workers"] == (False, f"No worker is alive, so that {words}")


def test_what_has_no_room_in_a_terminal_goes_on_below(shop: Cli, monkeypatch) -> None:
    monkeypatch.setattr(terminal, "width", lambda _: 60)
    said = shop("merchant", "check", "--signer", str(shop.folder / "nobody.sock"))
    assert "WRONG  chain       There is no connection to the chain" in said.lines
    assert "                   server, as nothing listens at its port:" in said.lines
    assert all(len(each) <= 60 for each in said.lines if "nobody.sock" not in each)
