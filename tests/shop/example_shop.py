"""The example shop beside a whole till, and a customer's wallet to buy with."""

import json
import socket
import sqlite3
import sys
from collections.abc import Generator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.shop.processes import Process, Shop, open_shop
from tests.support.bdk import bdk_wallet

PROGRAM = Path(__file__).parents[2] / "examples" / "shop" / "shop.py"
CUSTOMER = """
network = "regtest"
data_dir = "{folder}"
chain = "{chain}"
directory = "{mailroom}"
relays = {relays}
"""


@dataclass(frozen=True)
class Example:
    """The till, and where the example shop stands beside it."""

    till: Shop
    url: str
    database: Path

    def accepted(self) -> int:
        """How many deliveries of webhooks the example shop has handled."""
        with closing(sqlite3.connect(self.database)) as orders:
            (number,) = orders.execute("select count(*) from deliveries").fetchone()
            return int(number)


@contextmanager
def open_example(folder: Path) -> Generator[Example]:
    """Start a till on PostgreSQL with two workers, and the example shop."""
    with open_shop(folder, postgresql=True, port=free_port()) as till:
        port, database = free_port(), folder / "orders.db"
        shop = Process(
            [sys.executable, str(PROGRAM)],
            folder=folder,
            name="example shop",
            DOVETAIL_URL=till.url,
            DOVETAIL_KEY=till.secret,
            DOVETAIL_STORE=str(till.store_id),
            SHOP_DATABASE=str(database),
            PORT=str(port),
        ).start()
        try:
            shop.wait_ready()
            yield Example(till, f"http://127.0.0.1:{port}", database)
        finally:
            shop.stop()


def free_port() -> int:
    """A port of this machine that nobody listens at now."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def customer(till: Shop, *coins: int) -> Path:
    """Make a customer's wallet with coins; returns the configuration of its command line."""
    folder = till.folder / "customer"
    bdk_wallet(folder / "regtest" / "wallet", till.regtest, *coins)
    place = folder / "config.toml"
    place.write_text(
        CUSTOMER.format(
            folder=folder,
            chain=till.regtest.url,
            mailroom=till.mailroom,
            relays=json.dumps(till.relays),
        )
    )
    return place
