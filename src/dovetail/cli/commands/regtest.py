"""`dovetail regtest`."""

import click

from dovetail.cli import json_keys
from dovetail.cli.help_layout import Group
from dovetail.cli.option_types import HIGHEST_PORT, Amount
from dovetail.cli.options import chain, common, json_option, listening
from dovetail.cli.output import Screen


@click.group(
    cls=Group,
    examples={
        "dovetail regtest serve": "Run a chain on this machine.",
        "dovetail regtest fund bcrt1q… 100000": "Get coins from its miner.",
        "dovetail regtest mine 6": "Confirm what waits.",
    },
)
def regtest() -> None:
    """Run a chain of your own, for tests and demos.

    Bitcoin Core's consensus code with a miner, and an Esplora server in front of it. Its coins
    are worth nothing.
    """


@regtest.command()
@listening(3002)
@click.option(
    "--blocks",
    type=click.IntRange(0, 10_000),
    default=110,
    show_default=True,
    help="Mine up to this height at the start.",
)
@click.option(
    "--electrum",
    metavar="PORT",
    type=click.IntRange(0, HIGHEST_PORT),
    help="Serve Electrum clients as well, at this port of the same host; 0 is any.",
)
@common
def serve(*, place: tuple[str, int], folder: str | None, blocks: int, electrum: int | None) -> int:
    """Serve the chain until Ctrl-C.

    Prints its URL, to be used as `chain`; with --electrum, a second one that serves as well.
    """
    from dovetail.cli.handlers import regtest

    return regtest.run(place, folder, blocks=blocks, electrum=electrum, screen=Screen())


@regtest.command()
@click.argument("address")
@click.argument("sats", type=Amount())
@click.option(
    "--confirmations",
    type=click.IntRange(0, 1000),
    default=1,
    show_default=True,
    help="How many blocks to mine on it; 0 leaves it unconfirmed.",
)
@chain
@json_option(json_keys.REGTEST_FUND)
@common
def fund(*, address: str, sats: int, confirmations: int, as_json: bool) -> int:
    """Have the miner pay an address."""
    from dovetail.cli.handlers import regtest

    return regtest.fund(address, sats, confirmations, Screen(as_json=as_json))


@regtest.command()
@click.argument("blocks", type=click.IntRange(1, 10_000), default=1)
@click.option("--address", help="Pay the reward to this address, and not to the miner.")
@chain
@json_option(json_keys.REGTEST_MINE)
@common
def mine(*, blocks: int, address: str | None, as_json: bool) -> int:
    """Mine blocks, or one."""
    from dovetail.cli.handlers import regtest

    return regtest.mine(blocks, address, Screen(as_json=as_json))
