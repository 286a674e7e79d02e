"""`dovetail wallet`."""

from pathlib import Path
from typing import Any

import click

from dovetail.cli import json_keys
from dovetail.cli.help_layout import Group
from dovetail.cli.options import chain, common, json_option, passphrase, together
from dovetail.cli.output import Screen
from dovetail.cli.read_only import Reading

_kind = click.option(
    "--kind",
    type=click.Choice(("segwit", "taproot", "nested", "legacy")),
    default="segwit",
    show_default=True,
    help="The kind of its addresses.",
)


_open = click.option(
    "--no-passphrase",
    "unprotected",
    is_flag=True,
    help="Keep words and keys unencrypted: anyone who can read the wallet's file can spend.",
)
_new_passphrase = together(
    click.option(
        "--new-passphrase-file",
        "file",
        metavar="FILE",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Read the new passphrase from this file's first line.",
    ),
    click.option(
        "--new-passphrase-fd",
        "descriptor",
        metavar="N",
        type=click.IntRange(min=0),
        help="Read it from this open file descriptor.",
    ),
)


@click.group(
    cls=Group,
    examples={
        "dovetail wallet new": "Make a wallet, once.",
        "dovetail wallet address": "Print an address for coins to come to.",
        "dovetail wallet balance": "See what can be spent.",
    },
)
def wallet() -> None:
    """Make a wallet and look into it.

    There is one wallet per network and data directory.
    """


@wallet.command()
@_kind
@passphrase
@_open
@json_option(json_keys.WALLET_NEW)
@common
def new(*, as_json: bool, **given: Any) -> int:
    """Make a wallet and print its 12 words.

    On a terminal it asks for a passphrase, which encrypts words and keys on the disk. Commands
    that sign ask for it; those that only look do not. Without a terminal it is read from
    --passphrase-file or --passphrase-fd, and without either there is none.
    """
    from dovetail.cli.handlers import wallet

    return wallet.new(Screen(as_json=as_json), **given)


@wallet.command(name="import")
@_kind
@click.option("--descriptors", is_flag=True, help="Read two descriptors instead of words.")
@passphrase
@_open
@json_option(json_keys.WALLET_IMPORT)
@common
def bring(*, as_json: bool, **given: Any) -> int:
    """Make a wallet from words you have.

    Asks on a terminal for the words, or for the descriptors for payments and for change with their
    private keys; without a terminal it reads them from stdin, one on each line. The command line
    takes neither, because other users of the machine can see it. Choose the passphrase as with
    `wallet new`.
    """
    from dovetail.cli.handlers import wallet

    return wallet.bring(Screen(as_json=as_json), **given)


@wallet.command(name="passphrase")
@passphrase
@_new_passphrase
@click.option("--remove", is_flag=True, help="Keep words and keys unencrypted from now on.")
@json_option(json_keys.WALLET_PASSPHRASE)
@common
def change(*, as_json: bool, **given: Any) -> int:
    """Set, change or remove the wallet's passphrase.

    It encrypts words and keys in the wallet's file. Copies that were made before, such as a
    backup of the whole disk, stay as they are.
    """
    from dovetail.cli.handlers import wallet_secrets

    return wallet_secrets.change(Screen(as_json=as_json), **given)


@wallet.command()
@passphrase
@click.option("--remove", is_flag=True, help="Take it out of the keyring.")
@json_option(json_keys.WALLET_KEYRING)
@common
def keyring(*, remove: bool, as_json: bool) -> int:
    """Keep the wallet's passphrase in the system's keyring.

    Commands that sign take it from there with --passphrase-keyring, or with
    `passphrase_keyring = true` in the configuration. The keyring opens as you log in.
    """
    from dovetail.cli.handlers import wallet_secrets

    return wallet_secrets.keyring(Screen(as_json=as_json), remove=remove)


@wallet.command(cls=Reading)
@passphrase
@click.option("-y", "--yes", is_flag=True, help="Show them without asking, also in a pipe.")
@json_option(json_keys.WALLET_WORDS)
@common
def words(*, yes: bool, as_json: bool) -> int:
    """Show the wallet's words, after a confirmation.

    Anyone who sees them has the money. A wallet that was imported by descriptors has no words: its
    descriptors with their private keys are shown.
    """
    from dovetail.cli.handlers import wallet_secrets

    return wallet_secrets.words(Screen(as_json=as_json), yes=yes)


@wallet.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@passphrase
@json_option(json_keys.WALLET_BACKUP)
@common
def backup(*, file: Path, as_json: bool) -> int:
    """Write a backup of the wallet and its sessions to a new file.

    The backup is encrypted: with the wallet's passphrase, or with one of its own if the wallet has
    none. The words alone restore the coins; the backup also restores the sessions, which Dovetail
    needs to finish a payment under way.
    """
    from dovetail.cli.handlers import wallet_backup

    return wallet_backup.backup(file, Screen(as_json=as_json))


@wallet.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@passphrase
@json_option(json_keys.WALLET_RESTORE)
@common
def restore(*, file: Path, as_json: bool) -> int:
    """Restore the wallet and the sessions of a backup.

    The wallet keeps the backup's passphrase. Restore only if the former place is lost: an open
    session must go on in one place only.
    """
    from dovetail.cli.handlers import wallet_backup

    return wallet_backup.restore(file, Screen(as_json=as_json))


@wallet.command(cls=Reading)
@json_option(json_keys.WALLET_INFO)
@common
def info(*, as_json: bool) -> int:
    """Say what kind of wallet this is, and whether a passphrase protects it."""
    from dovetail.cli.handlers import wallet_secrets

    return wallet_secrets.info(Screen(as_json=as_json))


@wallet.command()
@json_option(json_keys.WALLET_ADDRESS)
@common
def address(*, as_json: bool) -> int:
    """Print a fresh address."""
    from dovetail.cli.handlers import wallet

    return wallet.address(Screen(as_json=as_json))


@wallet.command(cls=Reading)
@chain
@json_option(json_keys.WALLET_BALANCE)
@common
def balance(*, as_json: bool) -> int:
    """Print the wallet's balance."""
    from dovetail.cli.handlers import wallet

    return wallet.balance(Screen(as_json=as_json))


@wallet.command(cls=Reading)
@click.option(
    "--limit",
    type=click.IntRange(1, 100_000),
    default=20,
    show_default=True,
    help="How many transactions to list.",
)
@chain
@json_option(json_keys.WALLET_TRANSACTIONS)
@common
def transactions(*, limit: int, as_json: bool) -> int:
    """List the wallet's transactions, with the sessions they belong to.

    The newest first. Amounts are what the wallet gained or lost by it, its fee included.
    """
    from dovetail.cli.handlers import wallet_transactions

    return wallet_transactions.transactions(limit, Screen(as_json=as_json))


@wallet.command(cls=Reading)
@chain
@json_option(json_keys.WALLET_COINS)
@common
def coins(*, as_json: bool) -> int:
    """List the confirmed coins."""
    from dovetail.cli.handlers import wallet

    return wallet.coins(Screen(as_json=as_json))
