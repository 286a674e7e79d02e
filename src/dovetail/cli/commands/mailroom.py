"""`dovetail mailroom`."""

from pathlib import Path
from typing import Any

import click

from dovetail.cli.help_layout import Group
from dovetail.cli.option_types import Duration
from dovetail.cli.options import common, listening
from dovetail.cli.output import Screen


@click.group(
    cls=Group,
    examples={
        "dovetail mailroom serve": "Serve one on this machine.",
        "dovetail mailroom serve --listen 0.0.0.0:8080 --v1": "Serve others too, behind a proxy.",
    },
)
def mailroom() -> None:
    """Run a directory, gateway and relay.

    Receivers have their mailboxes there, and through it senders and receivers reach the mailboxes
    of others without showing their IP address.
    """


@mailroom.command()
@listening(8080)
@click.option(
    "--directory/--no-directory", "directory", default=True, help="Keep mailboxes for receivers."
)
@click.option("--relay/--no-relay", default=True, help="Forward to the gateways of others.")
@click.option(
    "--local",
    is_flag=True,
    help="For tests on one machine: the relay reaches private addresses and itself.",
)
@click.option("--v1", is_flag=True, help="Let BIP 78 senders wait for a receiver that is online.")
@click.option(
    "--ca-file",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="PEM certificates the relay trusts instead of the system's.",
)
@click.option("--ttl", type=Duration(), help="How long a message is kept; 7d unless given.")
@common
def serve(**given: Any) -> int:
    """Serve until Ctrl-C.

    Prints its URL, to be used as `directory` and among `relays`. Put a proxy that speaks https
    in front of it if others are to reach it. Set its limits in the table
    [mailroom] of the configuration; the guide to running a mailroom lists every key.
    """
    from dovetail.cli.handlers import mailroom as handler

    return handler.serve(Screen(), **given)
