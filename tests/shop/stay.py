"""`make shop`: a whole shop on a chain of its own, until Ctrl-C, for a person to click through."""

import secrets
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from tests.shop.example_shop import Example, customer, open_example
from tests.shop.interrupted import say
from tests.shop.processes import command

LOOK = 2.0
"""Seconds between two looks for payments to mine."""
WAIT = 8.0
"""Seconds that a payment waits for its block, so that a person sees the page before and after."""
COINS = (1_000_000, 600_000, 400_000)
USER = "owner"


def main() -> None:
    """Start it, print where to click, and mine blocks for the payments that come."""
    say("Starting a chain, a mailroom, PostgreSQL, a signer, a server, two workers and a shop ...")
    with (
        tempfile.TemporaryDirectory(prefix="dovetail-shop-") as folder,
        open_example(Path(folder)) as example,
        suppress(KeyboardInterrupt),
    ):
        example.till.workers[1].start()
        _show(example)
        _mine(example)
    say("Stopped. All of it was in a temporary folder, which is gone.")


def _show(example: Example) -> None:
    till = example.till
    password = secrets.token_urlsafe(12)
    subprocess.run(
        command(till.folder, "merchant", "user", "add", USER, "--role", "owner"),
        input=password + "\n",
        text=True,
        check=True,
        capture_output=True,
    )
    wallet = customer(till, *COINS)
    program = Path(sys.executable).with_name("dovetail")
    say(
        f"""
  The example shop    {example.url}
  The dashboard       {till.url.replace("127.0.0.1", "localhost")}/dashboard
    user              {USER}
    password          {password}

Buy something in the shop, copy the payment request from the page, and pay it:

  {program} --config {wallet} send '<payment request>'

A block comes {WAIT:.0f} seconds after a payment. Press Ctrl-C to stop."""
    )


def _mine(example: Example) -> None:
    node = example.till.regtest.node
    while True:
        time.sleep(LOOK)
        if len(node.mempool):
            time.sleep(WAIT)
            node.mine()


if __name__ == "__main__":
    main()
