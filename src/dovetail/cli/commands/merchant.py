"""`dovetail merchant`."""

from pathlib import Path
from typing import Any

import click

from dovetail.cli import json_keys
from dovetail.cli.commands.merchant_people import refund, user, where, where_database
from dovetail.cli.help_layout import Group
from dovetail.cli.option_types import Percent, Place, Rate
from dovetail.cli.options import chain, common, directory, json_option, passphrase, routes
from dovetail.cli.output import Screen

_METRICS = click.option(
    "--metrics",
    type=Place(),
    help="Where Prometheus asks for metrics; else nowhere. Keep it to your own network.",
)


@click.group(
    cls=Group,
    examples={
        "dovetail merchant init": "Set a shop up; asks five questions.",
        "dovetail merchant signer": "Run the one process that holds the keys.",
        "dovetail merchant store 'My shop'": "Make a store on the signer's wallet.",
        "dovetail merchant key 'My web shop'": "Make a key for shop software.",
        "dovetail merchant serve": "Serve the API and take payments.",
        "dovetail merchant refund list": "Show refunds, and those that wait for a decision.",
    },
)
def merchant() -> None:
    """Take payments as a shop, over an API.

    Invoices are paid by payjoin where that can be. The signer alone has keys. With a database in
    PostgreSQL any number of workers share the work; with a file everything runs in `serve`.
    """


@merchant.command()
@click.option(
    "--from",
    "answers",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="Take the answers from this TOML file, and ask nothing.",
)
@where_database
@click.option(
    "--no-passphrase",
    "unprotected",
    is_flag=True,
    help="Give the hot wallet no passphrase: who can read its file can spend.",
)
@click.option("--yes", is_flag=True, help="Write it without a question, over what is there.")
@chain
@directory
@routes
@passphrase
@json_option(json_keys.MERCHANT_INIT)
@common
def init(*, as_json: bool, **given: Any) -> int:
    """Set up a shop: asks five questions, checks each answer, and writes the configuration.

    It also makes the signer's hot wallet, the database, the store and the first user. What fails
    leaves no configuration behind, and a second run goes on.

    A file of answers has the keys `network`, `cold`, `chain`, `directory`, `relays`, `name`,
    `user`, and if you like `database` and `password_file`, whose first line is the user's password;
    else that is the first line of the input.
    """
    from dovetail.cli.handlers import merchant_init as handler

    return handler.init(Screen(as_json=as_json), **given)


@merchant.command()
@click.option(
    "--listen",
    "place",
    type=Place(),
    default="127.0.0.1:8090",
    show_default=True,
    help="Where to listen; port 0 is any.",
)
@click.option("--json-log", is_flag=True, help="Write the log as JSON, a line for each entry.")
@_METRICS
@where
@chain
@directory
@routes
@common
def serve(**given: Any) -> int:
    """Serve the API until Ctrl-C, and with a file as database do all of the work.

    Prints the URL of the API. Put a proxy that speaks https in front of it.
    """
    from dovetail.cli.handlers import merchant as handler

    return handler.serve(Screen(), **given)


@merchant.command()
@click.option("--json-log", is_flag=True, help="Write the log as JSON, a line for each entry.")
@_METRICS
@where
@chain
@directory
@routes
@common
def worker(**given: Any) -> int:
    """Take sessions forward, watch the chain and send webhooks, until Ctrl-C.

    Run as many as you like, on any machines that reach the database and the signer. One that dies
    loses nothing: the others go on within seconds.
    """
    from dovetail.cli.handlers import merchant as handler

    return handler.worker(Screen(), **given)


@merchant.command()
@click.option("--json-log", is_flag=True, help="Write the log as JSON, a line for each entry.")
@click.option(
    "--listen",
    "signer",
    metavar="PLACE",
    help="A socket's path, or host:port with TLS; else a socket in the data folder.",
)
@click.option(
    "--cold", metavar="DESCRIPTOR", help="The public descriptor of cold storage, to settle there."
)
@click.option(
    "--accept-older-log",
    "accepts_older",
    is_flag=True,
    help="After a restore: sign although the log misses what the database knows. Payjoins under"
    " way are given up, and paid ordinarily.",
)
@passphrase
@common
def signer(**given: Any) -> int:
    """Hold the keys, and sign what the shop's rules allow, until Ctrl-C.

    Run it as a user of its own, on a wallet that `dovetail wallet new` has made. It checks each
    transaction itself and believes the server nothing.
    """
    from dovetail.cli.handlers import merchant_signer as handler

    return handler.run(Screen(), **given)


@merchant.command()
@click.argument("name")
@click.option("--minimum", type=int, default=0, help="The least sats for which to offer payjoin.")
@click.option("--expiry", type=int, default=900, show_default=True, help="Seconds to pay in.")
@click.option(
    "--currency", metavar="CODE", help="The currency of its prices, such as EUR; else satoshis."
)
@click.option(
    "--spread",
    type=Percent(),
    default="0",
    show_default=True,
    help="Per cent that are added to a price in a currency, such as 1.5.",
)
@where
@json_option(json_keys.MERCHANT_STORE)
@common
def store(*, as_json: bool, **given: Any) -> int:
    """Make a store on the wallet for which the signer signs; prints its id."""
    from dovetail.cli.handlers import merchant_setup as handler

    return handler.store(Screen(as_json=as_json), **given)


@merchant.command()
@click.argument("name")
@click.option("--store", "store_id", metavar="ID", help="Only for this store; else for all.")
@click.option("--approves", is_flag=True, help="Let it approve and decline refunds, too.")
@click.option(
    "--plugin", is_flag=True, help="Let it do what a plugin for BTCPay Server needs, and no more."
)
@where
@json_option(json_keys.MERCHANT_KEY)
@common
def key(*, as_json: bool, **given: Any) -> int:
    """Make an API key for shop software; it is shown once."""
    from dovetail.cli.handlers import merchant_setup as handler

    return handler.key(Screen(as_json=as_json), **given)


@merchant.command()
@where
@json_option(json_keys.MERCHANT_DEPOSIT)
@common
def deposit(*, as_json: bool, **given: Any) -> int:
    """Show an address of the hot wallet: coins sent there are contributed to payjoins."""
    from dovetail.cli.handlers import merchant_setup as handler

    return handler.deposit(Screen(as_json=as_json), **given)


@merchant.command()
@click.argument("payment", required=False, metavar="[ID]")
@click.option("--yes", is_flag=True, help="Approve it without a question.")
@json_option(json_keys.MERCHANT_APPROVE)
@common
def approve(*, as_json: bool, **given: Any) -> int:
    """Approve a payment to somebody else that waits at the signer, such as a refund.

    Run it where the signer runs, as the same user. Without an ID it lists what waits, as the signer
    has read it: who gets how much, and the fee.
    """
    from dovetail.cli.handlers import merchant_payouts as handler

    return handler.approve(Screen(as_json=as_json), **given)


@merchant.command()
@click.option(
    "--keep",
    type=click.IntRange(0, 10_000),
    default=5,
    show_default=True,
    help="How many coins stay hot, to be contributed to payjoins: the smallest.",
)
@click.option("--fee-rate", type=Rate(), help="The fee rate; estimated unless given.")
@click.option("--yes", is_flag=True, help="Broadcast it without a question.")
@where
@chain
@json_option(json_keys.MERCHANT_SWEEP)
@common
def sweep(*, as_json: bool, **given: Any) -> int:
    """Send hot coins to cold storage; prints the txid.

    Coins that sessions hold stay.
    """
    from dovetail.cli.handlers import merchant_payouts as handler

    return handler.sweep(Screen(as_json=as_json), **given)


@merchant.command()
@click.argument("folder", metavar="FOLDER", type=click.Path(path_type=Path))
@click.option(
    "--only",
    type=click.Choice(("shop", "signer")),
    help="Only the database, or only the signer's log and wallet, where they are on two machines or"
    " of two users: the database first.",
)
@where_database
@json_option(json_keys.MERCHANT_BACKUP)
@common
def backup(*, as_json: bool, **given: Any) -> int:
    """Copy a shop that runs into a new folder: database, signer's log, and the wallet's secret.

    Nothing has to be stopped. The folder holds the keys of the hot wallet: keep it safe. A database
    in PostgreSQL is copied by its `pg_dump`.
    """
    from dovetail.cli.handlers import merchant_backup as handler

    return handler.backup(Screen(as_json=as_json), **given)


@merchant.command()
@click.argument("folder", metavar="FOLDER", type=click.Path(path_type=Path))
@click.option(
    "--skip",
    type=click.IntRange(0, 1_000_000),
    default=1000,
    show_default=True,
    help="Addresses to pass over: at least as many invoices as were made after the backup.",
)
@where_database
@json_option(json_keys.MERCHANT_RESTORE)
@common
def restore(*, as_json: bool, **given: Any) -> int:
    """Put a backup into this data folder, where none of its files may be; stop the shop before.

    Sessions that were open go on. Never run a shop and its restored copy at the same time. A
    database in PostgreSQL is brought into an empty one by `pg_restore`.
    """
    from dovetail.cli.handlers import merchant_backup as handler

    return handler.restore(Screen(as_json=as_json), **given)


@merchant.command()
@where
@chain
@directory
@routes
@json_option(json_keys.MERCHANT_CHECK)
@common
def check(*, as_json: bool, **given: Any) -> int:
    """Test the whole setup, and name each setting that is wrong."""
    from dovetail.cli.handlers import merchant_check as handler

    return handler.check(Screen(as_json=as_json), **given)


merchant.add_command(refund)
merchant.add_command(user)
