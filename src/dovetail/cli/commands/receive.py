"""`dovetail receive`."""

from pathlib import Path
from typing import Any

import click

from dovetail.cli import options
from dovetail.cli.help_layout import command
from dovetail.cli.json_keys import RECEIVE
from dovetail.cli.option_types import Amount, Duration
from dovetail.cli.output import Screen


@command(
    examples={
        "dovetail receive 50000 --label Coffee": "Ask for 50,000 sats, and wait for them.",
        "dovetail receive --no-wait --qr payment.png": "Ask for any amount, with a QR code.",
        "dovetail receive 50000 --lifetime 1h --json": "Ask from a script.",
    },
)
@click.argument("amount", metavar="[SATS]", type=Amount(), required=False)
@click.option("--label", metavar="TEXT", help="Your name, as the sender's wallet shows it.")
@click.option("--message", metavar="TEXT", help="The purpose of the payment, shown there too.")
@click.option("--lifetime", type=Duration(), help="How long the URI is good for, such as 24h.")
@click.option(
    "--v1",
    is_flag=True,
    help="Also welcome senders that speak only BIP 78, at the directory or with --listen.",
)
@options.served(public=True)
@click.option("--no-wait", is_flag=True, help="Leave once the URI is printed.")
@options.timeout
@click.option(
    "--qr",
    "qr_file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write the QR code to a .png or .svg file.",
)
@click.option("--no-qr", is_flag=True, help="Draw no QR code.")
@options.directory
@options.routes
@options.passphrase
@options.chain
@options.json_option(RECEIVE)
@options.events
@options.common
def receive(*, as_json: bool, as_events: bool, **given: Any) -> int:
    """Ask for a payment and see it through.

    Prints a Payjoin URI for one sender and one payment, then follows the session until the
    payment is confirmed. Ctrl-C leaves it for `dovetail resume`. Without SATS the sender chooses
    the amount.

    The sender writes to a mailbox on the directory, and you need not be online together. With
    --listen there is no mailbox: senders that speak BIP 78 pay at a server that runs as long as
    this command does.
    """
    from dovetail.cli.handlers import receive as handler

    return handler.receive(Screen(as_json=as_json, as_events=as_events), **given)
