"""`dovetail wallet`."""

import click

from dovetail.cli import keys, work
from dovetail.cli.options import chain, common, json_option
from dovetail.cli.output import Screen

_kind = click.option(
    "--kind",
    type=click.Choice(("segwit", "taproot", "nested", "legacy")),
    default="segwit",
    show_default=True,
    help="The kind of its addresses.",
)


@click.group()
def wallet() -> None:
    """Make a wallet and look into it.

    There is one wallet per network and data directory.
    """


@wallet.command()
@_kind
@json_option(keys.WALLET_NEW)
@common
def new(*, kind: str, as_json: bool) -> int:
    """Make a wallet and print its 12 words, once."""
    return work.wallets.new(kind, Screen(as_json=as_json))


@wallet.command(name="import")
@_kind
@click.option("--descriptors", is_flag=True, help="Read two descriptors instead of words.")
@json_option(keys.WALLET_IMPORT)
@common
def bring(*, kind: str, descriptors: bool, as_json: bool) -> int:
    """Make a wallet from words you have.

    The words, or the descriptors for payments and for change with their private keys, are asked
    for on a terminal and else read from stdin, one on each line: never from the command line,
    which other users of the machine can see.
    """
    return work.wallets.bring(kind, Screen(as_json=as_json), descriptors=descriptors)


@wallet.command()
@json_option(keys.WALLET_ADDRESS)
@common
def address(*, as_json: bool) -> int:
    """Print a fresh address."""
    return work.wallets.address(Screen(as_json=as_json))


@wallet.command()
@chain
@json_option(keys.WALLET_BALANCE)
@common
def balance(*, as_json: bool) -> int:
    """Say what the wallet holds."""
    return work.wallets.balance(Screen(as_json=as_json))


@wallet.command()
@chain
@json_option(keys.WALLET_COINS)
@common
def coins(*, as_json: bool) -> int:
    """List the confirmed coins."""
    return work.wallets.coins(Screen(as_json=as_json))
